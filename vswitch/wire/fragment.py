"""IPv4 fragmentation: one packet in, fragments that a smaller link carries out.

Theory of operation. Every fragment gets the link header, the 802.1Q tag included, and the IPv4
header of the packet, with total length, offset, "more fragments" and header checksum corrected. The
payload is cut at multiples of 8 bytes and is not looked into: a transport checksum has to be
finished before, as it covers a whole that no fragment holds. What is itself a fragment is cut like
any packet: its pieces lie where it lay, and the last of them says about more what it said.

Of the options, all are in the first fragment and only those with the copy bit in the later ones
(RFC 791, 3.1), whose headers are shorter then. Where the lengths of options lie, nothing behind the
lie is copied.

What it never decides: whether a packet may be cut (DF is kept as it is), and which identification
the fragments have. A packet that nobody was to cut may have any; `identify` gives it one that is
its own before it is cut.

Read first: RFC 791, sections 2.3 and 3.2; RFC 6864 for the identification.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from vswitch.wire import ipv4
from vswitch.wire.buffer import Buffer, MutableBuffer
from vswitch.wire.checksum import checksum, difference, update_at
from vswitch.wire.ethernet import Ethernet
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import FINISHED, HEADER_LENGTH
from vswitch.wire.values import EtherType

UNIT = 8
"""Bytes that an offset counts: each fragment but the last has a multiple of it."""

SMALLEST_LIMIT = 68
"""Bytes that every link carries in one piece (RFC 791, 3.2): the longest header and one unit."""

_END_OF_OPTIONS = 0
_NO_OPERATION = 1
_COPIED = 0x80
"""The bit of an option's type that asks for it to be in every fragment."""

_LONGEST_OFFSET = ipv4.FRAGMENT_OFFSET_MASK * UNIT
_WORD = struct.Struct(">H")


def cut(frame: Buffer, limit: int) -> list[bytearray] | Malformed:
    """Fragments of an IPv4 frame, in the order of their offsets; `frame` is not changed.

    `limit` is the longest IPv4 packet that may come out, in bytes, header included. It has to have
    room for the packet's header and one unit, which `SMALLEST_LIMIT` always has; ValueError
    otherwise. A packet that fits gives one copy of the frame as it is, padding included;
    fragments are not padded.

    An offload header that is not all zero answers BAD_OFFLOAD_HEADER, a frame that is not IPv4
    IPV4_BAD_VERSION, and a fragment that reaches behind the last offset there is
    IPV4_BAD_TOTAL_LENGTH.
    """
    packet = _packet_of(frame)
    if isinstance(packet, Malformed):
        return packet
    if packet.end - packet.offset <= limit:
        return [bytearray(frame)]
    if limit < packet.header_length + UNIT:
        raise ValueError(f"no fragment with this packet's header fits in {limit} bytes")
    return _cut(packet, limit)


def identify(frame: MutableBuffer, packet: Ipv4, identification: int) -> None:
    """Give `packet`, a view of `frame`, another identification (0..0xffff), in place.

    The header checksum is updated by the difference: a wrong one stays wrong.
    """
    at = packet.offset + ipv4.IDENTIFICATION
    new = _WORD.pack(identification)
    update_at(frame, packet.offset + ipv4.CHECKSUM, difference(frame[at : at + 2], new))
    frame[at : at + 2] = new


def _packet_of(frame: Buffer) -> Ipv4 | Malformed:
    link = Ethernet.parse(frame)
    if isinstance(link, Malformed):
        return link
    if frame[:HEADER_LENGTH] != FINISHED:
        return Malformed.BAD_OFFLOAD_HEADER
    if link.ethertype != EtherType.IPV4:
        return Malformed.IPV4_BAD_VERSION
    return Ipv4.parse(frame, link.payload)


def _cut(packet: Ipv4, limit: int) -> list[bytearray] | Malformed:
    """The fragments of a packet that is longer than `limit`."""
    data = memoryview(packet.frame)[packet.payload : packet.end]
    first_headers = bytes(packet.frame[: packet.payload])
    later_headers = _later_headers(packet)
    fragments = []
    position, room = 0, _units(limit - packet.header_length)
    headers = first_headers
    while position < len(data):
        if packet.fragment_offset + position > _LONGEST_OFFSET:
            return Malformed.IPV4_BAD_TOTAL_LENGTH
        is_last = len(data) - position <= room
        fragment = bytearray(headers)
        fragment += data[position : position + room]
        _correct_header(fragment, packet, len(headers), position, is_last=is_last)
        fragments.append(fragment)
        position += room
        headers, room = later_headers, _units(limit - (len(later_headers) - packet.offset))
    return fragments


def _later_headers(packet: Ipv4) -> bytes:
    """All headers as they are in every fragment but the first."""
    options = b"".join(_copied(packet.options))
    options += bytes(-len(options) % 4)
    fixed = bytearray(packet.frame[: packet.offset + ipv4.OPTIONS])
    length = ipv4.HEADER_LENGTH + len(options)
    fixed[packet.offset] = 0x40 | length >> 2
    return bytes(fixed) + options


def _copied(options: bytes) -> Iterator[bytes]:
    """The options with the copy bit, up to the end of the list or the first lie."""
    at = 0
    while at < len(options) and options[at] != _END_OF_OPTIONS:
        if options[at] == _NO_OPERATION:
            at += 1
            continue
        length = options[at + 1] if at + 1 < len(options) else 0
        if length < 2 or at + length > len(options):
            return
        if options[at] & _COPIED:
            yield options[at : at + length]
        at += length


def _units(room: int) -> int:
    """As much of `room` as is whole units, in bytes."""
    return room - room % UNIT


def _correct_header(
    fragment: bytearray, packet: Ipv4, payload: int, position: int, *, is_last: bool
) -> None:
    """Make the header of `fragment` say what it is; `position` counts within the packet."""
    offset = packet.offset
    word: int = _WORD.unpack_from(fragment, offset + ipv4.FRAGMENT)[0]
    word += position // UNIT
    if not is_last:
        word |= ipv4.MORE_FRAGMENTS
    _WORD.pack_into(fragment, offset + ipv4.TOTAL_LENGTH, len(fragment) - offset)
    _WORD.pack_into(fragment, offset + ipv4.FRAGMENT, word)
    _WORD.pack_into(fragment, offset + ipv4.CHECKSUM, 0)
    _WORD.pack_into(fragment, offset + ipv4.CHECKSUM, checksum(fragment[offset:payload]))
