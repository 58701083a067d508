"""Frames with their offload headers, in captures that any tool reads, and how they are made."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet

from vswitch.debug.cases.making import EPOCH, Script, built, make, unfinished
from vswitch.debug.cases.recording import (
    Recorded,
    RecordingWriter,
    offload_line,
    parse_offload_line,
    read_recording,
)
from vswitch.debug.files.pcapng import PcapngWriter
from vswitch.debug.files.reading import CaptureError, CaptureReader
from vswitch.debug.sight import Direction
from vswitch.units import SECOND
from vswitch.wire.adapt import adapt
from vswitch.wire.buffer import Buffer
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import FINISHED, HEADER_LENGTH, OffloadHeader, Offloads

ETHERNET = bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02", type=0x88B5) / b"hello")
SUPER = OffloadHeader(1, 1, 54, 1448, 34, 16)
SAID = "virtio-net: flags=1 gso_type=1 hdr_len=54 gso_size=1448 csum_start=34 csum_offset=16"


def read(data: bytes) -> list[Recorded]:
    return list(read_recording(CaptureReader(BytesIO(data), "in")))


def test_recording_is_read_back() -> None:
    stream = BytesIO()
    writer = RecordingWriter(stream, [("app", "app on front")])
    writer.write(Direction.SENT, "app", FINISHED + ETHERNET, 5, "forwarded; flow 1")
    writer.write(Direction.SENT, "db", SUPER.pack() + ETHERNET, 6)
    writer.write(Direction.SENT, "app", SUPER.pack() + ETHERNET, 7, "flooded")
    assert read(stream.getvalue()) == [
        Recorded(1, 5, "app", FINISHED + ETHERNET, "forwarded; flow 1"),
        Recorded(2, 6, "db", SUPER.pack() + ETHERNET, ""),
        Recorded(3, 7, "app", SUPER.pack() + ETHERNET, "flooded"),
    ]


def test_offload_header_is_a_line_of_the_comment_with_the_kernels_names() -> None:
    stream = BytesIO()
    RecordingWriter(stream).write(Direction.SENT, "app", SUPER.pack() + ETHERNET, 6, "why")
    (packet,) = CaptureReader(BytesIO(stream.getvalue()), "in")
    assert packet.comment == f"why\n{SAID}"
    assert packet.data == ETHERNET


@given(
    st.builds(
        OffloadHeader,
        st.integers(0, 255),
        st.integers(0, 255),
        *[st.integers(0, 65535) for _ in range(4)],
    )
)
def test_every_offload_header_is_written_and_read(header: OffloadHeader) -> None:
    assert parse_offload_line(offload_line(header)) == header


@pytest.mark.parametrize(
    "line",
    [
        "virtio-net: gso",
        "virtio-net: mtu=5",
        "virtio-net: flags=256",
        "virtio-net: gso_size=65536",
        "virtio-net: flags=-1",
    ],
)
def test_line_that_is_no_offload_header_is_refused_with_its_packet(line: str) -> None:
    stream = BytesIO()
    writer = PcapngWriter(stream)
    writer.write(
        writer.add_interface("app"), Direction.SENT, FINISHED + ETHERNET, 0, comment=f"a\n{line}"
    )
    with pytest.raises(CaptureError) as refused:
        read(stream.getvalue())
    assert str(refused.value).startswith(f"in: packet 1: comment '{line}': allowed is virtio-net:")


def test_script_sends_at_its_times_in_its_order(tmp_path: Path) -> None:
    def build(script: Script) -> None:
        script.send(0.5, "app", Ether(ETHERNET), comment="first")
        script.send(0.1, "db", ETHERNET, SUPER)

    make(str(tmp_path / "make.py"), build)
    data = (tmp_path / "in.pcapng").read_bytes()
    assert data == built(build)
    assert read(data) == [
        Recorded(1, EPOCH + SECOND // 2, "app", FINISHED + ETHERNET, "first"),
        Recorded(2, EPOCH + SECOND // 10, "db", SUPER.pack() + ETHERNET, ""),
    ]


LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
INSIDE = {"src": "10.0.0.2", "dst": "10.0.0.3"}


def on_a_plain_device(header: OffloadHeader, raw: bytes) -> Sequence[Buffer]:
    pieces = adapt(bytearray(header.pack() + raw), Offloads.NONE)
    assert not isinstance(pieces, Malformed)
    return pieces


@pytest.mark.parametrize(
    "frame",
    [
        LINK / IP(**INSIDE) / TCP(flags="PA", seq=7) / bytes(range(200)),
        LINK / Dot1Q(vlan=5) / IP(**INSIDE) / UDP(sport=1, dport=2) / bytes(range(200)),
        LINK / IPv6(src="fd00::1", dst="fd00::2") / TCP(options=[("NOP", 0)] * 4) / bytes(200),
        LINK / IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=1, dport=2) / bytes(200),
    ],
)
def test_unfinished_packet_is_finished_by_the_device_to_what_it_was(frame: Packet) -> None:
    raw, header = unfinished(frame)
    assert raw != bytes(frame)
    (finished,) = on_a_plain_device(header, raw)
    assert finished[HEADER_LENGTH:] == bytes(frame)
    raw, header = unfinished(frame, gso_size=90)
    assert header.header_length == len(raw) - 200
    payloads = [
        bytes(Ether(bytes(piece[HEADER_LENGTH:])).lastlayer())
        for piece in on_a_plain_device(header, raw)
    ]
    assert b"".join(payloads) == bytes(frame)[-200:]
    assert [len(payload) for payload in payloads] == [90, 90, 20]


@pytest.mark.parametrize("frame", [LINK / ARP(), LINK / IP(**INSIDE) / ICMP(), b"short"])
def test_what_no_kernel_leaves_unfinished_is_refused(frame: Packet | bytes) -> None:
    with pytest.raises(ValueError, match=r"neither TCP nor UDP|not an IP packet"):
        unfinished(frame)
