"""What would become of a query: the same as of one that is sent, and nothing is other by it."""

from __future__ import annotations

from dataclasses import asdict

import dns.message
import pytest

from tests.dataplane.responders.dns.asking import host
from tests.dataplane.responders.dns.servers import (
    NAME,
    Resolving,
    explanations,
    inquiry,
    query,
    reply,
    told,
)
from vswitch.dataplane.responders.dns.brain import Answer, Forward, Reply
from vswitch.dataplane.responders.dns.inside.names import Names
from vswitch.dataplane.responders.dns.party import Party, Route
from vswitch.naming import CacheSettings

POOL = Names([host(f"h{n}", f"10.0.0.{n}", "pool") for n in (1, 2, 3)])
PARTY = Party("app", lambda: POOL, lambda _: Route())
ADDRESSES = [f"{NAME} 300 IN A 203.0.113.{n}" for n in (1, 2, 3)]


@pytest.fixture
def resolving() -> Resolving:
    return Resolving()


def preview(resolving: Resolving, name: str = NAME) -> Answer:
    return resolving.brain.answer(query(name), PARTY, resolving.now, commit=False)


def say(resolving: Resolving, name: str = NAME) -> Answer:
    return resolving.brain.answer(query(name), PARTY, resolving.now)


@pytest.mark.parametrize("name", ["pool.", NAME, "unknown.example."])
def test_preview_is_what_is_said_next_however_often_it_is_asked_for(
    resolving: Resolving, name: str
) -> None:
    resolving.learn(reply(*ADDRESSES))
    resolving.ask()
    resolving.wait(280)
    previews = [preview(resolving, name) for _ in range(4)]
    assert previews == [say(resolving, name)] * 4


@pytest.mark.parametrize("name", [NAME, "unknown.example."])
def test_preview_counts_nothing(resolving: Resolving, name: str) -> None:
    resolving.learn(reply(*ADDRESSES))
    preview(resolving, name)
    assert set(asdict(resolving.brain.cache.counts).values()) == {0}
    assert [row.hits for row in resolving.brain.cache.entries(resolving.now)] == [0]


def test_preview_takes_nobodys_turn_to_ask_anew(resolving: Resolving) -> None:
    resolving.learn(reply(*ADDRESSES))
    resolving.ask()
    resolving.wait(280)
    preview(resolving)
    resolving.ask()
    assert resolving.due == [inquiry()]


def test_preview_is_no_reason_to_keep_what_nobody_asks_for() -> None:
    resolving = Resolving(CacheSettings(memory=8 * 1024))
    resolving.learn(reply(*ADDRESSES))
    preview(resolving)
    for number in range(50):
        about = inquiry(f"x{number}.example.org.")
        resolving.learn(reply(f"x{number}.example.org. 300 IN A 192.0.2.1", about=about), about)
    assert isinstance(preview(resolving), Forward)


def test_preview_tells_what_is_stale_as_such(resolving: Resolving) -> None:
    resolving.learn(reply(*ADDRESSES))
    resolving.wait(400)
    assert isinstance(preview(resolving), Forward)
    resolving.learn(None)
    previewed = preview(resolving)
    assert isinstance(previewed, Reply)
    message = dns.message.from_wire(previewed.message)
    assert (explanations(message), len(told(message))) == ([3], 3)
