"""The ring of the flight recorder: the beginning of every frame, the oldest overwritten.

Theory of operation. A record for each frame that comes in and for each that leaves, of one length,
in one piece of memory that begins with where the next one goes; so that whoever sees a frame, here
or in compiled code, writes it down for the price of a copy. What the numbers of fates and reasons
mean is the business of who reads it.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import NamedTuple

from vswitch.units import Nanoseconds
from vswitch.wire import ethernet, ipv4, tcp
from vswitch.wire.buffer import Buffer
from vswitch.wire.offload import HEADER_LENGTH
from vswitch.wire.values import EtherType, Protocol

SNAP_LENGTH = 128
"""Bytes of Ethernet that are kept of a frame: all headers, options among them, and a DNS question
or the line that an HTTP request begins with."""

KEPT = HEADER_LENGTH + SNAP_LENGTH

RECORD = struct.Struct(f"<qQIIBBB{KEPT}s")
"""When, connection, original length, port, kind, fate, reason, frame."""

HEAD = struct.Struct("=QQQ")
"""Where the next record goes, whether there were more than there is room for, resets seen."""

_IP = ethernet.START + ethernet.HEADER_LENGTH
_ETHERTYPE = slice(ethernet.START + ethernet.ETHERTYPE, _IP)
_IPV4 = int(EtherType.IPV4).to_bytes(2, "big")
_SHORTEST_SEGMENT = _IP + ipv4.HEADER_LENGTH + tcp.HEADER_LENGTH


class Kind(IntEnum):
    """What a record is about."""

    HIT = 0
    DECIDED = 1
    LEFT = 2


class RingContent(NamedTuple):
    """What was in a ring at one moment."""

    records: bytes
    oldest: int
    """Where in there the first record is."""
    is_round: bool
    """Whether there was more, which is overwritten."""


class Ring:
    """As many records as fit into so many bytes, one at least."""

    __slots__ = ("octets",)

    def __init__(self, size: int) -> None:
        room = max(1, size // RECORD.size) * RECORD.size
        self.octets = bytearray(HEAD.size + room)
        HEAD.pack_into(self.octets, 0, HEAD.size, 0, 0)

    @property
    def resets(self) -> int:
        """TCP segments with RST that came in."""
        _, _, resets = HEAD.unpack_from(self.octets)
        return int(resets)

    def write(
        self,
        kind: Kind,
        port: int,
        frame: Buffer,
        flow: int,
        now: Nanoseconds,
        fate: int = 0,
        reason: int = 0,
    ) -> int:
        """Add a record; its place in what is read."""
        octets = self.octets
        at, is_round, resets = HEAD.unpack_from(octets)
        kept = bytes(frame[:KEPT])
        RECORD.pack_into(octets, at, now, flow, len(frame), port, kind, fate, reason, kept)
        after = at + RECORD.size
        if after == len(octets):
            after, is_round = HEAD.size, 1
        if kind is not Kind.LEFT and _is_reset(frame):
            resets += 1
        HEAD.pack_into(octets, 0, after, is_round, resets)
        return int(at - HEAD.size)

    def read(self) -> RingContent:
        """All that is in it now."""
        at, is_round, _ = HEAD.unpack_from(self.octets)
        end = len(self.octets) if is_round else at
        records = bytes(memoryview(self.octets)[HEAD.size : end])
        return RingContent(records, at - HEAD.size if is_round else 0, bool(is_round))


def _is_reset(frame: Buffer) -> bool:
    """Whether this is an untagged TCP segment with RST."""
    if len(frame) < _SHORTEST_SEGMENT or frame[_ETHERTYPE] != _IPV4:
        return False
    if frame[_IP + ipv4.PROTOCOL] != Protocol.TCP:
        return False
    flags = _IP + ((frame[_IP] & 0x0F) << 2) + tcp.FLAGS
    return flags < len(frame) and bool(frame[flags] & tcp.RST)
