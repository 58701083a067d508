"""The flow that an IPv4 packet belongs to: its transport header, checked and read as a tuple.

What can not be translated is refused here under its reason: protocols that are neither known by
their ports nor carried whole, and ICMP that is neither a query nor an error. So is an unfinished
checksum that is said to stand where the transport has none: whoever finishes it would write over
what the switch rewrites. TCP flags that no TCP sends are refused too: they exist to tell stacks
apart or to slip past filters.

GRE and ESP have no ports: one endpoint at a time has such a flow with a peer. AH covers the
addresses and can not be translated at all (RFC 3715, 2.1).
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import NamedTuple

from vswitch.dataplane.drops import DropReason, Reason
from vswitch.dataplane.flow import ANSWERS, QUESTIONS, FlowTuple
from vswitch.wire import ethernet, offload, tcp, udp
from vswitch.wire.icmp import Icmp
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.malformed import Malformed
from vswitch.wire.tcp import Tcp
from vswitch.wire.udp import Udp
from vswitch.wire.values import Protocol

_CHECKSUM_AT: dict[int, int] = {Protocol.TCP: tcp.CHECKSUM, Protocol.UDP: udp.CHECKSUM}

_SHORTEST_HEADER: dict[int, int] = {
    Protocol.UDP_LITE: 8,
    Protocol.DCCP: 12,
    Protocol.SCTP: 12,
}
"""Bytes of the header of protocols that begin with two ports, as TCP and UDP do (RFC 3828, RFC
4340, RFC 9260), and that a router needs to know no more about."""

PORTLESS = frozenset({int(Protocol.GRE), int(Protocol.ESP)})
"""Protocols of which each peer has one flow."""

_PORTS = Struct(">HH")


class Transport(NamedTuple):
    """A packet as part of a flow. `header` is None for protocols that have no view."""

    tuple: FlowTuple
    header: Tcp | Udp | Icmp | None

    @property
    def tcp_flags(self) -> int | None:
        """The flags of a TCP segment, None for everything else."""
        return self.header.flags if isinstance(self.header, Tcp) else None

    @property
    def may_begin(self) -> bool:
        """Whether a connection can begin with it: with a SYN alone, with a query."""
        if isinstance(self.header, Tcp):
            return self.header.flags & (tcp.SYN | tcp.ACK) == tcp.SYN
        return not isinstance(self.header, Icmp) or self.header.type in ANSWERS


def read(network: int, packet: Ipv4) -> Transport | Icmp | Reason:
    """The transport header of a whole packet that arrived on `network`; an ICMP error as it is."""
    if packet.frame[offload.FLAGS] & offload.NEEDS_CSUM and not _is_in_place(packet):
        return Malformed.BAD_OFFLOAD_HEADER
    return _READERS.get(packet.protocol, _other)(network, packet)


def _is_in_place(packet: Ipv4) -> bool:
    """Whether the unfinished checksum is the transport's."""
    header = offload.OffloadHeader.parse(packet.frame)
    return (
        header.checksum_start == packet.payload - ethernet.START
        and header.checksum_offset == _CHECKSUM_AT.get(packet.protocol)
    )


def _tcp(network: int, packet: Ipv4) -> Transport | Reason:
    segment = Tcp.parse(packet.frame, packet.payload, packet.end)
    if isinstance(segment, Malformed):
        return segment
    if tcp.is_contradictory(segment.flags):
        return DropReason.BAD_TCP_FLAGS
    if not segment.source_port or not segment.destination_port:
        return DropReason.PORT_ZERO
    ports = segment.source_port, segment.destination_port
    return Transport(_tuple(network, packet, *ports), segment)


def _udp(network: int, packet: Ipv4) -> Transport | Reason:
    datagram = Udp.parse(packet.frame, packet.payload, packet.end)
    if isinstance(datagram, Malformed):
        return datagram
    if not datagram.destination_port:
        return DropReason.PORT_ZERO
    ports = datagram.source_port, datagram.destination_port
    return Transport(_tuple(network, packet, *ports), datagram)


def _icmp(network: int, packet: Ipv4) -> Transport | Icmp | Reason:
    message = Icmp.parse(packet.frame, packet.payload, packet.end)
    if isinstance(message, Malformed):
        return message
    if not message.has_valid_checksum():
        return Malformed.ICMP_BAD_CHECKSUM
    if message.is_error:
        return message
    kind, identifier = message.type, message.identifier
    if message.code == 0 and kind in ANSWERS:
        ports = identifier, 0
    elif message.code == 0 and kind in QUESTIONS:
        ports = 0, identifier
    else:
        return DropReason.ICMP_NOT_TRANSLATED
    return Transport(_tuple(network, packet, *ports, kind), message)


def _other(network: int, packet: Ipv4) -> Transport | Reason:
    protocol = packet.protocol
    if protocol in PORTLESS:
        return Transport(_tuple(network, packet, 0, 0), None)
    if protocol not in _SHORTEST_HEADER:
        return DropReason.PROTOCOL_NOT_TRANSLATED
    if packet.end - packet.payload < _SHORTEST_HEADER[protocol]:
        return Malformed.TRUNCATED_TRANSPORT
    source_port, destination_port = _PORTS.unpack_from(packet.frame, packet.payload)
    if not source_port or not destination_port:
        return DropReason.PORT_ZERO
    return Transport(_tuple(network, packet, source_port, destination_port), None)


_READERS: dict[int, Callable[[int, Ipv4], Transport | Icmp | Reason]] = {
    Protocol.TCP: _tcp,
    Protocol.UDP: _udp,
    Protocol.ICMP: _icmp,
}


def _tuple(
    network: int, packet: Ipv4, source_port: int, destination_port: int, kind: int = 0
) -> FlowTuple:
    source, destination = packet.source, packet.destination
    return FlowTuple(
        network, packet.protocol, source, source_port, destination, destination_port, kind
    )
