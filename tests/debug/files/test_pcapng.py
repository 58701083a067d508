from __future__ import annotations

import json
import shutil
import subprocess
from io import BytesIO
from pathlib import Path

import pytest
from dpkt import pcapng
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import RawPcapNgReader

from vswitch.debug.files.pcapng import LONGEST_OPTION, PcapngWriter
from vswitch.debug.sight import Direction
from vswitch.wire.offload import NEEDS_CSUM, OffloadHeader

HEADER = OffloadHeader(NEEDS_CSUM, 0, 0, 0, 34, 6).pack()
ETHERNET = bytes(
    Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
    / IP(src="10.0.0.2", dst="198.51.100.1")
    / UDP(sport=5000, dport=7000)
    / b"seventeen bytes.."
)
WHEN = 1_700_000_000_123_456_789


def packets(stream: BytesIO) -> list[tuple[bytes, object]]:
    stream.seek(0)
    return [(bytes(data), metadata) for data, metadata in RawPcapNgReader(stream)]


def test_frame_is_written_without_its_virtio_header() -> None:
    stream = BytesIO()
    writer = PcapngWriter(stream)
    writer.write(writer.add_interface("web"), Direction.RECEIVED, HEADER + ETHERNET, WHEN)
    assert [data for data, _ in packets(stream)] == [ETHERNET]


def test_dpkt_reads_back_what_was_written() -> None:
    stream = BytesIO()
    writer = PcapngWriter(stream)
    writer.write(writer.add_interface("web"), Direction.SENT, bytearray(HEADER + ETHERNET), WHEN)
    stream.seek(0)
    ((_, data),) = pcapng.Reader(stream).readpkts()
    assert bytes(data) == ETHERNET


def test_interface_says_how_long_its_frames_may_be() -> None:
    stream = BytesIO()
    PcapngWriter(stream).add_interface("web", snap_length=96)
    stream.seek(0)
    assert pcapng.Reader(stream).snaplen == 96


def test_interface_that_was_not_declared_is_refused() -> None:
    writer = PcapngWriter(BytesIO())
    writer.add_interface("web")
    for interface in (-1, 1):
        with pytest.raises(ValueError, match="1 are declared"):
            writer.write(interface, Direction.SENT, HEADER + ETHERNET, WHEN)


def test_comment_beyond_the_format_is_cut_between_characters() -> None:
    stream = BytesIO()
    writer = PcapngWriter(stream)
    web = writer.add_interface("web")
    writer.write(web, Direction.SENT, HEADER + ETHERNET, WHEN, comment="é" * LONGEST_OPTION)
    writer.write(web, Direction.SENT, HEADER + ETHERNET, WHEN)
    assert [data for data, _ in packets(stream)] == [ETHERNET, ETHERNET]


@pytest.fixture
def capture(tmp_path: Path) -> Path:
    path = tmp_path / "demo.pcapng"
    with path.open("wb") as stream:
        writer = PcapngWriter(stream)
        web = writer.add_interface("web", "veth in namespace web")
        frame = HEADER + ETHERNET
        writer.write(web, Direction.RECEIVED, frame, WHEN, comment="NAPT: 10.0.0.2 → uplink")
        up0 = writer.add_interface("up0", "uplink", snap_length=42)
        cut = frame[: 10 + 42]
        writer.write(up0, Direction.SENT, cut, WHEN + 1, original_length=len(ETHERNET))
        writer.write(web, Direction.SENT, HEADER + ETHERNET[:14] + bytes(65_000), WHEN + 2)
    return path


def run_tool(tool: str, *arguments: str) -> str:
    path = shutil.which(tool)
    if path is None:
        pytest.skip(f"{tool} is not installed")
    done = subprocess.run(
        [path, *arguments], capture_output=True, text=True, timeout=30, check=False
    )
    complaints = [line for line in done.stderr.splitlines() if "Running as user" not in line]
    assert (done.returncode, complaints) == (0, [])
    return done.stdout


def test_tshark_reads_ports_times_directions_comments_and_lengths(capture: Path) -> None:
    fields = {
        "frame.interface_name": ["web", "up0", "web"],
        "frame.interface_description": ["veth in namespace web", "uplink", "veth in namespace web"],
        "frame.time_epoch": [f"1700000000.12345678{digit}" for digit in (9,)]
        + ["1700000000.123456790", "1700000000.123456791"],
        "frame.packet_flags_direction": ["0x00000001", "0x00000002", "0x00000002"],
        "frame.comment": ["NAPT: 10.0.0.2 → uplink", None, None],
        "frame.cap_len": [str(len(ETHERNET)), "42", "65014"],
        "frame.len": [str(len(ETHERNET)), str(len(ETHERNET)), "65014"],
    }
    wanted = [argument for field in fields for argument in ("-e", field)]
    printed = json.loads(run_tool("tshark", "-n", "-r", str(capture), "-T", "json", *wanted))
    layers = [packet["_source"]["layers"] for packet in printed]
    for field, values in fields.items():
        assert [layer.get(field, [None])[0] for layer in layers] == values, field


def test_tshark_finds_nothing_malformed(capture: Path) -> None:
    assert (
        run_tool("tshark", "-n", "-r", str(capture), "-Y", "frame.number<3 && _ws.malformed") == ""
    )


def test_capinfos_counts_frames_and_interfaces(capture: Path) -> None:
    printed = run_tool("capinfos", "-M", str(capture))
    assert "pcapng" in printed
    assert "nanoseconds" in printed
    counts = [line.split() for line in printed.splitlines() if line.startswith("Number of")]
    assert ["Number", "of", "packets:", "3"] in counts
    assert ["Number", "of", "interfaces", "in", "file:", "2"] in counts
