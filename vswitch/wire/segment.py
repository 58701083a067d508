"""Software segmentation: one super-frame in, the frames that it stands for out.

Theory of operation. A super-frame is one IP packet whose transport payload is to be cut into pieces
of `gso_size` bytes. Every piece gets a copy of all headers, the 802.1Q tag and IPv6 extension
headers included, with lengths, IPv4 identification, TCP sequence number and flags corrected, and
with finished checksums: what a sender without offloads would have sent. The frames that come out
have zero offload headers.

The transport header is where the checksum starts (NEEDS_CSUM), which is the only thing that tells
where it is behind IPv6 extension headers; where a receiving card has put segments together and
verified them (DATA_VALID), it is directly behind the IP header. What the offload header says is
held against the packet, and a contradiction is answered with BAD_OFFLOAD_HEADER.

Read first: virtio 1.2, 5.1.6.2; RFC 9293 and RFC 3168 for the flags of a cut segment; Linux
`Documentation/networking/segmentation-offloads.rst`.
"""

from __future__ import annotations

import struct

from vswitch.wire import ipv4, ipv6, tcp, udp
from vswitch.wire.buffer import Buffer
from vswitch.wire.checksum import checksum, pseudo_header_sum, update_partial
from vswitch.wire.ethernet import Ethernet
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.ipv6 import Ipv6
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import (
    FINISHED,
    GSO_ECN,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP_L4,
    HEADER_LENGTH,
    NEEDS_CSUM,
    OffloadHeader,
)
from vswitch.wire.tcp import Tcp
from vswitch.wire.values import EtherType, Protocol

SMALLEST_TCP_SEGMENT = 8
"""Payload bytes: Linux's TCP_MIN_GSO_SIZE. Less would turn one frame into tens of thousands."""

MOST_DATAGRAMS = 128
"""Datagrams in one super-frame: Linux's UDP_MAX_SEGMENTS, for the same reason."""

_EXTENSIONS = frozenset(
    {int(Protocol.HOP_BY_HOP), int(Protocol.ROUTING), int(Protocol.DESTINATION_OPTIONS)}
)
"""IPv6 headers that a super-frame may have before its transport header, repeated in each piece."""

_WORD = struct.Struct(">H")
_LONG = struct.Struct(">I")
_ONLY_ON_FIRST = tcp.CWR
_ONLY_ON_LAST = tcp.FIN | tcp.PSH


def segment(frame: Buffer) -> list[bytearray] | Malformed:
    """Cut a super-frame of a TCP type or UDP_L4; `frame` is not changed.

    A payload that fits in one segment gives one frame. A frame without a GSO type, or with one
    that nobody here takes, answers BAD_OFFLOAD_HEADER like every other lie.
    """
    header = OffloadHeader.parse(frame)
    packet = _packet_of(frame)
    if isinstance(packet, Malformed):
        return packet
    gso_type = header.gso_type & ~GSO_ECN
    if gso_type == (GSO_TCPV4 if isinstance(packet, Ipv4) else GSO_TCPV6):
        return _segment_tcp(header, packet)
    if gso_type == GSO_UDP_L4:
        return _segment_udp(header, packet)
    return Malformed.BAD_OFFLOAD_HEADER


def _packet_of(frame: Buffer) -> Ipv4 | Ipv6 | Malformed:
    link = Ethernet.parse(frame)
    if isinstance(link, Malformed):
        return link
    if link.ethertype == EtherType.IPV4:
        return Ipv4.parse(frame, link.payload)
    if link.ethertype == EtherType.IPV6:
        return Ipv6.parse(frame, link.payload)
    return Malformed.BAD_OFFLOAD_HEADER


def _segment_tcp(header: OffloadHeader, packet: Ipv4 | Ipv6) -> list[bytearray] | Malformed:
    transport = _transport_of(header, packet, Protocol.TCP, tcp.CHECKSUM)
    if isinstance(transport, Malformed):
        return transport
    whole = Tcp.parse(packet.frame, transport, packet.end)
    if isinstance(whole, Malformed):
        return whole
    if header.gso_size < SMALLEST_TCP_SEGMENT:
        return Malformed.BAD_OFFLOAD_HEADER
    addresses = pseudo_header_sum(packet.source, packet.destination, Protocol.TCP, 0)
    segments = _cut(packet, whole.payload, header.gso_size)
    flags, sequence = whole.flags, whole.sequence
    for index, piece in enumerate(segments):
        kept = flags
        if index > 0:
            kept &= ~_ONLY_ON_FIRST
        if index < len(segments) - 1:
            kept &= ~_ONLY_ON_LAST
        piece[transport + tcp.FLAGS] = kept
        _LONG.pack_into(piece, transport + tcp.SEQUENCE, sequence)
        sequence = (sequence + header.gso_size) & 0xFFFFFFFF
        _finish(piece, transport, tcp.CHECKSUM, addresses)
    return segments


def _segment_udp(header: OffloadHeader, packet: Ipv4 | Ipv6) -> list[bytearray] | Malformed:
    transport = _transport_of(header, packet, Protocol.UDP, udp.CHECKSUM)
    if isinstance(transport, Malformed):
        return transport
    payload = transport + udp.HEADER_LENGTH
    if payload > packet.end:
        return Malformed.TRUNCATED_UDP
    if packet.end - payload > header.gso_size * MOST_DATAGRAMS or not header.gso_size:
        return Malformed.BAD_OFFLOAD_HEADER
    addresses = pseudo_header_sum(packet.source, packet.destination, Protocol.UDP, 0)
    datagrams = _cut(packet, payload, header.gso_size)
    for piece in datagrams:
        _WORD.pack_into(piece, transport + udp.LENGTH, len(piece) - transport)
        _finish(piece, transport, udp.CHECKSUM, addresses)
    return datagrams


def _transport_of(
    header: OffloadHeader, packet: Ipv4 | Ipv6, protocol: Protocol, checksum_offset: int
) -> int | Malformed:
    """Where the transport header begins, if offload header and packet agree about it."""
    transport = packet.payload
    if header.flags & NEEDS_CSUM:
        transport = HEADER_LENGTH + header.checksum_start
        if header.checksum_offset != checksum_offset:
            return Malformed.BAD_OFFLOAD_HEADER
    if isinstance(packet, Ipv4):
        carried, is_fragment = packet.protocol, packet.is_fragment
    else:
        carried, is_fragment = packet.next_header, False
        if carried in _EXTENSIONS and packet.payload < transport <= packet.end:
            return transport
    if transport != packet.payload or carried != protocol or is_fragment:
        return Malformed.BAD_OFFLOAD_HEADER
    return transport


def _cut(packet: Ipv4 | Ipv6, payload: int, size: int) -> list[bytearray]:
    """Copies of everything before `payload`, with `size` bytes each of what follows."""
    headers = FINISHED + packet.frame[HEADER_LENGTH:payload]
    pieces = []
    for index, start in enumerate(range(payload, packet.end, size) or (payload,)):
        piece = bytearray(headers)
        piece += packet.frame[start : min(start + size, packet.end)]
        _correct_packet(piece, packet, index)
        pieces.append(piece)
    return pieces


def _correct_packet(piece: bytearray, packet: Ipv4 | Ipv6, index: int) -> None:
    """Give the IP header of a piece its own length, identification and checksum."""
    offset = packet.offset
    length = len(piece) - offset
    if isinstance(packet, Ipv6):
        _WORD.pack_into(piece, offset + ipv6.PAYLOAD_LENGTH, length - ipv6.HEADER_LENGTH)
        return
    _WORD.pack_into(piece, offset + ipv4.TOTAL_LENGTH, length)
    identification = (packet.identification + index) & 0xFFFF
    _WORD.pack_into(piece, offset + ipv4.IDENTIFICATION, identification)
    _WORD.pack_into(piece, offset + ipv4.CHECKSUM, 0)
    _WORD.pack_into(piece, offset + ipv4.CHECKSUM, checksum(piece[offset : packet.payload]))


def _finish(piece: bytearray, transport: int, field: int, addresses: int) -> None:
    """Give the transport header of a piece its checksum.

    `field` is where the checksum is in it; `addresses` is the sum of the pseudo header for
    length 0, which all pieces have in common.
    """
    partial = update_partial(addresses, len(piece) - transport)
    _WORD.pack_into(piece, transport + field, partial)
    value = checksum(memoryview(piece)[transport:])
    if value == 0 and field == udp.CHECKSUM:
        value = udp.COMPUTED_ZERO
    _WORD.pack_into(piece, transport + field, value)
