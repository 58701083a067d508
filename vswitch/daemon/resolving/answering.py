"""Answering the queries of one party: by what the brain says, or by what servers say to it.

Theory of operation. What a query deserves is decided by `dataplane.responders.dns.brain`; here its
answer is carried. The same query has the same answer while names stay, so what was answered from
names is kept octet by octet, in each order that it may have, and said again in turn under the
identifier of the next who asks. What is somebody else's to answer is asked of servers
(`forwarding`), so much at a time.

Who has the socket that queries come to is `listeners`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle
from typing import TypeAlias, TypeVar

import dns.rcode
from dns.edns import EDECode

from vswitch.daemon.resolving.forwarding import Forwarder
from vswitch.dataplane.responders.dns.brain import Answer, Brain, Forward, Refuse, Reply
from vswitch.dataplane.responders.dns.party import Inquiry, Party
from vswitch.dataplane.responders.dns.telling import Said
from vswitch.units import Nanoseconds

log = logging.getLogger(__name__)

IN_FLIGHT = 128
"""Forwarded queries of one party at a time. Each holds a descriptor, and an endpoint that asks
without end must not take those of the others."""

ANSWERS_KEPT = 1024
"""Of one party, or a batch more. Who asks in ever new spellings (0x20) makes that many at most."""

IDENTIFIER = 2
"""Octets in front of a message, by which a client knows its answer."""

_FULL = Said(
    dns.rcode.REFUSED, why=(EDECode.OTHER, "too many queries are waiting for servers already")
)

Say: TypeAlias = Callable[[bytes], None]
"""Tell a client its answer."""

Place = TypeVar("Place")
"""By what whoever has the socket knows a client."""


class Answering:
    """One party's queries, and those of them that are in flight."""

    def __init__(
        self, party: Party, brain: Brain, forwarder: Forwarder, now: Callable[[], Nanoseconds]
    ) -> None:
        self._party = party
        self._brain = brain
        self._forwarder = forwarder
        self._now = now
        self._forwarding: set[asyncio.Task[None]] = set()
        self._is_full = False
        self._known = party.names()
        self._kept: dict[bytes, Iterator[bytes]] = {}
        """By all of a query but its identifier, the same of its answers in turn, as long as names
        stay."""

    def answer_all(
        self,
        queries: Iterable[tuple[Place, bytes]],
        say: Callable[[Place, bytes], None],
        later: Callable[[Place], Say],
    ) -> None:
        """Answer queries that came in datagrams, all at once: names stay meanwhile.

        Who is told what was kept is told by `say`, any other by what `later` makes.
        """
        names = self._party.names()
        if names is not self._known or len(self._kept) >= ANSWERS_KEPT:
            self._known, self._kept = names, {}
        kept = self._kept
        for place, query in queries:
            answers = kept.get(query[IDENTIFIER:])
            if answers is not None:
                say(place, query[:IDENTIFIER] + next(answers))
            else:
                self.answer(query, later(place))

    def answer(self, query: bytes, reply: Say, *, by_stream: bool = False) -> None:
        """Answer a query by a call of `reply`, now or when a server has; without one where nothing
        is to be said."""
        match self.hear(query, by_stream=by_stream):
            case Reply(message, orders):
                if orders and not by_stream:
                    turning = cycle([each[IDENTIFIER:] for each in orders])
                    next(turning)
                    self._kept[query[IDENTIFIER:]] = turning
                reply(message)
            case Refuse(message):
                reply(message)
            case Forward(inquiry):
                self.forward(query, inquiry, reply, by_stream=by_stream)

    def hear(self, query: bytes, *, by_stream: bool = False) -> Answer:
        """What becomes of a query: what is to be forwarded is for the caller to `forward`."""
        return self._brain.answer(query, self._party, self._now(), by_stream=by_stream)

    def preview(self, query: bytes) -> Answer:
        """What would become of one that nobody has sent, in a datagram."""
        return self._brain.answer(query, self._party, self._now())

    async def close(self) -> None:
        """Wait for no server any more."""
        for task in self._forwarding:
            task.cancel()
        await asyncio.gather(*self._forwarding, return_exceptions=True)

    def forward(
        self, query: bytes, inquiry: Inquiry, reply: Say, *, by_stream: bool = False
    ) -> None:
        """Answer a query, of which `hear` has said that, by a call of `reply` when a server has."""
        if len(self._forwarding) >= IN_FLIGHT:
            self._refuse_for_being_full(query, reply)
            return
        self._is_full = False
        forwarding = self._forward(query, inquiry, reply, by_stream=by_stream)
        task = asyncio.get_running_loop().create_task(forwarding)
        self._forwarding.add(task)
        task.add_done_callback(self._forwarding.discard)

    def _refuse_for_being_full(self, query: bytes, reply: Say) -> None:
        """Logged once for each time that it fills up, however much is refused meanwhile."""
        if not self._is_full:
            log.warning(
                "%s has %d queries waiting for servers already: more are refused",
                *(self._party.name, IN_FLIGHT),
            )
        self._is_full = True
        reply(self._brain.fail(query, _FULL, self._party, self._now()))

    async def _forward(
        self, query: bytes, inquiry: Inquiry, reply: Say, *, by_stream: bool
    ) -> None:
        found = await self._forwarder.ask(inquiry)
        now = self._now()
        reply(self._brain.pass_on(query, found, self._party, now, by_stream=by_stream))
