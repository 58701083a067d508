"""`vswitch capture` and `vswitch recorder`: what is asked of the switch, and what is made of it."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from vswitch.debug.files.pcapng import PcapngWriter
from vswitch.debug.files.rotation import files_of
from vswitch.debug.sight import Direction
from vswitch.units import SECOND

if TYPE_CHECKING:
    from tests.cli.conftest import StubSwitch, Switches, Vswitch

SYN = bytes(10) + bytes(
    Ether() / IP(src="172.18.0.3", dst="198.51.100.1") / TCP(sport=40000, dport=80, flags="S")
)
WHEN = 1_700_000_000 * SECOND


def a_capture(frames: int = 2, *, lost: int = 0, size: int = 0) -> bytes:
    stream = BytesIO()
    writer = PcapngWriter(stream)
    app = writer.add_interface("app")
    for number in range(frames):
        frame = SYN + bytes(size)
        direction = Direction.SENT if number % 2 else Direction.RECEIVED
        comment = "dropped ttl_expired: the time to live ran out here; flow 12; more"
        writer.write(app, direction, frame, WHEN, comment=comment)
    writer.write_statistics(app, WHEN, received=frames + lost, dropped=lost)
    return stream.getvalue()


@pytest.fixture
def lab(switches: Switches) -> StubSwitch:
    stub = switches("lab")
    stub.content = a_capture()
    return stub


def test_capture_is_written_as_the_switch_sends_it(
    vswitch: Vswitch, lab: StubSwitch, tmp_path: Path
) -> None:
    file = tmp_path / "x.pcapng"
    outcome = vswitch("capture", "-w", str(file))
    assert (outcome.status, outcome.out) == (0, "")
    assert outcome.err == "2 frames captured, 0 lost\n"
    assert file.read_bytes() == lab.content
    assert lab.heard == ["GET /v1/capture/stream"]


def test_choices_go_to_the_switch(vswitch: Vswitch, lab: StubSwitch) -> None:
    words = "--port web --network front --endpoint app --verdict natted --stage in -s 96 -c 7"
    outcome = vswitch("capture", *words.split(), "--duration", "1.5", "tcp", "port", "80")
    assert outcome.status == 0
    (heard,) = lab.heard
    assert parse_qs(urlsplit(heard.split()[1]).query) == {
        "port": ["web"],
        "network": ["front"],
        "endpoint": ["app"],
        "verdict": ["natted"],
        "stage": ["in"],
        "snap_length": ["96"],
        "count": ["7"],
        "seconds": ["1.5"],
        "filter": ["tcp port 80"],
    }


def test_without_a_file_each_frame_is_a_line(vswitch: Vswitch, lab: StubSwitch) -> None:
    outcome = vswitch("capture")
    first, second = outcome.out.splitlines()
    assert "2023-11-14 22:13:20" in first
    assert "app      in  IPv4 172.18.0.3:40000 > 198.51.100.1:80 TCP SYN" in first
    assert "app      out IPv4" in second
    assert first.endswith("[dropped ttl_expired: the time to live ran out here; flow 12]")


def test_lost_frames_are_told(vswitch: Vswitch, lab: StubSwitch) -> None:
    lab.content = a_capture(3, lost=40)
    assert vswitch("capture").err == "3 frames captured, 40 lost\n"


def test_files_rotate_at_their_size(vswitch: Vswitch, lab: StubSwitch, tmp_path: Path) -> None:
    lab.content = a_capture(100, size=5000)
    file = tmp_path / "x.pcapng"
    outcome = vswitch("capture", "-w", str(file), "--rotate-size", "64KiB", "--keep", "2")
    assert outcome.err == "100 frames captured, 0 lost\n"
    made = files_of(file)
    assert [path.name for path in made] == ["x-00008.pcapng", "x-00009.pcapng"]
    assert all(path.stat().st_size <= 65_536 for path in made)


def test_stream_that_ends_in_the_middle_leaves_whole_blocks(
    vswitch: Vswitch, lab: StubSwitch, tmp_path: Path
) -> None:
    lab.content = a_capture(0) + b"\x06\0\0\0\x40\0\0\0 half a block"
    file = tmp_path / "x.pcapng"
    assert vswitch("capture", "-w", str(file)).status == 0
    assert file.read_bytes() == a_capture(0)


@pytest.mark.parametrize("words", [("capture",), ("capture", "-w", "FILE")])
def test_what_is_no_capture_is_told_in_one_line(
    vswitch: Vswitch, lab: StubSwitch, tmp_path: Path, words: tuple[str, ...]
) -> None:
    lab.content = b"hello, I am no switch"
    outcome = vswitch(*(word.replace("FILE", str(tmp_path / "x")) for word in words))
    assert outcome.status == 1
    assert outcome.err.startswith("vswitch: the switch")
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize("words", [("capture",), ("recorder", "dump", "-w", "FILE")])
def test_refusal_is_told_as_the_switch_words_it_and_makes_no_file(
    vswitch: Vswitch, lab: StubSwitch, tmp_path: Path, words: tuple[str, ...]
) -> None:
    lab.status, lab.content = 404, json.dumps({"error": "port wbe not found"}).encode()
    file = tmp_path / "x"
    outcome = vswitch(*(word.replace("FILE", str(file)) for word in words))
    assert (outcome.status, outcome.err) == (1, "vswitch: port wbe not found\n")
    assert not file.exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--rotate-size", "1MiB"), "only files can be rotated"),
        (("-w", "x", "--rotate-size", "1MB"), "is no size"),
        (("-w", "x", "--rotate-size", "1KiB"), "allowed is 64 KiB or more"),
        (("-w", "x", "--keep", "0"), "--keep"),
        (("--verdict", "lost"), "--verdict"),
        (("--stage", "middle"), "--stage"),
        (("--snaplen", "10"), "--snaplen"),
        (("--duration", "0"), "--duration"),
    ],
)
def test_wrong_option_is_told_before_the_switch_is_asked(
    vswitch: Vswitch, lab: StubSwitch, words: tuple[str, ...], told: str
) -> None:
    outcome = vswitch("capture", *words)
    assert (outcome.status, outcome.out) == (2, "")
    assert told in " ".join(outcome.err.replace("│", " ").split())
    assert lab.heard == []


def test_filter_that_is_too_long_is_told_in_one_line(vswitch: Vswitch, lab: StubSwitch) -> None:
    outcome = vswitch("capture", "x" * 4097)
    assert outcome.err == "vswitch: filter: String should have at most 4096 characters\n"
    assert lab.heard == []


def test_recorder_is_written_as_the_switch_sends_it(
    vswitch: Vswitch, lab: StubSwitch, tmp_path: Path
) -> None:
    file = tmp_path / "past.pcapng"
    outcome = vswitch("recorder", "dump", "-w", str(file))
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "2 frames\n")
    assert file.read_bytes() == lab.content
    assert lab.heard == ["GET /v1/recorder"]


def test_help_of_the_recorder_has_an_example(vswitch: Vswitch) -> None:
    outcome = vswitch("recorder", "dump", "--help")
    assert "vswitch recorder dump -w" in outcome.out
