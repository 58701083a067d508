"""The virtio-net header in front of every frame: what is unfinished about it?

Theory of operation. A kernel that hands a super-frame to a device leaves two things undone: the
transport checksum, whose field holds the pseudo header's sum alone (NEEDS_CSUM), and the cut into
segments of `gso_size` bytes (the GSO types). The header says which, and where. Ten zero bytes mean
that nothing is left to do. The layout is that of `struct virtio_net_hdr` without `num_buffers`, in
little-endian order.

`required` names what a device must be able to do to carry a frame as it is. This module can
finish a checksum; cutting is `segment`'s work, and choosing between them is `adapt`'s.

The header comes from a guest or a kernel and is believed in nothing: every offset is held against
the frame before it is used. `hdr_len` is a hint that kernels fill with different things, and is
never used.

Read first: virtio 1.2, 5.1.6 (device operation); Linux `include/linux/virtio_net.h`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Flag, auto
from functools import cache

from vswitch.wire.buffer import Buffer, MutableBuffer
from vswitch.wire.checksum import checksum
from vswitch.wire.malformed import Malformed

HEADER_LENGTH = 10
"""Bytes of the header, which is where the Ethernet frame begins."""

FLAGS = 0
GSO_TYPE = 1
TRANSPORT_HEADER_END = 2
GSO_SIZE = 4
CHECKSUM_START = 6
CHECKSUM_OFFSET = 8

NEEDS_CSUM = 1
"""Flag: the checksum at `checksum_start + checksum_offset` is unfinished."""
DATA_VALID = 2
"""Flag: somebody has verified the checksum already."""

GSO_NONE = 0
GSO_TCPV4 = 1
GSO_UDP = 3
"""UDP to be cut by IP fragmentation, which no current kernel asks for and nobody here takes."""
GSO_TCPV6 = 4
GSO_UDP_L4 = 5
"""UDP to be cut into datagrams of their own, of either IP version."""
GSO_ECN = 0x80
"""Added to a TCP type where CWR is set: it belongs to the first segment alone (RFC 3168)."""

FINISHED = bytes(HEADER_LENGTH)
"""The header of a frame with nothing left to do."""

_HEADER = struct.Struct("<BBHHHH")
_OFFSET = struct.Struct("<H")
_LARGEST_OFFSET = 0xFFFF
_WORD = struct.Struct(">H")
_UDP_CHECKSUM = 6


class Offloads(Flag):
    """What a device can be left to do, and what a frame needs done."""

    NONE = 0
    CHECKSUM = auto()
    TSO4 = auto()
    TSO6 = auto()
    USO = auto()
    ECN = auto()
    UNKNOWN = auto()
    """A GSO type that no device takes. It is never part of what a device says."""
    ALL = CHECKSUM | TSO4 | TSO6 | USO | ECN


@dataclass(frozen=True, slots=True)
class OffloadHeader:
    """The header's fields. Offsets count from the start of the Ethernet frame, in bytes."""

    flags: int = 0
    gso_type: int = GSO_NONE
    header_length: int = 0
    gso_size: int = 0
    checksum_start: int = 0
    checksum_offset: int = 0

    @classmethod
    def parse(cls, frame: Buffer) -> OffloadHeader:
        """Read the header of `frame`, which has at least `HEADER_LENGTH` bytes."""
        return cls(*fields(frame))

    def pack(self) -> bytes:
        """The header's 10 bytes."""
        return _HEADER.pack(
            self.flags,
            self.gso_type,
            self.header_length,
            self.gso_size,
            self.checksum_start,
            self.checksum_offset,
        )


def fields(frame: Buffer) -> tuple[int, int, int, int, int, int]:
    """The header's fields in `OffloadHeader`'s order, for who can not afford the object."""
    return _HEADER.unpack_from(frame, 0)


def move_offsets(frame: MutableBuffer, by: int) -> None:
    """Let the header's offsets count `by` more bytes: a tag came, or went, before their places.

    An offset that lies stays as much of a lie as it was: it never becomes a negative one.
    """
    if frame[GSO_TYPE] != GSO_NONE:
        _move(frame, TRANSPORT_HEADER_END, by)
    if frame[FLAGS] & NEEDS_CSUM:
        _move(frame, CHECKSUM_START, by)


def _move(frame: MutableBuffer, field: int, by: int) -> None:
    (offset,) = _OFFSET.unpack_from(frame, field)
    _OFFSET.pack_into(frame, field, min(max(offset + by, 0), _LARGEST_OFFSET))


def _required_of(flags: int, gso_type: int) -> Offloads:
    needed = Offloads.CHECKSUM if flags & NEEDS_CSUM else Offloads.NONE
    if gso_type & GSO_ECN:
        needed |= Offloads.ECN
    kinds = {
        GSO_NONE: Offloads.NONE,
        GSO_TCPV4: Offloads.TSO4,
        GSO_TCPV6: Offloads.TSO6,
        GSO_UDP_L4: Offloads.USO,
    }
    return needed | kinds.get(gso_type & ~GSO_ECN, Offloads.UNKNOWN)


# Arithmetic on Flag members takes longer than all the rest that is done to a frame.
_REQUIRED = tuple(_required_of(index >> 8, index & 0xFF) for index in range(0x200))


def required(frame: Buffer) -> Offloads:
    """What a device must take to carry this frame as it is. The frame has its whole header."""
    return _REQUIRED[demand(frame)]


def demand(frame: Buffer) -> int:
    """The same as a small number, an index into what `carried_by` answers."""
    return (frame[FLAGS] & NEEDS_CSUM) << 8 | frame[GSO_TYPE]


@cache
def carried_by(takes: Offloads) -> tuple[bool, ...]:
    """For each `demand`, whether a device that takes `takes` carries the frame as it is."""
    return tuple(not needed & ~takes for needed in _REQUIRED)


def complete_checksum(frame: MutableBuffer) -> Malformed | None:
    """Finish an unfinished checksum in place; the header is all zero then.

    A frame whose checksum is finished is left alone. Offsets outside the frame and super-frames,
    whose segments each have a checksum of their own, answer BAD_OFFLOAD_HEADER, and the frame is
    unchanged. The sum goes to the frame's end (virtio 1.2, 5.1.6.2).
    """
    if not frame[FLAGS] & NEEDS_CSUM:
        return None
    header = OffloadHeader.parse(frame)
    start = HEADER_LENGTH + header.checksum_start
    field = start + header.checksum_offset
    if header.gso_type != GSO_NONE or field + 2 > len(frame):
        return Malformed.BAD_OFFLOAD_HEADER
    value = checksum(frame[start:])
    if value == 0 and header.checksum_offset == _UDP_CHECKSUM:
        value = 0xFFFF
    _WORD.pack_into(frame, field, value)
    frame[:HEADER_LENGTH] = FINISHED
    return None
