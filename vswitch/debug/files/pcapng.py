"""Writing pcapng: what passed the switch, in the format that Wireshark and tcpdump read.

Theory of operation. A file is one section. Each port is an interface of it, with its name and
description, so one file shows a frame coming in and going out by another port; interfaces may be
added while frames are written. A frame is an Enhanced Packet Block with a time stamp in
nanoseconds, its direction, and a comment where there is something to say about it; at the end an
interface may say how many frames passed it and how many of them are missing
(draft-ietf-opsawg-pcapng, sections 4.1 to 4.3 and 4.6).

The virtio-net header is cut off: a file holds Ethernet frames as they are, so a checksum that was
left unfinished is shown unfinished, and a super-frame is one large packet.

dpkt packs the blocks that a file has few of. A packet's block is packed here: a running switch
writes one for each frame, and this takes a tenth of the time.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from dpkt import pcapng

from vswitch import __version__
from vswitch.debug import choices
from vswitch.debug.sight import Direction
from vswitch.units import Nanoseconds
from vswitch.wire.buffer import Buffer
from vswitch.wire.offload import HEADER_LENGTH

APPLICATION = f"vswitch {__version__}"

WHOLE_FRAMES = choices.WHOLE_FRAMES
"""Default snap length in bytes."""

LONGEST_OPTION = 0xFFFF
"""Bytes of an option's value: its length field has 16 bits. Longer text is cut."""

_NANOSECOND_STAMPS = b"\x09"  # if_tsresol: negative power of ten
_PACKET_FLAGS = 2  # epb_flags, an option that dpkt does not name
_FLAGS = {
    direction: struct.pack("<HHI", _PACKET_FLAGS, 4, flags) + bytes(4)
    for direction, flags in ((Direction.RECEIVED, 1), (Direction.SENT, 2))
}
"""The option with the direction, and the end of the options."""
_PACKET_BLOCK = 6
_PACKET = struct.Struct("<7I")  # type, length, interface, time high and low, both lengths
_STATISTICS_BLOCK = 5
_STATISTICS = struct.Struct("<5I")  # type, length, interface, time high and low
_COUNTER = struct.Struct("<HHQ")
_OPTION = struct.Struct("<HH")
_LENGTH = struct.Struct("<I")
_COMMENT = 1  # opt_comment
_RECEIVED, _DROPPED = 4, 5  # isb_ifrecv, isb_ifdrop
_END_OF_OPTIONS = bytes(4)
_PADDING = (b"", bytes(3), bytes(2), bytes(1))


class PcapngWriter:
    """A pcapng section on a binary stream, which stays its owner's to flush and close.

    Errors of the stream (OSError) are the caller's.
    """

    def __init__(self, stream: BinaryIO, *, application: str = APPLICATION) -> None:
        """Begin the section; it says that `application` has written it."""
        self._stream = stream
        self._interfaces = 0
        options = [_text(pcapng.PCAPNG_OPT_SHB_USERAPPL, application), _end()]
        stream.write(bytes(pcapng.SectionHeaderBlockLE(opts=options)))

    def add_interface(
        self, name: str, description: str = "", *, snap_length: int = WHOLE_FRAMES
    ) -> int:
        """Declare a port; the answer is the number that `write` wants for its frames."""
        options = [_text(pcapng.PCAPNG_OPT_IF_NAME, name)]
        if description:
            options.append(_text(pcapng.PCAPNG_OPT_IF_DESCRIPTION, description))
        options += [_option(pcapng.PCAPNG_OPT_IF_TSRESOL, _NANOSECOND_STAMPS), _end()]
        block = pcapng.InterfaceDescriptionBlockLE(snaplen=snap_length, opts=options)
        self._stream.write(bytes(block))
        self._interfaces += 1
        return self._interfaces - 1

    def write(
        self,
        interface: int,
        direction: Direction,
        frame: Buffer,
        when: Nanoseconds,
        *,
        original_length: int | None = None,
        comment: str | None = None,
    ) -> None:
        """Write `frame`, which begins with its virtio-net header.

        `when` counts from 1970 in UTC. `original_length` is that of the whole Ethernet frame where
        `frame` was cut short. ValueError where `interface` was not declared.
        """
        if not 0 <= interface < self._interfaces:
            raise ValueError(f"interface {interface}: {self._interfaces} are declared")
        data = bytes(frame[HEADER_LENGTH:])
        options = _FLAGS[direction]
        if comment is not None:
            options = _comment(comment) + options
        padding = _PADDING[len(data) % 4]
        length = _PACKET.size + len(data) + len(padding) + len(options) + _LENGTH.size
        head = _PACKET.pack(
            _PACKET_BLOCK,
            length,
            interface,
            when >> 32,
            when & 0xFFFFFFFF,
            len(data),
            len(data) if original_length is None else original_length,
        )
        self._stream.write(b"".join((head, data, padding, options, _LENGTH.pack(length))))

    def write_statistics(
        self, interface: int, when: Nanoseconds, *, received: int, dropped: int
    ) -> None:
        """Say how many frames were to be written for an interface, and how many are missing."""
        options = _COUNTER.pack(_RECEIVED, 8, received) + _COUNTER.pack(_DROPPED, 8, dropped)
        length = _STATISTICS.size + len(options) + len(_END_OF_OPTIONS) + _LENGTH.size
        head = _STATISTICS.pack(_STATISTICS_BLOCK, length, interface, when >> 32, when & 0xFFFFFFFF)
        self._stream.write(head + options + _END_OF_OPTIONS + _LENGTH.pack(length))


def _comment(text: str) -> bytes:
    value = _cut(text)
    return _OPTION.pack(_COMMENT, len(value)) + value + _PADDING[len(value) % 4]


def _cut(text: str) -> bytes:
    """As much of it as an option holds, cut between characters."""
    value = text.encode()
    if len(value) <= LONGEST_OPTION:
        return value
    return value[:LONGEST_OPTION].decode(errors="ignore").encode()


def _text(code: int, text: str) -> pcapng.PcapngOptionLE:
    return _option(code, _cut(text))


def _option(code: int, value: bytes) -> pcapng.PcapngOptionLE:
    return pcapng.PcapngOptionLE(code=code, data=value)


def _end() -> pcapng.PcapngOptionLE:
    return pcapng.PcapngOptionLE()
