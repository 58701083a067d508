"""An endpoint that nobody answers is told of, once, until somebody does again."""

from __future__ import annotations

import asyncio

import pytest

from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.resolving import selftest
from vswitch.daemon.resolving.selftest import SelfTest


def test_who_is_silent_is_seen_and_logged_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    web, app = Namespace.named("web"), Namespace.named("app")
    there, silent = {"web": web, "app": app}, {web: "Network is unreachable"}
    monkeypatch.setattr(selftest, "unanswered", silent.get)
    test = SelfTest(lambda: there)
    for _ in range(2):
        asyncio.run(test.go_round())
    assert test.silent == {"web": "Network is unreachable"}
    silent.clear()
    asyncio.run(test.go_round())
    assert test.silent == {}
    assert [each.message for each in caplog.records] == [
        "endpoint web: 127.0.0.11 does not answer: Network is unreachable",
        "endpoint web: 127.0.0.11 answers again",
    ]


def test_who_has_gone_is_not_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    there = {"web": Namespace.named("web")}
    test = SelfTest(lambda: there)
    monkeypatch.setattr(selftest, "unanswered", lambda _: "it is gone")
    asyncio.run(test.go_round())
    there.clear()
    asyncio.run(test.go_round())
    assert test.silent == {}
