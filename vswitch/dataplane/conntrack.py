"""Connection tracking: which frames belong together, and for how long?

Theory of operation. A connection has two tuples: the *original* one, of the frames of the side that
began, as they arrive, and the *reply* one, of the answers, as they arrive. What NAT does to a
connection is the difference between them: a frame of one direction leaves with the other tuple
turned round. Both tuples are keys of one table, and a tuple says which network its frames arrive
on, so that an address claimed on the wrong network matches nothing. Both are the same where an
endpoint talks to itself by its own external port.

What state a connection is in follows from its frames by the table of `fastpath.states`. Most of
them are noted by the fast path, which tells what has moved (`follow`), the others by `tracking`.
How long each state lives is in the account's `Timeouts`.

A connection that is due is not ended before the fast path was asked when its entries were last
used. The table decides nothing about translation (`nat`) and holds no port (`mappings`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from vswitch.dataplane.accounts import Account, tcp_lifetimes
from vswitch.dataplane.flow import FlowTuple
from vswitch.dataplane.mappings import Mapping
from vswitch.dataplane.publications import Publication
from vswitch.dataplane.wheel import NOWHERE, Wheel
from vswitch.fastpath.states import Direction, State, after
from vswitch.fastpath.track import Move
from vswitch.translation import SHORT_PORTS, Limits, Refresh, Timeouts
from vswitch.units import Nanoseconds
from vswitch.wire.values import Protocol

BYTES_EACH = 1500
"""What one connection takes with its mapping, both programs and its share of all tables, as
`make bench-engine` weighs it: what a limit in bytes is divided by."""

LastUsed = Callable[[bytes], Nanoseconds]
"""When the fast path last ran the entry under a key, 0 where it never did."""


_TCP = int(Protocol.TCP)
_ORIGINAL, _REPLY = Direction.ORIGINAL, Direction.REPLY

FLEETING = frozenset({State.UNANSWERED, State.OPENING, State.CLOSING, State.TRANSITORY})
"""States that may end early where there is no room: nobody has answered, or it is over."""

_WITH_ASSOCIATIONS = frozenset({int(Protocol.DCCP), int(Protocol.SCTP)})
"""Protocols that set up and tear down, as TCP does, but whose states are not followed."""


def most_connections(limits: Limits) -> int:
    """How many connections a switch may have: its limit in bytes may be reached first."""
    return min(limits.connections, max(1, limits.memory // BYTES_EACH))


def lifetime(protocol: int, state: State, destination_port: int, timeouts: Timeouts) -> Nanoseconds:
    """How long a connection lives in silence."""
    if protocol == Protocol.TCP:
        return tcp_lifetimes(timeouts)[state]
    if protocol == Protocol.ICMP:
        return timeouts.icmp
    if protocol in (Protocol.UDP, Protocol.UDP_LITE):
        if destination_port in SHORT_PORTS:
            return timeouts.udp_short
        return timeouts.udp if state is State.ANSWERED else timeouts.udp_unanswered
    if protocol in _WITH_ASSOCIATIONS:
        return timeouts.tcp_established if state is State.ANSWERED else timeouts.tcp_opening
    return timeouts.other


_NO_KEYS = (None, None)


class Connection:
    """A tracked transport flow."""

    __slots__ = (
        "account",
        "bytes",
        "created",
        "frames",
        "holds_target",
        "keys",
        "last_seen",
        "mapping",
        "number",
        "original",
        "publication",
        "reply",
        "revision",
        "standing",
        "state",
        "target",
    )

    def __init__(
        self,
        original: FlowTuple,
        reply: FlowTuple,
        account: Account,
        now: Nanoseconds,
        *,
        mapping: Mapping | None = None,
        target: Mapping | None = None,
        publication: Publication | None = None,
    ) -> None:
        """The connection of a first frame, in the state that its protocol starts with."""
        is_tcp = original.protocol == Protocol.TCP
        self.original = original
        self.reply = reply
        self.account = account
        """Of the endpoint that it belongs to."""
        self.state = State.OPENING if is_tcp else State.UNANSWERED
        self.created = now
        self.last_seen = now
        self.mapping = mapping
        """The external port that its source holds, where that is translated."""
        self.target = target
        """The mapping that it came in by, or that a hairpin leads to."""
        self.publication = publication
        """The published port that let it in, where it came by one."""
        self.holds_target = False
        """Whether its target has answered, and so takes part."""
        self.number = 0
        """What people call it by; 0 until it is tracked."""
        self.keys: tuple[bytes | None, bytes | None] = _NO_KEYS
        """Its entries in the fast path, for frames of the original and of the reply direction."""
        self.frames = 0
        """Those that came by the pipeline, and by entries that are gone."""
        self.bytes = 0
        self.revision = 0
        """Of what says who may talk to whom: the one that it was last held against."""
        self.standing = NOWHERE

    def arriving(self, direction: Direction) -> FlowTuple:
        """The tuple of a frame of `direction` as it comes in."""
        return self.original if direction is _ORIGINAL else self.reply

    def leaving(self, direction: Direction) -> FlowTuple:
        """The tuple of a frame of `direction` as it goes out, on the network that it goes to."""
        return (self.reply if direction is _ORIGINAL else self.original).turned

    def keep(self, direction: Direction, key: bytes | None) -> bytes | None:
        """Have `key` as the entry for frames of `direction`; the one before, where that is
        another."""
        before = self.keys[direction.index]
        original, reply = self.keys
        self.keys = (key, reply) if direction is _ORIGINAL else (original, key)
        return None if before == key else before

    def is_from_inside(self, direction: Direction) -> bool:
        """Whether frames of `direction` come from the endpoint that it belongs to."""
        return self.arriving(direction).network == self.account.network


class Found(NamedTuple):
    """A connection, and which of its directions a tuple is."""

    connection: Connection
    direction: Direction

    def state_after(self, tcp_flags: int | None) -> State:
        """The connection's state behind one more frame of this direction, a TCP segment with
        `tcp_flags` or something else."""
        return after(self.connection.state, self.direction, tcp_flags)


class ConnectionTable:
    """All connections, by both of their tuples."""

    def __init__(self, capacity: int, last_used: LastUsed) -> None:
        self.capacity = capacity
        """Connections at most."""
        self._last_used = last_used
        self._by_tuple: dict[FlowTuple, Connection] = {}
        self._by_number: dict[int, Connection] = {}
        self._wheel: Wheel[Connection] = Wheel(self.expires_at)
        self._added = 0

    def find(self, arriving: FlowTuple) -> Found | None:
        """The connection that a frame with this tuple belongs to."""
        connection = self._by_tuple.get(arriving)
        if connection is None:
            return None
        return Found(connection, _ORIGINAL if arriving == connection.original else _REPLY)

    def numbered(self, number: int) -> Connection | None:
        """The connection that people call by `number`."""
        return self._by_number.get(number)

    @property
    def full(self) -> bool:
        """Whether `add` would have no room."""
        return len(self) >= self.capacity

    def add(self, connection: Connection) -> None:
        """Track a connection that has just begun, or that has got as far as it says elsewhere.

        The caller has seen that neither of its tuples is known and that there is room.
        """
        self._added += 1
        connection.number = self._added
        self._by_tuple[connection.original] = connection
        self._by_tuple[connection.reply] = connection
        self._by_number[connection.number] = connection
        account, is_fleeting = connection.account, connection.state in FLEETING
        (account.fleeting if is_fleeting else account.lasting)[connection] = None
        if connection.mapping is not None:
            connection.mapping.begin(connection.original.destination)
        if connection.target is not None:
            connection.target.guests += 1
            if connection.holds_target:
                connection.target.begin(connection.reply.destination)
        self._wheel.schedule(connection, connection.last_seen + _lifetime_of(connection))

    def track(self, found: Found, tcp_flags: int | None, now: Nanoseconds) -> None:
        """Note a frame of a connection; `tcp_flags` are those of a TCP segment."""
        self._see(found, now)
        connection = found.connection
        if found.direction is _REPLY and not connection.holds_target:
            self._let_target_take_part(connection)
        state = found.state_after(tcp_flags)
        if state is not connection.state:
            self._change_state(connection, state)

    def follow(self, move: Move) -> None:
        """Note that the fast path has moved a connection along, where it has not ended since."""
        connection = self._by_number.get(move.flow)
        if connection is None:
            return
        if move.direction is _REPLY and not connection.holds_target:
            self._let_target_take_part(connection)
        self._change_state(connection, move.state)

    def close(self, connection: Connection) -> None:
        """End a connection. Its mappings live on."""
        del self._by_tuple[connection.original]
        self._by_tuple.pop(connection.reply, None)
        del self._by_number[connection.number]
        account = connection.account
        (account.fleeting if connection.state in FLEETING else account.lasting).pop(connection)
        self._wheel.forget(connection)
        if connection.mapping is not None:
            connection.mapping.end(connection.original.destination)
        target = connection.target
        if target is not None:
            target.guests -= 1
            if connection.holds_target:
                target.end(connection.reply.destination)

    def next_deadline(self) -> Nanoseconds | None:
        """When `due` may have something to hand out."""
        return self._wheel.next_deadline()

    def due(self, now: Nanoseconds) -> Iterator[Connection]:
        """What has been silent for too long; the caller closes it."""
        return self._wheel.due(now)

    def last_seen(self, connection: Connection) -> Nanoseconds:
        """When it was last refreshed, the fast path's frames included."""
        seen, (original, reply) = connection.last_seen, connection.keys
        if original is not None and self._refreshes(connection, _ORIGINAL):
            seen = max(seen, self._last_used(original))
        if reply is not None and self._refreshes(connection, _REPLY):
            seen = max(seen, self._last_used(reply))
        return seen

    def expires_at(self, connection: Connection) -> Nanoseconds:
        """When a connection ends if nothing more is seen of it."""
        return self.last_seen(connection) + _lifetime_of(connection)

    def __contains__(self, connection: Connection) -> bool:
        return self._by_number.get(connection.number) is connection

    def __iter__(self) -> Iterator[Connection]:
        return iter(self._by_number.values())

    def __len__(self) -> int:
        return len(self._by_number)

    def _see(self, found: Found, now: Nanoseconds) -> None:
        connection, direction = found
        if self._refreshes(connection, direction):
            connection.last_seen = now

    @staticmethod
    def _refreshes(connection: Connection, direction: Direction) -> bool:
        """RFC 4787, REQ-6: the inside's frames do, the outside's where that is wanted."""
        if connection.account.translation.refresh is Refresh.BOTH:
            return True
        is_tcp = connection.original.protocol == Protocol.TCP
        return is_tcp or connection.is_from_inside(direction)

    @staticmethod
    def _let_target_take_part(connection: Connection) -> None:
        connection.holds_target = True
        if connection.target is not None:
            connection.target.begin(connection.reply.destination)

    def _change_state(self, connection: Connection, state: State) -> None:
        account, was = connection.account, connection.state in FLEETING
        lived = _lifetime_of(connection)
        connection.state = state
        if was is not (state in FLEETING):
            (account.fleeting if was else account.lasting).pop(connection)
            (account.lasting if was else account.fleeting)[connection] = None
        if _lifetime_of(connection) < lived:
            self._wheel.schedule(connection, self.expires_at(connection))


def _lifetime_of(connection: Connection) -> Nanoseconds:
    original, account = connection.original, connection.account
    if original[2] == _TCP:
        return account.tcp_lifetimes[connection.state]
    timeouts = account.translation.timeouts
    return lifetime(original[2], connection.state, original.destination_port, timeouts)
