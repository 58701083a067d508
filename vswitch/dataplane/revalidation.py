"""Connections are asked about anew when what says who may talk to whom has changed.

Theory of operation. Such a change holds at once, and takes no longer where there are many
connections: the tables' revision counts up and the fast path distrusts its programs, so the next
frame of every connection comes to the pipeline. There it is part of its connection only where that
has been asked about since (`known`); one that may not be any more ends then and there, and the
frame is that of a flow that nobody knows.

A frame that waits for a station passes here no more, so the connections of those are asked about
with the change. All others are asked about in turn, as many at a time as delay no frame for long,
so that those end, too, of which nothing is heard. That they are in the tables until then lets
nothing pass. What holds when a connection is asked about decides: a rule that has come and gone
before that has not ended it.

What is said about a connection is `policy`'s. Flows within a network are `bridged`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from vswitch.dataplane import policy
from vswitch.dataplane.conntrack import Connection, Found
from vswitch.dataplane.flow import FlowTuple
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.walk import Walk
from vswitch.units import MILLISECOND, Nanoseconds

End = Callable[[Iterable[Connection], Nanoseconds], None]
"""How connections end that may not be any more."""

STEP = 1500
"""What is done at a time, counted in filters that a connection is held against: one or two
milliseconds."""

_ASKED = 4
_ENDED = 12
"""What asking about a connection and ending it cost beside the filters, counted likewise."""

PAUSE: Nanoseconds = 5 * MILLISECOND
"""Between two steps, for the frames that have come meanwhile."""


def known(walk: Walk, tables: Tables, arriving: FlowTuple) -> Found | None:
    """The connection that a frame with this tuple belongs to, where there is one that may be."""
    found = tables.connections.find(arriving)
    if found is None or found.connection.revision == tables.revision:
        return found
    if policy.refuse_connection(tables, found.connection) is None:
        if walk.commit:
            found.connection.revision = tables.revision
        return found
    if walk.commit:
        tables.end_refused(found.connection, walk.now)
    return None


class Revalidation:
    """The connections of one switch that have not been asked about since the last change."""

    def __init__(self, tables: Tables, end: End) -> None:
        self._tables = tables
        self._end = end
        self._left: Iterator[Connection] = iter(())
        self._deadline: Nanoseconds | None = None

    def begin(self, now: Nanoseconds) -> None:
        """Something has changed that says who may talk to whom."""
        tables = self._tables
        tables.revision += 1
        tables.invalidate()
        self._end(filter(self._is_refused, self._waited_for()), now)
        self._left = iter(tuple(tables.connections))
        self._step(now)

    def next_deadline(self) -> Nanoseconds | None:
        """When `tick` has something to do, None where all have been asked about."""
        return self._deadline

    def tick(self, now: Nanoseconds) -> None:
        """Go on, where it is time to."""
        if self._deadline is not None and self._deadline <= now:
            self._step(now)

    def _step(self, now: Nanoseconds) -> None:
        """Ask about the next few, and end those of them that may not be any more."""
        refused, cost = [], 0
        self._deadline = now + PAUSE
        while cost < STEP:
            connection = next(self._left, None)
            if connection is None:
                self._deadline = None
                break
            cost += _ASKED + len(self._tables.filters.entries)
            if self._is_refused(connection):
                cost += _ENDED
                refused.append(connection)
        self._end(refused, now)

    def _is_refused(self, connection: Connection) -> bool:
        tables = self._tables
        if connection.revision == tables.revision or connection not in tables.connections:
            return False
        connection.revision = tables.revision
        return policy.refuse_connection(tables, connection) is not None

    def _waited_for(self) -> Iterator[Connection]:
        """Those of which a frame waits for a station."""
        for network in self._tables.networks.values():
            for neighbour in network.neighbours:
                for onward in neighbour.waiting:
                    yield onward.connection
