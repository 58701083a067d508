"""Writing a case's in.pcapng from a script: who sends which frame, and when.

A case's `make.py` defines `build`, which is called with a `Script`, and ends by handing it to
`make`:

    from scapy.layers.l2 import ARP, Ether
    from vswitch.debug.cases.making import Script, make

    def build(script: Script) -> None:
        question = ARP(hwsrc="02:00:00:00:01:02", psrc="10.0.0.2", pdst="10.0.0.1")
        script.send(0.0, "app", Ether(src="02:00:00:00:01:02", dst="ff:ff:ff:ff:ff:ff") / question)

    if __name__ == "__main__":
        make(__file__, build)

What `build` sends depends on nothing but itself, so the same file comes out on every machine.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, SupportsBytes, TypeAlias

from vswitch.debug.cases.recording import RecordingWriter
from vswitch.debug.sight import Direction
from vswitch.units import SECOND, Nanoseconds
from vswitch.wire import tcp, udp
from vswitch.wire.checksum import pseudo_header_sum
from vswitch.wire.ethernet import Ethernet
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.ipv6 import Ipv6
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import (
    FINISHED,
    GSO_NONE,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP_L4,
    HEADER_LENGTH,
    NEEDS_CSUM,
    OffloadHeader,
)
from vswitch.wire.values import EtherType, Protocol

EPOCH: Nanoseconds = 1_767_225_600 * SECOND
"""2026-01-01T00:00:00Z, which the times of a `Script` count from."""

INPUT = "in.pcapng"

Build: TypeAlias = Callable[["Script"], None]


class Script:
    """Frames that arrive at the switch, in the order in which they are sent."""

    def __init__(self, stream: BinaryIO) -> None:
        self._writer = RecordingWriter(stream)

    def send(
        self,
        seconds: float,
        port: str,
        frame: SupportsBytes,
        offload: OffloadHeader | None = None,
        *,
        comment: str = "",
    ) -> None:
        """Let whoever is behind `port` send `frame`, Ethernet without FCS, `seconds` after `EPOCH`.

        `frame` is a scapy packet or bytes. `offload` is what a kernel would put in front of a
        super-frame or a frame with an unfinished checksum; without it the frame is finished.
        """
        header = (offload or OffloadHeader()).pack()
        when = EPOCH + round(seconds * SECOND)
        self._writer.write(Direction.RECEIVED, port, header + bytes(frame), when, comment)


def unfinished(frame: SupportsBytes, gso_size: int = 0) -> tuple[bytes, OffloadHeader]:
    """A finished TCP or UDP packet as a kernel hands it to a device that can do the rest.

    Its checksum is only begun, and with `gso_size` it is to be cut into packets with so many bytes
    of payload each. ValueError where the frame is neither TCP nor UDP over IP.
    """
    raw = bytearray(FINISHED + bytes(frame))
    link = Ethernet.parse(raw)
    packet: Ipv4 | Ipv6 | Malformed = Malformed.TRUNCATED_ETHERNET
    if isinstance(link, Ethernet):
        read = Ipv4.parse if link.ethertype == EtherType.IPV4 else Ipv6.parse
        packet = read(raw, link.payload)
    if isinstance(packet, Malformed):
        raise ValueError(f"not an IP packet: {packet.value}")
    protocol = packet.protocol if isinstance(packet, Ipv4) else packet.next_header
    if protocol not in (Protocol.TCP, Protocol.UDP):
        raise ValueError(f"neither TCP nor UDP: protocol {protocol}")
    is_tcp = protocol == Protocol.TCP
    field = tcp.CHECKSUM if is_tcp else udp.CHECKSUM
    start, length = packet.payload, packet.end - packet.payload
    begun = pseudo_header_sum(packet.source, packet.destination, protocol, length)
    raw[start + field : start + field + 2] = begun.to_bytes(2, "big")
    header_length = (raw[start + tcp.DATA_OFFSET] >> 4 << 2) if is_tcp else udp.HEADER_LENGTH
    tso = GSO_TCPV4 if isinstance(packet, Ipv4) else GSO_TCPV6
    header = OffloadHeader(
        flags=NEEDS_CSUM,
        gso_type=(tso if is_tcp else GSO_UDP_L4) if gso_size else GSO_NONE,
        header_length=start + header_length - HEADER_LENGTH if gso_size else 0,
        gso_size=gso_size,
        checksum_start=start - HEADER_LENGTH,
        checksum_offset=field,
    )
    return bytes(raw[HEADER_LENGTH:]), header


def built(build: Build) -> bytes:
    """The capture file that `build` makes."""
    stream = io.BytesIO()
    build(Script(stream))
    return stream.getvalue()


def make(script: str, build: Build) -> None:
    """Write in.pcapng beside `script`, the path of a make.py."""
    Path(script).with_name(INPUT).write_bytes(built(build))
