"""What was asked, by whom, and what became of it: the last queries, and counts of all.

Theory of operation. Whoever answers a query notes it (`note`), a hundred thousand times a second
where names are ours, so that is one append to a list. When the list is full, or somebody looks, it
is taken account of (`_settle`): equal queries are counted together, and all of them move into a
ring of the last `REMEMBERED`. What is asked most is known within bounds (`frequent`), by name and
by party; what became of queries is counted exactly.

Nothing is told to anybody: who reads along asks what has come since it last did, by number.

Belongs to one event loop.
"""

from __future__ import annotations

from collections import Counter, deque
from itertools import islice
from operator import itemgetter
from typing import NamedTuple

from vswitch.daemon.messages.dns import Outcome
from vswitch.daemon.resolving.showing.frequent import Counted, Frequent
from vswitch.dataplane.responders.dns.party import Party
from vswitch.units import Nanoseconds

REMEMBERED = 1024
"""Queries in the ring: less than a megabyte, of which one has `PART` at the most."""

PART = slice(2, 2 + 512)
"""What is noted of a query: all but its identifier, of one that is longer than any has to be only
what it begins with."""

_AT_ONCE = 256
"""Queries that are taken account of together: a tenth of a millisecond or two."""

_ALIKE = itemgetter(1, 2, 3)
"""What queries have in common that are counted together."""

_COUNTED = 1024
"""Names, and parties, of which the count is known."""

_QUESTION = 10
"""Where a question is in a query without its identifier (RFC 1035, 4.1.1)."""


class Noted(NamedTuple):
    """A query, and what became of it."""

    when: Nanoseconds
    """By the dataplane's clock."""
    party: Party
    query: bytes
    """As it came, but for its identifier."""
    outcome: Outcome
    by: str
    """Who has answered, where that was a server and is known."""
    took: Nanoseconds

    @property
    def name(self) -> bytes:
        """The name that was asked for, as in `Inquiry`; what there is of it where it has no end."""
        return _name(self.query)

    @property
    def type(self) -> int | None:
        """The type that was asked for, None where there is none."""
        at = _QUESTION + len(self.name)
        return int.from_bytes(self.query[at : at + 2], "big") if len(self.query) >= at + 2 else None


class Since(NamedTuple):
    """What has come since somebody looked last."""

    number: int
    """Of the next query that comes: what to ask with the next time."""
    missed: int
    """How many came before these that are not remembered any more."""
    noted: list[Noted]


class QueryLog:
    """That of one switch."""

    def __init__(self) -> None:
        self._fresh: list[tuple[Nanoseconds, Party, bytes, Outcome, str, Nanoseconds]] = []
        self._ring: deque[tuple[Nanoseconds, Party, bytes, Outcome, str, Nanoseconds]] = deque(
            maxlen=REMEMBERED
        )
        self._number = 0
        self._outcomes: Counter[Outcome] = Counter()
        self._names: Frequent[bytes] = Frequent(_COUNTED)
        self._parties: Frequent[str] = Frequent(_COUNTED)

    def note(
        self,
        when: Nanoseconds,
        party: Party,
        query: bytes,
        outcome: Outcome,
        by: str = "",
        took: Nanoseconds = 0,
    ) -> None:
        """Note what has become of a query of a party, which is without its identifier."""
        fresh = self._fresh
        fresh.append((when, party, query, outcome, by, took))
        if len(fresh) >= _AT_ONCE:
            self._settle()

    def since(self, number: int) -> Since:
        """Those from that number on, as far as they are remembered. The first query is number 0."""
        self._settle()
        first = max(number, self._number - len(self._ring))
        skipped = first - (self._number - len(self._ring))
        noted = [Noted._make(each) for each in islice(self._ring, skipped, None)]
        return Since(self._number, first - number, noted)

    def last(self, count: int) -> Since:
        """The last so many."""
        self._settle()
        return self.since(max(self._number - count, self._number - len(self._ring)))

    @property
    def outcomes(self) -> Counter[Outcome]:
        """How many queries have come to each."""
        self._settle()
        return self._outcomes

    def names(self, count: int) -> list[Counted[bytes]]:
        """Names that are asked for most."""
        self._settle()
        return self._names.most(count)

    def parties(self, count: int) -> list[Counted[str]]:
        """Who asks most, by name."""
        self._settle()
        return self._parties.most(count)

    def _settle(self) -> None:
        """Take account of what was noted."""
        fresh, self._fresh = self._fresh, []
        self._ring.extend(fresh)
        self._number += len(fresh)
        alike = Counter(map(_ALIKE, fresh))
        for (party, query, outcome), times in alike.items():
            self._outcomes[outcome] += times
            self._parties.add(party.name, times)
            if len(query) > _QUESTION:
                self._names.add(_name(query), times)


def _name(query: bytes) -> bytes:
    """Up to the root, which is the first octet of zero: no label of a name in use holds another."""
    end = query.find(0, _QUESTION)
    return query[_QUESTION : end + 1 if end >= 0 else None].lower()
