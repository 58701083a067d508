"""The flow that an IPv4 packet belongs to: its transport header, checked and read as a tuple.

What has no ports to translate by is refused here under its reason: fragments, other protocols, and
ICMP that is neither an echo nor an error. So is an unfinished checksum that is said to stand where
the transport has none: whoever finishes it would write over what the switch rewrites. TCP flags
that no TCP sends are refused too: they exist to tell stacks apart or to slip past filters.
"""

from __future__ import annotations

from dataclasses import dataclass

from vswitch.dataplane.conntrack import FlowTuple
from vswitch.dataplane.drops import DropReason, Reason
from vswitch.wire import ethernet, offload, tcp, udp
from vswitch.wire.icmp import Icmp, Type
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.malformed import Malformed
from vswitch.wire.tcp import Tcp
from vswitch.wire.udp import Udp
from vswitch.wire.values import Protocol

_CHECKSUM_AT: dict[int, int] = {Protocol.TCP: tcp.CHECKSUM, Protocol.UDP: udp.CHECKSUM}


@dataclass(frozen=True, slots=True)
class Transport:
    """A TCP segment, UDP datagram or ICMP echo as part of a flow."""

    tuple: FlowTuple
    header: Tcp | Udp | Icmp

    @property
    def tcp_flags(self) -> int | None:
        """The flags of a TCP segment, None for everything else."""
        return self.header.flags if isinstance(self.header, Tcp) else None

    @property
    def may_begin(self) -> bool:
        """Whether a connection can begin with it: with a SYN alone, with an echo request."""
        if isinstance(self.header, Tcp):
            return self.header.flags & (tcp.SYN | tcp.ACK) == tcp.SYN
        return not isinstance(self.header, Icmp) or self.header.type == Type.ECHO_REQUEST


def read(network: int, packet: Ipv4) -> Transport | Icmp | Reason:
    """The transport header of a packet that arrived on `network`; an ICMP error as it is."""
    if packet.is_fragment:
        return DropReason.FRAGMENT
    if packet.frame[offload.FLAGS] & offload.NEEDS_CSUM and not _is_in_place(packet):
        return Malformed.BAD_OFFLOAD_HEADER
    match packet.protocol:
        case Protocol.TCP:
            return _tcp(network, packet)
        case Protocol.UDP:
            return _udp(network, packet)
        case Protocol.ICMP:
            return _icmp(network, packet)
    return DropReason.PROTOCOL_NOT_TRANSLATED


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
    if segment.flags & tcp.SYN and segment.flags & (tcp.FIN | tcp.RST):
        return DropReason.BAD_TCP_FLAGS
    if not segment.flags & (tcp.SYN | tcp.ACK | tcp.FIN | tcp.RST):
        return DropReason.BAD_TCP_FLAGS
    if not segment.source_port or not segment.destination_port:
        return DropReason.PORT_ZERO
    return Transport(
        _tuple(network, packet, segment.source_port, segment.destination_port), segment
    )


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
    if message.is_error:
        return message
    if message.code == 0 and message.type == Type.ECHO_REQUEST:
        return Transport(_tuple(network, packet, message.identifier, 0), message)
    if message.code == 0 and message.type == Type.ECHO_REPLY:
        return Transport(_tuple(network, packet, 0, message.identifier), message)
    return DropReason.ICMP_NOT_TRANSLATED


def _tuple(network: int, packet: Ipv4, source_port: int, destination_port: int) -> FlowTuple:
    return FlowTuple(
        network,
        packet.protocol,
        packet.source,
        source_port,
        packet.destination,
        destination_port,
    )
