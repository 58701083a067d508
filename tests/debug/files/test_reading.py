"""Capture files of every kind are read, and what is wrong with one is told in a line."""

from __future__ import annotations

import shutil
import struct
import subprocess
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from dpkt import pcap, pcapng
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap, wrpcapng

from vswitch.debug.files.pcapng import PcapngWriter
from vswitch.debug.files.reading import CaptureError, CaptureReader, Packet
from vswitch.debug.sight import Direction
from vswitch.units import SECOND
from vswitch.wire.offload import FINISHED

WHEN = 1_700_000_000_123_456_789
FRAMES = [bytes(Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")) + bytes(n) for n in (3, 4)]


def read(data: bytes) -> list[Packet]:
    return list(CaptureReader(BytesIO(data), "in"))


def complaint(data: bytes) -> str:
    """What is said against a capture, after the packets before it have been handed out."""
    with pytest.raises(CaptureError) as refused:
        read(data)
    assert str(refused.value).isprintable()
    return str(refused.value)


def section(**ways: object) -> bytes:
    return bytes(pcapng.SectionHeaderBlockLE(**ways))


def interface(
    *options: tuple[int, bytes], link_type: int = 1, snap_length: int = 0, big: bool = False
) -> bytes:
    option = pcapng.PcapngOption if big else pcapng.PcapngOptionLE
    block = pcapng.InterfaceDescriptionBlock if big else pcapng.InterfaceDescriptionBlockLE
    opts = [*(option(code=code, data=value) for code, value in options), option()]
    return bytes(block(linktype=link_type, snaplen=snap_length, opts=opts))


def packet(
    *options: tuple[int, bytes], ticks: int = 0, on: int = 0, data: bytes = FRAMES[0]
) -> bytes:
    opts = [
        *(pcapng.PcapngOptionLE(code=code, data=value) for code, value in options),
        pcapng.PcapngOptionLE(),
    ]
    block = pcapng.EnhancedPacketBlockLE(
        iface_id=on, ts_high=ticks >> 32, ts_low=ticks & 0xFFFFFFFF, pkt_data=data, opts=opts
    )
    return bytes(block)


def simple_packet(data: bytes) -> bytes:
    padded = data + bytes(-len(data) % 4)
    length = 16 + len(padded)
    return struct.pack("<III", 3, length, len(data)) + padded + struct.pack("<I", length)


def classic(order: str, magic: int, link_type: int = 1) -> bytes:
    header = struct.pack(f"{order}IHHIIII", magic, 2, 4, 0, 0, 65535, link_type)
    for seconds, fraction, data in ((1_700_000_000, 123_456, FRAMES[0]), (5, 6, FRAMES[1])):
        header += struct.pack(f"{order}IIII", seconds, fraction, len(data), len(data) + 9) + data
    return header


# What is read


def test_what_the_switch_has_written_is_read_back() -> None:
    stream = BytesIO()
    writer = PcapngWriter(stream)
    web = writer.add_interface("web", "web on front", snap_length=96)
    writer.add_interface("up0")
    writer.write(web, Direction.RECEIVED, FINISHED + FRAMES[0], WHEN, comment="dröpped")
    writer.write(1, Direction.SENT, FINISHED + FRAMES[1], WHEN + 1, original_length=900)
    first, second = read(stream.getvalue())
    assert (first.number, first.when, first.data) == (1, WHEN, FRAMES[0])
    assert (first.direction, first.comment) == (Direction.RECEIVED, "dröpped")
    assert (first.interface.name, first.interface.description) == ("web", "web on front")
    assert first.interface.snap_length == 96
    assert (second.number, second.when, second.data) == (2, WHEN + 1, FRAMES[1])
    assert (second.direction, second.comment) == (Direction.SENT, "")
    assert (second.interface.name, second.original_length) == ("up0", 900)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)])
def test_classic_pcap_is_read_in_both_byte_orders_and_resolutions(
    order: str, magic: int, unit: int
) -> None:
    first, second = read(classic(order, magic))
    assert (first.when, first.data) == (1_700_000_000 * SECOND + 123_456 * unit, FRAMES[0])
    assert (second.when, second.data) == (5 * SECOND + 6 * unit, FRAMES[1])
    assert second.original_length == len(FRAMES[1]) + 9
    assert (second.number, second.direction, second.interface.name) == (2, None, "")


@pytest.mark.parametrize("write", [wrpcap, wrpcapng])
def test_what_scapy_has_written_is_read(
    write: Callable[[str, list[Ether]], None], tmp_path: Path
) -> None:
    path = tmp_path / "scapy"
    frames = [Ether(data) for data in FRAMES]
    for seconds, frame in enumerate(frames):
        frame.time = seconds
    write(str(path), frames)
    with CaptureReader.open(path) as reader:
        assert [(packet.when, packet.data) for packet in reader] == [
            (0, FRAMES[0]),
            (SECOND, FRAMES[1]),
        ]


@pytest.mark.parametrize(
    "command",
    [
        ["tcpdump", "-r", "-", "-w", "-"],
        ["dumpcap", "-q", "-i", "-", "-w", "-"],
        ["dumpcap", "-q", "-P", "-i", "-", "-w", "-"],
    ],
    ids=["tcpdump", "dumpcap", "dumpcap classic"],
)
def test_what_the_usual_tools_have_written_is_read(command: list[str]) -> None:
    tool = shutil.which(command[0])
    if tool is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run(
        [tool, *command[1:]],
        input=classic("<", 0xA1B2C3D4),
        capture_output=True,
        timeout=30,
        check=True,
    )
    first, second = read(done.stdout)
    assert (first.when, first.data) == (1_700_000_000_123_456_000, FRAMES[0])
    assert (second.when, second.data) == (5_000_006_000, FRAMES[1])
    assert second.original_length == len(FRAMES[1]) + 9


def test_what_dpkt_has_written_is_read() -> None:
    stream = BytesIO()
    pcap.Writer(stream, nano=True).writepkt(FRAMES[0], ts=1.5)
    (only,) = read(stream.getvalue())
    assert (only.when, only.data) == (3 * SECOND // 2, FRAMES[0])


def test_sections_in_another_byte_order_declare_their_interfaces_anew() -> None:
    option = pcapng.PcapngOption
    block = pcapng.EnhancedPacketBlock(
        ts_low=7, pkt_data=FRAMES[1], opts=[option(code=1, data=b"big"), option()]
    )
    little = section() + interface((2, b"one")) + packet()
    big = bytes(pcapng.SectionHeaderBlock()) + interface((2, b"other"), big=True) + bytes(block)
    first, second = read(little + big)
    assert (first.interface.name, second.interface.name) == ("one", "other")
    assert (second.when, second.data, second.comment) == (7000, FRAMES[1], "big")


@pytest.mark.parametrize(
    ("resolution", "nanoseconds"),
    [(b"\x00", 3 * SECOND), (b"\x09", 3), (b"\x0c", 0), (b"\x81", 3 * SECOND // 2)],
)
def test_resolution_of_an_interface_is_heeded(resolution: bytes, nanoseconds: int) -> None:
    (only,) = read(section() + interface((9, resolution)) + packet(ticks=3))
    assert only.when == nanoseconds


def test_time_offset_of_an_interface_is_added() -> None:
    offset = interface((14, struct.pack("<q", -2)))
    (only,) = read(section() + offset + packet(ticks=5_000_000))
    assert only.when == 3 * SECOND


def test_several_comments_are_lines() -> None:
    (only,) = read(section() + interface() + packet((1, b"one"), (1, b"\xfftwo")))
    assert only.comment == "one\n\ufffdtwo"


def test_old_and_simple_packet_blocks_are_read() -> None:
    old = bytes(pcapng.PacketBlockLE(ts_low=1, pkt_data=FRAMES[0], opts=[pcapng.PcapngOptionLE()]))
    simple = simple_packet(FRAMES[1])
    first, second = read(section() + interface() + old + simple)
    assert (first.when, first.data) == (1000, FRAMES[0])
    assert (second.when, second.data) == (None, FRAMES[1])


def test_simple_packet_ends_at_the_snap_length() -> None:
    cut = struct.pack("<III", 3, 32, 900) + FRAMES[1][:16] + struct.pack("<I", 32)
    (only,) = read(section() + interface(snap_length=14) + cut)
    assert (only.data, only.original_length) == (FRAMES[1][:14], 900)


def test_blocks_that_are_no_packets_are_passed_over() -> None:
    statistics = struct.pack("<IIIII I", 5, 24, 0, 0, 0, 24)
    unknown = struct.pack("<III", 0x0BAD, 12, 12)
    data = section() + interface() + statistics + packet() + unknown
    assert len(read(data)) == 1


def test_interface_of_another_link_type_is_no_matter_without_packets() -> None:
    data = section() + interface(link_type=239) + interface() + packet(on=1)
    assert len(read(data)) == 1


def test_position_is_what_has_been_read() -> None:
    data = section() + interface() + packet() + packet()
    reader = CaptureReader(BytesIO(data), "in")
    positions = [reader.position for _ in reader]
    assert positions == [len(data) - len(packet()), len(data)]


# What is refused

BLOCKS = section() + interface()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "in: is empty: not a capture file"),
        (b"GET ", "in: begins with 47 45 54 20: not a capture file (pcapng or pcap)"),
        (section()[:10], "in: block 1: cut off within its header"),
        (section(bom=7), "in: block 1: its byte order 07 00 00 00 is none"),
        (BLOCKS + packet()[:6], "in: block 3: cut off within its header"),
        (
            BLOCKS + packet() + packet()[:-5],
            f"in: block 4: cut off: {len(packet())} bytes are announced, "
            f"{len(packet()) - 5} are there",
        ),
        (
            BLOCKS + struct.pack("<II", 6, 4) + bytes(4),
            "in: block 3: its length can not be 4 bytes",
        ),
        (
            BLOCKS + struct.pack("<II", 6, 0x7FFFFFF0),
            "in: block 3: its length can not be 2147483632 bytes",
        ),
        (
            BLOCKS + packet()[:-4] + bytes(4),
            "in: block 3: its lengths at the beginning and at the end differ",
        ),
        (
            BLOCKS + struct.pack("<III", 6, 16, 0) + struct.pack("<I", 16),
            "in: block 3: too short for a packet",
        ),
        (
            BLOCKS + packet(on=3),
            "in: block 3: packet 1 is from interface 3, which no block has declared",
        ),
        (
            BLOCKS + packet().replace(struct.pack("<II", 17, 17), struct.pack("<II", 99, 17)),
            "in: block 3: its packet of 99 bytes does not fit into it",
        ),
        (
            BLOCKS + packet((1, b"four")).replace(b"\1\0\4\0four", b"\1\0\x44\0four"),
            "in: block 3: its options do not fit into it",
        ),
        (
            section() + interface((2, b"any"), link_type=113) + packet(),
            'in: packet 1: the link type of interface "any" is 113 (Linux cooked capture): '
            "only Ethernet (1) is read",
        ),
        (
            classic("<", 0xA1B2C3D4, 101),
            "in: packet 1: the link type is 101 (raw IP): only Ethernet (1) is read",
        ),
        (classic("<", 0xA1B2C3D4)[:20], "in: cut off within the file's header"),
        (classic("<", 0xA1B2C3D4)[:30], "in: packet 1: cut off within its header"),
        (
            classic(">", 0xA1B2C3D4)[:-3],
            "in: packet 2: cut off: 18 bytes are announced, 15 are there",
        ),
        (
            classic("<", 0xA1B2C3D4)[:32] + b"\xff\xff\xff\xff" + bytes(30),
            "in: packet 1: its length can not be 4294967295 bytes",
        ),
    ],
)
def test_damage_is_told_with_its_place(data: bytes, said: str) -> None:
    assert complaint(data) == said


def test_packets_before_the_damage_are_handed_out() -> None:
    reader = iter(CaptureReader(BytesIO(BLOCKS + packet() + packet()[:-5]), "in"))
    assert next(reader).number == 1
    with pytest.raises(CaptureError, match="block 4"):
        next(reader)


def test_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "gone", "No such file or directory"), (tmp_path, "Is a dire")):
        with pytest.raises(CaptureError, match=f"^{path}: cannot be read: {reason}"):
            CaptureReader.open(path)


def read_or_refused(data: bytes) -> list[Packet]:
    try:
        return read(data)
    except CaptureError:
        complaint(data)
        return []


@given(st.data())
def test_no_bytes_make_the_reader_fail(data: st.DataObject) -> None:
    whole = BLOCKS + packet((1, b"comment")) + simple_packet(FRAMES[0]) + packet()
    sound = data.draw(st.sampled_from([whole, classic("<", 0xA1B2C3D4), classic(">", 0xA1B23C4D)]))
    damaged = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(damaged[: data.draw(st.integers(0, len(damaged)))])
    assert all(len(packet.data) <= len(cut) for packet in read_or_refused(cut))
