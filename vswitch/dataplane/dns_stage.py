"""The gateway's port 53: a query to the switch's own address is one for the brain.

Theory of operation. Virtual machines, and whoever has no 127.0.0.11 of his own, ask the gateway of
their network, where that answers (`NetworkNames.at_gateway`). By now the packet is whole, from an
address of the network's subnet and, where the port is guarded, from one of its own, so the party
that asks is known by network and address. What the brain knows is answered in the walk, what
servers may know waits in `queries`, and what comes by TCP is handed on to who listens for it
(`stream_stage`).

What an endpoint publishes at that port goes before this, and this before what the host itself has
there. Neither is a connection: nothing is kept of a query that is answered. Read first: RFC 1035
section 4.2; RFC 768; RFC 1122, 4.1.3.4 for the checksum.
"""

from __future__ import annotations

from vswitch.dataplane import queries, stream_stage
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.queries import Way
from vswitch.dataplane.responders.dns.front import Answered, Asker, Front, Passed
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.transport import Transport
from vswitch.dataplane.verdict import Fate, Stage, Verdict
from vswitch.dataplane.walk import Walk
from vswitch.naming import PORT
from vswitch.wire import udp
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.malformed import Malformed
from vswitch.wire.tcp import Tcp
from vswitch.wire.udp import Udp


def answer(walk: Walk, tables: Tables, packet: Ipv4, message: Transport) -> Verdict | None:
    """Decide about a packet from the inside to an address of the switch, or None where it is none
    for the brain."""
    front, network = tables.queries.front, walk.network
    if front is None or message.tuple.destination_port != PORT:
        return None
    if not network.answers_queries or not network.owns(packet.destination):
        return None
    if isinstance(message.header, Tcp):
        return stream_stage.hand_on(walk, tables, packet)
    if isinstance(message.header, Udp):
        return _hear(walk, tables, front, packet, message.header)
    return None


def _hear(walk: Walk, tables: Tables, front: Front, packet: Ipv4, datagram: Udp) -> Verdict:
    if not udp.is_intact(datagram, packet.source, packet.destination):
        return walk.drop(Malformed.UDP_BAD_CHECKSUM)
    if not datagram.source_port:
        walk.found(Stage.LOCAL, "it says no port that an answer could go to")
        return walk.drop(DropReason.NO_QUERY)
    query = bytes(walk.frame[datagram.payload : datagram.end])
    asker = Asker(walk.network.number, packet.source)
    way = _way_back(walk, packet, datagram)
    match front.hear(query, asker, walk.now, commit=walk.commit):
        case Answered(reply, about):
            walk.found(Stage.LOCAL, "{}", about)
            return walk.conclude(Fate.ANSWERED, queries.said(way, packet.source, reply))
        case Passed() as passed:
            walk.found(Stage.LOCAL, "{}", passed.about)
            if not tables.queries.may_wait(walk.port.number):
                return walk.drop(DropReason.QUERIES_WAITING)
            if walk.commit:
                tables.queries.wait(query, asker, passed, way)
            return walk.conclude(Fate.ABSORBED)
        case unsaid:
            walk.found(Stage.LOCAL, "no query: {}", unsaid.why)
            return walk.drop(DropReason.NO_QUERY)


def _way_back(walk: Walk, packet: Ipv4, datagram: Udp) -> Way:
    return Way(
        port=walk.port.number,
        station=walk.ethernet.source,
        own_station=walk.ethernet.destination,
        own_address=packet.destination,
        client_port=datagram.source_port,
        mtu=walk.network.mtu,
    )
