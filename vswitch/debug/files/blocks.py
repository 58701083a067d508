"""The blocks of a pcapng stream as a running switch sends it, one by one while it comes.

Theory of operation. Whoever passes a capture on needs to know where a block ends (a file must not
end in the middle of one) and which kind it is (each file of a rotation begins with the same section
and interfaces). `Blocks` cuts a stream without looking into it. Only what `pcapng.PcapngWriter`
writes comes by here, in its byte order; captures from anywhere are `reading`'s business
(draft-ietf-opsawg-pcapng, sections 3.1 and 4.6).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from vswitch.units import MEBIBYTE

SECTION = 0x0A0D0D0A
INTERFACE = 1
STATISTICS = 5
PACKET = 6

LONGEST_BLOCK = 1 * MEBIBYTE
"""Bytes: a frame of 256 KiB with a comment of 64 KiB has room in it twice."""

_HEAD = struct.Struct("<II")
_TRAILER = 4
_STATISTICS_HEAD = 12
_OPTION = struct.Struct("<HH")
_NUMBER = struct.Struct("<Q")
_INTERFACE_ID = struct.Struct("<I")

_RECEIVED, _DROPPED = 4, 5  # isb_ifrecv, isb_ifdrop


class NotPcapngError(ValueError):
    """The stream is not what a switch sends. The text is one line."""


class Block(NamedTuple):
    """One block, whole: `data` begins with its kind and length and ends with its length."""

    kind: int
    data: bytes


class Statistics(NamedTuple):
    """What an interface's statistics say."""

    interface: int
    received: int
    dropped: int


class Blocks:
    """Cuts a stream into blocks, wherever its pieces were cut."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, piece: bytes) -> Iterator[Block]:
        """The blocks that are whole with `piece`. Raises `NotPcapngError`."""
        data = self._rest + piece
        at = 0
        while len(data) - at >= _HEAD.size:
            kind, length = _HEAD.unpack_from(data, at)
            if length < _HEAD.size + _TRAILER or length % 4 or length > LONGEST_BLOCK:
                raise NotPcapngError(f"a block of {length} bytes: that is no capture")
            if at + length > len(data):
                break
            yield Block(kind, data[at : at + length])
            at += length
        self._rest = data[at:]


def statistics(block: Block) -> Statistics:
    """What an interface's statistics say."""
    (interface,) = _INTERFACE_ID.unpack_from(block.data, _HEAD.size)
    options = dict(_options(block, _STATISTICS_HEAD))
    received, dropped = (
        _NUMBER.unpack(options.get(code, bytes(8)))[0] for code in (_RECEIVED, _DROPPED)
    )
    return Statistics(interface, received, dropped)


def _options(block: Block, begin: int) -> Iterator[tuple[int, bytes]]:
    at, end = _HEAD.size + begin, len(block.data) - _TRAILER
    while at + _OPTION.size <= end:
        code, length = _OPTION.unpack_from(block.data, at)
        if code == 0:
            return
        at += _OPTION.size
        yield code, block.data[at : at + length]
        at += _padded(length)


def _padded(length: int) -> int:
    return -(-length // 4) * 4
