"""A RST for the ends of a TCP connection that the switch itself has ended.

Theory of operation. An end that hears nothing keeps a dead connection for hours. Where the
configuration says so it is told by a RST that it obeys: with the very number that it expects next,
which the connection's window knows (RFC 9293, 3.10.7; RFC 5961, 3.2). The RST goes where the frames
of that direction went, in the other end's name. Where the window was not followed, where it is not
known which station the end has, or where the name is an address that the switch has no longer,
nothing is said.
"""

from __future__ import annotations

from collections.abc import Iterator

from vswitch.dataplane.conntrack import Connection
from vswitch.dataplane.egress import deliver_own
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.verdict import Delivery
from vswitch.fastpath.states import Direction, State
from vswitch.fastpath.window import Window
from vswitch.wire import ipv4, tcp
from vswitch.wire.values import Protocol

_ALIVE = frozenset({State.ESTABLISHED, State.ORIGINAL_CLOSED, State.REPLY_CLOSED})


def resets(tables: Tables, connection: Connection) -> Iterator[Delivery]:
    """What tells the ends of `connection`, which is still in the tables, that it is over."""
    window = tables.fastpath.window(connection.number)
    wanted = connection.account.translation.resets
    if window is None or not wanted or connection.state not in _ALIVE:
        return
    for direction in Direction:
        leaving, own = connection.leaving(direction), connection.arriving(direction).source
        if leaving.source == own or tables.owner(leaving.source) is not None:
            packet = _packet(connection, window, direction)
            yield from deliver_own(tables.networks[leaving.network], leaving.destination, packet)


def _packet(connection: Connection, window: Window, direction: Direction) -> bytes:
    leaving, index = connection.leaving(direction), direction.index
    segment = tcp.build(
        leaving.source,
        leaving.destination,
        leaving.source_port,
        leaving.destination_port,
        sequence=window.expects(index),
        acknowledgment=window.sent(1 - index),
        flags=tcp.RST | tcp.ACK,
        window=0,
    )
    return ipv4.build(
        leaving.source, leaving.destination, Protocol.TCP, segment, dont_fragment=True
    )
