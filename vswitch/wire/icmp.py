"""The ICMP header (of IPv4).

All messages are read as eight bytes and what follows. In queries the second half of those is an
identifier and a sequence number; in errors it is something of the type's own, and what follows is
the start of the packet that the error is about: read it with `Ipv4.parse_quoted`.

Read first: RFC 792; RFC 1812 section 4.3 for who sends what; RFC 4884 for what follows a quote.
"""

from __future__ import annotations

import struct
from enum import IntEnum

from vswitch.wire.buffer import Buffer
from vswitch.wire.checksum import checksum as checksum_of
from vswitch.wire.checksum import ones_sum
from vswitch.wire.malformed import Malformed

TYPE = 0
CODE = 1
CHECKSUM = 2
REST = 4
"""The 32 bits whose meaning depends on the type."""
IDENTIFIER = 4
SEQUENCE = 6
NEXT_HOP_MTU = 6
"""In "fragmentation needed" (RFC 1191), in bytes."""

HEADER_LENGTH = 8
"""Bytes in front of the data or of the quoted packet."""

_HEADER = struct.Struct(">BBHI")
_WORD = struct.Struct(">H")


class Type(IntEnum):
    """What a message is about."""

    ECHO_REPLY = 0
    DESTINATION_UNREACHABLE = 3
    SOURCE_QUENCH = 4
    REDIRECT = 5
    ECHO_REQUEST = 8
    ROUTER_ADVERTISEMENT = 9
    ROUTER_SOLICITATION = 10
    TIME_EXCEEDED = 11
    PARAMETER_PROBLEM = 12
    TIMESTAMP_REQUEST = 13
    TIMESTAMP_REPLY = 14
    INFORMATION_REQUEST = 15
    INFORMATION_REPLY = 16
    ADDRESS_MASK_REQUEST = 17
    ADDRESS_MASK_REPLY = 18


class Unreachable(IntEnum):
    """The codes of DESTINATION_UNREACHABLE that a switch sends or looks at."""

    NETWORK = 0
    HOST = 1
    PROTOCOL = 2
    PORT = 3
    FRAGMENTATION_NEEDED = 4
    ADMINISTRATIVELY_PROHIBITED = 13


class TimeExceeded(IntEnum):
    """The codes of TIME_EXCEEDED."""

    IN_TRANSIT = 0
    REASSEMBLY = 1


ERRORS = frozenset(
    {
        int(Type.DESTINATION_UNREACHABLE),
        int(Type.SOURCE_QUENCH),
        int(Type.REDIRECT),
        int(Type.TIME_EXCEEDED),
        int(Type.PARAMETER_PROBLEM),
    }
)
"""Types that quote the packet they are about."""

QUERIES = frozenset(
    {
        int(Type.ECHO_REPLY),
        int(Type.ECHO_REQUEST),
        int(Type.TIMESTAMP_REQUEST),
        int(Type.TIMESTAMP_REPLY),
        int(Type.INFORMATION_REQUEST),
        int(Type.INFORMATION_REPLY),
        int(Type.ADDRESS_MASK_REQUEST),
        int(Type.ADDRESS_MASK_REPLY),
    }
)
"""Types, requests and replies alike, that have an identifier and a sequence number."""


class Icmp:
    """A view of an ICMP message."""

    __slots__ = ("end", "frame", "offset")

    frame: Buffer
    offset: int
    end: int
    """Where the message ends."""

    def __init__(self, frame: Buffer, offset: int, end: int) -> None:
        self.frame = frame
        self.offset = offset
        self.end = end

    @staticmethod
    def parse(frame: Buffer, offset: int, end: int) -> Icmp | Malformed:
        """Guarantees eight bytes before `end`.

        `offset` and `end` are the payload and the end of an IP view, so within the frame. The
        checksum is not verified: ask `has_valid_checksum`.
        """
        if end - offset < HEADER_LENGTH:
            return Malformed.TRUNCATED_ICMP
        return Icmp(frame, offset, end)

    @property
    def payload(self) -> int:
        """Where the data or the quoted packet begins; it may be `end`."""
        return self.offset + HEADER_LENGTH

    @property
    def type(self) -> int:
        """A number of `Type`, or any other."""
        return self.frame[self.offset + TYPE]

    @property
    def code(self) -> int:
        """What it is about more exactly; its meaning depends on the type."""
        return self.frame[self.offset + CODE]

    @property
    def checksum(self) -> int:
        """The checksum, right or wrong."""
        return self._word(CHECKSUM)

    @property
    def identifier(self) -> int:
        """In a query, what request and reply have in common: a port, in effect."""
        return self._word(IDENTIFIER)

    @property
    def sequence(self) -> int:
        """In a query, its number; in "fragmentation needed", the next hop's MTU."""
        return self._word(SEQUENCE)

    @property
    def is_error(self) -> bool:
        """Does it quote a packet?"""
        return self.frame[self.offset + TYPE] in ERRORS

    @property
    def is_query(self) -> bool:
        """Is it a request or a reply with an identifier?"""
        return self.frame[self.offset + TYPE] in QUERIES

    def has_valid_checksum(self) -> bool:
        """Is the checksum over the whole message right?"""
        return ones_sum(self.frame[self.offset : self.end]) == 0xFFFF

    def _word(self, field: int) -> int:
        word: int = _WORD.unpack_from(self.frame, self.offset + field)[0]
        return word


# `type` is the field's name in the RFC and at every place that builds a message.
def build(type: int, code: int, rest: int, payload: Buffer) -> bytes:  # noqa: A002
    """A message with its checksum. `rest` is the 32-bit word behind the checksum."""
    message = bytearray(_HEADER.pack(type, code, 0, rest))
    message += payload
    _WORD.pack_into(message, CHECKSUM, checksum_of(message))
    return bytes(message)
