"""The ICMPv6 header, as far as a bridge wants to show it: type, code, and whom neighbours look for.

Read first: RFC 4443; RFC 4861 section 4 for neighbour discovery.
"""

from __future__ import annotations

from enum import IntEnum

from vswitch.wire.buffer import Buffer
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import IPV6_LENGTH, IpAddress

TYPE = 0
CODE = 1
CHECKSUM = 2
TARGET = 8
"""The address that a solicitation or advertisement is about."""

HEADER_LENGTH = 8
"""Bytes in front of the data, the quoted packet or the target."""


class Type(IntEnum):
    """What a message is about."""

    DESTINATION_UNREACHABLE = 1
    PACKET_TOO_BIG = 2
    TIME_EXCEEDED = 3
    PARAMETER_PROBLEM = 4
    ECHO_REQUEST = 128
    ECHO_REPLY = 129
    ROUTER_SOLICITATION = 133
    ROUTER_ADVERTISEMENT = 134
    NEIGHBOUR_SOLICITATION = 135
    NEIGHBOUR_ADVERTISEMENT = 136
    REDIRECT = 137
    MULTICAST_LISTENER_REPORT = 143


_WITH_TARGET = frozenset({int(Type.NEIGHBOUR_SOLICITATION), int(Type.NEIGHBOUR_ADVERTISEMENT)})


class Icmpv6:
    """A view of an ICMPv6 message."""

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
    def parse(frame: Buffer, offset: int, end: int) -> Icmpv6 | Malformed:
        """Guarantees eight bytes before `end`, which is within the frame."""
        if end - offset < HEADER_LENGTH:
            return Malformed.TRUNCATED_ICMPV6
        return Icmpv6(frame, offset, end)

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
    def is_error(self) -> bool:
        """Does it quote a packet (RFC 4443: the types below 128)?"""
        return self.frame[self.offset + TYPE] < 128

    @property
    def target(self) -> IpAddress | None:
        """Whom neighbours look for, or None where the message has no such thing or is cut off."""
        target_end = self.offset + TARGET + IPV6_LENGTH
        if self.type not in _WITH_TARGET or target_end > self.end:
            return None
        return IpAddress(self.frame[self.offset + TARGET : target_end])
