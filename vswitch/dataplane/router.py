"""Routing: packets to the gateway's station, on their way to another network or to ourselves.

Theory of operation. In this order: is the packet sound and may it be here (`policy`); which flow
is it part of (`transport`); is that flow known (`conntrack`). A known flow leaves as its
connection says. A new one is for the switch itself (`local`), or it is translated (`nat`), becomes
a connection and leaves. What leaves needs a route, time to live and room in the next network's MTU
(RFC 1812, 5.2 and 5.3); what is missing of these is told to the sender by ICMP before anything is
written to a table, so a packet that dies of it leaves no connection and no mapping behind.

All that is rewritten is rewritten by the program that this module makes of the two tuples of a
connection: one place for every kind of translation.
"""

from __future__ import annotations

from vswitch.dataplane import icmp_errors, local, nat, policy, transport
from vswitch.dataplane.conntrack import CACHEABLE, Connection, Direction, FlowTuple, Found, State
from vswitch.dataplane.drops import DropReason, Reason
from vswitch.dataplane.fdb import Station
from vswitch.dataplane.neighbours import Queued
from vswitch.dataplane.responders import arp as arp_responder
from vswitch.dataplane.responders import icmp as icmp_responder
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.topology import Interface, Network, Side
from vswitch.dataplane.transport import Transport
from vswitch.dataplane.verdict import Delivery, Fate, Flow, Onward, Stage, Verdict
from vswitch.dataplane.walk import Walk
from vswitch.fastpath.program import (
    Action,
    DecrementTtl,
    FitMtu,
    Output,
    Program,
    SetDestination,
    SetSource,
    SetStations,
)
from vswitch.fastpath.routine import longest_packet
from vswitch.wire import ethernet
from vswitch.wire.icmp import Icmp, Type, Unreachable
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import EtherType, IpAddress, MacAddress


def route(walk: Walk, tables: Tables) -> Verdict:
    """Decide about a frame to the switch's own station."""
    if walk.ethernet.tagged or walk.ethernet.ethertype != EtherType.IPV4:
        return walk.drop(DropReason.NOT_ROUTED)
    packet = Ipv4.parse(walk.frame, walk.ethernet.payload)
    if isinstance(packet, Malformed):
        return walk.drop(packet)
    if not packet.has_valid_checksum():
        return walk.drop(Malformed.IPV4_BAD_CHECKSUM)
    refused = policy.refuse_packet(packet, walk.network, tables)
    if refused:
        return walk.drop(refused)
    walk.detail(Stage.POLICY, "the source may be on {}", walk.network.name)
    message = transport.read(walk.network.number, packet)
    if isinstance(message, Icmp):
        return _icmp_error(walk, tables, packet, message)
    if not isinstance(message, Transport):
        return walk.drop(message)
    found = tables.connections.find(message.tuple)
    if found is not None:
        return _known(walk, tables, packet, message, found)
    walk.detail(Stage.CONNTRACK, "no connection has {}", message.tuple)
    if tables.owner(packet.destination) is not None:
        return _to_ourselves(walk, tables, packet, message)
    return _elsewhere(walk, tables, packet, message)


def complete(onward: Onward, network: Network, mac: MacAddress, interface: Interface) -> Delivery:
    """The delivery of a routed frame, now that the station of its next hop is known."""
    outputs, certain = _ports_towards(network, mac)
    actions = (
        FitMtu(network.mtu),
        SetStations(mac, interface.mac),
        *onward.rewrite,
        *(Output(number) for number in outputs),
    )
    kept = onward.kept if certain else None
    return Delivery(onward.frame, Program(actions), kept, onward.connection.number)


def forward(walk: Walk, tables: Tables, onward: Onward) -> Verdict:
    """Send a routed frame to its next hop, or let it wait for the hop's station."""
    network = tables.networks[onward.network]
    interface = network.interface
    if interface is None:
        return walk.drop(DropReason.NO_ROUTE)
    mac = network.neighbours.station(onward.next_hop)
    if mac is not None:
        walk.found(Stage.NEIGHBOUR, "{} is at {}", onward.next_hop, mac)
        if not walk.commit:
            _tell_ports(walk, network, mac)
        return walk.conclude(Fate.FORWARDED, complete(onward, network, mac, interface))
    walk.found(Stage.NEIGHBOUR, "the station of {} is not known yet", onward.next_hop)
    if walk.commit:
        queued = network.neighbours.wait(onward.next_hop, onward, walk.now)
    else:
        queued = network.neighbours.would_queue(onward.next_hop)
    match queued:
        case Queued.FULL:
            return walk.drop(DropReason.NEIGHBOUR_QUEUE_FULL)
        case Queued.QUEUED:
            return walk.conclude(Fate.WAITING)
        case Queued.ASK:
            return walk.conclude(Fate.WAITING, *ask(network, interface, onward.next_hop))


def _tell_ports(walk: Walk, network: Network, mac: MacAddress) -> None:
    outputs, certain = _ports_towards(network, mac)
    names = ", ".join(network.ports[number].name for number in outputs)
    words = "{} is behind port {}" if certain else "the port of {} is not known: flooded to {}"
    walk.found(Stage.BRIDGE, words, mac, names)


def ask(network: Network, interface: Interface, address: IpAddress) -> tuple[Delivery, ...]:
    """The request for an address, to every port of its network."""
    program = Program(tuple(Output(number) for number in network.ports))
    return (Delivery(arp_responder.request(address, interface), program),)


def _known(walk: Walk, tables: Tables, packet: Ipv4, message: Transport, found: Found) -> Verdict:
    walk.found(
        Stage.CONNTRACK,
        "{} direction of connection {} ({})",
        found.direction.value,
        found.connection.number,
        found.connection.state.value,
    )
    return _send(walk, tables, packet, message, found)


def _to_ourselves(walk: Walk, tables: Tables, packet: Ipv4, message: Transport) -> Verdict:
    if walk.network.side is Side.OUTSIDE:
        translation = nat.inbound(walk, tables, message.tuple)
        if translation is DropReason.NOT_PUBLISHED and isinstance(message.header, Icmp):
            return local.answer(walk, packet, message.header)
        return _begin(walk, tables, packet, message, translation)
    hairpin = nat.hairpin(walk, tables, message.tuple)
    if hairpin is None:
        return local.answer(walk, packet, message.header)
    return _begin(walk, tables, packet, message, hairpin)


def _elsewhere(walk: Walk, tables: Tables, packet: Ipv4, message: Transport) -> Verdict:
    network = tables.connected(packet.destination) or tables.uplink
    if network is None or network.interface is None:
        return _refuse(walk, packet, DropReason.NO_ROUTE, Unreachable.NETWORK)
    walk.found(Stage.ROUTE, "{} is reached through {}", packet.destination, network.name)
    refused = policy.refuse_route(walk.network, network)
    if refused:
        if walk.network.side is Side.INSIDE:
            return _refuse(walk, packet, refused, Unreachable.ADMINISTRATIVELY_PROHIBITED)
        return walk.drop(refused)
    walk.detail(Stage.POLICY, "{} may begin connections into {}", walk.network.name, network.name)
    if not message.may_begin:
        return walk.drop(DropReason.NO_CONNECTION)
    translation = nat.outbound(walk, tables, message.tuple, network, network.interface)
    return _begin(walk, tables, packet, message, translation)


def _begin(
    walk: Walk,
    tables: Tables,
    packet: Ipv4,
    message: Transport,
    translation: nat.Translation | DropReason,
) -> Verdict:
    if translation is DropReason.PORTS_EXHAUSTED:
        return _refuse(walk, packet, translation, Unreachable.ADMINISTRATIVELY_PROHIBITED)
    if isinstance(translation, DropReason):
        return walk.drop(translation)
    if not message.may_begin:
        return walk.drop(DropReason.NO_CONNECTION)
    if tables.connections.full:
        reason = DropReason.CONNECTION_TABLE_FULL
        return _refuse(walk, packet, reason, Unreachable.ADMINISTRATIVELY_PROHIBITED)
    walk.detail(Stage.NAT, "answers will arrive as {}", translation.reply)
    if translation.reply == message.tuple or tables.connections.find(translation.reply):
        return walk.drop(DropReason.ANSWERS_AMBIGUOUS)
    connection = Connection.begin(
        message.tuple,
        translation.reply,
        walk.now,
        translation.mapping,
        translation.publication,
    )
    walk.found(Stage.CONNTRACK, "a new connection")
    return _send(walk, tables, packet, message, Found(connection, Direction.ORIGINAL))


def _send(walk: Walk, tables: Tables, packet: Ipv4, message: Transport, found: Found) -> Verdict:
    connection, direction = found
    walk.connection = connection
    arriving, leaving = connection.arriving(direction), connection.leaving(direction)
    network = tables.networks[leaving.network]
    obstacle = _obstacle(walk, packet, network)
    if obstacle is not None:
        return obstacle
    next_hop = leaving.destination if network.holds(leaving.destination) else network.next_hop
    if next_hop is None:
        return _refuse(walk, packet, DropReason.NO_ROUTE, Unreachable.NETWORK)
    rewrite: list[Action] = [DecrementTtl()]
    if (leaving.source, leaving.source_port) != (arriving.source, arriving.source_port):
        rewrite.append(SetSource(leaving.source, leaving.source_port))
    if (leaving.destination, leaving.destination_port) != (
        arriving.destination,
        arriving.destination_port,
    ):
        rewrite.append(SetDestination(leaving.destination, leaving.destination_port))
    if walk.commit:
        _note(walk, tables, message, found)
        state = connection.state
    else:
        state = found.state_after(message.tcp_flags)
        _tell_details(walk, connection, state, leaving, next_hop)
    key = tables.key_of(walk.port.number, walk.frame) if state in CACHEABLE else None
    sender = Station(0, walk.ethernet.source)
    number, port = walk.network.number, walk.port.number
    kept = Flow(key, number, port, sender, connection, direction) if key else None
    onward = Onward(
        walk.frame,
        walk.network.number,
        walk.port.number,
        network.number,
        next_hop,
        tuple(rewrite),
        kept,
        connection,
    )
    return forward(walk, tables, onward)


def _tell_details(
    walk: Walk, connection: Connection, state: State, leaving: FlowTuple, next_hop: IpAddress
) -> None:
    walk.detail(Stage.ROUTE, "the next hop is {}", next_hop)
    walk.detail(Stage.NAT, "leaves as {}", leaving)
    if state is not connection.state:
        walk.detail(Stage.CONNTRACK, "with this frame it is {}", state.value)


def _obstacle(walk: Walk, packet: Ipv4, network: Network) -> Verdict | None:
    """What keeps a packet from leaving, told to its sender, or None where nothing does."""
    if packet.ttl <= 1:
        return _tell(walk, packet, DropReason.TTL_EXPIRED, Type.TIME_EXCEEDED, 0)
    link_header = packet.offset - ethernet.START
    length = longest_packet(walk.frame) - link_header
    walk.detail(Stage.ROUTE, "{} bytes long, {} takes {}", length, network.name, network.mtu)
    if length <= network.mtu:
        return None
    if not packet.dont_fragment:
        return walk.drop(DropReason.TOO_BIG)
    kind, code = Type.DESTINATION_UNREACHABLE, Unreachable.FRAGMENTATION_NEEDED
    return _tell(walk, packet, DropReason.TOO_BIG, kind, code, network.mtu)


def _note(walk: Walk, tables: Tables, message: Transport, found: Found) -> None:
    """Write the connection, new or known, into the tables."""
    connection = found.connection
    if not connection.number:
        if connection.mapping and tables.mappings.of_internal(connection.mapping.internal) is None:
            tables.mappings.add(connection.mapping)
        tables.connections.add(connection)
    tables.connections.track(found, message.tcp_flags, walk.now)
    connection.frames += 1
    connection.bytes += len(walk.frame) - ethernet.START
    if connection.keys and connection.state not in CACHEABLE:
        walk.stale_keys.extend(connection.keys)


def _icmp_error(walk: Walk, tables: Tables, packet: Ipv4, message: Icmp) -> Verdict:
    translated = icmp_errors.translate(walk, tables, packet, message)
    if not isinstance(translated, icmp_errors.Translated):
        return walk.drop(translated)
    walk.connection = translated.connection
    network = tables.networks[translated.network]
    obstacle = _obstacle(walk, packet, network)
    if obstacle is not None:
        return obstacle
    to = translated.destination
    next_hop = to if network.holds(to) else network.next_hop
    if next_hop is None:
        return walk.drop(DropReason.NO_ROUTE)
    onward = Onward(
        translated.frame,
        walk.network.number,
        walk.port.number,
        network.number,
        next_hop,
        (DecrementTtl(),),
        None,
        translated.connection,
    )
    return forward(walk, tables, onward)


def _refuse(walk: Walk, packet: Ipv4, reason: Reason, code: Unreachable) -> Verdict:
    return _tell(walk, packet, reason, Type.DESTINATION_UNREACHABLE, code)


def _tell(
    walk: Walk, packet: Ipv4, reason: Reason, kind: Type, code: int, rest: int = 0
) -> Verdict:
    """Drop a packet and say so to its sender, where that is allowed."""
    interface = walk.network.interface
    if interface is None or not icmp_responder.is_answerable(walk.ethernet, packet):
        return walk.drop(reason)
    error = icmp_responder.error(walk.ethernet, packet, interface, kind, code, rest)
    return walk.drop(reason, walk.answer(error))


def _ports_towards(network: Network, mac: MacAddress) -> tuple[tuple[int, ...], bool]:
    """The ports that lead to a station, and whether that is certain enough for a program."""
    if network.side is Side.OUTSIDE:
        return tuple(network.ports), True
    port = network.fdb.where(Station(0, mac))
    return (tuple(network.ports), False) if port is None else ((port,), True)
