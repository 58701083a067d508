"""Datagrams of which not all fragments are here yet.

Theory of operation. A fragment has no ports, save the first, so nothing can be decided about it by
itself: it waits here until its datagram is whole, and the datagram then walks the router as one
packet. Fragments are those of one datagram where port, source, destination, protocol and
identification are the same (RFC 791, 3.2; the port, so that nobody adds to a datagram of somebody
else). They come in any order. An exact duplicate is swallowed. What contradicts a fragment that is
here, by an overlap or by another end, ends the datagram, since no choice between the two would be
the one that the destination makes (RFC 1858, RFC 5722); its key is remembered until its timeout, so
that fragments still under way do not begin a new one.

Everything is bounded. The pieces of a datagram are at most `MOST_PIECES`, the datagrams of a source
at most `MOST_DATAGRAMS`, and all bytes, with a fixed cost for every object, at most `memory`. Where
a limit is passed, the oldest datagram of who is to blame goes. In a full table that is the port
that holds most, and on it the source that holds most; those that hold less than one longest
datagram count as equal, as none is a flood by itself, and who has been here for longest goes first.
So a flood pushes out its own fragments, and one of invented sources only those on its own port.

What it never does: send. An ICMP time exceeded is for whoever calls `expire`, a drop is counted by
the caller: of the fragment at hand by what `add` answers, of those that waited by `take_dropped`
and by what `expire` gives back. So each fragment that came in is accounted for once: it is part of
a datagram that came out, or it was dropped, or it still waits.

Read first: RFC 791, section 3.2; RFC 1858, RFC 3128 and RFC 5722 for overlaps; RFC 3168, section
5.3, for congestion marks; RFC 4963 for why a timeout must not be long.
"""

from __future__ import annotations

import struct
from bisect import bisect_left
from collections import Counter, OrderedDict
from copy import copy
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from vswitch.units import KIBIBYTE, Nanoseconds
from vswitch.wire import ipv4
from vswitch.wire.buffer import Buffer
from vswitch.wire.checksum import checksum
from vswitch.wire.ethernet import START as ETHERNET
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.offload import FINISHED, Offloads, required
from vswitch.wire.values import IpAddress

MOST_PIECES = 1024
"""Pieces of one datagram. The longest datagram in pieces of 64 bytes still passes; pieces of 8
bytes, 8192 of them, would cost a sender nothing and the switch a thousandfold."""

MOST_DATAGRAMS = 64
"""Datagrams of one source that wait at a time: nf_defrag's `ipfrag_max_dist`, which bounds the same
thing by another measure."""

DATAGRAM_COST = 2 * KIBIBYTE
"""Bytes that a datagram counts for beside its pieces: what it takes with all tables, rounded up."""

PIECE_COST = 128
"""Bytes that a piece counts for beside its payload: its objects and places in lists."""

_LONGEST_PACKET = 0xFFFF
_LONGEST_DATAGRAM = 128 * KIBIBYTE
"""What a datagram of 65535 bytes counts for in pieces that are not smaller than usual."""

_UNIT_MASK = 7
_ECN_MASK = 0x03
_NOT_ECT = 0
_CONGESTION_EXPERIENCED = 3
_WORD = struct.Struct(">H")


class Refused(Enum):
    """Why a fragment is dropped. The value explains it to a person."""

    BAD_LENGTH = "a fragment that is empty, or not the last and no multiple of 8 bytes long"
    TOO_BIG = "a fragment of a datagram that would be longer than 65535 bytes"
    UNFINISHED = "a fragment with an offload left to do, which only a whole datagram can have"
    OVERLAP = "fragments of one datagram overlap (RFC 5722)"
    TWO_ENDS = "fragments of one datagram disagree about where it ends"
    MARK_LOST = "one fragment is marked for congestion, and another can not be (RFC 3168, 5.3)"
    TOO_MANY_PIECES = "a datagram in more pieces than any link makes"
    TOO_MANY_DATAGRAMS = "its source has begun too many datagrams since"
    MEMORY_FULL = "there is no room for more fragments, and this source or port holds most"


@dataclass(frozen=True, slots=True)
class Whole:
    """A datagram, all of which has come."""

    frame: bytearray
    """Offload header all zero, link header of the first fragment, one IPv4 packet, no padding. DF
    is set where any fragment had it."""
    largest: int
    """Total length in bytes of its longest fragment: it need not leave in longer ones."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A fragment that is kept, or is here already, and the rest has still to come."""


class Lost(NamedTuple):
    """Under what to count a fragment that waited and was dropped."""

    port: int
    reason: Refused


@dataclass(frozen=True, slots=True)
class Expired:
    """A datagram whose time is over."""

    port: int
    first: bytearray | None
    """The fragment that begins it, where that has come, with an offload header all zero and no
    padding: without it nobody may be told (RFC 792)."""
    frames: int
    """Fragments that are lost with it, duplicates included."""


class Reassembly:
    """Incomplete datagrams. Sans-I/O; `now` never goes back."""

    def __init__(self, *, memory: int, timeout: Nanoseconds) -> None:
        self._limit = memory
        self._timeout = timeout
        self._datagrams: OrderedDict[_Key, _Datagram] = OrderedDict()
        self._sources: dict[int, _Sources] = {}
        self._dropped: Counter[Lost] = Counter()
        self._memory = 0

    def add(
        self, port: int, frame: Buffer, packet: Ipv4, now: Nanoseconds
    ) -> Whole | Waiting | Refused:
        """Take the fragment `packet`, a view of `frame`, which came in by `port`.

        The header checksum is the caller's to verify. `frame` may be used again afterwards.
        """
        lie = _lie(frame, packet)
        if lie is not None:
            return lie
        key = _key(port, packet)
        datagram = self._datagrams.get(key) or self._begin(key, now)
        if datagram.refused is not None:
            return datagram.refused
        placed = datagram.place(packet)
        if isinstance(placed, Refused):
            self._refuse(key, datagram, placed)
            return placed
        if placed is _Placed.LAST_GAP:
            return self._finish(key, datagram)
        if placed is _Placed.NEW:
            self._charge(key, packet.end - packet.payload + PIECE_COST)
            self._make_room()
            if key not in self._datagrams:
                return Refused.MEMORY_FULL
        datagram.frames += 1
        return Waiting()

    def preview(self, port: int, frame: Buffer, packet: Ipv4) -> Whole | Waiting | Refused:
        """What `add` would answer, were there room for everything; nothing changes."""
        lie = _lie(frame, packet)
        if lie is not None:
            return lie
        known = self._datagrams.get(_key(port, packet))
        datagram = known.twin() if known else _Datagram(deadline=0)
        if datagram.refused is not None:
            return datagram.refused
        placed = datagram.place(packet)
        if isinstance(placed, Refused):
            return placed
        return datagram.assemble() if placed is _Placed.LAST_GAP else Waiting()

    def take_dropped(self) -> Counter[Lost]:
        """How many fragments that were waiting have been dropped since this was last asked.

        Neither those that `add` has refused at once nor those that `expire` has given back.
        """
        dropped, self._dropped = self._dropped, Counter()
        return dropped

    def next_deadline(self) -> Nanoseconds | None:
        """When `expire` has something to do, or None where nothing waits."""
        # Every datagram has the same time, so they end in the order in which they began.
        oldest = next(iter(self._datagrams.values()), None)
        return oldest.deadline if oldest else None

    def expire(self, now: Nanoseconds) -> list[Expired]:
        """Give up the datagrams whose time is over, oldest first.

        Those that were refused are forgotten without a word: their fragments have been counted.
        """
        expired = []
        while self._datagrams:
            key, datagram = next(iter(self._datagrams.items()))
            if datagram.deadline > now:
                break
            self._remove(key)
            if datagram.refused is None:
                expired.append(Expired(key.port, datagram.first_fragment(), datagram.frames))
        return expired

    def forget_port(self, port: int) -> int:
        """Drop whatever came in by a port that went away; how many fragments were lost."""
        lost = 0
        for key in [key for key in self._datagrams if key.port == port]:
            lost += self._remove(key).frames
        self._sources.pop(port, None)
        return lost

    @property
    def memory(self) -> int:
        """Bytes in use, by the same count that is held against the limit."""
        return self._memory

    def __len__(self) -> int:
        """Datagrams, those included that are only remembered as refused."""
        return len(self._datagrams)

    def _begin(self, key: _Key, now: Nanoseconds) -> _Datagram:
        sources = self._sources.setdefault(key.port, _Sources())
        oldest = sources.one_too_many(key.source)
        if oldest is not None:
            self._drop(oldest, Refused.TOO_MANY_DATAGRAMS)
        datagram = _Datagram(deadline=now + self._timeout)
        self._datagrams[key] = datagram
        sources.begin(key)
        self._charge(key, DATAGRAM_COST)
        return datagram

    def _refuse(self, key: _Key, datagram: _Datagram, reason: Refused) -> None:
        """Drop what has come of a datagram, and remember that no more of it is wanted."""
        self._count(key, datagram, reason)
        self._charge(key, DATAGRAM_COST - datagram.memory)
        datagram.refuse(reason)
        self._make_room()

    def _finish(self, key: _Key, datagram: _Datagram) -> Whole | Refused:
        whole = datagram.assemble()
        if isinstance(whole, Refused):
            self._refuse(key, datagram, whole)
        else:
            self._remove(key)
        return whole

    def _charge(self, key: _Key, size: int) -> None:
        self._datagrams[key].memory += size
        self._sources[key.port].charge(key.source, size)
        self._memory += size

    def _make_room(self) -> None:
        while self._memory > self._limit:
            greediest = max(self._sources.values(), key=_Sources.held_by_all)
            self._drop(greediest.choose_victim(), Refused.MEMORY_FULL)

    def _drop(self, key: _Key, reason: Refused) -> None:
        self._count(key, self._remove(key), reason)

    def _count(self, key: _Key, datagram: _Datagram, reason: Refused) -> None:
        if datagram.frames:
            self._dropped[Lost(key.port, reason)] += datagram.frames

    def _remove(self, key: _Key) -> _Datagram:
        self._charge(key, -self._datagrams[key].memory)
        self._sources[key.port].end(key)
        return self._datagrams.pop(key)


class _Key(NamedTuple):
    """What fragments of one datagram have in common."""

    port: int
    source: IpAddress
    destination: IpAddress
    protocol: int
    identification: int


def _key(port: int, packet: Ipv4) -> _Key:
    return _Key(port, packet.source, packet.destination, packet.protocol, packet.identification)


def _lie(frame: Buffer, packet: Ipv4) -> Refused | None:
    """What is wrong with a fragment whatever the others are like."""
    length = packet.end - packet.payload
    if length == 0 or (packet.more_fragments and length & _UNIT_MASK):
        return Refused.BAD_LENGTH
    if packet.header_length + packet.fragment_offset + length > _LONGEST_PACKET:
        return Refused.TOO_BIG
    if required(frame) is not Offloads.NONE:
        return Refused.UNFINISHED
    return None


class _Placed(Enum):
    """Where a fragment fits in."""

    NEW = auto()
    LAST_GAP = auto()
    """Nothing is missing any more."""
    DUPLICATE = auto()


@dataclass(slots=True)
class _Datagram:
    """Pieces in the order of their offsets, none of which overlap."""

    deadline: Nanoseconds
    starts: list[int] = field(default_factory=list)
    pieces: list[bytes] = field(default_factory=list)
    headers: bytes = b""
    """All of the first fragment that is before its payload, without the offload header."""
    header_length: int = 0
    """Of the IPv4 header, which is the end of `headers`."""
    length: int | None = None
    """Of the payload in bytes, once the last fragment is here."""
    received: int = 0
    largest: int = 0
    dont_fragment: bool = False
    codepoints: int = 0
    """Which of the four ECN code points there were, a bit for each."""
    frames: int = 0
    memory: int = 0
    refused: Refused | None = None

    def place(self, packet: Ipv4) -> _Placed | Refused:
        """Take a fragment in, unless it contradicts what is here."""
        start, data = packet.fragment_offset, bytes(packet.frame[packet.payload : packet.end])
        if self._has_another_end(start + len(data), is_last=not packet.more_fragments):
            return Refused.TWO_ENDS
        starts = self.starts
        in_order = not starts or start > starts[-1]
        at = len(starts) if in_order else bisect_left(starts, start)
        if at < len(starts) and starts[at] == start and self.pieces[at] == data:
            return _Placed.DUPLICATE
        if self._overlaps(at, start, start + len(data)):
            return Refused.OVERLAP
        if len(starts) == MOST_PIECES:
            return Refused.TOO_MANY_PIECES
        starts.insert(at, start)
        self.pieces.insert(at, data)
        self._note(packet, start, len(data))
        return _Placed.LAST_GAP if self.received == self.length else _Placed.NEW

    def assemble(self) -> Whole | Refused:
        """The datagram, of which every byte is here."""
        if self.header_length + self.received > _LONGEST_PACKET:
            return Refused.TOO_BIG
        marked = bool(self.codepoints >> _CONGESTION_EXPERIENCED & 1)
        if marked and self.codepoints >> _NOT_ECT & 1:
            return Refused.MARK_LOST
        frame = bytearray(FINISHED + self.headers)
        self._correct_header(frame, marked=marked)
        frame += b"".join(self.pieces)
        return Whole(frame, self.largest)

    def first_fragment(self) -> bytearray | None:
        """The fragment that begins the datagram, or None where that is missing."""
        return bytearray(FINISHED + self.headers + self.pieces[0]) if self.headers else None

    def refuse(self, reason: Refused) -> None:
        """Keep nothing but that this datagram is not wanted."""
        self.starts, self.pieces, self.headers = [], [], b""
        self.frames = 0
        self.refused = reason

    def twin(self) -> _Datagram:
        """One to try things out on."""
        twin = copy(self)
        twin.starts, twin.pieces = self.starts.copy(), self.pieces.copy()
        return twin

    def _has_another_end(self, end: int, *, is_last: bool) -> bool:
        """Does a fragment that ends at `end` contradict what is known about the datagram's end?"""
        if not is_last:
            return self.length is not None and end >= self.length
        if self.length is not None:
            return end != self.length
        return bool(self.starts) and end <= self.starts[-1] + len(self.pieces[-1])

    def _overlaps(self, at: int, start: int, end: int) -> bool:
        """Would a piece from `start` to `end`, put in at `at`, share a byte with another?"""
        if at > 0 and self.starts[at - 1] + len(self.pieces[at - 1]) > start:
            return True
        return at < len(self.starts) and self.starts[at] < end

    def _note(self, packet: Ipv4, start: int, size: int) -> None:
        """Remember what is needed of the header of a fragment that was taken in."""
        if start == 0:
            self.headers = bytes(packet.frame[ETHERNET : packet.payload])
            self.header_length = packet.header_length
        if not packet.more_fragments:
            self.length = start + size
        self.received += size
        self.largest = max(self.largest, packet.end - packet.offset)
        self.dont_fragment |= packet.dont_fragment
        self.codepoints |= 1 << (packet.tos & _ECN_MASK)

    def _correct_header(self, frame: bytearray, *, marked: bool) -> None:
        """Make the IPv4 header, which ends `frame`, that of the whole datagram."""
        offset = len(frame) - self.header_length
        flags = ipv4.DONT_FRAGMENT if self.dont_fragment else 0
        if marked:
            frame[offset + ipv4.TOS] |= _CONGESTION_EXPERIENCED
        _WORD.pack_into(frame, offset + ipv4.TOTAL_LENGTH, self.header_length + self.received)
        _WORD.pack_into(frame, offset + ipv4.FRAGMENT, flags)
        _WORD.pack_into(frame, offset + ipv4.CHECKSUM, 0)
        _WORD.pack_into(frame, offset + ipv4.CHECKSUM, checksum(frame[offset:]))


@dataclass(slots=True)
class _Source:
    """What one address has begun on one port."""

    held: int = 0
    """Bytes."""
    shelf: int = 0
    datagrams: dict[_Key, None] = field(default_factory=dict)
    """In the order in which they began."""


class _Sources:
    """The sources on one port, and which of them holds most.

    They stand on shelves, by the power of two of the longest datagrams that they could hold
    instead, so that finding the greediest of thousands costs nothing per source. Who was made to
    give something up goes to the end of its shelf.
    """

    def __init__(self) -> None:
        self._sources: dict[IpAddress, _Source] = {}
        self._shelves: dict[int, OrderedDict[IpAddress, None]] = {}
        self._held = 0

    def held_by_all(self) -> int:
        """Bytes."""
        return self._held

    def one_too_many(self, address: IpAddress) -> _Key | None:
        """The datagram that has to go before this source begins another, if one has to."""
        source = self._sources.get(address)
        if source is None or len(source.datagrams) < MOST_DATAGRAMS:
            return None
        return next(iter(source.datagrams))

    def begin(self, key: _Key) -> None:
        """A datagram, which holds nothing yet."""
        source = self._sources.get(key.source)
        if source is None:
            source = self._sources[key.source] = _Source()
            self._put_on_shelf(key.source, source)
        source.datagrams[key] = None

    def charge(self, address: IpAddress, size: int) -> None:
        """A datagram of this source holds `size` bytes more, or less where that is negative."""
        source = self._sources[address]
        source.held += size
        self._held += size
        shelf = (source.held // _LONGEST_DATAGRAM).bit_length()
        if shelf != source.shelf:
            self._take_from_shelf(address, source)
            source.shelf = shelf
            self._put_on_shelf(address, source)

    def end(self, key: _Key) -> None:
        """A datagram, which holds nothing any more, is gone."""
        source = self._sources[key.source]
        del source.datagrams[key]
        if not source.datagrams:
            self._take_from_shelf(key.source, source)
            del self._sources[key.source]

    def choose_victim(self) -> _Key:
        """The oldest datagram of the source whose turn it is to give one up."""
        shelf = self._shelves[max(self._shelves)]
        address = next(iter(shelf))
        shelf.move_to_end(address)
        return next(iter(self._sources[address].datagrams))

    def _put_on_shelf(self, address: IpAddress, source: _Source) -> None:
        self._shelves.setdefault(source.shelf, OrderedDict())[address] = None

    def _take_from_shelf(self, address: IpAddress, source: _Source) -> None:
        shelf = self._shelves[source.shelf]
        del shelf[address]
        if not shelf:
            del self._shelves[source.shelf]
