"""Queries as the control socket and the log of the switch tell of them."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator

import dns.message
import pytest

from tests.daemon.test_api import PATIENCE, Served, api  # noqa: F401
from vswitch.daemon.messages.dns import Outcome
from vswitch.daemon.resolving.files.resolvconf import ResolvConf
from vswitch.daemon.resolving.showing.querylog import REMEMBERED
from vswitch.dataplane.responders.dns.inside.names import Names
from vswitch.dataplane.responders.dns.party import Party, Route
from vswitch.naming import NameSettings, Server
from vswitch.wire.values import IpAddress

NAMES = Names(())
APP = Party("app", lambda: NAMES, lambda _: Route(), "front")


def ask(served: Served, name: str, times: int = 1) -> None:
    asked = dns.message.make_query(name, "A").to_wire()[2:]
    assert served.daemon is not None
    log = served.daemon.responder.resolver.queries

    def note() -> None:
        for _ in range(times):
            log.note(0, APP, asked, Outcome.NAMES)

    served.call(note)


def test_who_follows_gets_queries_as_they_come(api: Served) -> None:  # noqa: F811
    with api.connect() as client:
        client.sendall(b"GET /v1/dns/queries?follow=true&last=0 HTTP/1.1\r\nHost: s\r\n\r\n")
        heard = iter(client.makefile("rb"))
        assert b" 200 " in next(heard)
        ask(api, "first.front")
        ask(api, "second.front")
        rows = _rows(heard, 2)
    assert [row["name"] for row in rows] == ["first.front", "second.front"]
    assert [row["missed"] for row in rows] == [0, 0]


def _rows(heard: Iterator[bytes], count: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    while len(rows) < count:
        line = next(heard)
        if line.startswith(b"{"):
            rows.append(json.loads(line))
    return rows


def test_who_asks_for_more_than_is_shown_is_told_what_is_allowed(
    api: Served,  # noqa: F811
) -> None:
    answer = api.ask("GET", "/v1/dns/queries?last=100000")
    assert answer.status == 400
    assert answer.problem == "last: Input should be less than or equal to 1000"


def test_queries_are_written_down_where_the_user_wants_it(
    api: Served,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert api.daemon is not None
    ask(api, "before.front")
    api.call(api.daemon.responder.shown.follow, NameSettings(logs=True))
    ask(api, "web.front", REMEMBERED + 3)
    _close(api)
    told = [
        each.getMessage() for each in caplog.records if "quer" in each.name or "shown" in each.name
    ]
    assert "3 queries were not written down: they came too fast" in told
    assert told.count("app (front): A web.front: from names") == REMEMBERED
    assert not any("before" in each for each in told)


def _close(served: Served) -> None:
    """As the daemon does when it stops."""
    assert served.daemon is not None
    closing = served.daemon.responder.shown.close()
    asyncio.run_coroutine_threadsafe(closing, served._loop).result(PATIENCE)


def test_what_is_logged_is_logged_no_more_when_that_is_wanted(
    api: Served,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert api.daemon is not None
    caplog.set_level(logging.INFO)
    api.call(api.daemon.responder.shown.follow, NameSettings(logs=True))
    api.call(api.daemon.responder.shown.follow, NameSettings())
    ask(api, "web.front")
    _close(api)
    assert not any("web.front" in each.getMessage() for each in caplog.records)


def test_name_that_is_forgotten_may_have_any_letter(api: Served) -> None:  # noqa: F811
    assert api.daemon is not None
    resolver = api.daemon.responder.resolver
    api.call(resolver.answering, APP)
    answer = api.ask("DELETE", "/v1/dns/cache?name=a%5C")
    assert (answer.status, answer.body) == (200, {"forgotten": 0})


@pytest.mark.parametrize("change", ["settings", "the host's file"])
def test_server_that_others_may_be_asked_instead_of_is_shown_no_more(
    api: Served,  # noqa: F811
    change: str,
) -> None:
    assert api.daemon is not None
    responder = api.daemon.responder
    api.call(responder.resolver.answering, APP)
    asked = responder.resolver._minds[1]._servers
    asked.ranking(Route((Server(IpAddress.parse("192.0.2.53")),)), 0)
    assert [row["server"] for row in api.ask("GET", "/v1/dns/servers").body] == ["192.0.2.53"]
    if change == "settings":
        following = responder.follow(NameSettings())
        asyncio.run_coroutine_threadsafe(following, api._loop).result(PATIENCE)
    else:
        api.call(responder._follow_host, ResolvConf())
    assert api.ask("GET", "/v1/dns/servers").body == []
