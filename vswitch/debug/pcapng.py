"""Writing pcapng: what passed the switch, in the format that Wireshark and tcpdump read.

Theory of operation. A file is one section. Each port is an interface of it, with its name and
description, so one file shows a frame coming in and going out by another port; interfaces may be
added while frames are written. A frame is an Enhanced Packet Block with a time stamp in
nanoseconds, its direction, and a comment where there is something to say about it
(draft-ietf-opsawg-pcapng, sections 4.1 to 4.3).

The virtio-net header is cut off: a file holds Ethernet frames as they are, so a checksum that was
left unfinished is shown unfinished, and a super-frame is one large packet.

dpkt packs the blocks. What it does not carry is a packet's length before it was cut short, which
is set in the packed block.
"""

from __future__ import annotations

import struct
from typing import BinaryIO

from dpkt import pcapng

from vswitch import __version__
from vswitch.debug.sight import Direction
from vswitch.units import KIBIBYTE, Nanoseconds
from vswitch.wire.buffer import Buffer
from vswitch.wire.offload import HEADER_LENGTH

APPLICATION = f"vswitch {__version__}"

WHOLE_FRAMES = 256 * KIBIBYTE
"""Default snap length in bytes: more than any super-frame, and what Wireshark takes at most."""

LONGEST_OPTION = 0xFFFF
"""Bytes of an option's value: its length field has 16 bits. Longer text is cut."""

_NANOSECOND_STAMPS = b"\x09"  # if_tsresol: negative power of ten
_PACKET_FLAGS = 2  # epb_flags, an option that dpkt does not name
_FLAGS = {Direction.RECEIVED: struct.pack("<I", 1), Direction.SENT: struct.pack("<I", 2)}
_ORIGINAL_LENGTH_OFFSET = 24  # in a packed Enhanced Packet Block


class PcapngWriter:
    """A pcapng section on a binary stream, which stays its owner's to flush and close.

    Errors of the stream (OSError) are the caller's.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._interfaces = 0
        options = [_text(pcapng.PCAPNG_OPT_SHB_USERAPPL, APPLICATION), _end()]
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
        options = [_option(_PACKET_FLAGS, _FLAGS[direction]), _end()]
        if comment is not None:
            options.insert(0, _text(pcapng.PCAPNG_OPT_COMMENT, comment))
        block = pcapng.EnhancedPacketBlockLE(
            iface_id=interface,
            ts_high=when >> 32,
            ts_low=when & 0xFFFFFFFF,
            pkt_data=bytes(frame[HEADER_LENGTH:]),
            opts=options,
        )
        packed = bytearray(bytes(block))
        if original_length is not None:
            struct.pack_into("<I", packed, _ORIGINAL_LENGTH_OFFSET, original_length)
        self._stream.write(packed)


def _text(code: int, text: str) -> pcapng.PcapngOptionLE:
    """An option of UTF-8, cut between characters."""
    cut = text.encode()[:LONGEST_OPTION].decode(errors="ignore")
    return _option(code, cut.encode())


def _option(code: int, value: bytes) -> pcapng.PcapngOptionLE:
    return pcapng.PcapngOptionLE(code=code, data=value)


def _end() -> pcapng.PcapngOptionLE:
    return pcapng.PcapngOptionLE()
