"""A forwarder whose servers are in memory, and say something when a test has them say it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from itertools import count
from random import Random

import dns.message

from tests.dataplane.responders.dns.outside import answered, inquiry
from vswitch.daemon.resolving.asking.forwarding import Forwarder
from vswitch.dataplane.responders.dns.outside.attempt import Attempt
from vswitch.dataplane.responders.dns.outside.searching import Found
from vswitch.units import Nanoseconds


class Carrying:
    """What a forwarder has open: servers say something when a test has them say it."""

    def __init__(self, _: Random, now: Callable[[], Nanoseconds]) -> None:
        self.waiting: list[Attempt] = []
        self.sent = 0
        self.left: list[Hashable] = []
        self.is_closed = False
        self._now = now
        self._identifiers = count(1)

    def send(self, attempt: Attempt) -> str | None:
        attempt.identifier = next(self._identifiers).to_bytes(2, "big")
        self.waiting.append(attempt)
        self.sent += 1
        return None

    def forget(self, attempt: Attempt) -> None:
        if attempt in self.waiting:
            self.waiting.remove(attempt)

    def leave(self, origin: Hashable) -> None:
        self.left.append(origin)

    async def close(self) -> None:
        self.is_closed = True

    def answer(self, at_most: int | None = None) -> None:
        """All that were asked, or the first ones."""
        for attempt in self.waiting[:at_most]:
            query = dns.message.from_wire(attempt.identifier + attempt.octets)
            assert attempt.hear(answered(query).to_wire(), self._now())
            self.forget(attempt)


class Lab:
    """A forwarder and what it has open."""

    def __init__(self, patience: float = 60.0) -> None:
        self.made: list[Carrying] = []
        self.forwarder = Forwarder(patience, carriage=self._carry)

    @property
    def carrying(self) -> Carrying:
        (one,) = self.made
        return one

    def ask(self, name: str = "www.example.org.") -> asyncio.Future[Found | None]:
        return self.forwarder.ask(inquiry(name))

    def _carry(self, random: Random, now: Callable[[], Nanoseconds]) -> Carrying:
        self.made.append(Carrying(random, now))
        return self.made[-1]


async def turns(number: int = 3) -> None:
    """Let the event loop go on for so long."""
    for _ in range(number):
        await asyncio.sleep(0)
