"""Answering the queries of one party: by what the brain says, or by what servers say to it.

Theory of operation. What a query deserves is decided by `dataplane.responders.dns.brain`; here its
answer is carried. The same query has the same answer while names stay, so what was answered from
names is kept octet by octet, and said again under the identifier of the next who asks. What is
somebody else's to answer is asked of servers (`forwarding`), so much at a time.

Who has the socket that queries come to is `listeners`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeAlias

import dns.rcode

from vswitch.daemon.resolving.forwarding import Forwarder
from vswitch.dataplane.responders.dns.brain import Brain, Forward, Refuse, Reply
from vswitch.dataplane.responders.dns.message import error
from vswitch.dataplane.responders.dns.party import Inquiry, Party
from vswitch.units import Nanoseconds

log = logging.getLogger(__name__)

IN_FLIGHT = 128
"""Forwarded queries of one party at a time. Each holds a descriptor, and an endpoint that asks
without end must not take those of the others."""

ANSWERS_KEPT = 1024
"""Of one party. Who asks in ever new spellings (0x20) makes that many at most."""

Say: TypeAlias = Callable[[bytes], None]
"""Tell a client its answer."""


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
        self._kept: dict[bytes, bytes] = {}
        """By all of a query but its identifier, the same of the answer, as long as names stay."""

    def kept(self, query: bytes) -> bytes | None:
        """The answer to a query that came in a datagram, where it was given before and is so
        still."""
        names = self._party.names()
        if names is not self._known or len(self._kept) >= ANSWERS_KEPT:
            self._known, self._kept = names, {}
        answer = self._kept.get(query[2:])
        return None if answer is None else query[:2] + answer

    def answer(self, query: bytes, reply: Say, *, by_stream: bool = False) -> None:
        """Answer a query by a call of `reply`, now or when a server has; without one where nothing
        is to be said."""
        match self._brain.answer(query, self._party, self._now(), by_stream=by_stream):
            case Reply(message):
                if not by_stream:
                    self._kept[query[2:]] = message[2:]
                reply(message)
            case Refuse(message):
                reply(message)
            case Forward(inquiry):
                self._begin_forwarding(query, inquiry, reply, by_stream=by_stream)

    async def close(self) -> None:
        """Wait for no server any more."""
        for task in self._forwarding:
            task.cancel()
        await asyncio.gather(*self._forwarding, return_exceptions=True)

    def _begin_forwarding(
        self, query: bytes, inquiry: Inquiry, reply: Say, *, by_stream: bool
    ) -> None:
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
        reply(error(query, dns.rcode.REFUSED))

    async def _forward(
        self, query: bytes, inquiry: Inquiry, reply: Say, *, by_stream: bool
    ) -> None:
        found = await self._forwarder.ask(inquiry)
        reply(self._brain.pass_on(query, found, by_stream=by_stream))
