"""The fixed IPv6 header.

Extension headers are not walked: `next_header` is what directly follows, and `payload` is where. A
jumbogram (payload length 0, RFC 2675) is read as a packet without a payload.

Read first: RFC 8200.
"""

from __future__ import annotations

import struct

from vswitch.wire.buffer import Buffer
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import IpAddress

VERSION_CLASS_FLOW = 0
PAYLOAD_LENGTH = 4
NEXT_HEADER = 6
HOP_LIMIT = 7
SOURCE = 8
DESTINATION = 24

HEADER_LENGTH = 40
"""Bytes of the fixed header."""

_HEADER = struct.Struct(">IHBB16s16s")
_WORD = struct.Struct(">H")
_LONG = struct.Struct(">I")


class Ipv6:
    """A view of an IPv6 header."""

    __slots__ = ("end", "frame", "offset")

    frame: Buffer
    offset: int
    end: int
    """Where the packet ends by its payload length; what follows is padding."""

    def __init__(self, frame: Buffer, offset: int, end: int) -> None:
        self.frame = frame
        self.offset = offset
        self.end = end

    @staticmethod
    def parse(frame: Buffer, offset: int) -> Ipv6 | Malformed:
        """Guarantees the whole fixed header and that `payload` <= `end` <= the frame's length."""
        packet = Ipv6.parse_quoted(frame, offset, len(frame))
        if isinstance(packet, Malformed):
            return packet
        if packet.payload_length > len(frame) - offset - HEADER_LENGTH:
            return Malformed.IPV6_BAD_PAYLOAD_LENGTH
        return packet

    @staticmethod
    def parse_quoted(frame: Buffer, offset: int, end: int) -> Ipv6 | Malformed:
        """Read a packet that was cut off at `end`, as an ICMPv6 error quotes it.

        Guarantees the whole fixed header. The view's `end` is never behind the place where the
        packet was cut off. `end` must be within the frame.
        """
        if end - offset < HEADER_LENGTH:
            return Malformed.TRUNCATED_IPV6
        if frame[offset] >> 4 != 6:
            return Malformed.IPV6_BAD_VERSION
        payload_length = _WORD.unpack_from(frame, offset + PAYLOAD_LENGTH)[0]
        return Ipv6(frame, offset, min(offset + HEADER_LENGTH + payload_length, end))

    @property
    def payload(self) -> int:
        """Where what directly follows the fixed header begins."""
        return self.offset + HEADER_LENGTH

    @property
    def traffic_class(self) -> int:
        """Differentiated services and ECN bits."""
        return self._first_word() >> 20 & 0xFF

    @property
    def flow_label(self) -> int:
        """20 bits that packets of one flow have in common, or 0 (RFC 6437)."""
        return self._first_word() & 0xFFFFF

    @property
    def payload_length(self) -> int:
        """Bytes behind the fixed header, extension headers included."""
        length: int = _WORD.unpack_from(self.frame, self.offset + PAYLOAD_LENGTH)[0]
        return length

    @property
    def next_header(self) -> int:
        """What directly follows: a transport protocol or an extension header."""
        return self.frame[self.offset + NEXT_HEADER]

    @property
    def hop_limit(self) -> int:
        """How many more routers may forward it."""
        return self.frame[self.offset + HOP_LIMIT]

    @property
    def source(self) -> IpAddress:
        """Who sent it."""
        return IpAddress(self.frame[self.offset + SOURCE : self.offset + DESTINATION])

    @property
    def destination(self) -> IpAddress:
        """Whom it is for."""
        return IpAddress(self.frame[self.offset + DESTINATION : self.offset + HEADER_LENGTH])

    def _first_word(self) -> int:
        word: int = _LONG.unpack_from(self.frame, self.offset)[0]
        return word


def build(
    source: IpAddress,
    destination: IpAddress,
    next_header: int,
    payload: Buffer,
    *,
    hop_limit: int = 64,
    traffic_class: int = 0,
    flow_label: int = 0,
) -> bytes:
    """A packet with `payload`, which has at most 65535 bytes and begins as `next_header` says."""
    first = 6 << 28 | traffic_class << 20 | flow_label
    header = _HEADER.pack(first, len(payload), next_header, hop_limit, source, destination)
    return header + payload
