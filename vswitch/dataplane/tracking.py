"""What a frame means to its connection, and writing that down.

Theory of operation. Every frame of a connection that comes by the pipeline is noted here: the first
one begins the connection, the others refresh it and move its state. A TCP segment does so only
where it fits into the window (`fastpath.window`, which hits are held against too): one that its
receiver would ignore is forwarded like any other and changes nothing, so that nobody who is not on
the path can end a connection or keep it alive (RFC 5961; RFC 7857, 2.1). Of resets only one with
the exact number counts, as others are answered with a challenge, and only the first, as those after
it say nothing new (RFC 7857, 7).

A SYN begins a window. One that opens the tuple of a connection that is over begins it anew; one in
the middle of a connection is left to the ends.
"""

from __future__ import annotations

from vswitch.dataplane.conntrack import Connection, Found
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.transport import Transport
from vswitch.dataplane.walk import Walk
from vswitch.fastpath.soundness import has_wrong_checksum
from vswitch.fastpath.states import TCP_TRANSITIONS, Direction, Event, State
from vswitch.fastpath.window import Exactness, Fit, Window
from vswitch.units import Nanoseconds
from vswitch.wire import ethernet, tcp
from vswitch.wire.buffer import MutableBuffer
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.tcp import Tcp

_IP = ethernet.START + ethernet.HEADER_LENGTH
"""Where the IPv4 header of a frame that has a routed key begins."""


def note(walk: Walk, tables: Tables, packet: Ipv4, message: Transport, found: Found) -> None:
    """Write a frame into the tables: its connection, new or known, and all that this refreshes."""
    connection = found.connection
    if not connection.number:
        _begin(tables, connection, walk.now)
        if _has_window(connection):
            tables.fastpath.open_window(connection.number)
    if _counts(tables, message, found, commit=True):
        tables.connections.track(found, message.tcp_flags, walk.now)
        tables.fastpath.track(connection.number, connection.state)
        _refresh_mapping(found, walk.now)
    connection.frames += 1
    connection.bytes += len(walk.frame) - ethernet.START
    if has_wrong_checksum(walk.frame, packet.offset):
        tables.fastpath.count_wrong_checksum(walk.port.number)


def note_first(
    tables: Tables, connection: Connection, port: int, frame: MutableBuffer, now: Nanoseconds
) -> None:
    """Begin a connection with a frame that has a routed key, and came in by `port`."""
    _begin(tables, connection, now)
    if _has_window(connection):
        tables.fastpath.begin_window(connection.number, frame)
    _refresh_mapping(Found(connection, Direction.ORIGINAL), now)
    connection.frames, connection.bytes = 1, len(frame) - ethernet.START
    if has_wrong_checksum(frame, _IP):
        tables.fastpath.count_wrong_checksum(port)


def state_after(tables: Tables, message: Transport, found: Found) -> State:
    """The state of a connection behind a frame that is not noted."""
    if _counts(tables, message, found, commit=False):
        return found.state_after(message.tcp_flags)
    return found.connection.state


def _begin(tables: Tables, connection: Connection, now: Nanoseconds) -> None:
    tables.begin(connection)
    connection.account.arrivals.take(now)
    if connection.publication is not None:
        tables.publications.note(connection.publication, now)
    for arriving in (connection.original, connection.reply):
        tables.held_syns.forget(arriving)


def _has_window(connection: Connection) -> bool:
    """Whether the sequence numbers of a connection that begins are followed."""
    return connection.state is State.OPENING and connection.account.translation.window_tracking


def _refresh_mapping(found: Found, now: Nanoseconds) -> None:
    """RFC 4787, REQ-6: what the inside sends by a mapping keeps it."""
    connection, direction = found
    mapping = connection.mapping if direction is Direction.ORIGINAL else connection.target
    if mapping is not None:
        mapping.last_outbound = now


def _counts(tables: Tables, message: Transport, found: Found, *, commit: bool) -> bool:
    """Whether a frame may refresh its connection and move its state; with `commit` the window
    follows it."""
    segment = message.header
    if not isinstance(segment, Tcp):
        return True
    with tables.fastpath.still():
        return _segment_counts(tables, segment, found, commit=commit)


def _segment_counts(tables: Tables, segment: Tcp, found: Found, *, commit: bool) -> bool:
    window = tables.fastpath.window(found.connection.number)
    if window is None:
        return True
    direction = found.direction.index
    sequence, flags = segment.sequence, segment.flags
    acknowledgment = segment.acknowledgment if flags & tcp.ACK else None
    if flags & tcp.RST:
        is_exact = window.reset_fits(direction, sequence, acknowledgment) is Exactness.EXACT
        return is_exact and found.state_after(flags) is not found.connection.state
    if flags & tcp.SYN:
        return _syn_counts(tables, window, segment, found, commit=commit)
    judge = window.accept if commit else window.judge
    end = segment.next_sequence
    fit = judge(direction, sequence, end, segment.acknowledgment, segment.window)
    return fit is Fit.WITHIN


def _syn_counts(
    tables: Tables, window: Window, segment: Tcp, found: Found, *, commit: bool
) -> bool:
    connection, direction = found
    acknowledgment = segment.acknowledgment if segment.flags & tcp.ACK else None
    if connection.state is not State.OPENING:
        if (connection.state, direction, Event.SYN) not in TCP_TRANSITIONS:
            return False
        if commit:
            window = tables.fastpath.open_window(connection.number)
    elif (
        acknowledgment is not None
        and window.answers(direction.index, acknowledgment) is Fit.OUTSIDE
    ):
        return False
    if commit:
        begin, end, scale = segment.sequence, segment.next_sequence, segment.window_scale
        window.begin(direction.index, begin, end, acknowledgment, segment.window, scale)
    return True
