"""The way out of a routed packet: what is rewritten, how long it may be, who is the next hop.

Theory of operation. What leaves needs time to live and room in the next network's MTU (RFC 1812,
5.2 and 5.3); what is missing of these is told to the sender by ICMP before anything is written to a
table, so a packet that dies of it leaves no connection and no mapping behind. A packet that is too
long and may be cut is cut (RFC 4787, REQ-13a), and one that came in fragments leaves in fragments
no longer than those were.

All that is rewritten is rewritten by the program that is made here of the two tuples of a
connection: one place for every kind of translation. A SYN leaves with a maximum segment size that
fits both networks, so that the ends never learn of a smaller MTU the hard way.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from vswitch.dataplane import refusal, tracking
from vswitch.dataplane.conntrack import Connection, Found
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.fdb import Station
from vswitch.dataplane.flow import FlowTuple
from vswitch.dataplane.neighbours import Queued
from vswitch.dataplane.responders import arp as arp_responder
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.topology import Interface, Network, Side
from vswitch.dataplane.transport import Transport
from vswitch.dataplane.verdict import Delivery, Fate, Kept, Onward, Stage, Verdict
from vswitch.dataplane.walk import Walk
from vswitch.fastpath.program import (
    Action,
    ClampMss,
    DecrementTtl,
    FitMtu,
    Output,
    Program,
    SetDestination,
    SetSource,
    SetStations,
    Track,
)
from vswitch.fastpath.routine import longest_packet
from vswitch.fastpath.states import Direction, State
from vswitch.wire import ethernet, ipv4, offload, tcp
from vswitch.wire.icmp import TimeExceeded, Type, Unreachable
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.values import EtherType, IpAddress, MacAddress

_REPLY = Direction.REPLY
_DECREMENT = DecrementTtl()
_IPV4_AND_TCP = ipv4.HEADER_LENGTH + tcp.HEADER_LENGTH
"""Bytes of a packet that are not counted by the maximum segment size (RFC 9293, 3.7.1)."""


class Datagram(NamedTuple):
    """An IPv4 packet on its way, and how long its longest fragment was where it came in some."""

    packet: Ipv4
    largest_fragment: int | None = None


def send(
    walk: Walk, tables: Tables, datagram: Datagram, message: Transport, found: Found
) -> Verdict:
    """Send a packet of a connection, new or known, where its other tuple says."""
    connection, direction = found
    walk.connection = connection
    arriving, answer = connection.original, connection.reply
    if direction is _REPLY:
        arriving, answer = answer, arriving
    network = tables.networks[answer.network]
    way = passage(walk, tables, datagram, network, answer.source)
    if isinstance(way, Verdict):
        return way
    if not connection.number:
        walk.found(Stage.CONNTRACK, "a new connection")
    if walk.commit:
        tracking.note(walk, tables, datagram.packet, message, found)
        state = connection.state
    else:
        state = tracking.state_after(tables, message, found)
        _tell_details(walk, connection, state, answer.turned, way.next_hop)
    is_tcp = message.tcp_flags is not None
    actions = rewrite(walk.network, network, arriving, answer, may_be_syn=is_tcp)
    actions = (Track(connection.number, direction.index), *actions)
    key = tables.key_of(walk.port.number, walk.frame) if way.cut is None else None
    kept = Kept(key, connection, direction) if key else None
    return forward(walk, tables, _onward(walk, network, way, actions, kept, connection))


def send_as_it_is(
    walk: Walk, tables: Tables, packet: Ipv4, network: Network, connection: Connection
) -> Verdict:
    """Send a packet that is translated already, which is about `connection`; it is kept nowhere."""
    way = passage(walk, tables, Datagram(packet), network, packet.destination)
    if isinstance(way, Verdict):
        return way
    return forward(walk, tables, _onward(walk, network, way, (_DECREMENT,), None, connection))


class Passage(NamedTuple):
    """The way into a network: whom to give the packet to, and where it has to be cut."""

    next_hop: IpAddress
    cut: int | None


def passage(
    walk: Walk, tables: Tables, datagram: Datagram, network: Network, to: IpAddress
) -> Passage | Verdict:
    """How a packet gets into `network`, or the verdict on one that does not."""
    packet = datagram.packet
    if packet.ttl <= 1:
        kind, code = Type.TIME_EXCEEDED, TimeExceeded.IN_TRANSIT
        return refusal.tell(walk, tables, packet, DropReason.TTL_EXPIRED, kind, code)
    length = datagram.largest_fragment or _length(walk, packet, network)
    walk.detail(Stage.ROUTE, "{} bytes long, {} takes {}", length, network.name, network.mtu)
    if length > network.mtu and packet.dont_fragment:
        return refusal.tell(
            walk,
            tables,
            packet,
            DropReason.TOO_BIG,
            Type.DESTINATION_UNREACHABLE,
            Unreachable.FRAGMENTATION_NEEDED,
            network.mtu,
        )
    next_hop = network.hop_towards(to)
    if next_hop is None:
        return refusal.refuse(walk, tables, packet, DropReason.NO_ROUTE, Unreachable.NETWORK)
    if datagram.largest_fragment is None and length <= network.mtu:
        return Passage(next_hop, None)
    limit = min(length, network.mtu)
    walk.found(Stage.ROUTE, "it leaves in fragments of at most {} bytes", limit)
    return Passage(next_hop, limit)


def _length(walk: Walk, packet: Ipv4, network: Network) -> int:
    """Bytes of the longest packet that a frame stands for. What a link has put behind the packet is
    none of it, and stays behind where it would make the frame too long."""
    length = longest_packet(walk.frame) - (packet.offset - ethernet.START)
    if walk.frame[offload.GSO_TYPE] != offload.GSO_NONE or length <= network.mtu:
        return length
    if walk.commit:
        walk.frame = walk.frame[: packet.end]
    return packet.total_length


def complete(onward: Onward, network: Network, mac: MacAddress, interface: Interface) -> Delivery:
    """The delivery of a routed frame, now that the station of its next hop is known."""
    outputs, certain = _ports_towards(network, mac)
    limit = network.mtu if onward.cut is None else None
    before, after = _hop(limit, mac, interface.mac, outputs)
    program = Program((*before, *onward.rewrite, *after))
    kept = onward.kept if certain else None
    return Delivery.by(program, onward.frame, kept, onward.connection.number, onward.cut)


def hop(network: Network, mac: MacAddress, interface: Interface) -> Program:
    """How a frame of the switch's own making, or as good as that, gets to a station."""
    outputs, _ = _ports_towards(network, mac)
    before, after = _hop(None, mac, interface.mac, outputs)
    return Program((*before, *after))


@lru_cache(maxsize=4096)
def _hop(
    limit: int | None, station: MacAddress, own: MacAddress, outputs: tuple[int, ...]
) -> tuple[tuple[Action, ...], tuple[Action, ...]]:
    """What all that goes to one station has in common: actions before and after a rewrite."""
    fits = () if limit is None else (FitMtu(limit),)
    return (*fits, SetStations(station, own)), tuple(map(Output, outputs))


def rewrite(
    arrives: Network, leaves: Network, arriving: FlowTuple, answer: FlowTuple, *, may_be_syn: bool
) -> tuple[Action, ...]:
    """What turns a packet with one tuple into one that is answered by packets with the other."""
    actions: list[Action] = [_DECREMENT]
    if answer.receiver != arriving.sender:
        actions.append(SetSource(answer.destination, answer.destination_port))
    if answer.sender != arriving.receiver:
        actions.append(SetDestination(answer.source, answer.source_port))
    if may_be_syn and arrives.outside.clamps_mss and leaves.outside.clamps_mss:
        actions.append(ClampMss(min(arrives.mtu, leaves.mtu) - _IPV4_AND_TCP))
    return tuple(actions)


def forward(walk: Walk, tables: Tables, onward: Onward) -> Verdict:
    """Send a routed frame to its next hop, or let it wait for the hop's station."""
    network = tables.networks[onward.network]
    interface = network.interface
    if interface is None:
        return walk.drop(DropReason.NO_ROUTE)
    mac = network.station(onward.next_hop)
    if mac is not None:
        walk.found(Stage.NEIGHBOUR, "{} is at {}", onward.next_hop, mac)
        if not walk.commit:
            _tell_ports(walk, tables, network, mac)
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


def deliver_own(network: Network, to: IpAddress, packet: bytes) -> Iterator[Delivery]:
    """A packet of the switch's own to a host in or behind `network`, whose station is known;
    nothing where it is not."""
    interface = network.interface
    next_hop = network.hop_towards(to)
    mac = network.station(next_hop) if next_hop is not None else None
    if interface is None or mac is None:
        return
    outputs, certain = _ports_towards(network, mac)
    if certain:
        frame = ethernet.build(mac, interface.mac, EtherType.IPV4, packet)
        yield Delivery.by(Program(tuple(Output(number) for number in outputs)), frame)


def ask(network: Network, interface: Interface, address: IpAddress) -> tuple[Delivery, ...]:
    """The request for an address, to every port of its network."""
    program = Program(tuple(Output(number) for number in network.ports))
    return (Delivery.by(program, arp_responder.request(address, interface)),)


def _onward(
    walk: Walk,
    network: Network,
    way: Passage,
    actions: tuple[Action, ...],
    kept: Kept | None,
    connection: Connection,
) -> Onward:
    return Onward(
        walk.frame,
        walk.network.number,
        walk.port.number,
        network.number,
        way.next_hop,
        actions,
        kept,
        connection,
        way.cut,
    )


def _tell_ports(walk: Walk, tables: Tables, network: Network, mac: MacAddress) -> None:
    outputs, certain = _ports_towards(network, mac)
    names = ", ".join(tables.ports[number].name for number in outputs)
    words = "{} is behind port {}" if certain else "the port of {} is not known: flooded to {}"
    walk.found(Stage.BRIDGE, words, mac, names)


def _tell_details(
    walk: Walk, connection: Connection, state: State, leaving: FlowTuple, next_hop: IpAddress
) -> None:
    walk.detail(Stage.ROUTE, "the next hop is {}", next_hop)
    walk.detail(Stage.NAT, "leaves as {}", leaving)
    if state is not connection.state:
        walk.detail(Stage.CONNTRACK, "with this frame it is {}", state.value)


def _ports_towards(network: Network, mac: MacAddress) -> tuple[tuple[int, ...], bool]:
    """The ports that lead to a station, and whether that is certain enough for a program."""
    if network.side is Side.OUTSIDE:
        return tuple(network.ports), True
    if network.host is not None and mac == network.host.mac:
        return (network.host.port,), True
    port = network.fdb.where(Station(0, mac))
    return (tuple(network.ports), False) if port is None else ((port,), True)
