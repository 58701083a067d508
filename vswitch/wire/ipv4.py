"""The IPv4 header, options included.

Fragments are read like any packet; whoever looks behind the header asks `is_fragment` first, as
only the first fragment has a transport header, and its lengths are those of the whole datagram.

Read first: RFC 791; RFC 6864 for the identification; RFC 1812 section 5.2.2 for what to check.
"""

from __future__ import annotations

import struct

from vswitch.wire.buffer import Buffer
from vswitch.wire.checksum import checksum, ones_sum
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import IpAddress

VERSION_AND_HEADER_LENGTH = 0
TOS = 1
TOTAL_LENGTH = 2
IDENTIFICATION = 4
FRAGMENT = 6
"""Three flags and the fragment offset, which counts units of 8 bytes."""
TTL = 8
PROTOCOL = 9
CHECKSUM = 10
SOURCE = 12
DESTINATION = 16
OPTIONS = 20

HEADER_LENGTH = 20
"""Bytes of a header without options."""

DONT_FRAGMENT = 0x4000
MORE_FRAGMENTS = 0x2000
FRAGMENT_OFFSET_MASK = 0x1FFF

_HEADER = struct.Struct(">BBHHHBBH4s4s")
_FIELDS = struct.Struct(">HxxHBBxx4s4s")
"""From the total length on: that, flags and fragment offset, time to live, protocol, addresses."""

_WORD = struct.Struct(">H")
_DIVIDED = MORE_FRAGMENTS | FRAGMENT_OFFSET_MASK


class Ipv4:
    """A view of an IPv4 header. What is an attribute here is as it was when the view was made."""

    __slots__ = (
        "_fragment",
        "destination",
        "end",
        "frame",
        "header_length",
        "offset",
        "payload",
        "protocol",
        "source",
        "total_length",
        "ttl",
    )

    frame: Buffer
    offset: int
    header_length: int
    """Bytes, options included."""
    end: int
    """Where the packet ends by its total length; what follows is padding."""
    payload: int
    """Where what is carried begins."""
    total_length: int
    """Bytes of header and payload."""
    _fragment: int
    ttl: int
    """How many more routers may forward it."""
    protocol: int
    """A number of `values.Protocol`, or any other."""
    source: IpAddress
    """Who sent it."""
    destination: IpAddress
    """Whom it is for."""

    def __init__(self, frame: Buffer, offset: int, header_length: int, end: int) -> None:
        self.frame = frame
        self.offset = offset
        self.header_length = header_length
        self.end = end
        self.payload = offset + header_length
        self.total_length, self._fragment, self.ttl, self.protocol, source, destination = (
            _FIELDS.unpack_from(frame, offset + TOTAL_LENGTH)
        )
        self.source = IpAddress.trusted(source)
        self.destination = IpAddress.trusted(destination)

    @staticmethod
    def parse(frame: Buffer, offset: int) -> Ipv4 | Malformed:
        """Guarantees the whole header and that `payload` <= `end` <= the frame's length.

        The header checksum is not verified: ask `has_valid_checksum`.
        """
        header_length = _header_length(frame, offset, len(frame))
        if isinstance(header_length, Malformed):
            return header_length
        total_length = _WORD.unpack_from(frame, offset + TOTAL_LENGTH)[0]
        end = offset + total_length
        if total_length < header_length or end > len(frame):
            return Malformed.IPV4_BAD_TOTAL_LENGTH
        return Ipv4(frame, offset, header_length, end)

    @staticmethod
    def parse_quoted(frame: Buffer, offset: int, end: int) -> Ipv4 | Malformed:
        """Read a packet that was cut off at `end`, as an ICMP error quotes it.

        Guarantees the whole header. Its total length may say anything; the view's `end` is never
        behind the place where the packet was cut off, and never before `payload`. `end` must be
        within the frame.
        """
        header_length = _header_length(frame, offset, end)
        if isinstance(header_length, Malformed):
            return header_length
        total_length = _WORD.unpack_from(frame, offset + TOTAL_LENGTH)[0]
        said = offset + max(total_length, header_length)
        return Ipv4(frame, offset, header_length, min(said, end))

    @property
    def tos(self) -> int:
        """Differentiated services and ECN bits (RFC 2474, RFC 3168)."""
        return self.frame[self.offset + TOS]

    @property
    def identification(self) -> int:
        """What fragments of one datagram have in common."""
        return self._word(IDENTIFICATION)

    @property
    def dont_fragment(self) -> bool:
        """Must routers drop it rather than fragment it?"""
        return bool(self._fragment & DONT_FRAGMENT)

    @property
    def more_fragments(self) -> bool:
        """Does another fragment follow this one?"""
        return bool(self._fragment & MORE_FRAGMENTS)

    @property
    def fragment_offset(self) -> int:
        """Where in the datagram's payload this fragment belongs, in bytes."""
        return (self._fragment & FRAGMENT_OFFSET_MASK) << 3

    @property
    def is_fragment(self) -> bool:
        """Is it only a part of a datagram?"""
        return bool(self._fragment & _DIVIDED)

    @property
    def checksum(self) -> int:
        """The header checksum, right or wrong."""
        return self._word(CHECKSUM)

    @property
    def options(self) -> bytes:
        """The options as they are, padding included."""
        return bytes(self.frame[self.offset + OPTIONS : self.payload])

    def has_valid_checksum(self) -> bool:
        """Is the header checksum right?"""
        return ones_sum(self.frame[self.offset : self.payload]) == 0xFFFF

    def _word(self, field: int) -> int:
        word: int = _WORD.unpack_from(self.frame, self.offset + field)[0]
        return word


def _header_length(frame: Buffer, offset: int, end: int) -> int | Malformed:
    """The length of the header, all of which is before `end`."""
    if end - offset < HEADER_LENGTH:
        return Malformed.TRUNCATED_IPV4
    first = frame[offset]
    if first >> 4 != 4:
        return Malformed.IPV4_BAD_VERSION
    header_length = (first & 0x0F) << 2
    if header_length < HEADER_LENGTH:
        return Malformed.IPV4_BAD_HEADER_LENGTH
    if end - offset < header_length:
        return Malformed.TRUNCATED_IPV4
    return header_length


def build(
    source: IpAddress,
    destination: IpAddress,
    protocol: int,
    payload: Buffer,
    *,
    ttl: int = 64,
    identification: int = 0,
    dont_fragment: bool = False,
    tos: int = 0,
) -> bytes:
    """A packet without options, with its header checksum. `payload` has at most 65515 bytes."""
    header = bytearray(
        _HEADER.pack(
            0x45,
            tos,
            HEADER_LENGTH + len(payload),
            identification,
            DONT_FRAGMENT if dont_fragment else 0,
            ttl,
            protocol,
            0,
            source,
            destination,
        )
    )
    _WORD.pack_into(header, CHECKSUM, checksum(header))
    return bytes(header) + payload
