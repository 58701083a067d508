"""Names of the outside: asked of servers once, told by all who want them, also when servers tarry.

Servers are a future that a test fulfils, and the clock of the answers is the test's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import dns.message
import pytest

from tests.dataplane.responders.dns.servers import (
    ANYBODY,
    NAME,
    explanations,
    query,
    reply,
    told,
    understood,
)
from vswitch.daemon.resolving import answering
from vswitch.daemon.resolving.answering import Answering
from vswitch.daemon.resolving.asking.forwarding import Forwarder
from vswitch.daemon.resolving.showing.querylog import QueryLog
from vswitch.dataplane.responders.dns.brain import Brain
from vswitch.dataplane.responders.dns.outside.searching import Found
from vswitch.dataplane.responders.dns.party import Inquiry
from vswitch.naming import NameSettings, Server
from vswitch.units import MILLISECOND, SECOND
from vswitch.wire.values import IpAddress

STALE = 3
ADDRESS = f"{NAME} 300 IN A 203.0.113.7"
OTHER = f"{NAME} 300 IN A 203.0.113.8"

PATIENCE = 20 * MILLISECOND


SERVER = Server(IpAddress.parse("192.0.2.53"))


class Servers(Forwarder):
    """Say something when a test wants that."""

    def __init__(self) -> None:
        super().__init__(1.0)
        self.asked: list[Inquiry] = []
        self._waiting_for: list[asyncio.Future[Found | None]] = []

    def ask(self, inquiry: Inquiry) -> asyncio.Future[Found | None]:
        self.asked.append(inquiry)
        future: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
        self._waiting_for.append(future)
        return future

    async def say(self, octets: bytes | None) -> None:
        """To all who wait."""
        await settle()
        for future in self._waiting_for:
            future.set_result(None if octets is None else Found(octets, SERVER))
        self._waiting_for.clear()
        await settle()


async def settle() -> None:
    """Let all go on that can."""
    for _ in range(5):
        await asyncio.sleep(0)


class Asking:
    """A client of one party."""

    def __init__(self) -> None:
        self.now = 0
        self.servers = Servers()
        self.brain = Brain(NameSettings())
        self.answering = Answering(
            *(ANYBODY, self.brain, self.servers),
            *(lambda: self.now, QueryLog()),
        )
        self.was_kept = False
        self._query = b""
        self._heard: list[bytes] = []

    def ask(self, **how: bool) -> None:
        """As the one does who has the socket."""
        self._query = query(**how)
        self.was_kept = True
        self.answering.answer_all([(None, self._query)], self._say, self._later)

    def _say(self, _: None, message: bytes) -> None:
        self._heard.append(message)

    def _later(self, _: None) -> Callable[[bytes], None]:
        self.was_kept = False
        return self._heard.append

    def heard(self) -> dns.message.Message:
        """The one answer since the last time."""
        (octets,) = self._heard
        self._heard.clear()
        return understood(self._query, octets)

    @property
    def is_told(self) -> bool:
        return bool(self._heard)


Run = Callable[[Callable[[Asking], Awaitable[None]]], None]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(answering, "CLIENT_PATIENCE", PATIENCE)

    def run(main: Callable[[Asking], Awaitable[None]]) -> None:
        async def asks() -> None:
            await main(Asking())

        asyncio.run(asks())

    return run


async def learn_and_let_it_become_stale(asking: Asking) -> None:
    asking.ask()
    await asking.servers.say(reply(ADDRESS))
    assert told(asking.heard()) == [ADDRESS]
    asking.now = 400 * SECOND


def test_servers_are_asked_once_for_as_long_as_the_answer_holds(run: Run) -> None:
    async def main(asking: Asking) -> None:
        asking.ask()
        await asking.servers.say(reply(ADDRESS))
        for now, left, kept in ((0.5, 299, False), (0.9, 299, True), (1.0, 299, True)):
            asking.now = round(now * SECOND)
            asking.heard()
            asking.ask()
            assert asking.was_kept is kept
            assert told(asking.heard()) == [f"{NAME} {left} IN A 203.0.113.7"]
            asking.ask()
        asking.now += 1
        asking.heard()
        asking.ask()
        assert not asking.was_kept
        assert told(asking.heard()) == [f"{NAME} 298 IN A 203.0.113.7"]
        assert len(asking.servers.asked) == 1

    run(main)


def test_long_answer_is_not_kept_in_all_its_orders(run: Run) -> None:
    async def main(asking: Asking) -> None:
        asking.ask()
        await asking.servers.say(reply(*(f"{NAME} 300 IN A 192.0.2.{each}" for each in range(60))))
        for _ in range(2):
            asking.now += 1
            asking.heard()
            asking.ask()
            assert not asking.was_kept
        assert len(asking.servers.asked) == 1

    run(main)


def test_who_waits_too_long_is_told_what_held_and_what_comes_late_is_learned(run: Run) -> None:
    async def main(asking: Asking) -> None:
        await learn_and_let_it_become_stale(asking)
        asking.ask()
        assert not asking.is_told
        while not asking.is_told:
            await asyncio.sleep(0.005)
        stale = asking.heard()
        assert told(stale) == [f"{NAME} 30 IN A 203.0.113.7"]
        assert explanations(stale) == [STALE]
        await asking.servers.say(reply(OTHER))
        assert not asking.is_told
        asking.ask()
        assert told(asking.heard()) == [OTHER]

    run(main)


def test_who_is_answered_in_time_is_told_nothing_stale(run: Run) -> None:
    async def main(asking: Asking) -> None:
        await learn_and_let_it_become_stale(asking)
        asking.ask()
        await asking.servers.say(reply(OTHER))
        assert told(asking.heard()) == [OTHER]
        await asyncio.sleep(2 * PATIENCE / SECOND)
        assert not asking.is_told

    run(main)


def test_who_has_nothing_to_be_told_instead_waits_for_servers(run: Run) -> None:
    async def main(asking: Asking) -> None:
        asking.ask()
        await asyncio.sleep(2 * PATIENCE / SECOND)
        assert not asking.is_told
        await asking.servers.say(reply(ADDRESS))
        assert told(asking.heard()) == [ADDRESS]

    run(main)


def test_what_is_due_is_asked_anew_while_it_is_told(run: Run) -> None:
    async def main(asking: Asking) -> None:
        asking.ask()
        await asking.servers.say(reply(ADDRESS))
        asking.heard()
        for now in (1, 280, 282, 283):
            asking.now = now * SECOND
            asking.ask()
            assert told(asking.heard()) == [f"{NAME} {300 - now} IN A 203.0.113.7"]
        await asking.servers.say(reply(OTHER))
        assert len(asking.servers.asked) == 2
        assert not asking.is_told
        asking.now += 1
        asking.ask()
        assert told(asking.heard()) == [f"{NAME} 299 IN A 203.0.113.8"]

    run(main)
