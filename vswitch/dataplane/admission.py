"""May this connection be? Limits and quotas, and what may go to make room.

Theory of operation. The table is bounded, and so is what one endpoint may hold of it and how fast
it may begin new connections. Where there is no room, the endpoint's own oldest fleeting connection
goes; where it has none, the new one is refused, its sender is told (RFC 5508, REQ-8) and the reason
is counted. Nobody else's connection is ever touched (RFC 6888, REQ-11).
"""

from __future__ import annotations

from typing import NamedTuple

from vswitch.dataplane.conntrack import Connection
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.flow import FlowTuple
from vswitch.dataplane.nat import Translation
from vswitch.dataplane.revalidation import known
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.transport import PORTLESS
from vswitch.dataplane.verdict import Stage
from vswitch.dataplane.walk import Walk

PROHIBITED = frozenset(
    {
        DropReason.PORTS_EXHAUSTED,
        DropReason.PEER_TAKEN,
        DropReason.MAPPING_QUOTA,
        DropReason.CONNECTION_QUOTA,
        DropReason.CONNECTION_RATE,
        DropReason.CONNECTION_TABLE_FULL,
        DropReason.SOURCE_NOT_ALLOWED,
        DropReason.PUBLICATION_EXPIRED,
        DropReason.PUBLICATION_USED_UP,
        DropReason.PUBLICATION_RATE,
    }
)
"""Reasons that are told to a sender on the inside, who can do something about them."""


class Admitted(NamedTuple):
    """A connection that may be, and what has to go for it."""

    connection: Connection
    evicted: Connection | None


def admit(
    walk: Walk, tables: Tables, original: FlowTuple, translation: Translation
) -> Admitted | DropReason:
    """The connection that a frame with this tuple begins, or why it may not."""
    reply, account = translation.reply, translation.account
    walk.detail(Stage.NAT, "answers will arrive as {}", reply)
    if known(walk, tables, reply) is not None:
        is_portless = original.protocol in PORTLESS
        return DropReason.PEER_TAKEN if is_portless else DropReason.ANSWERS_AMBIGUOUS
    if not account.arrivals.has_room(walk.now):
        return DropReason.CONNECTION_RATE
    evicted = None
    if tables.connections.full or not account.may_hold_connection:
        evicted = account.oldest_fleeting
        if evicted is None:
            within_quota = account.may_hold_connection
            return DropReason.CONNECTION_TABLE_FULL if within_quota else DropReason.CONNECTION_QUOTA
        walk.found(Stage.CONNTRACK, "connection {} makes room for it", evicted.number)
    connection = Connection(
        original,
        reply,
        account,
        walk.now,
        mapping=translation.mapping,
        target=translation.target,
        publication=translation.publication,
    )
    return Admitted(connection, evicted)
