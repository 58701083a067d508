"""Captures that a switch can be fed from: frames with their port, time and offload header.

Theory of operation. A recording is a pcapng file whose interfaces are named after ports. Ethernet
has no place for a frame's virtio-net header, so it stands in the packet's comment, as a line of
its own with the field names of `struct virtio_net_hdr`, those that are zero left out:

    virtio-net: flags=1 gso_type=1 hdr_len=54 gso_size=1448 csum_start=34 csum_offset=16

A frame without such a line is finished. So any capture is a recording, any tool shows one, and a
super-frame with an unfinished checksum is written and read back as what it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import BinaryIO

from vswitch.debug.files.pcapng import PcapngWriter
from vswitch.debug.files.reading import CaptureError, CaptureReader, Packet
from vswitch.debug.sight import Direction
from vswitch.units import Nanoseconds
from vswitch.wire.buffer import Buffer
from vswitch.wire.offload import FINISHED, HEADER_LENGTH, OffloadHeader

APPLICATION = "vswitch replay"
"""Without a version: the same recording is the same bytes, whoever writes it."""

KEYS = ("flags", "gso_type", "hdr_len", "gso_size", "csum_start", "csum_offset")
"""The names of `OffloadHeader`'s fields in `struct virtio_net_hdr`, in its order."""

ALLOWED = f"allowed is virtio-net: KEY=NUMBER ..., the keys being {', '.join(KEYS)}"

_PREFIX = "virtio-net:"
_LARGEST = (0xFF, 0xFF, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFF)
_VALUE = re.compile(r"([a-z_]+)=([0-9]{1,5})")


@dataclass(frozen=True, slots=True)
class Recorded:
    """One frame of a recording."""

    number: int
    """Of the packet in its file, from 1."""
    when: Nanoseconds
    port: str
    frame: bytes
    """With its virtio-net header."""
    comment: str
    """Without the line that holds the virtio-net header."""


class RecordingWriter:
    """Writes a recording; the stream stays its owner's to flush and close."""

    def __init__(self, stream: BinaryIO, ports: Iterable[tuple[str, str]] = ()) -> None:
        """Declare `ports`, each with a description; others are declared by their first frame."""
        self._writer = PcapngWriter(stream, application=APPLICATION)
        self._interfaces: dict[str, int] = {}
        for name, description in ports:
            self._interfaces[name] = self._writer.add_interface(name, description)

    def write(
        self, direction: Direction, port: str, frame: Buffer, when: Nanoseconds, comment: str = ""
    ) -> None:
        """Write `frame`, which begins with its virtio-net header. Raises OSError."""
        interface = self._interfaces.get(port)
        if interface is None:
            interface = self._interfaces[port] = self._writer.add_interface(port)
        lines = [comment] if comment else []
        if frame[:HEADER_LENGTH] != FINISHED:
            lines.append(offload_line(OffloadHeader.parse(frame)))
        said = "\n".join(lines)
        self._writer.write(interface, direction, frame, when, comment=said or None)


def read_recording(reader: CaptureReader) -> Iterator[Recorded]:
    """The frames of a recording, each with its interface's name as its port.

    Raises CaptureError.
    """
    for packet in reader:
        yield recorded(packet, packet.interface.name, reader.name)


def recorded(packet: Packet, port: str, file: str) -> Recorded:
    """A packet of `file` as a frame at `port`. Raises CaptureError where it can not be one."""
    if packet.when is None:
        words = "has no time stamp (it is in a Simple Packet Block)"
        raise CaptureError(f"{file}: packet {packet.number}: {words}")
    header, comment = FINISHED, packet.comment
    if _PREFIX in comment:
        lines = comment.split("\n")
        ours = [line for line in lines if line.startswith(_PREFIX)]
        comment = "\n".join(line for line in lines if not line.startswith(_PREFIX))
        for line in ours:
            parsed = parse_offload_line(line)
            if parsed is None:
                raise CaptureError(f"{file}: packet {packet.number}: comment {line!r}: {ALLOWED}")
            header = parsed.pack()
    return Recorded(packet.number, packet.when, port, header + packet.data, comment)


def offload_line(header: OffloadHeader) -> str:
    """The header as a line of a comment."""
    values = (getattr(header, field.name) for field in fields(header))
    said = (f"{key}={value}" for key, value in zip(KEYS, values, strict=True) if value)
    return " ".join((_PREFIX, *said))


def parse_offload_line(line: str) -> OffloadHeader | None:
    """The header that such a line holds, None where it is not one."""
    values = dict.fromkeys(KEYS, 0)
    for word in line.removeprefix(_PREFIX).split():
        said = _VALUE.fullmatch(word)
        if said is None or said[1] not in values:
            return None
        values[said[1]] = int(said[2])
    if any(value > largest for value, largest in zip(values.values(), _LARGEST, strict=True)):
        return None
    return OffloadHeader(*values.values())
