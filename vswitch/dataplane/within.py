"""Policy within one network: which ports does a frame that is bridged reach?

Theory of operation. Asked where a network does not bridge freely, in this order:

1. The roles of the two ports (RFC 5517). A promiscuous one reaches everybody and is reached by
   everybody; an isolated one reaches nobody else, links and filters notwithstanding.
2. The user's filters that are about what is bridged here.
3. `icc`: where it is off, what a link opens from the parent to the child, and the answers. So that
   they find each other, ARP between the two passes, as it does where a filter accepts something.

A program of the bridge is for all that two stations say to each other, so one is kept only where
the roles alone have settled the matter. All else is judged by what it carries: the first frame of a
flow, which is then known (`bridged`), like its answers and the errors about it.

Later fragments carry no ports. They pass between whom a first one could pass, which is what they
are worth nothing without; one that would overwrite a transport header does not (RFC 3128, 4).
"""

from __future__ import annotations

from functools import partial
from struct import Struct
from typing import NamedTuple

from vswitch.dataplane import icmp_errors, policy, refusal, transport
from vswitch.dataplane.drops import DropReason, Reason
from vswitch.dataplane.filters import NOTHING_SAID, Flow
from vswitch.dataplane.flow import FlowTuple
from vswitch.dataplane.guard import TAGS
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.topology import Network, Port
from vswitch.dataplane.transport import Transport
from vswitch.dataplane.verdict import Stage, Verdict
from vswitch.dataplane.walk import Walk
from vswitch.policy import Action, Link, PortRole
from vswitch.wire import tcp
from vswitch.wire.arp import Arp
from vswitch.wire.icmp import Icmp
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.malformed import Malformed
from vswitch.wire.tcp import Tcp
from vswitch.wire.udp import Udp
from vswitch.wire.values import EtherType, IpAddress, Protocol

_PORTS = Struct(">HH")
_FLAGS_END = tcp.FLAGS + 1
_SAFE_OFFSET = 16
"""Bytes: a fragment that begins here or behind overwrites no flags (RFC 3128, 4)."""


class Ruling(NamedTuple):
    """Whether a frame may go from one port to another."""

    refused: Reason | None
    is_settled: bool = False
    """Whether the same holds for all that the two stations say to each other."""
    answer: Verdict | None = None
    """The verdict that tells the sender, where it is to be told."""


_PASSES = Ruling(None)
_SETTLED = Ruling(None, is_settled=True)


class _Packet(NamedTuple):
    """What a packet within a network is part of."""

    packet: Ipv4
    tuple: FlowTuple
    header: Tcp | Udp | Icmp | None
    is_rememberable: bool
    """Whether a flow can be told by its tuple."""


def rule(walk: Walk, tables: Tables, to: Port) -> Ruling:
    """May the frame leave by the one port that its destination is on?"""
    by_role = _by_role(walk, to)
    if by_role is None:
        return _by_content(walk, tables)
    if by_role.refused:
        walk.found(Stage.POLICY, "port {} does not reach port {}", walk.port.name, to.name)
    return by_role


def rule_on_flood(walk: Walk, tables: Tables, others: list[int]) -> tuple[Ruling, list[int]]:
    """By which of the `others` may it leave? Why by none, where it is none."""
    reached, ruling = [], Ruling(DropReason.PORT_ISOLATED)
    content: Ruling | None = None
    for number in others:
        allowed = _by_role(walk, walk.network.ports[number])
        if allowed is None:
            allowed = content = content or _by_content(walk, tables)
        if allowed.refused is None:
            reached.append(number)
        elif content is not None:
            ruling = content
    return ruling, reached


def refuse_flow(tables: Tables, flow: FlowTuple) -> DropReason | None:
    """Why a flow that has passed may not any more, None where it may. Nothing is counted."""
    network = tables.networks.get(flow.network)
    if network is None:
        return DropReason.ENDPOINTS_ISOLATED
    said = NOTHING_SAID
    if tables.filters.is_asked_within(network.name):
        said = tables.filters.judge_within(Flow.of(flow, flow.turned, network, network))
    refused = policy.REFUSALS.get(said.action)
    if refused or network.policy.icc or said.action is Action.ACCEPT or _link(network, flow):
        return refused
    return DropReason.ENDPOINTS_ISOLATED


def _by_role(walk: Walk, to: Port) -> Ruling | None:
    """What the roles of two ports say, None where they leave it open."""
    roles = walk.port.policy.role, to.policy.role
    if PortRole.PROMISCUOUS in roles:
        return _PASSES if _is_guarded(walk) else _SETTLED
    if PortRole.ISOLATED in roles or walk.network.policy.isolated_ports:
        return Ruling(DropReason.PORT_ISOLATED)
    return None


def _by_content(walk: Walk, tables: Tables) -> Ruling:
    asks, icc = tables.filters.is_asked_within(walk.network.name), walk.network.policy.icc
    if not asks and icc:
        return _PASSES if _is_guarded(walk) else _SETTLED
    ethertype = walk.ethernet.ethertype
    if ethertype in TAGS:
        return Ruling(DropReason.TAG_IN_TAG)
    if ethertype == EtherType.ARP:
        return _PASSES if icc or _may_meet(walk, tables) else _isolated(walk)
    if ethertype != EtherType.IPV4:
        return _judge(walk, tables, None)
    packet = Ipv4.parse(walk.frame, walk.ethernet.payload)
    if isinstance(packet, Malformed):
        return Ruling(packet)
    if packet.fragment_offset:
        return _later_fragment(walk, tables, packet)
    read = _read(walk, packet)
    if isinstance(read, Icmp):
        if _is_about_known(walk, tables, packet, read):
            return _PASSES
        read = _without_ports(walk, packet, is_rememberable=False)
    if not isinstance(read, _Packet):
        return Ruling(read)
    if read.is_rememberable and not _begins(walk, read.packet):
        refuse = partial(refuse_flow, tables)
        known = tables.bridged.find(read.tuple, walk.now, refuse, commit=walk.commit)
        if known is not None:
            walk.found(Stage.POLICY, "part of a flow that has passed")
            return Ruling(known.refused)
    ruling = _judge(walk, tables, read)
    if ruling.refused is None and read.is_rememberable and walk.commit:
        tables.bridged.let(read.tuple, walk.now)
    return ruling


def _judge(walk: Walk, tables: Tables, read: _Packet | None) -> Ruling:
    """What filters and `icc` say about a flow that is not known; None for what is not IPv4."""
    network = walk.network
    said = NOTHING_SAID
    if tables.filters.is_asked_within(network.name):
        flow = Flow(network, network, None)
        if read is not None:
            flow = Flow.of(read.tuple, read.tuple.turned, network, network)
        said = tables.filters.judge_within(flow)
        policy.tell(walk, said)
        if walk.commit:
            tables.filters.note(said, flow, walk.now)
    refused = policy.REFUSALS.get(said.action)
    if refused is DropReason.FILTER_REJECTED and read is not None and not walk.ethernet.tagged:
        told = refusal.reject(walk, tables, read.packet, read.header, refused)
        return Ruling(refused, answer=told)
    if refused is not None:
        return Ruling(refused)
    if network.policy.icc or said.action is Action.ACCEPT:
        return _PASSES
    link = _link_of(walk, read) if read and not walk.ethernet.tagged else None
    if link is None:
        return _isolated(walk)
    walk.found(Stage.POLICY, "link {} opens this", link)
    return _PASSES


def _isolated(walk: Walk) -> Ruling:
    walk.found(Stage.POLICY, "icc is off on {}, and no link opens this", walk.network.name)
    return Ruling(DropReason.ENDPOINTS_ISOLATED)


def _is_guarded(walk: Walk) -> bool:
    """Whether each frame of the sender is to be looked at, so that no program may spare it that."""
    return walk.port.policy.addresses is not None


# Links


def _link_of(walk: Walk, read: _Packet) -> Link | None:
    """The link that opens a flow from the parent to the child, or lets the child's answers back
    to whom the switch has forgotten."""
    link = _link(walk.network, read.tuple)
    if link is None and not _begins(walk, read.packet):
        link = _link(walk.network, read.tuple.turned)
    return link


def _link(network: Network, flow: FlowTuple) -> Link | None:
    for link in network.links.get((flow.source, flow.destination), ()):
        if link.protocol == flow.protocol and flow.destination_port in link.ports:
            return link
    return None


def _begins(walk: Walk, packet: Ipv4) -> bool:
    if packet.protocol != Protocol.TCP:
        return False
    return walk.frame[packet.payload + tcp.FLAGS] & (tcp.SYN | tcp.ACK) == tcp.SYN


def _may_meet(walk: Walk, tables: Tables) -> bool:
    """Whether an ARP message is between two that may say something to each other."""
    message = Arp.parse(walk.frame, walk.ethernet.payload)
    if isinstance(message, Malformed):
        return False
    return _may_speak(walk, tables, message.sender_ip, message.target_ip)


def _may_speak(walk: Walk, tables: Tables, one: IpAddress, other: IpAddress) -> bool:
    """Whether a link or a filter opens anything between two addresses."""
    links = walk.network.links
    if (one, other) in links or (other, one) in links:
        return True
    return tables.filters.accepts_between(walk.network.name, one, other)


# What a packet is part of


def _read(walk: Walk, packet: Ipv4) -> _Packet | Icmp | Reason:
    if packet.is_fragment:
        return _first_fragment(walk, packet)
    message = transport.read(walk.network.number, packet)
    if isinstance(message, Transport):
        return _Packet(packet, message.tuple, message.header, is_rememberable=True)
    if message is DropReason.PROTOCOL_NOT_TRANSLATED:
        return _without_ports(walk, packet, is_rememberable=True)
    if message is DropReason.ICMP_NOT_TRANSLATED:
        return _without_ports(walk, packet, is_rememberable=False)
    return message


def _without_ports(walk: Walk, packet: Ipv4, *, is_rememberable: bool) -> _Packet:
    ends = packet.source, 0, packet.destination, 0
    flow = FlowTuple(walk.network.number, packet.protocol, *ends)
    return _Packet(packet, flow, None, is_rememberable)


def _first_fragment(walk: Walk, packet: Ipv4) -> _Packet | Reason:
    if packet.protocol not in (Protocol.TCP, Protocol.UDP):
        return _without_ports(walk, packet, is_rememberable=packet.protocol != Protocol.ICMP)
    needed = _FLAGS_END if packet.protocol == Protocol.TCP else _PORTS.size
    if packet.end - packet.payload < needed:
        return Malformed.TRUNCATED_TRANSPORT
    source_port, destination_port = _PORTS.unpack_from(packet.frame, packet.payload)
    ends = packet.source, source_port, packet.destination, destination_port
    flow = FlowTuple(walk.network.number, packet.protocol, *ends)
    return _Packet(packet, flow, None, is_rememberable=True)


def _later_fragment(walk: Walk, tables: Tables, packet: Ipv4) -> Ruling:
    if packet.fragment_offset < _SAFE_OFFSET:
        return Ruling(DropReason.FRAGMENT_OVERLAP)
    ends = packet.source, packet.destination
    if walk.network.policy.icc or _may_speak(walk, tables, *ends):
        return _PASSES
    return _isolated(walk)


def _is_about_known(walk: Walk, tables: Tables, packet: Ipv4, message: Icmp) -> bool:
    """Whether an ICMP error is about a flow that may pass, and to who sent what it quotes."""
    quote = Ipv4.parse_quoted(walk.frame, message.payload, message.end)
    if isinstance(quote, Malformed) or packet.destination != quote.source:
        return False
    quoted = icmp_errors.quoted_tuple(walk.network.number, quote)
    if quoted is None:
        return False
    known = tables.bridged.find(quoted, walk.now, partial(refuse_flow, tables), commit=False)
    return known is not None and known.refused is None
