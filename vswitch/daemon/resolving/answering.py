"""Answering the queries of one party: by what the brain says, or by what servers say to it.

Theory of operation. What a query deserves is decided by `dataplane.responders.dns.brain`; here its
answer is carried, and noted (`querylog`). The same query has the same answer while names stay, or,
where servers have said it, until a second is over, as their time counts down. So an answer is kept
octet by octet, in each order that it may have, and said again in turn under the identifier of the
next who asks.

What is somebody else's to answer is asked of servers (`forwarding`), as much at a time as is the
party's share: beyond that it is refused at once, so that one party's flood is not the others'
silence. Who has waited for servers long enough is told what held a while ago, and what they say in
the end is learned all the same.

Who has the socket that queries come to is `listeners`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from typing import NamedTuple, TypeAlias, TypeVar

import dns.rcode
from dns.edns import EDECode

from vswitch.daemon.messages.dns import Outcome
from vswitch.daemon.resolving.asking.forwarding import Forwarder
from vswitch.daemon.resolving.showing.querylog import PART, QueryLog
from vswitch.dataplane.responders.dns.brain import (
    CLIENT_PATIENCE,
    Answer,
    Brain,
    Forward,
    Refuse,
    Reply,
    Silence,
    Why,
)
from vswitch.dataplane.responders.dns.learned.believing import What
from vswitch.dataplane.responders.dns.learned.cache import Told
from vswitch.dataplane.responders.dns.outside.searching import Found
from vswitch.dataplane.responders.dns.party import Inquiry, Party
from vswitch.dataplane.responders.dns.telling import Said
from vswitch.units import SECOND, Nanoseconds
from vswitch.wire import domain

log = logging.getLogger(__name__)

LEFT_AT_ONCE = 64
"""Queries to wait for no more, before others have their turn: some thousands may be waiting."""

ANSWERS_KEPT = 1024
"""Of one party, or a batch more. Who asks in ever new spellings (0x20) makes that many at most."""

IDENTIFIER = 2
"""Octets in front of a message, by which a client knows its answer."""

_FULL = Said(
    dns.rcode.REFUSED, why=(EDECode.OTHER, "too many queries are waiting for servers already")
)

LONGEST_KEPT = 4096
"""Octets of an answer in all its orders: a longer one is worked out each time, and so is one to a
query that is longer than `PART`, as some are padded to some thousand."""

_REFUSED = {
    Why.NOT_UNDERSTOOD: Outcome.NOT_UNDERSTOOD,
    Why.NOT_ALLOWED: Outcome.NOT_ALLOWED,
}

Say: TypeAlias = Callable[[bytes], None]
"""Tell a client its answer."""

Place = TypeVar("Place")
"""By what whoever has the socket knows a client."""


class _Kept(NamedTuple):
    """Answers to one query, without their identifiers."""

    answers: Iterator[bytes]
    """Without end."""
    until: Nanoseconds | None
    """As in `Reply`."""
    outcome: Outcome


@dataclass(slots=True)
class _Waiting:
    """A client that waits for servers."""

    query: bytes
    reply: Say
    by_stream: bool
    since: Nanoseconds
    is_told: bool = False


class Answering:
    """One party's queries, and those of them that are in flight."""

    def __init__(
        self,
        party: Party,
        brain: Brain,
        forwarder: Forwarder,
        now: Callable[[], Nanoseconds],
        queries: QueryLog,
    ) -> None:
        self._party = party
        self._brain = brain
        self._forwarder = forwarder
        self._now = now
        self._queries = queries
        self._forwarding: set[asyncio.Task[object]] = set()
        self._is_full = False
        self._known = party.names()
        self._kept: dict[bytes, _Kept] = {}
        """By all of a query but its identifier, as long as names stay."""

    def answer_all(
        self,
        queries: Iterable[tuple[Place, bytes]],
        say: Callable[[Place, bytes], None],
        later: Callable[[Place], Say],
    ) -> int:
        """Answer queries that came in datagrams, all at once: names stay meanwhile. The answer is
        how many of them had to be looked into.

        Who is told what was kept is told by `say`, any other by what `later` makes.
        """
        names = self._party.names()
        if names is not self._known or len(self._kept) >= ANSWERS_KEPT:
            self._known, self._kept = names, {}
        kept, now, from_servers, unknown = self._kept, self._now(), 0, 0
        note, party = self._queries.note, self._party
        for place, query in queries:
            asked = query[IDENTIFIER:]
            known = kept.get(asked)
            if known is None or (known.until is not None and known.until < now):
                self.answer(query, later(place))
                unknown += 1
                continue
            from_servers += known.until is not None
            note(now, party, asked, known.outcome)
            say(place, query[:IDENTIFIER] + next(known.answers))
        self._brain.cache.counts.hits += from_servers
        return unknown

    def answer(self, query: bytes, reply: Say, *, by_stream: bool = False) -> None:
        """Answer a query by a call of `reply`, now or when a server has; without one where nothing
        is to be said."""
        match self.hear(query, by_stream=by_stream):
            case Reply(message, orders, until) as answer:
                is_short = len(query) < PART.stop and sum(map(len, orders)) <= LONGEST_KEPT
                if orders and is_short:
                    turning = cycle([each[IDENTIFIER:] for each in orders])
                    next(turning)
                    self._kept[query[IDENTIFIER:]] = _Kept(turning, until, _became(answer))
                reply(message)
            case Refuse(message):
                reply(message)
            case Forward(inquiry):
                self.forward(query, inquiry, reply, by_stream=by_stream)

    def hear(self, query: bytes, *, by_stream: bool = False) -> Answer:
        """What becomes of a query: what is to be forwarded is for the caller to `forward`. What is
        to be asked anew meanwhile is asked."""
        now = self._now()
        answer = self._brain.answer(query, self._party, now, by_stream=by_stream)
        if not isinstance(answer, Forward):
            self._note(query, now, _became(answer))
        if isinstance(answer, Reply) and answer.refresh is not None:
            self._begin(self._refresh(answer.refresh))
        return answer

    def preview(self, query: bytes) -> Answer:
        """What would become of one that nobody has sent, in a datagram."""
        return self._brain.answer(query, self._party, self._now(), commit=False)

    def _note(
        self,
        query: bytes,
        now: Nanoseconds,
        outcome: Outcome,
        by: str = "",
        took: Nanoseconds = 0,
    ) -> None:
        self._queries.note(now, self._party, query[PART], outcome, by, took)

    async def close(self) -> None:
        """Wait for no server any more."""
        while self._forwarding:
            some = tuple(islice(self._forwarding, LEFT_AT_ONCE))
            for task in some:
                task.cancel()
            await asyncio.gather(*some, return_exceptions=True)

    def forward(
        self, query: bytes, inquiry: Inquiry, reply: Say, *, by_stream: bool = False
    ) -> None:
        """Answer a query, of which `hear` has said that, by a call of `reply` when a server has."""
        if not self._forwarder.shares.take(self._party.name):
            self._refuse_for_being_full(query, reply)
            return
        task = self._begin(self._forward(_Waiting(query, reply, by_stream, self._now()), inquiry))
        task.add_done_callback(self._end_forwarding)

    def _begin(self, asking: Coroutine[None, None, object]) -> asyncio.Task[object]:
        task: asyncio.Task[object] = asyncio.get_running_loop().create_task(asking)
        self._forwarding.add(task)
        task.add_done_callback(self._forwarding.discard)
        return task

    def _end_forwarding(self, _: asyncio.Task[object]) -> None:
        self._forwarder.shares.give_back(self._party.name)
        if not self._forwarding:
            self._is_full = False

    def _refuse_for_being_full(self, query: bytes, reply: Say) -> None:
        """Logged once until nothing waits any more, however much is refused meanwhile."""
        if not self._is_full:
            log.warning(
                "%s has its share of queries waiting for servers already: more are refused",
                self._party.name,
            )
        self._is_full = True
        self._forwarder.refused[self._party.name] += 1
        self._note(query, self._now(), Outcome.TOO_MANY)
        reply(self._brain.fail(query, _FULL, self._party, self._now()))

    async def _forward(self, waiting: _Waiting, inquiry: Inquiry) -> None:
        impatience = self._begin_impatience(waiting, inquiry)
        try:
            found = await self._forwarder.ask(inquiry)
            told = self._learn(inquiry, found)
        finally:
            if impatience is not None:
                impatience.cancel()
        if told.withheld is not None:
            words = "possible DNS rebinding: %s leads to %s, which %s is not told"
            log.warning(words, domain.decode(inquiry.name), told.withheld, self._party.name)
        if not waiting.is_told:
            self._tell(waiting, told, _outcome(told), "" if found is None else str(found.server))

    async def _refresh(self, inquiry: Inquiry) -> None:
        """Ask with nobody waiting for it."""
        self._learn(inquiry, await self._forwarder.ask(inquiry))

    def _learn(self, inquiry: Inquiry, found: Found | None) -> Told:
        """What is told of it, now that servers have been asked."""
        return self._brain.learn(inquiry, None if found is None else found.reply, self._now())

    def _begin_impatience(self, waiting: _Waiting, inquiry: Inquiry) -> asyncio.TimerHandle | None:
        """None where there is nothing that could be told instead: most wait for what is new."""
        if not self._brain.has_instead(inquiry, self._now()):
            return None
        loop = asyncio.get_running_loop()
        return loop.call_later(CLIENT_PATIENCE / SECOND, self._tell_instead, waiting, inquiry)

    def _tell_instead(self, waiting: _Waiting, inquiry: Inquiry) -> None:
        told = self._brain.instead(inquiry, self._now())
        if told is not None:
            self._tell(waiting, told, Outcome.CACHE)

    def _tell(self, waiting: _Waiting, told: Told, outcome: Outcome, by: str = "") -> None:
        waiting.is_told = True
        query, now = waiting.query, self._now()
        message = self._brain.pass_on(query, told, self._party, now, by_stream=waiting.by_stream)
        self._note(query, now, outcome, by, now - waiting.since)
        waiting.reply(message)


def _became(answer: Reply | Refuse | Silence) -> Outcome:
    """What the brain has made of a query by itself."""
    match answer:
        case Reply():
            return Outcome.CACHE if answer.is_cached else Outcome.NAMES
        case Refuse(_, why):
            return _REFUSED[why]
    return Outcome.SILENCE


def _outcome(told: Told) -> Outcome:
    """Of a query that waited until servers were asked."""
    if told.withheld is not None:
        return Outcome.WITHHELD
    if told.wording.what is What.FAILURE:
        return Outcome.FAILED
    return Outcome.CACHE if told.ttl is not None else Outcome.SERVER
