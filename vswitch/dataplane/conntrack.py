"""Connection tracking: which frames belong together, and for how long?

Theory of operation. A connection has two tuples: the *original* one, of the frames of the side that
began, as they arrive, and the *reply* one, of the answers, as they arrive. What NAT does to a
connection is the difference between them: a frame of one direction leaves with the other tuple
turned round. Both tuples are keys of one table, and a tuple says which network its frames arrive
on, so that an address claimed on the wrong network matches nothing.

TCP's states are RFC 7857's (2.1, after RFC 6146, 3.5.2), as the table `TCP_TRANSITIONS`: a NAT has
to know who opened, who has finished and whether somebody reset; it does not need more, so segments
without SYN, FIN and RST never have to come by here. UDP and ICMP queries only know whether there
was an answer. Timeouts are the RFCs' minimums or their recommended values; `Timeouts` is what a
configuration may change.

A connection that is due is not ended before the fast path was asked when its entries were last
used. The table decides nothing about translation (`nat`) and holds no port (`mappings`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from vswitch.dataplane.mappings import Mapping
from vswitch.dataplane.publications import Publication
from vswitch.dataplane.timers import Timers
from vswitch.units import MINUTE, SECOND, Nanoseconds
from vswitch.wire import tcp
from vswitch.wire.values import IpAddress, Protocol

CAPACITY = 262_144
"""Connections in all: nf_conntrack's default on machines of this size."""


class FlowTuple(NamedTuple):
    """One direction of a transport flow, as its frames arrive on `network`.

    An ICMP query has its identifier as the port of the side that asks, and 0 as the other's.
    """

    network: int
    protocol: int
    source: IpAddress
    source_port: int
    destination: IpAddress
    destination_port: int

    @property
    def turned(self) -> FlowTuple:
        """The tuple of the frames the other way, on the same network."""
        return FlowTuple(
            self.network,
            self.protocol,
            self.destination,
            self.destination_port,
            self.source,
            self.source_port,
        )

    def __str__(self) -> str:
        if self.protocol == Protocol.ICMP:
            identifier = self.source_port or self.destination_port
            return f"{self.source} > {self.destination} id {identifier}"
        source = f"{self.source}:{self.source_port}"
        return f"{source} > {self.destination}:{self.destination_port}"


class Direction(Enum):
    """Of a frame within its connection."""

    ORIGINAL = "original"
    REPLY = "reply"


class State(Enum):
    """Where a connection is in its life. The first two are UDP's and ICMP's."""

    UNANSWERED = "unanswered"
    ANSWERED = "answered"
    OPENING = "opening"
    """SYN seen from the side that began."""
    ESTABLISHED = "established"
    """SYN seen from both sides."""
    ORIGINAL_CLOSED = "original closed"
    """FIN seen from the side that began: the other may still send."""
    REPLY_CLOSED = "reply closed"
    CLOSING = "closing"
    """FIN seen from both sides."""
    TRANSITORY = "transitory"
    """RST seen: over, unless traffic goes on (RFC 6146, 3.5.2.2)."""


class Event(Enum):
    """What a TCP segment means to the state machine."""

    SYN = "SYN"
    FIN = "FIN"
    RST = "RST"
    OTHER = "other"

    @classmethod
    def of(cls, flags: int) -> Event:
        """The event of a segment with these flags; contradictory ones are refused before."""
        if flags & tcp.RST:
            return cls.RST
        if flags & tcp.SYN:
            return cls.SYN
        return cls.FIN if flags & tcp.FIN else cls.OTHER


_ORIGINAL, _REPLY = Direction.ORIGINAL, Direction.REPLY

TCP_TRANSITIONS: dict[tuple[State, Direction, Event], State] = {
    (State.OPENING, _REPLY, Event.SYN): State.ESTABLISHED,
    (State.OPENING, _REPLY, Event.RST): State.TRANSITORY,
    (State.OPENING, _ORIGINAL, Event.RST): State.TRANSITORY,
    (State.ESTABLISHED, _ORIGINAL, Event.FIN): State.ORIGINAL_CLOSED,
    (State.ESTABLISHED, _REPLY, Event.FIN): State.REPLY_CLOSED,
    (State.ESTABLISHED, _ORIGINAL, Event.RST): State.TRANSITORY,
    (State.ESTABLISHED, _REPLY, Event.RST): State.TRANSITORY,
    (State.ORIGINAL_CLOSED, _REPLY, Event.FIN): State.CLOSING,
    (State.ORIGINAL_CLOSED, _ORIGINAL, Event.RST): State.TRANSITORY,
    (State.ORIGINAL_CLOSED, _REPLY, Event.RST): State.TRANSITORY,
    (State.REPLY_CLOSED, _ORIGINAL, Event.FIN): State.CLOSING,
    (State.REPLY_CLOSED, _ORIGINAL, Event.RST): State.TRANSITORY,
    (State.REPLY_CLOSED, _REPLY, Event.RST): State.TRANSITORY,
    (State.CLOSING, _ORIGINAL, Event.SYN): State.OPENING,
    (State.TRANSITORY, _ORIGINAL, Event.SYN): State.OPENING,
    (State.TRANSITORY, _REPLY, Event.SYN): State.ESTABLISHED,
    (State.TRANSITORY, _ORIGINAL, Event.OTHER): State.ESTABLISHED,
    (State.TRANSITORY, _REPLY, Event.OTHER): State.ESTABLISHED,
}
"""Where a segment leads; what is not listed changes nothing. A SYN after the end opens the same
tuple again, as a client may that meets its own TIME_WAIT port."""

CACHEABLE = frozenset(
    {
        State.UNANSWERED,
        State.ANSWERED,
        State.ESTABLISHED,
        State.ORIGINAL_CLOSED,
        State.REPLY_CLOSED,
    }
)
"""States in which a segment without SYN, FIN and RST changes nothing but the time."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a silent connection lives, by what it is."""

    udp: Nanoseconds = 300 * SECOND
    """RFC 4787, REQ-5: not under two minutes, five recommended."""
    icmp: Nanoseconds = 60 * SECOND
    """RFC 5508, REQ-2: not under one minute."""
    tcp_opening: Nanoseconds = 4 * MINUTE
    """RFC 5382, REQ-5, and RFC 7857, 2.2: partially open."""
    tcp_established: Nanoseconds = 124 * MINUTE
    """RFC 5382, REQ-5: 2 h 4 min, so that a keepalive after two hours still passes."""
    tcp_closing: Nanoseconds = 4 * MINUTE
    """RFC 7857, 2.2 and 2.3: closing, and after a reset."""

    def of(self, protocol: int, state: State) -> Nanoseconds:
        """The timeout of a connection in this state."""
        if protocol == Protocol.TCP:
            if state is State.OPENING:
                return self.tcp_opening
            if state in (State.CLOSING, State.TRANSITORY):
                return self.tcp_closing
            return self.tcp_established
        return self.icmp if protocol == Protocol.ICMP else self.udp


RFC_TIMEOUTS = Timeouts()
"""What the RFCs ask for or recommend."""


@dataclass(slots=True, eq=False)
class Connection:
    """A tracked transport flow."""

    original: FlowTuple
    reply: FlowTuple
    state: State
    created: Nanoseconds
    last_seen: Nanoseconds
    mapping: Mapping | None = None
    """The external port that it holds, where its source is translated."""
    publication: Publication | None = None
    """The published port that let it in, where it came by one."""
    number: int = 0
    """What people call it by; 0 until it is tracked."""
    keys: set[bytes] = field(default_factory=set)
    """Its entries in the fast path."""
    frames: int = 0
    """Those that came by the pipeline, and by entries that are gone."""
    bytes: int = 0

    @classmethod
    def begin(
        cls,
        original: FlowTuple,
        reply: FlowTuple,
        now: Nanoseconds,
        mapping: Mapping | None = None,
        publication: Publication | None = None,
    ) -> Connection:
        """The connection of a first frame, in the state that its protocol starts with."""
        is_tcp = original.protocol == Protocol.TCP
        state = State.OPENING if is_tcp else State.UNANSWERED
        return cls(original, reply, state, now, now, mapping, publication)

    def arriving(self, direction: Direction) -> FlowTuple:
        """The tuple of a frame of `direction` as it comes in."""
        return self.original if direction is _ORIGINAL else self.reply

    def leaving(self, direction: Direction) -> FlowTuple:
        """The tuple of a frame of `direction` as it goes out, on the network that it goes to."""
        return (self.reply if direction is _ORIGINAL else self.original).turned


class Found(NamedTuple):
    """A connection, and which of its directions a tuple is."""

    connection: Connection
    direction: Direction

    def state_after(self, tcp_flags: int | None) -> State:
        """The connection's state behind one more frame of this direction, a TCP segment with
        `tcp_flags` or something else."""
        before = self.connection.state
        if tcp_flags is None:
            return State.ANSWERED if self.direction is _REPLY else before
        return TCP_TRANSITIONS.get((before, self.direction, Event.of(tcp_flags)), before)


class ConnectionTable:
    """All connections, by both of their tuples."""

    def __init__(self, timeouts: Timeouts, *, capacity: int = CAPACITY) -> None:
        self._timeouts = timeouts
        self._capacity = capacity
        self._by_tuple: dict[FlowTuple, Found] = {}
        self._by_number: dict[int, Connection] = {}
        self._timers: Timers[int] = Timers()
        self._added = 0

    def find(self, arriving: FlowTuple) -> Found | None:
        """The connection that a frame with this tuple belongs to."""
        return self._by_tuple.get(arriving)

    def numbered(self, number: int) -> Connection | None:
        """The connection that people call by `number`."""
        return self._by_number.get(number)

    @property
    def full(self) -> bool:
        """Whether `add` would have no room."""
        return len(self._by_number) >= self._capacity

    def add(self, connection: Connection) -> None:
        """Track a connection that has just begun.

        The caller has seen that neither of its tuples is known and that the table is not full.
        """
        self._added += 1
        connection.number = self._added
        self._by_tuple[connection.original] = Found(connection, _ORIGINAL)
        self._by_tuple[connection.reply] = Found(connection, _REPLY)
        self._by_number[connection.number] = connection
        if connection.mapping is not None:
            connection.mapping.connections += 1
        self._timers.schedule(connection.number, self.expires_at(connection))

    def track(self, found: Found, tcp_flags: int | None, now: Nanoseconds) -> None:
        """Note a frame of a connection; `tcp_flags` are those of a TCP segment."""
        connection = found.connection
        connection.last_seen = now
        if connection.mapping is not None:
            connection.mapping.last_used = now
        after = found.state_after(tcp_flags)
        if after is not connection.state:
            connection.state = after
            self._timers.schedule(connection.number, self.expires_at(connection))

    def close(self, connection: Connection) -> None:
        """End a connection. Its mapping lives on, and remembers when it was last of use."""
        del self._by_tuple[connection.original]
        del self._by_tuple[connection.reply]
        del self._by_number[connection.number]
        self._timers.cancel(connection.number)
        if connection.mapping is not None:
            connection.mapping.connections -= 1
            connection.mapping.last_used = max(connection.mapping.last_used, connection.last_seen)

    def next_deadline(self) -> Nanoseconds | None:
        """When `expire` may have something to do."""
        return self._timers.next_deadline()

    def expire(
        self, now: Nanoseconds, last_used: Callable[[bytes], Nanoseconds]
    ) -> list[Connection]:
        """Close and return what has been silent for too long.

        `last_used` tells when the fast path last ran the entry under a key, 0 where it never did.
        """
        ended: list[Connection] = []
        for number in self._timers.due(now):
            connection = self._by_number[number]
            for key in connection.keys:
                connection.last_seen = max(connection.last_seen, last_used(key))
            deadline = self.expires_at(connection)
            if deadline > now:
                self._timers.schedule(number, deadline)
            else:
                self.close(connection)
                if connection.mapping is not None:
                    connection.mapping.last_used = now
                ended.append(connection)
        return ended

    def expires_at(self, connection: Connection) -> Nanoseconds:
        """When a connection ends if nothing more is seen of it."""
        protocol = connection.original.protocol
        return connection.last_seen + self._timeouts.of(protocol, connection.state)

    def __contains__(self, connection: Connection) -> bool:
        return self._by_number.get(connection.number) is connection

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._by_number.values())

    def __len__(self) -> int:
        return len(self._by_number)
