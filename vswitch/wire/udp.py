"""The UDP header.

A datagram may be shorter than the IP payload it is in (RFC 9868 puts options behind it). It is
longer only in the first of several fragments, which `parse` refuses for it: reassemble first.

Read first: RFC 768; RFC 8200 section 8.1 for IPv6.
"""

from __future__ import annotations

import struct

from vswitch.wire import offload
from vswitch.wire.buffer import Buffer
from vswitch.wire.checksum import ones_sum, pseudo_header_sum
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import IpAddress, Protocol

SOURCE_PORT = 0
DESTINATION_PORT = 2
LENGTH = 4
CHECKSUM = 6

HEADER_LENGTH = 8
"""Bytes of the header."""

NO_CHECKSUM = 0
"""In the checksum's place: the sender has computed none. It must stay as it is."""

COMPUTED_ZERO = 0xFFFF
"""What is sent where the computed checksum is 0 (RFC 768)."""

_HEADER = struct.Struct(">HHHH")
_WORD = struct.Struct(">H")


class Udp:
    """A view of a UDP header, whose fields are as they were when it was made."""

    __slots__ = ("checksum", "destination_port", "frame", "length", "offset", "source_port")

    frame: Buffer
    offset: int
    source_port: int
    """The sender's port; 0 where no answer is expected."""
    destination_port: int
    """The receiver's port."""
    length: int
    """Bytes of header and data."""
    checksum: int
    """The checksum, right or wrong, finished or not; `NO_CHECKSUM` where there is none."""

    def __init__(self, frame: Buffer, offset: int) -> None:
        self.frame = frame
        self.offset = offset
        self.source_port, self.destination_port, self.length, self.checksum = _HEADER.unpack_from(
            frame, offset
        )

    @staticmethod
    def parse(frame: Buffer, offset: int, end: int) -> Udp | Malformed:
        """Guarantees the whole header and that all of the datagram lies before `end`.

        `offset` and `end` are the payload and the end of an IP view, so within the frame. The
        checksum is not verified: ask `is_intact`.
        """
        if end - offset < HEADER_LENGTH:
            return Malformed.TRUNCATED_UDP
        datagram = Udp(frame, offset)
        if not HEADER_LENGTH <= datagram.length <= end - offset:
            return Malformed.UDP_BAD_LENGTH
        return datagram

    @property
    def payload(self) -> int:
        """Where the data begins; it may be `end`."""
        return self.offset + HEADER_LENGTH

    @property
    def end(self) -> int:
        """Where the datagram ends by its own length."""
        return self.offset + self.length


def is_intact(datagram: Udp, source: IpAddress, destination: IpAddress) -> bool:
    """Whether the checksum is right for these addresses, or there is none, or it is still to be
    computed (virtio-net's NEEDS_CSUM)."""
    frame = datagram.frame
    if datagram.checksum == NO_CHECKSUM or frame[offload.FLAGS] & offload.NEEDS_CSUM:
        return True
    partial = pseudo_header_sum(source, destination, Protocol.UDP, datagram.length)
    summed = partial.to_bytes(2, "big") + bytes(frame[datagram.offset : datagram.end])
    return ones_sum(summed) == 0xFFFF


def build(
    source: IpAddress,
    destination: IpAddress,
    source_port: int,
    destination_port: int,
    payload: Buffer,
) -> bytes:
    """A datagram with its checksum, which covers the addresses too."""
    length = HEADER_LENGTH + len(payload)
    partial = pseudo_header_sum(source, destination, Protocol.UDP, length)
    datagram = bytearray(_HEADER.pack(source_port, destination_port, length, partial))
    datagram += payload
    _WORD.pack_into(datagram, CHECKSUM, 0xFFFF - ones_sum(datagram) or COMPUTED_ZERO)
    return bytes(datagram)
