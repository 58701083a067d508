"""Frames as people read them: one line per layer, or one line for all.

Theory of operation. Printing goes from the outside in for as long as the bytes make sense, and says
in words why it stopped. A frame that was cut off, by a capture's snapshot length or because an ICMP
error quotes only its beginning, is not refused for that: what is there is printed, and marked as
truncated. So nothing here raises on any bytes.

`describe` shows every layer; `summary` shows what tells one frame from the next. Both take the
transport layer from the same place, so they never contradict each other. Nothing is verified but
what is cheap and local: the header checksum of IPv4 and the checksum of ICMP.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from vswitch.wire import icmp, icmpv6, tcp, udp
from vswitch.wire.arp import Arp, Operation
from vswitch.wire.buffer import Buffer
from vswitch.wire.ethernet import Ethernet
from vswitch.wire.icmp import Icmp
from vswitch.wire.icmpv6 import Icmpv6
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.ipv6 import Ipv6
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import (
    GSO_ECN,
    GSO_NONE,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP,
    GSO_UDP_L4,
    HEADER_LENGTH,
    NEEDS_CSUM,
    OffloadHeader,
)
from vswitch.wire.tcp import Tcp
from vswitch.wire.udp import Udp
from vswitch.wire.values import BROADCAST, EtherType, IpAddress, Protocol

SMALLEST_ETHERTYPE = 0x0600
"""Below it the field is a length, and 802.2 follows (802.3-2018, 3.2.6)."""

_PORTS = struct.Struct(">HH")
_LONG = struct.Struct(">I")
_ETHERTYPES = {
    EtherType.IPV4: "IPv4",
    EtherType.ARP: "ARP",
    EtherType.VLAN: "802.1Q",
    EtherType.IPV6: "IPv6",
    EtherType.SERVICE_VLAN: "802.1ad",
    EtherType.LLDP: "LLDP",
}
_GSO_TYPES = {GSO_TCPV4: "tcp4", GSO_TCPV6: "tcp6", GSO_UDP: "ufo", GSO_UDP_L4: "udp"}


@dataclass(frozen=True, slots=True)
class _Transport:
    """What is to be said about what an IP packet carries."""

    name: str
    words: list[str]
    ports: tuple[int, int] | None = None
    data_length: int | None = None
    """Bytes that segmentation would cut."""
    quote: int | None = None
    """Where the packet begins that an ICMP error is about."""


@dataclass(frozen=True, slots=True)
class _Packet:
    """What is to be said about an IP packet and what it carries."""

    name: str
    source: IpAddress
    destination: IpAddress
    words: list[str]
    transport: _Transport
    end: int


def describe(frame: Buffer) -> list[str]:
    """One line per layer, from the offload header (where it says anything) inwards."""
    link = Ethernet.parse(frame)
    if isinstance(link, Malformed):
        return [*_line_of(_offload_words(frame, None)), _cut_off_words(frame, link)]
    lines = [_link_line(link)]
    data_length = None
    if link.ethertype == EtherType.ARP:
        lines.append(_arp_line(frame, link.payload))
    elif link.ethertype in (EtherType.IPV4, EtherType.IPV6):
        packet = _read_packet(frame, link.ethertype, link.payload, len(frame))
        lines += _packet_lines(frame, link.ethertype, packet)
        if isinstance(packet, _Packet):
            data_length = packet.transport.data_length
    else:
        lines.append(f"{_ethertype_name(link.ethertype)} {len(frame) - link.payload} bytes")
    return [*_line_of(_offload_words(frame, data_length)), *lines]


def summary(frame: Buffer) -> str:
    """One line, such as `IPv4 10.0.0.2:5000 > 198.51.100.1:80 TCP SYN seq 1 win 64240`."""
    link = Ethernet.parse(frame)
    if isinstance(link, Malformed):
        return _cut_off_words(frame, link)
    data_length = None
    if link.ethertype == EtherType.ARP:
        line = _arp_line(frame, link.payload)
    elif link.ethertype in (EtherType.IPV4, EtherType.IPV6):
        packet = _read_packet(frame, link.ethertype, link.payload, len(frame))
        line = _packet_summary(link.ethertype, packet)
        if isinstance(packet, _Packet):
            data_length = packet.transport.data_length
    else:
        line = (
            f"{link.source} > {_station_name(link)} {_ethertype_name(link.ethertype)} "
            f"{len(frame) - link.payload} bytes"
        )
    tag = f"vlan {link.vlan} " if link.tagged else ""
    offload = _offload_words(frame, data_length)
    return f"{tag}{line}" + (f" ({', '.join(offload)})" if offload else "")


def _line_of(offload_words: list[str]) -> list[str]:
    return [f"offload {', '.join(offload_words)}"] if offload_words else []


def _offload_words(frame: Buffer, data_length: int | None) -> list[str]:
    """What is unfinished about the frame; nothing where it is finished or has no whole header."""
    if len(frame) < HEADER_LENGTH:
        return []
    header = OffloadHeader.parse(frame)
    words = []
    gso_type = header.gso_type & ~GSO_ECN
    if gso_type != GSO_NONE:
        gso = f"GSO {_GSO_TYPES.get(gso_type, f'type {gso_type}')} {header.gso_size}"
        if data_length is not None and header.gso_size:
            gso += f" x {max(1, -(-data_length // header.gso_size))}"
        words.append(gso)
    if header.gso_type & GSO_ECN:
        words.append("ECN")
    if header.flags & NEEDS_CSUM:
        words.append("checksum unfinished")
    return words


def _cut_off_words(frame: Buffer, malformed: Malformed) -> str:
    return f"truncated: {malformed.value} ({max(0, len(frame) - HEADER_LENGTH)} bytes)"


def _link_line(link: Ethernet) -> str:
    tag = f"vlan {link.vlan} " if link.tagged else ""
    name = _ethertype_name(link.ethertype)
    return f"Ethernet {link.source} > {_station_name(link)} {tag}{name}"


def _station_name(link: Ethernet) -> str:
    return "broadcast" if link.destination == BROADCAST else str(link.destination)


def _ethertype_name(ethertype: int) -> str:
    if ethertype < SMALLEST_ETHERTYPE:
        return "802.2"
    return next(
        (name for known, name in _ETHERTYPES.items() if known == ethertype),
        f"type 0x{ethertype:04x}",
    )


def _arp_line(frame: Buffer, offset: int) -> str:
    message = Arp.parse(frame, offset)
    if isinstance(message, Malformed):
        return f"ARP {_marked(message)}"
    if message.operation == Operation.REPLY:
        return f"ARP {message.sender_ip} is-at {message.sender_mac}"
    if message.operation != Operation.REQUEST:
        return f"ARP operation {message.operation} from {message.sender_ip}"
    if message.is_gratuitous:
        return f"ARP {message.sender_ip} announced by {message.sender_mac}"
    if message.is_probe:
        return f"ARP probe for {message.target_ip} by {message.sender_mac}"
    return f"ARP who-has {message.target_ip} tell {message.sender_ip}"


def _packet_lines(frame: Buffer, ethertype: int, packet: _Packet | Malformed) -> list[str]:
    if isinstance(packet, Malformed):
        return [f"{_ethertype_name(ethertype)} {_marked(packet)}"]
    transport = packet.transport
    ports = f"{transport.ports[0]} > {transport.ports[1]} " if transport.ports else ""
    lines = [
        f"{packet.name} {packet.source} > {packet.destination} {' '.join(packet.words)}",
        f"{transport.name} {ports}{' '.join(transport.words)}".rstrip(),
    ]
    if transport.quote is not None:
        quoted = _read_packet(frame, ethertype, transport.quote, packet.end)
        lines.append(f"quoted {_packet_summary(ethertype, quoted)}")
    return lines


def _packet_summary(ethertype: int, packet: _Packet | Malformed) -> str:
    if isinstance(packet, Malformed):
        return f"{_ethertype_name(ethertype)} {_marked(packet)}"
    transport = packet.transport
    source, destination = str(packet.source), str(packet.destination)
    if transport.ports:
        source = _with_port(packet.source, transport.ports[0])
        destination = _with_port(packet.destination, transport.ports[1])
    words = f"{transport.name} {' '.join(transport.words)}".rstrip()
    return f"{packet.name} {source} > {destination} {words}"


def _with_port(address: IpAddress, port: int) -> str:
    return f"{address}:{port}" if address.version == 4 else f"[{address}]:{port}"


def _read_packet(frame: Buffer, ethertype: int, offset: int, end: int) -> _Packet | Malformed:
    """Read an IP packet of which everything from `end` on is missing."""
    if ethertype == EtherType.IPV4:
        return _read_ipv4(frame, offset, end)
    return _read_ipv6(frame, offset, end)


def _read_ipv4(frame: Buffer, offset: int, end: int) -> _Packet | Malformed:
    packet = Ipv4.parse_quoted(frame, offset, end)
    if isinstance(packet, Malformed):
        return packet
    words = [
        f"ttl {packet.ttl}",
        f"id {packet.identification}",
        f"length {packet.total_length}",
    ]
    if packet.options:
        words.append(f"options {len(packet.options)} bytes")
    if packet.dont_fragment:
        words.append("DF")
    if packet.is_fragment:
        words.append(f"fragment at {packet.fragment_offset}")
    if packet.more_fragments:
        words.append("MF")
    if not packet.has_valid_checksum():
        words.append(f"({Malformed.IPV4_BAD_CHECKSUM.value})")
    is_cut = packet.total_length > end - offset
    if is_cut:
        words.append(f"truncated to {end - offset} bytes")
    elif packet.total_length < packet.header_length:
        words.append(f"({Malformed.IPV4_BAD_TOTAL_LENGTH.value})")
    if packet.fragment_offset:
        carried = [f"fragment at {packet.fragment_offset},", f"{packet.end - packet.payload} bytes"]
        transport = _Transport(_protocol_name(packet.protocol), carried)
    else:
        lacks = "truncated" if is_cut else "first fragment" if packet.more_fragments else ""
        transport = _read_transport(frame, packet.protocol, packet.payload, packet.end, lacks)
    return _Packet("IPv4", packet.source, packet.destination, words, transport, packet.end)


def _read_ipv6(frame: Buffer, offset: int, end: int) -> _Packet | Malformed:
    packet = Ipv6.parse_quoted(frame, offset, end)
    if isinstance(packet, Malformed):
        return packet
    words = [f"hop limit {packet.hop_limit}", f"payload {packet.payload_length}"]
    if packet.flow_label:
        words.append(f"flow 0x{packet.flow_label:05x}")
    lacks = "truncated" if packet.payload_length > end - packet.payload else ""
    if lacks:
        words.append(f"truncated to {end - offset} bytes")
    transport = _read_transport(frame, packet.next_header, packet.payload, packet.end, lacks)
    return _Packet("IPv6", packet.source, packet.destination, words, transport, packet.end)


def _read_transport(frame: Buffer, protocol: int, offset: int, end: int, lacks: str) -> _Transport:
    """Read what follows an IP header; `lacks` says in a word why it is not all there, if so."""
    match protocol:
        case Protocol.TCP:
            return _read_tcp(frame, offset, end, lacks)
        case Protocol.UDP:
            return _read_udp(frame, offset, end, lacks)
        case Protocol.ICMP:
            return _read_icmp(frame, offset, end, lacks)
        case Protocol.ICMPV6:
            return _read_icmpv6(frame, offset, end)
    return _Transport(_protocol_name(protocol), [f"{end - offset} bytes"])


def _read_tcp(frame: Buffer, offset: int, end: int, lacks: str) -> _Transport:
    segment = Tcp.parse(frame, offset, end)
    if lacks and segment is Malformed.TCP_BAD_DATA_OFFSET:
        only_cut_off = frame[offset + tcp.DATA_OFFSET] >> 4 << 2 > end - offset
        segment = Tcp(frame, offset, end - offset, end) if only_cut_off else segment
    if isinstance(segment, Malformed):
        words = [_marked(segment)]
        if end - offset >= tcp.SEQUENCE + _LONG.size:
            words.insert(0, f"seq {_LONG.unpack_from(frame, offset + tcp.SEQUENCE)[0]}")
        return _Transport("TCP", words, _ports(frame, offset, end))
    flags = segment.flags
    words = [",".join(flag.name or "" for flag in tcp.Flags if flags & flag) or "no flags"]
    words.append(f"seq {segment.sequence}")
    if flags & tcp.ACK:
        words.append(f"ack {segment.acknowledgment}")
    words.append(f"win {segment.window}")
    data_length = end - segment.payload
    if data_length:
        words.append(f"data {data_length} bytes")
    if lacks:
        words.append(lacks)
    ports = (segment.source_port, segment.destination_port)
    return _Transport("TCP", words, ports, data_length)


def _read_udp(frame: Buffer, offset: int, end: int, lacks: str) -> _Transport:
    datagram = Udp.parse(frame, offset, end)
    if lacks and datagram is Malformed.UDP_BAD_LENGTH:
        only_cut_off = Udp(frame, offset).end > end
        datagram = Udp(frame, offset) if only_cut_off else datagram
    if isinstance(datagram, Malformed):
        return _Transport("UDP", [_marked(datagram)], _ports(frame, offset, end))
    data_length = datagram.length - udp.HEADER_LENGTH
    words = [f"data {data_length} bytes"]
    if lacks:
        words.append(lacks)
    ports = (datagram.source_port, datagram.destination_port)
    return _Transport("UDP", words, ports, data_length)


def _read_icmp(frame: Buffer, offset: int, end: int, lacks: str) -> _Transport:
    message = Icmp.parse(frame, offset, end)
    if isinstance(message, Malformed):
        return _Transport("ICMP", [_marked(message)])
    words = [_name_of(icmp.Type, message.type)]
    if message.type == icmp.Type.DESTINATION_UNREACHABLE:
        words.append(f"({_name_of(icmp.Unreachable, message.code)})")
        if message.code == icmp.Unreachable.FRAGMENTATION_NEEDED:
            words.append(f"mtu {message.sequence}")
    elif message.code:
        words.append(f"code {message.code}")
    if message.is_query:
        words += [f"id {message.identifier}", f"seq {message.sequence}"]
    if lacks:
        words.append(lacks)
    elif not message.has_valid_checksum():
        words.append(f"({Malformed.ICMP_BAD_CHECKSUM.value})")
    return _Transport("ICMP", words, quote=message.payload if message.is_error else None)


def _read_icmpv6(frame: Buffer, offset: int, end: int) -> _Transport:
    message = Icmpv6.parse(frame, offset, end)
    if isinstance(message, Malformed):
        return _Transport("ICMPv6", [_marked(message)])
    words = [_name_of(icmpv6.Type, message.type)]
    if message.code:
        words.append(f"code {message.code}")
    target = message.target
    if target is not None:
        words.append(f"target {target}")
    return _Transport("ICMPv6", words, quote=message.payload if message.is_error else None)


def _ports(frame: Buffer, offset: int, end: int) -> tuple[int, int] | None:
    """The first two words of TCP and UDP, or None where not both are there."""
    if end - offset < _PORTS.size:
        return None
    source, destination = _PORTS.unpack_from(frame, offset)
    return source, destination


def _protocol_name(protocol: int) -> str:
    known = Protocol.__members__.values()
    name = next((member.name for member in known if member == protocol), None)
    return name.replace("_", "-") if name else f"protocol {protocol}"


def _name_of(names: type[IntEnum], number: int) -> str:
    for member in names:
        if member == number:
            return member.name.lower().replace("_", " ")
    return f"{'code' if names is icmp.Unreachable else 'type'} {number}"


def _marked(malformed: Malformed) -> str:
    """The words for it, after "truncated" where the bytes end too soon."""
    if malformed.name.startswith("TRUNCATED"):
        return f"truncated: {malformed.value}"
    return f"malformed: {malformed.value}"
