"""What servers have said, and that they have said nothing: kept whole, told again while it holds.

Theory of operation. An answer is kept under its inquiry, so what one set of servers said is not
told to those who ask others. It holds for as long as `believing` says, and nobody is told that it
holds for longer. That no server could say is remembered for some seconds, longer each time, so that
a zone whose servers are dead is not asked about with every query (RFC 9520).

Beyond its time an answer is *stale*: it is told, marked as such and for a short time, where servers
say nothing in time (RFC 8767). An answer that is wanted again and again is *due* near the end of
its time: one who is told it then is told that, too, and asks for it anew while others are still
told the old one.

Memory and what goes when it is short are `shelf`'s, what is said in octets `wording`'s.

Read first: RFC 2308 (denials), RFC 8767 (stale answers), RFC 9520 (failures).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from sys import getsizeof
from typing import NamedTuple

import dns.edns
import dns.name
import dns.rdatatype

from vswitch.dataplane.responders.dns.client import Client
from vswitch.dataplane.responders.dns.learned.believing import Statement, What
from vswitch.dataplane.responders.dns.learned.shelf import Shelf
from vswitch.dataplane.responders.dns.learned.wording import Wording, explain
from vswitch.dataplane.responders.dns.party import Inquiry
from vswitch.naming import CacheSettings
from vswitch.units import SECOND, Nanoseconds
from vswitch.wire.values import IpAddress

STALE_TTL = 30
"""Seconds that a stale answer is told to hold (RFC 8767, 4)."""

RECHECK: Nanoseconds = 30 * SECOND
"""After a failure, where there is a stale answer to tell meanwhile (RFC 8767, 5)."""

FIRST_FAILURE: Nanoseconds = 1 * SECOND
MOST_FAILURE: Nanoseconds = 5 * SECOND
"""How long a failure is remembered where there is nothing else to tell: twice as long each time. A
second is the least (RFC 9520, 3.2), and more would be waited for by somebody whose server is
back."""

LAST_PART = 10
"""An answer is due in the last tenth of its time, as with Unbound."""

REFRESHING: Nanoseconds = 30 * SECOND
"""How long whoever was told that an answer is due has for that, before somebody else is told."""

DICTIONARY_SLOT = 150
"""Bytes for an entry in a dictionary, of which a third to two thirds are in use."""

_STALE = (explain(dns.edns.EDECode.STALE_ANSWER),)
_STALE_DENIAL = (explain(dns.edns.EDECode.STALE_NXDOMAIN_ANSWER),)
_CACHED_ERROR = (explain(dns.edns.EDECode.CACHED_ERROR),)


class Told(NamedTuple):
    """What is told to an inquiry at some moment."""

    wording: Wording
    until: Nanoseconds
    """For so long the same octets are right."""
    elapsed: int = 0
    """Seconds since it was said, with the one that has begun."""
    ttl: int | None = None
    """Of all records, where it is stale."""
    why: tuple[bytes, ...] = ()
    """Explanations of ours (`wording.explain`)."""
    is_due: bool = False
    """Whether it is to be asked for anew, behind the back of who is told it."""
    withheld: IpAddress | None = None
    """The address for which what servers have said is not told (`rebinding`)."""

    @property
    def orders(self) -> int:
        """In how many orders it may be told."""
        return self.wording.orders

    def say(self, client: Client, turn: int, *, by_stream: bool) -> bytes:
        """The octets that `client` is told, in one of its orders: they go round."""
        return self.wording.say(
            client,
            by_stream=by_stream,
            elapsed=self.elapsed,
            ttl=self.ttl,
            turn=turn,
            why=self.why,
        )


class Row(NamedTuple):
    """What is known of an inquiry, to be looked at."""

    name: str
    type: str
    what: What
    ttl: int
    """Seconds left of its time; of a failure, until it is asked for again."""
    hits: int
    """How often it was told since it was said."""
    is_stale: bool


@dataclass(slots=True)
class Counts:
    """What has happened since the beginning."""

    hits: int = 0
    """Answers told in their time, and failures that were remembered."""
    misses: int = 0
    stale: int = 0
    """Answers told beyond their time."""
    refreshes: int = 0
    """Answers asked for anew before their time was over."""


class _Entry:
    """What was said to an inquiry, and how it went since then."""

    __slots__ = (
        "expires",
        "failures",
        "hits",
        "learned",
        "refresher_until",
        "retry_at",
        "size",
        "wording",
    )

    def __init__(self, inquiry: Inquiry, wording: Wording, now: Nanoseconds, seconds: int) -> None:
        self.wording = wording
        self.learned = now
        self.expires = now + seconds * SECOND
        self.hits = 0
        self.failures = 0
        """One after the other."""
        self.retry_at = now
        """Nobody is asked before."""
        self.refresher_until = now
        """Somebody was told before that it is due."""
        times = (self.learned, self.expires, self.retry_at, self.refresher_until)
        parts = (self, inquiry, inquiry.name, *times)
        self.size = sum(map(getsizeof, parts)) + wording.size + DICTIONARY_SLOT
        """Bytes, without the route, which many share."""

    @property
    def is_failure(self) -> bool:
        return self.wording.what is What.FAILURE

    @property
    def due_at(self) -> Nanoseconds:
        return self.expires - (self.expires - self.learned) // LAST_PART


class Cache:
    """That of a switch. Sans-I/O: the time comes in with every call."""

    def __init__(self, settings: CacheSettings) -> None:
        self._settings = settings
        self._shelf: Shelf[Inquiry, _Entry] = Shelf(settings.memory)
        self.counts = Counts()

    @property
    def used(self) -> int:
        """Bytes."""
        return self._shelf.used

    @property
    def evictions(self) -> int:
        """Entries that had to go to make room."""
        return self._shelf.evictions

    def __len__(self) -> int:
        return len(self._shelf)

    def follow(self, settings: CacheSettings) -> None:
        """Keep what the user wants from now on. Where that is for another time, what there is goes,
        as it says how long it holds."""
        if _times(settings) != _times(self._settings):
            self.forget()
        self._settings = settings
        self._shelf.resize(settings.memory)

    def find(self, inquiry: Inquiry, now: Nanoseconds) -> Told | None:
        """What somebody is told who asks now; None where servers are to be asked."""
        entry = self._shelf.ask(inquiry)
        told = self._word(entry, now)
        if entry is None or told is None:
            self.counts.misses += 1
            return None
        return self._note(entry, told, now)

    def preview(self, inquiry: Inquiry, now: Nanoseconds) -> Told | None:
        """What `find` would say. Nobody has asked by that, and nothing is counted."""
        return self._word(self._shelf.peek(inquiry), now)

    def instead(self, inquiry: Inquiry, now: Nanoseconds) -> Told | None:
        """What somebody is told for whom servers take too long, and at once who asks in the next
        seconds, until servers have said something; None where there is nothing."""
        entry = self._shelf.peek(inquiry)
        if entry is None or not self._is_good(entry, now):
            return None
        if now >= entry.expires:
            entry.retry_at = max(entry.retry_at, now + MOST_FAILURE)
        return self._note(entry, self._answer(entry, now), now)

    def has_instead(self, inquiry: Inquiry, now: Nanoseconds) -> bool:
        """Whether there is something."""
        entry = self._shelf.peek(inquiry)
        return entry is not None and self._is_good(entry, now)

    def learn(self, inquiry: Inquiry, statement: Statement, now: Nanoseconds) -> Told:
        """Keep what servers said, if it holds for longer than this moment.

        Told is what was said, or what goes before a failure: an answer that is there. Raises
        Unsound for what can not be written.
        """
        if statement.what is What.FAILURE:
            return self._learn_failure(inquiry, statement, now)
        entry = _Entry(inquiry, Wording(statement, inquiry), now, statement.ttl)
        if statement.ttl and not statement.is_cut:
            self._shelf.put(inquiry, entry)
        else:
            self._shelf.remove(inquiry)
        return Told(entry.wording, until=now)

    def entries(self, now: Nanoseconds) -> Iterator[Row]:
        """All that is known and is of use still."""
        for inquiry, entry in self._shelf.items():
            if self._is_of_use(entry, now):
                yield _row(inquiry, entry, now)

    def forget(self, name: bytes | None = None) -> int:
        """Forget what is known of a name, as in `Inquiry`, or all; how much that was."""
        return self._forget(lambda inquiry: name is None or inquiry.name == name)

    def forget_from(self, origin: Hashable) -> int:
        """Forget what was asked from there; how much that was."""
        return self._forget(lambda inquiry: inquiry.route.origin == origin)

    def _forget(self, is_meant: Callable[[Inquiry], bool]) -> int:
        meant = [inquiry for inquiry, _ in self._shelf.items() if is_meant(inquiry)]
        for inquiry in meant:
            self._shelf.remove(inquiry)
        return len(meant)

    def _note(self, entry: _Entry, told: Told, now: Nanoseconds) -> Told:
        """That somebody is told this."""
        entry.hits += 1
        if told.ttl is None:
            self.counts.hits += 1
        else:
            self.counts.stale += 1
        if told.is_due:
            entry.refresher_until = now + REFRESHING
            self.counts.refreshes += 1
        return told

    def _word(self, entry: _Entry | None, now: Nanoseconds) -> Told | None:
        """What an entry has to say without servers being asked."""
        if entry is None or now >= max(entry.expires, entry.retry_at):
            return None
        if entry.is_failure:
            return Told(entry.wording, _repeated_until(entry, now), why=_CACHED_ERROR)
        return self._answer(entry, now) if self._is_good(entry, now) else None

    def _answer(self, entry: _Entry, now: Nanoseconds) -> Told:
        """One that is good: in its time, or beyond."""
        if now >= entry.expires:
            why = _STALE_DENIAL if entry.wording.what is What.NO_NAME else _STALE
            return Told(entry.wording, _repeated_until(entry, now), ttl=STALE_TTL, why=why)
        elapsed = -((entry.learned - now) // SECOND)
        until = entry.learned + elapsed * SECOND
        if self._settings.prefetch and now < entry.due_at:
            until = min(until, entry.due_at)
        return Told(entry.wording, until, elapsed, is_due=self._is_due(entry, now))

    def _is_due(self, entry: _Entry, now: Nanoseconds) -> bool:
        """Whether who is told it now is the one that asks anew."""
        has_been_told = entry.hits > 0
        is_near_its_end = self._settings.prefetch and now >= entry.due_at
        is_up_to_others = now < max(entry.retry_at, entry.refresher_until)
        return has_been_told and is_near_its_end and not is_up_to_others

    def _learn_failure(self, inquiry: Inquiry, statement: Statement, now: Nanoseconds) -> Told:
        """One that comes before servers may be asked again is the one that is known, of which
        somebody else is told."""
        known = self._shelf.peek(inquiry)
        if known is not None and self._is_good(known, now):
            known.retry_at = now + RECHECK
            return self._note(known, self._answer(known, now), now)
        if known is not None and known.is_failure and now < known.retry_at:
            return Told(known.wording, until=now)
        before = 0
        if known is not None and now < known.retry_at + MOST_FAILURE:
            before = known.failures
        failed = _Entry(inquiry, Wording(statement, inquiry), now, 0)
        failed.failures = before + 1
        failed.retry_at = now + min(MOST_FAILURE, FIRST_FAILURE << before)
        self._shelf.put(inquiry, failed)
        return Told(failed.wording, until=now)

    def _is_good(self, entry: _Entry, now: Nanoseconds) -> bool:
        """Whether it is an answer, in its time or not too long beyond."""
        return not entry.is_failure and now < entry.expires + self._settings.stale

    def _is_of_use(self, entry: _Entry, now: Nanoseconds) -> bool:
        return self._is_good(entry, now) or (entry.is_failure and now < entry.retry_at)


def _times(settings: CacheSettings) -> tuple[Nanoseconds, ...]:
    """What is part of an answer from the moment that it is learned."""
    return settings.least_ttl, settings.most_ttl, settings.most_negative_ttl


def _repeated_until(entry: _Entry, now: Nanoseconds) -> Nanoseconds:
    """No longer than an answer whose time counts down, so that what is forgotten soon is."""
    return max(now, min(entry.retry_at, now + SECOND))


def _row(inquiry: Inquiry, entry: _Entry, now: Nanoseconds) -> Row:
    name, _ = dns.name.from_wire(inquiry.name, 0)
    end = entry.retry_at if entry.is_failure else entry.expires
    return Row(
        name.to_text(),
        dns.rdatatype.to_text(dns.rdatatype.RdataType.make(inquiry.type)),
        entry.wording.what,
        max(0, end - now) // SECOND,
        entry.hits,
        not entry.is_failure and now >= entry.expires,
    )
