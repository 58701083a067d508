"""The TCP header.

Flags are plain integers (`SYN`, `ACK`, ...), because they are tested for every packet; `Flags` is
for those who want them by name.

Read first: RFC 9293 sections 3.1 and 3.2; RFC 3168 for ECE and CWR; RFC 7323 for the scale.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntFlag
from typing import NamedTuple

from vswitch.wire.buffer import Buffer
from vswitch.wire.checksum import ones_sum, pseudo_header_sum
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import IpAddress, Protocol

SOURCE_PORT = 0
DESTINATION_PORT = 2
SEQUENCE = 4
ACKNOWLEDGMENT = 8
DATA_OFFSET = 12
"""The header's length in units of 4 bytes, in the upper half of the byte."""
FLAGS = 13
WINDOW = 14
CHECKSUM = 16
URGENT = 18
OPTIONS = 20

HEADER_LENGTH = 20
"""Bytes of a header without options."""

FIN = 0x01
SYN = 0x02
RST = 0x04
PSH = 0x08
ACK = 0x10
URG = 0x20
ECE = 0x40
CWR = 0x80

END_OF_OPTIONS = 0
NO_OPERATION = 1
MAXIMUM_SEGMENT_SIZE = 2
"""Option of a SYN: the longest data that its sender takes, in two bytes."""
WINDOW_SCALE = 3
"""Option of a SYN: by how many bits the windows of later segments are shifted, in one byte."""

_HEADER = struct.Struct(">HHIIBBHHH")
_FIELDS = struct.Struct(">HHIIxBHH")
"""All that a view holds: ports, numbers, flags, window, checksum."""

_WORD = struct.Struct(">H")


class Flags(IntFlag):
    """The flags by name."""

    FIN = FIN
    SYN = SYN
    RST = RST
    PSH = PSH
    ACK = ACK
    URG = URG
    ECE = ECE
    CWR = CWR


def is_contradictory(flags: int) -> bool:
    """Whether no end of a connection would send a segment with these flags (RFC 9293, 3.10.7)."""
    if flags & SYN:
        return bool(flags & (FIN | RST))
    if flags & FIN and flags & RST:
        return True
    return not flags & (ACK | RST)


class Option(NamedTuple):
    """An option: its kind, where its data begins in the frame, and how many bytes that has."""

    kind: int
    at: int
    length: int


class Tcp:
    """A view of a TCP header, whose fields are as they were when it was made."""

    __slots__ = (
        "acknowledgment",
        "checksum",
        "destination_port",
        "end",
        "flags",
        "frame",
        "header_length",
        "offset",
        "sequence",
        "source_port",
        "window",
    )

    frame: Buffer
    offset: int
    header_length: int
    """Bytes, options included."""
    end: int
    """Where the segment ends."""
    source_port: int
    """The sender's port."""
    destination_port: int
    """The receiver's port."""
    sequence: int
    """The number of the first byte of data, or of SYN (modulo 2**32)."""
    acknowledgment: int
    """The number that is expected next; it means something only with ACK."""
    flags: int
    """A combination of `SYN`, `ACK`, and so on."""
    window: int
    """How much the sender is ready to receive, before scaling."""
    checksum: int
    """The checksum, right or wrong, finished or not."""

    def __init__(self, frame: Buffer, offset: int, header_length: int, end: int) -> None:
        self.frame = frame
        self.offset = offset
        self.header_length = header_length
        self.end = end
        (
            self.source_port,
            self.destination_port,
            self.sequence,
            self.acknowledgment,
            self.flags,
            self.window,
            self.checksum,
        ) = _FIELDS.unpack_from(frame, offset)

    @staticmethod
    def parse(frame: Buffer, offset: int, end: int) -> Tcp | Malformed:
        """Guarantees the whole header, options included, before `end`.

        `offset` and `end` are the payload and the end of an IP view, so within the frame. The
        checksum is not verified.
        """
        if end - offset < HEADER_LENGTH:
            return Malformed.TRUNCATED_TCP
        header_length = frame[offset + DATA_OFFSET] >> 4 << 2
        if not HEADER_LENGTH <= header_length <= end - offset:
            return Malformed.TCP_BAD_DATA_OFFSET
        return Tcp(frame, offset, header_length, end)

    @property
    def payload(self) -> int:
        """Where the data begins; it may be `end`."""
        return self.offset + self.header_length

    @property
    def next_sequence(self) -> int:
        """The number behind the last octet, where SYN and FIN count as one each (modulo 2**32)."""
        flags = self.flags
        length = self.end - self.payload + bool(flags & SYN) + bool(flags & FIN)
        return (self.sequence + length) & 0xFFFF_FFFF

    @property
    def options(self) -> bytes:
        """The options as they are, padding included."""
        return bytes(self.frame[self.offset + OPTIONS : self.payload])

    def iter_options(self) -> Iterator[Option]:
        """The options that have data, in order, up to the first whose length lies."""
        at, end = self.offset + OPTIONS, self.payload
        while at < end and (kind := self.frame[at]) != END_OF_OPTIONS:
            if kind == NO_OPERATION:
                at += 1
                continue
            length = self.frame[at + 1] if at + 1 < end else 0
            if not 2 <= length <= end - at:
                return
            yield Option(kind, at + 2, length - 2)
            at += length

    @property
    def window_scale(self) -> int | None:
        """The shift that a SYN announces, as it stands there; None where it announces none."""
        for option in self.iter_options():
            if option.kind == WINDOW_SCALE and option.length == 1:
                return self.frame[option.at]
        return None


def build(
    source: IpAddress,
    destination: IpAddress,
    source_port: int,
    destination_port: int,
    *,
    sequence: int = 0,
    acknowledgment: int = 0,
    flags: int = 0,
    window: int = 0xFFFF,
    options: bytes = b"",
    payload: Buffer = b"",
) -> bytes:
    """A segment with its checksum, which covers the addresses too.

    `options` have at most 40 bytes and are padded to a multiple of four with End of Option List.
    """
    options += bytes(-len(options) % 4)
    segment = bytearray(
        _HEADER.pack(
            source_port,
            destination_port,
            sequence,
            acknowledgment,
            (HEADER_LENGTH + len(options)) >> 2 << 4,
            flags,
            window,
            0,
            0,
        )
    )
    segment += options
    segment += payload
    _WORD.pack_into(
        segment, CHECKSUM, pseudo_header_sum(source, destination, Protocol.TCP, len(segment))
    )
    _WORD.pack_into(segment, CHECKSUM, 0xFFFF - ones_sum(segment))
    return bytes(segment)
