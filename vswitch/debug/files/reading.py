"""Reading capture files: pcapng and classic pcap, as they come from any tool, packet by packet.

Theory of operation. The first four bytes say what a stream is: a pcapng section header, or classic
pcap in one of two byte orders with time stamps in micro- or nanoseconds. Blocks are read one after
the other and never sought, so a pipe can be read, and a file of any size takes the memory of one
block. Sections and byte orders may change within a pcapng file, interfaces may be declared between
packets; blocks that say nothing about packets are passed over (draft-ietf-opsawg-pcapng, 4;
draft-ietf-opsawg-pcap).

dpkt unpacks what a file has few of. A packet's block is unpacked here, which takes a fifth of the
time, and some of them dpkt does not know.

What is wrong with a file is a `CaptureError` of one line which names the file and the block or
packet; the packets before it have been handed out by then. Nothing is decided here about time: a
packet has the time stamp that it has, which may lie before its predecessor's, or none.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import dpkt
from dpkt import pcap, pcapng

from vswitch.debug.sight import Direction
from vswitch.units import MEBIBYTE, MICROSECOND, SECOND, Nanoseconds

ETHERNET = 1
"""LINKTYPE_ETHERNET, the only link type whose frames a switch carries."""

LONGEST_BLOCK = 16 * MEBIBYTE
"""Bytes: as much as Wireshark reads. What claims to be longer is taken for damage."""

LONGEST_PACKET = MEBIBYTE
"""Bytes of a packet in classic pcap: four times the longest snap length that tools write."""

_LINK_TYPES = {
    0: "BSD loopback",
    101: "raw IP",
    105: "802.11",
    113: "Linux cooked capture",
    127: "802.11 with radiotap",
    228: "raw IPv4",
    239: "nflog",
    249: "USB",
    276: "Linux cooked capture v2",
}
"""Names for link types that are met by mistake."""

_SECTION = pcapng.PCAPNG_BT_SHB
_SECTION_MAGIC = struct.pack("<I", _SECTION)  # reads the same in both byte orders
_SHORTEST_BLOCK = 12
_SHORTEST_SECTION = 28
_BLOCK_HEADER = {"<": struct.Struct("<II"), ">": struct.Struct(">II")}
_WORD = {"<": struct.Struct("<I"), ">": struct.Struct(">I")}
_SIGNED = {"<": struct.Struct("<q"), ">": struct.Struct(">q")}
_INTERFACE_BLOCK = {
    "<": pcapng.InterfaceDescriptionBlockLE,
    ">": pcapng.InterfaceDescriptionBlock,
}
_PACKET_BLOCKS = {
    ("<", pcapng.PCAPNG_BT_EPB): struct.Struct("<5I"),
    (">", pcapng.PCAPNG_BT_EPB): struct.Struct(">5I"),
    ("<", pcapng.PCAPNG_BT_PB): struct.Struct("<H2x4I"),
    (">", pcapng.PCAPNG_BT_PB): struct.Struct(">H2x4I"),
}
"""Interface, time high and low, length in the file, original length."""
_BEFORE_FIELDS = 8
_BEFORE_PACKET = 28
_OPTION = {"<": struct.Struct("<HH"), ">": struct.Struct(">HH")}
_SIMPLE_PACKET_HEADER = 12
_PACKET_FLAGS = 2  # epb_flags, an option that dpkt does not name
_DIRECTIONS = {1: Direction.RECEIVED, 2: Direction.SENT}
_DIRECTION_BITS = 3
_BINARY = 0x80  # in if_tsresol: the exponent is one of two
_MICROSECOND_EXPONENT = 6

_CLASSIC = {
    b"\xd4\xc3\xb2\xa1": (pcap.LEFileHdr, pcap.LEPktHdr, MICROSECOND),
    b"\xa1\xb2\xc3\xd4": (pcap.FileHdr, pcap.PktHdr, MICROSECOND),
    b"\x4d\x3c\xb2\xa1": (pcap.LEFileHdr, pcap.LEPktHdr, 1),
    b"\xa1\xb2\x3c\x4d": (pcap.FileHdr, pcap.PktHdr, 1),
}
_CLASSIC_FILE_HEADER = 24
_CLASSIC_PACKET_HEADER = 16
_LINK_TYPE_BITS = 0xFFFF  # above are the length of the FCS and bits of no meaning


class CaptureError(Exception):
    """A file that cannot be read, or not to its end. The text is one line: where, and what."""


@dataclass(frozen=True, slots=True)
class Interface:
    """Where packets of a file were captured. Classic pcap has one, without a name."""

    name: str
    description: str
    link_type: int
    snap_length: int
    """Bytes of a packet that were kept at most, 0 where there was no limit."""


@dataclass(frozen=True, slots=True)
class Packet:
    """An Ethernet frame as it was captured."""

    number: int
    """In the file, counted from 1 as Wireshark does."""
    when: Nanoseconds | None
    """Since 1970 in UTC. None for a packet that has no time stamp (a Simple Packet Block)."""
    interface: Interface
    data: bytes
    original_length: int
    """Of the whole frame in bytes: more than `data` has where the capture cut it short."""
    direction: Direction | None
    """As seen from whoever captured it, None where that is not told."""
    comment: str
    """What the file says about it, of several comments one a line; empty where it says nothing."""


@dataclass(slots=True)
class _Section:
    """Interfaces are numbered anew in each section."""

    order: str
    interfaces: list[tuple[Interface, _Clock]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Clock:
    """What a tick of an interface's time stamps means."""

    resolution: int
    """if_tsresol: a negative power of ten, or of two with the highest bit set."""
    offset: int
    """if_tsoffset, in seconds."""

    def nanoseconds(self, ticks: int) -> Nanoseconds:
        if self.resolution & _BINARY:
            return self.offset * SECOND + (ticks * SECOND >> (self.resolution & ~_BINARY))
        return self.offset * SECOND + ticks * SECOND // int(10**self.resolution)


class CaptureReader:
    """The packets of one stream, in order; iterate over it once. `name` is what is blamed."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name = name
        self.position = 0
        """Bytes that have been read."""
        self._stream = stream
        self._block = 0
        self._packet = 0

    @classmethod
    def open(cls, path: Path) -> CaptureReader:
        """Read the file at `path`. Raises CaptureError."""
        try:
            return cls(path.open("rb"), str(path))
        except OSError as error:
            raise CaptureError(f"{path}: cannot be read: {error.strerror}") from None

    def __enter__(self) -> CaptureReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()

    def __iter__(self) -> Iterator[Packet]:
        """Every packet. Raises CaptureError where the file can not be read on."""
        magic = self._read(4)
        if magic == _SECTION_MAGIC:
            yield from self._blocks(magic)
        elif magic in _CLASSIC:
            yield from self._classic(magic)
        elif not magic:
            raise CaptureError(f"{self.name}: is empty: not a capture file")
        else:
            raise CaptureError(
                f"{self.name}: begins with {magic.hex(' ')}: not a capture file (pcapng or pcap)"
            )

    # pcapng

    def _blocks(self, magic: bytes) -> Iterator[Packet]:
        section = _Section("<")
        header = magic + self._read(4)
        while header:
            self._block += 1
            if header[:4] == _SECTION_MAGIC:
                header += self._read(4)
                section = self._begin_section(header)
            kind, block = self._rest_of_block(section.order, header)
            if kind == pcapng.PCAPNG_BT_IDB:
                section.interfaces.append(self._interface(section.order, block))
            elif kind == pcapng.PCAPNG_BT_SPB:
                yield self._simple_packet(section, block)
            elif (section.order, kind) in _PACKET_BLOCKS:
                yield self._packet_in(section, _PACKET_BLOCKS[section.order, kind], block)
            header = self._read(8)

    def _begin_section(self, header: bytes) -> _Section:
        for order, word in _WORD.items():
            if header[8:] == word.pack(pcapng.BYTE_ORDER_MAGIC):
                return _Section(order)
        if len(header) < _SHORTEST_BLOCK:
            raise self._in_block("cut off within its header")
        raise self._in_block(f"its byte order {header[8:].hex(' ')} is none")

    def _rest_of_block(self, order: str, header: bytes) -> tuple[int, bytes]:
        if len(header) < _BLOCK_HEADER[order].size:
            raise self._in_block("cut off within its header")
        kind, length = _BLOCK_HEADER[order].unpack_from(header)
        shortest = _SHORTEST_SECTION if kind == _SECTION else _SHORTEST_BLOCK
        if length % 4 or not shortest <= length <= LONGEST_BLOCK:
            raise self._in_block(f"its length can not be {length} bytes")
        block = header + self._read(length - len(header))
        if len(block) < length:
            raise self._in_block(f"cut off: {length} bytes are announced, {len(block)} are there")
        if _WORD[order].unpack_from(block, length - 4)[0] != length:
            raise self._in_block("its lengths at the beginning and at the end differ")
        return kind, block

    def _interface(self, order: str, block: bytes) -> tuple[Interface, _Clock]:
        try:
            unpacked = _INTERFACE_BLOCK[order](block)
        except (dpkt.UnpackError, UnicodeDecodeError):
            raise self._in_block("it is no description of an interface") from None
        options = {option.code: bytes(option.data) for option in unpacked.opts}
        resolution = options.get(pcapng.PCAPNG_OPT_IF_TSRESOL, b"")
        offset = options.get(pcapng.PCAPNG_OPT_IF_TSOFFSET, b"")
        clock = _Clock(
            resolution[0] if resolution else _MICROSECOND_EXPONENT,
            _SIGNED[order].unpack(offset)[0] if len(offset) == _SIGNED[order].size else 0,
        )
        interface = Interface(
            _text(options.get(pcapng.PCAPNG_OPT_IF_NAME, b"")),
            _text(options.get(pcapng.PCAPNG_OPT_IF_DESCRIPTION, b"")),
            unpacked.linktype,
            unpacked.snaplen,
        )
        return interface, clock

    def _packet_in(self, section: _Section, layout: struct.Struct, block: bytes) -> Packet:
        self._packet += 1
        if len(block) < _BEFORE_PACKET + _WORD[section.order].size:
            raise self._in_block("too short for a packet")
        number, high, low, length, original_length = layout.unpack_from(block, _BEFORE_FIELDS)
        interface, clock = self._interface_of(section, number)
        end = _BEFORE_PACKET + length
        if end + _WORD[section.order].size > len(block):
            raise self._in_block(f"its packet of {length} bytes does not fit into it")
        direction, comments = None, []
        for code, value in self._options(section.order, block, end + -length % 4):
            if code == pcapng.PCAPNG_OPT_COMMENT:
                comments.append(_text(value))
            elif code == _PACKET_FLAGS and len(value) == _WORD[section.order].size:
                flags = _WORD[section.order].unpack(value)[0]
                direction = _DIRECTIONS.get(flags & _DIRECTION_BITS)
        return Packet(
            self._packet,
            clock.nanoseconds(high << 32 | low),
            interface,
            block[_BEFORE_PACKET:end],
            original_length,
            direction,
            "\n".join(comments),
        )

    def _options(self, order: str, block: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
        header = _OPTION[order]
        while offset + header.size <= len(block) - _WORD[order].size:
            code, length = header.unpack_from(block, offset)
            if code == pcapng.PCAPNG_OPT_ENDOFOPT:
                return
            offset += header.size
            if offset + length > len(block) - _WORD[order].size:
                raise self._in_block("its options do not fit into it")
            yield code, block[offset : offset + length]
            offset += length + -length % 4

    def _simple_packet(self, section: _Section, block: bytes) -> Packet:
        self._packet += 1
        interface, _ = self._interface_of(section, 0)
        original_length = _WORD[section.order].unpack_from(block, 8)[0]
        length = min(original_length, interface.snap_length or original_length)
        data = block[_SIMPLE_PACKET_HEADER : _SIMPLE_PACKET_HEADER + length]
        if len(block) - _SIMPLE_PACKET_HEADER - 4 < length:
            raise self._in_block(f"its packet of {length} bytes does not fit into it")
        return Packet(self._packet, None, interface, data, original_length, None, "")

    def _interface_of(self, section: _Section, number: int) -> tuple[Interface, _Clock]:
        if number >= len(section.interfaces):
            raise self._in_block(
                f"packet {self._packet} is from interface {number}, which no block has declared"
            )
        interface, clock = section.interfaces[number]
        self._require_ethernet(interface.link_type, interface.name)
        return interface, clock

    # Classic pcap

    def _classic(self, magic: bytes) -> Iterator[Packet]:
        file_header_class, packet_header_class, unit = _CLASSIC[magic]
        header = magic + self._read(_CLASSIC_FILE_HEADER - len(magic))
        if len(header) < _CLASSIC_FILE_HEADER:
            raise CaptureError(f"{self.name}: cut off within the file's header")
        file_header = file_header_class(header)
        link_type = file_header.linktype & _LINK_TYPE_BITS
        interface = Interface("", "", link_type, file_header.snaplen)
        while header := self._read(_CLASSIC_PACKET_HEADER):
            self._packet += 1
            if len(header) < _CLASSIC_PACKET_HEADER:
                raise self._in_packet("cut off within its header")
            self._require_ethernet(link_type, "")
            yield self._classic_packet(packet_header_class(header), interface, unit)

    def _classic_packet(self, header: Any, interface: Interface, unit: Nanoseconds) -> Packet:
        if header.caplen > LONGEST_PACKET:
            raise self._in_packet(f"its length can not be {header.caplen} bytes")
        data = self._read(header.caplen)
        if len(data) < header.caplen:
            raise self._in_packet(
                f"cut off: {header.caplen} bytes are announced, {len(data)} are there"
            )
        when = header.tv_sec * SECOND + header.tv_usec * unit
        return Packet(self._packet, when, interface, data, header.len, None, "")

    # Both

    def _require_ethernet(self, link_type: int, interface: str) -> None:
        if link_type == ETHERNET:
            return
        name = f" ({_LINK_TYPES[link_type]})" if link_type in _LINK_TYPES else ""
        where = f' of interface "{printable(interface)}"' if interface else ""
        raise self._in_packet(
            f"the link type{where} is {link_type}{name}: only Ethernet ({ETHERNET}) is read"
        )

    def _read(self, length: int) -> bytes:
        try:
            data = self._stream.read(length)
        except OSError as error:
            raise CaptureError(f"{self.name}: cannot be read: {error.strerror}") from None
        self.position += len(data)
        return data

    def _in_block(self, words: str) -> CaptureError:
        return CaptureError(f"{self.name}: block {self._block}: {words}")

    def _in_packet(self, words: str) -> CaptureError:
        return CaptureError(f"{self.name}: packet {self._packet}: {words}")


def printable(text: str) -> str:
    """`text` with everything escaped that would break a line or steer a terminal."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _text(value: bytes) -> str:
    return bytes(value).rstrip(b"\0").decode(errors="replace")
