"""Asking servers outside, for all who ask us.

Theory of operation. Inquiries that are equal are one: while the first is under way, whoever asks
the same waits for its answer, and one who waits no more takes it from nobody else. When nobody
waits any more, it is given up.

Here are the clock, the one timer of all searches and the event loop's watch over the sockets, and
nothing is decided: which server is asked, when again, and which reply counts is `searching`'s, how
a query goes out `by_datagram`'s and `by_stream`'s. No inquiry has a task or a timer of its own.
Answers are handed out, and silent servers passed over, some at a time, so that ten thousand who
wait for a dead server never keep somebody waiting who asks for a name of ours.

dnspython's own asynchronous queries are not used, as each of them is a coroutine with a socket and
a timer.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Hashable
from functools import cached_property, partial
from random import Random, SystemRandom
from typing import Protocol

from vswitch.daemon.resolving.asking.carriers import Carriers
from vswitch.dataplane.responders.dns.outside.attempt import Carrier
from vswitch.dataplane.responders.dns.outside.searching import Found, Searches
from vswitch.dataplane.responders.dns.outside.servers import Health, Servers, ServerState
from vswitch.dataplane.responders.dns.outside.shares import Shares
from vswitch.dataplane.responders.dns.party import Inquiry
from vswitch.units import SECOND, Nanoseconds

log = logging.getLogger(__name__)

IN_FLIGHT = 10_000
"""Queries of clients that wait for servers, in all."""

GREED = 8
"""How many times as much as is left one party may have: alone it gets 8/9 of all, and of ten who
flood each gets about a tenth."""

LEAST = 32
"""What each party may have, whoever else floods: more than a client waits for that is no flood."""

AT_ONCE = 8
"""Answers to hand out, or searches to go on with, before others have their turn: about 1 ms."""


class Carriage(Carrier, Protocol):
    """A carrier with something open."""

    def leave(self, origin: Hashable) -> None:
        """Close what is open in a namespace."""

    async def close(self) -> None:
        """Close all. Who waits for something is not told."""


class Forwarder:
    """Asks servers. Belongs to one event loop."""

    def __init__(
        self,
        patience: float,
        now: Callable[[], Nanoseconds] = time.monotonic_ns,
        carriage: Callable[[Random, Callable[[], Nanoseconds]], Carriage] = Carriers,
    ) -> None:
        """No inquiry takes longer than `patience`, in seconds. Nothing is opened before the first
        one."""
        self._patience = round(patience * SECOND)
        self._now = now
        self._make_carriage = carriage
        self.shares = Shares(IN_FLIGHT, GREED, LEAST)
        """What each party, by its name, has of IN_FLIGHT: taken and given back by who asks."""
        self.refused: Counter[str] = Counter()
        """Queries of each party that were refused because its share was full."""
        self.unresolved = 0
        """Inquiries to which no server had an answer."""
        self._servers = Servers(_tell)
        self._carriage: Carriage | None = None
        self._waiting: dict[Inquiry, dict[asyncio.Future[Found | None], None]] = {}
        self._concluded: deque[tuple[asyncio.Future[Found | None], Found | None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._armed_for: Nanoseconds | None = None
        """When the timer, where it is running, comes."""

    def ask(self, inquiry: Inquiry) -> asyncio.Future[Found | None]:
        """What the first server has said that has an answer, or None where none can say. Whoever
        waits no more cancels it."""
        future: asyncio.Future[Found | None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(partial(self._forget, inquiry))
        waiting = self._waiting.setdefault(inquiry, {})
        waiting[future] = None
        if len(waiting) == 1:
            self._searches.begin(inquiry, self._now())
        return future

    def servers(self) -> list[ServerState]:
        """How those that were asked are doing."""
        return self._servers.states()

    def forget_servers(self) -> None:
        """Somebody else may be asked from now on: how they are doing is found out anew."""
        self._servers.forget_all()

    def leave(self, origin: Hashable) -> None:
        """Ask nobody any more from a namespace, and let go of it. Who waits for an answer from
        there is cancelled."""
        for inquiry in [each for each in self._waiting if each.route.origin == origin]:
            self._searches.abandon(inquiry)
            for future in self._waiting.pop(inquiry):
                future.cancel()
        self._servers.forget(origin)
        if self._carriage is not None:
            self._carriage.leave(origin)

    async def close(self) -> None:
        """Ask nobody any more. Who waits for an answer is cancelled."""
        if self._timer is not None:
            self._timer.cancel()
        for future in [each for waiting in self._waiting.values() for each in waiting]:
            future.cancel()
        if self._carriage is not None:
            await self._carriage.close()

    # What is under way

    @cached_property
    def _searches(self) -> Searches:
        random = SystemRandom()
        self._carriage = self._make_carriage(random, self._now)
        return Searches(
            *(self._servers, self._carriage, random, self._patience),
            conclude=self._conclude,
            wake=self._wake_at,
        )

    def _conclude(self, inquiry: Inquiry, found: Found | None) -> None:
        if found is None:
            self.unresolved += 1
        if not self._concluded:
            asyncio.get_running_loop().call_soon(self._hand_out)
        self._concluded.extend((each, found) for each in self._waiting.pop(inquiry))

    def _hand_out(self) -> None:
        for _ in range(min(AT_ONCE, len(self._concluded))):
            future, found = self._concluded.popleft()
            if not future.done():
                future.set_result(found)
        if self._concluded:
            asyncio.get_running_loop().call_soon(self._hand_out)

    def _forget(self, inquiry: Inquiry, future: asyncio.Future[Found | None]) -> None:
        """One that is done waits no more, and after the last one the inquiry is given up."""
        waiting = self._waiting.get(inquiry)
        if waiting is None or future not in waiting:
            return
        del waiting[future]
        if not waiting:
            del self._waiting[inquiry]
            self._searches.abandon(inquiry)

    # The timer

    def _wake_at(self, deadline: Nanoseconds) -> None:
        if self._armed_for is not None and self._armed_for <= deadline:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = deadline
        delay = max(0, deadline - self._now()) / SECOND
        self._timer = asyncio.get_running_loop().call_later(delay, self._tick)

    def _tick(self) -> None:
        self._armed_for = None
        now = self._now()
        deadline = self._searches.next_deadline() if self._searches.due(now, AT_ONCE) else now
        if deadline is not None:
            self._wake_at(deadline)


def _tell(health: Health) -> None:
    server, origin = health.place
    where = "" if origin is None else f" (asked from {origin})"
    if health.is_down:
        why = health.trouble or "it is silent"
        log.warning("name server %s%s is passed over: %s", server, where, why)
    else:
        log.info("name server %s%s answers again", server, where)
