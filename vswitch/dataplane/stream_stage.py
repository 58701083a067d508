"""Queries by TCP at the gateways' port 53: handed on to who listens for them, frame by frame.

Theory of operation. A conversation by TCP needs a TCP, and the best there is here is the kernel's.
So somebody listens behind a port of the switch (`listening`), with the addresses of all gateways:
what comes to one of these at port 53 goes there as it is, but for its stations, and what comes back
from there goes to the client's station in the gateway's name. That end knows the connections, so
the switch keeps none of them, neither an entry nor a program. The listener reaches nobody but from
port 53 of a gateway that answers, and there who is on that gateway's network.

The client's station is noted with a segment from it, as the answer needs it, but never in the place
of one that ARP has told. Read first: RFC 7766; what the listener is,
`daemon.resolving.listening.owntcp`.
"""

from __future__ import annotations

from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.egress import ask, complete, hop
from vswitch.dataplane.listening import Listener
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.topology import Network, Side
from vswitch.dataplane.verdict import Delivery, Fate, Stage, Verdict
from vswitch.dataplane.walk import Walk
from vswitch.fastpath.program import Output, Program, SetStations
from vswitch.naming import PORT
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.malformed import Malformed
from vswitch.wire.tcp import Tcp
from vswitch.wire.values import EtherType, IpAddress, Protocol


def hand_on(walk: Walk, tables: Tables, packet: Ipv4) -> Verdict | None:
    """Hand a segment to a gateway's port 53 to the listener; None where there can be none."""
    listening = tables.listening
    if listening.listener is not None:
        walk.found(Stage.LOCAL, "a conversation about names: to who listens for them")
        _note_station(walk, packet.source)
        return walk.conclude(Fate.FORWARDED, _inwards(walk, listening.listener))
    if not listening.is_possible:
        return None
    walk.found(Stage.LOCAL, "a conversation about names: it waits for who will listen")
    if walk.commit:
        listening.want(walk.port.number, walk.frame)
    return walk.conclude(Fate.WAITING)


def hear_listener(walk: Walk, tables: Tables) -> Verdict:
    """Decide about a frame that the listener has sent."""
    if walk.ethernet.tagged or walk.ethernet.ethertype != EtherType.IPV4:
        return walk.drop(DropReason.NOT_FOR_US)
    packet = Ipv4.parse(walk.frame, walk.ethernet.payload)
    if isinstance(packet, Malformed):
        return walk.drop(packet)
    network = _asked(tables, packet)
    if network is None or network.interface is None:
        return walk.drop(DropReason.NOT_FOR_US)
    walk.found(Stage.LOCAL, "an answer about names, to {} on {}", packet.destination, network.name)
    mac = network.neighbours.station(packet.destination)
    if mac is None:
        walk.found(Stage.NEIGHBOUR, "the station of {} is not known", packet.destination)
        asked = ask(network, network.interface, packet.destination)
        return walk.drop(DropReason.NEIGHBOUR_UNREACHABLE, *asked)
    program = hop(network, mac, network.interface)
    return walk.conclude(Fate.FORWARDED, Delivery.by(program, walk.frame))


def _asked(tables: Tables, packet: Ipv4) -> Network | None:
    """The network whose gateway a segment speaks for, to somebody on that network, from port 53;
    None for whatever else."""
    network = tables.owner(packet.source)
    if network is None or network.side is Side.OUTSIDE or not network.answers_queries:
        return None
    if packet.is_fragment or packet.protocol != Protocol.TCP:
        return None
    segment = Tcp.parse(packet.frame, packet.payload, packet.end)
    if isinstance(segment, Malformed) or segment.source_port != PORT:
        return None
    is_there = network.holds(packet.destination) and not network.owns(packet.destination)
    return network if is_there else None


def _inwards(walk: Walk, listener: Listener) -> Delivery:
    stations = SetStations(listener.mac, walk.ethernet.destination)
    return Delivery.by(Program((stations, Output(listener.port))), walk.frame)


def _note_station(walk: Walk, address: IpAddress) -> None:
    network, mac = walk.network, walk.ethernet.source
    if not walk.commit or network.interface is None or network.neighbours.station(address):
        return
    update = network.neighbours.learn(address, mac, walk.now, add=True)
    for onward in update.released:
        walk.release(complete(onward, network, mac, network.interface))
