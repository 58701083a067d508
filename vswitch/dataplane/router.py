"""Routing: packets to the gateway's station, on their way to another network or to ourselves.

Theory of operation. In this order: is the packet sound and may it be here (`policy`); is it whole
(`reassembly`: a fragment waits for the others); which flow is it part of (`transport`); is that
flow known (`conntrack`). A known flow leaves as its connection says (`egress`). A new one is for
the switch itself (`dns_stage`, `local`), or it is translated (`nat`) where filters and policy let
it (`policy.judge`), becomes a connection where the limits allow it (`admission`) and leaves. Who
can do something about a refusal is told (`refusal`). Between the host and the endpoints of a
network that it has a port on, all of this holds as well, but that nothing is translated.
"""

from __future__ import annotations

from functools import partial

from vswitch.dataplane import (
    admission,
    dns_stage,
    egress,
    expectation,
    icmp_errors,
    local,
    nat,
    policy,
    refusal,
    repetition,
    transport,
)
from vswitch.dataplane.conntrack import Found
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.egress import Datagram
from vswitch.dataplane.policy import Judgment, Way
from vswitch.dataplane.precedents import Translate
from vswitch.dataplane.reassembly import Refused, Waiting
from vswitch.dataplane.revalidation import known
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.topology import Network, Side
from vswitch.dataplane.transport import Transport
from vswitch.dataplane.unsolicited import Held, HeldSyn
from vswitch.dataplane.verdict import Fate, Stage, Verdict
from vswitch.dataplane.walk import Walk
from vswitch.fastpath.states import OVER, Direction
from vswitch.translation import Unsolicited
from vswitch.units import SECOND
from vswitch.wire.ethernet import Ethernet
from vswitch.wire.icmp import Icmp, Unreachable
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import EtherType, IpAddress


def route(walk: Walk, tables: Tables) -> Verdict:
    """Decide about a frame to the switch's own station."""
    if walk.ethernet.tagged or walk.ethernet.ethertype != EtherType.IPV4:
        return walk.drop(DropReason.NOT_ROUTED)
    packet = Ipv4.parse(walk.frame, walk.ethernet.payload)
    if isinstance(packet, Malformed):
        return walk.drop(packet)
    if not packet.has_valid_checksum():
        return walk.drop(Malformed.IPV4_BAD_CHECKSUM)
    is_from_host = walk.network.is_host(walk.port.number)
    refuse = policy.refuse_host_packet if is_from_host else policy.refuse_packet
    refused = refuse(packet, walk.network, tables)
    if refused:
        return walk.drop(refused)
    walk.detail(Stage.POLICY, "the source may be on {}", walk.network.name)
    if packet.is_fragment:
        return _gather(walk, tables, packet)
    return _route_whole(walk, tables, Datagram(packet))


def _gather(walk: Walk, tables: Tables, packet: Ipv4) -> Verdict:
    """Let a fragment wait for the others, or go on with the datagram that it completes."""
    port, reassembly = walk.port.number, tables.reassembly
    if walk.commit:
        gathered = reassembly.add(port, walk.frame, packet, walk.now)
    else:
        gathered = reassembly.preview(port, walk.frame, packet)
    if isinstance(gathered, Refused):
        return walk.drop(DropReason.of_fragment(gathered))
    start, end = packet.fragment_offset, packet.fragment_offset + packet.end - packet.payload
    if isinstance(gathered, Waiting):
        walk.found(Stage.REASSEMBLY, "bytes {} to {} wait for the rest", start, end)
        return walk.conclude(Fate.WAITING)
    walk.found(Stage.REASSEMBLY, "with bytes {} to {} the datagram is whole", start, end)
    ethernet = Ethernet.parse(gathered.frame)
    if isinstance(ethernet, Malformed):
        return walk.drop(ethernet)
    whole = Ipv4.parse(gathered.frame, ethernet.payload)
    if isinstance(whole, Malformed):
        return walk.drop(whole)
    walk = walk.with_frame(gathered.frame, ethernet)
    return _route_whole(walk, tables, Datagram(whole, gathered.largest))


def _route_whole(walk: Walk, tables: Tables, datagram: Datagram) -> Verdict:
    packet = datagram.packet
    message = transport.read(walk.network.number, packet)
    if isinstance(message, Icmp):
        return _icmp_error(walk, tables, packet, message)
    if message is DropReason.PROTOCOL_NOT_TRANSLATED:
        return _unknown_protocol(walk, tables, packet)
    if not isinstance(message, Transport):
        return walk.drop(message)
    found = known(walk, tables, message.tuple)
    if found is not None:
        walk.found(
            Stage.CONNTRACK,
            "{} direction of connection {} ({})",
            found.direction.value,
            found.connection.number,
            found.connection.state.value,
        )
        if _begins_anew(message, found):
            refused = policy.refuse_connection(tables, found.connection, walk.now)
            if refused is not None:
                return _refuse_flow(walk, tables, packet, message, refused)
        return egress.send(walk, tables, datagram, message, found)
    walk.detail(Stage.CONNTRACK, "no connection has {}", message.tuple)
    if walk.network.is_host(walk.port.number):
        return _with_host(walk, tables, datagram, message)
    owner, from_outside = tables.owner(packet.destination), walk.network.side is Side.OUTSIDE
    if owner is None or (from_outside and owner is not walk.network):
        return _elsewhere(walk, tables, datagram, message)
    if from_outside:
        return _from_outside(walk, tables, datagram, message)
    return _to_ourselves(walk, tables, datagram, message)


def _begins_anew(message: Transport, found: Found) -> bool:
    """Whether a segment begins a connection that is over once more, with the same tuple: what it
    may then is what a new one may."""
    if message.tcp_flags is None or not message.may_begin:
        return False
    return found.direction is Direction.ORIGINAL and found.connection.state in OVER


def _from_outside(walk: Walk, tables: Tables, datagram: Datagram, message: Transport) -> Verdict:
    """To an address of the switch, from the outside."""
    translation = nat.inbound(walk, tables, message.tuple)
    if isinstance(translation, nat.Translation):
        return _through(walk, tables, datagram, message, translation, nat.inbound)
    if translation is DropReason.NOT_PUBLISHED and _is_the_hosts(walk.network, message):
        return walk.drop(DropReason.FOR_THE_HOST)
    if isinstance(message.header, Icmp):
        return local.answer(walk, tables, datagram.packet, message.header)
    if message.tcp_flags is not None and message.may_begin:
        _hold(walk, tables, message)
    return walk.drop(translation)


def _is_the_hosts(network: Network, message: Transport) -> bool:
    """Whether the host, not the switch, speaks for a port that nobody has of a shared address."""
    if network.interface is None or not network.interface.is_shared:
        return False
    if message.header is None or isinstance(message.header, Icmp):
        return True
    return all(message.tuple.destination_port not in ports for ports in network.outside.ports)


def _hold(walk: Walk, tables: Tables, message: Transport) -> None:
    """RFC 5382, REQ-4: say nothing about a SYN that nobody asked for until it is sure."""
    outside = walk.network.outside
    if outside.unsolicited is Unsolicited.DROP:
        return
    seconds = outside.unsolicited_after // SECOND
    walk.found(Stage.LOCAL, "refused in {} s, unless the inside opens to it", seconds)
    if walk.commit:
        syn = HeldSyn(walk.port.number, bytes(walk.frame))
        until = walk.now + outside.unsolicited_after
        if tables.held_syns.hold(message.tuple, syn, until) is Held.FULL:
            walk.found(Stage.LOCAL, "too many are held: it is not refused at all")


def _to_ourselves(walk: Walk, tables: Tables, datagram: Datagram, message: Transport) -> Verdict:
    """To an address of the switch, from the inside."""
    translation = nat.hairpin(walk, tables, message.tuple)
    if translation is None:
        answered = dns_stage.answer(walk, tables, datagram.packet, message)
        if answered is not None:
            return answered
        if walk.network.host is not None and walk.network.owns(datagram.packet.destination):
            walk.found(Stage.LOCAL, "{} is the host's address, too", datagram.packet.destination)
            return _with_host(walk, tables, datagram, message)
        return local.answer(walk, tables, datagram.packet, message.header)
    if isinstance(translation, DropReason):
        return _refuse(walk, tables, datagram.packet, translation)
    return _through(walk, tables, datagram, message, translation, nat.hairpin)


def _with_host(walk: Walk, tables: Tables, datagram: Datagram, message: Transport) -> Verdict:
    """Between the host and an endpoint of its network."""
    translate = partial(nat.straight, leaves=walk.network)
    translation = translate(walk, tables, message.tuple)
    if isinstance(translation, DropReason):
        return _refuse(walk, tables, datagram.packet, translation)
    return _through(walk, tables, datagram, message, translation, translate)


def _through(
    walk: Walk,
    tables: Tables,
    datagram: Datagram,
    message: Transport,
    translation: nat.Translation,
    translate: Translate,
) -> Verdict:
    """By an address of the switch to whom that leads."""
    original, reply, may_begin = message.tuple, translation.reply, message.may_begin
    way = Way.of(original, reply, translation.target)
    leaves = tables.networks[reply.network]
    judgment = policy.judge(walk, tables, original, reply, leaves, way, may_begin)
    if judgment.refused:
        return _refuse_flow(walk, tables, datagram.packet, message, judgment.refused)
    if not may_begin:
        return walk.drop(DropReason.NO_CONNECTION)
    return _begin(walk, tables, datagram, message, translation, translate, judgment)


def _elsewhere(walk: Walk, tables: Tables, datagram: Datagram, message: Transport) -> Verdict:
    packet = datagram.packet
    network = _way_to(packet.destination, walk.network, tables)
    if network is None or network.interface is None:
        return refusal.refuse(walk, tables, packet, DropReason.NO_ROUTE, Unreachable.NETWORK)
    walk.found(Stage.ROUTE, "{} is reached through {}", packet.destination, network.name)
    original, may_begin = message.tuple, message.may_begin
    judgment = policy.judge(walk, tables, original, None, network, Way.STRAIGHT, may_begin)
    if judgment.refused:
        return _refuse_flow(walk, tables, packet, message, judgment.refused)
    walk.detail(Stage.POLICY, "{} may begin connections into {}", walk.network.name, network.name)
    if not may_begin:
        return walk.drop(DropReason.NO_CONNECTION)
    translate: Translate
    if network.side is Side.INSIDE:
        translate = partial(nat.straight, leaves=network)
    else:
        translate = partial(nat.outbound, uplink=network)
    translation = translate(walk, tables, message.tuple)
    if not isinstance(translation, nat.Translation):
        return _refuse(walk, tables, packet, translation or DropReason.NO_ROUTE)
    return _begin(walk, tables, datagram, message, translation, translate, judgment)


def _way_to(destination: IpAddress, network: Network, tables: Tables) -> Network | None:
    """The network that a destination is on or behind. What is outside is reached by the network's
    own uplink, whatever other uplinks are connected to: it is that one's addresses that it has."""
    connected = tables.connected(destination)
    is_inside = connected is not None and connected.side is Side.INSIDE
    return connected if is_inside else tables.uplink_of(network)


def _begin(
    walk: Walk,
    tables: Tables,
    datagram: Datagram,
    message: Transport,
    translation: nat.Translation,
    translate: Translate,
    judgment: Judgment,
) -> Verdict:
    admitted = admission.admit(walk, tables, message.tuple, translation)
    if isinstance(admitted, DropReason):
        return _refuse(walk, tables, datagram.packet, admitted)
    walk.evicted = admitted.evicted
    found = Found(admitted.connection, Direction.ORIGINAL)
    verdict = egress.send(walk, tables, datagram, message, found)
    if not walk.commit or verdict.fate is not Fate.FORWARDED:
        return verdict
    begun = verdict.deliveries[0]
    expected = expectation.expect(tables, admitted.connection, begun)
    if expected is not None and judgment.is_repeatable:
        repetition.set_precedent(walk, tables, translate, begun, expected, judgment.rules)
    return verdict._replace(expected=expected)


def _refuse(walk: Walk, tables: Tables, packet: Ipv4, reason: DropReason) -> Verdict:
    """Drop a packet for which there is no room, or no port."""
    if reason in admission.PROHIBITED:
        return refusal.prohibit(walk, tables, packet, reason)
    return walk.drop(reason)


def _refuse_flow(
    walk: Walk, tables: Tables, packet: Ipv4, message: Transport, reason: DropReason
) -> Verdict:
    """Drop a packet of a flow that may not be. The outside is told of it by a filter alone."""
    if reason is DropReason.FILTER_REJECTED and policy.may_report(packet, walk.network, tables):
        return refusal.reject(walk, tables, packet, message.header, reason)
    if walk.network.side is Side.OUTSIDE or reason is DropReason.FILTER_DROPPED:
        return walk.drop(reason)
    return refusal.prohibit(walk, tables, packet, reason)


def _icmp_error(walk: Walk, tables: Tables, packet: Ipv4, message: Icmp) -> Verdict:
    translated = icmp_errors.translate(walk, tables, packet, message)
    if not isinstance(translated, icmp_errors.Translated):
        return walk.drop(translated)
    walk.connection = translated.connection
    network = tables.networks[translated.network]
    walk = walk.with_frame(translated.frame, walk.ethernet)
    packet = Ipv4(translated.frame, packet.offset, packet.header_length, packet.end)
    return egress.send_as_it_is(walk, tables, packet, network, translated.connection)


def _unknown_protocol(walk: Walk, tables: Tables, packet: Ipv4) -> Verdict:
    reason = DropReason.PROTOCOL_NOT_TRANSLATED
    if walk.network.side is Side.OUTSIDE:
        return walk.drop(reason)
    return refusal.refuse(walk, tables, packet, reason, Unreachable.PROTOCOL)
