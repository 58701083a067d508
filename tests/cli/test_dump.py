"""`vswitch dump`: files of ours and of other tools, and what a person is told of a damaged one."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from tests.cli.conftest import Vswitch
from vswitch.debug.files.pcapng import PcapngWriter
from vswitch.debug.sight import Direction
from vswitch.units import SECOND
from vswitch.wire.offload import HEADER_LENGTH

ETHER = Ether(src="02:00:00:00:00:0a", dst="02:00:00:00:00:01")
SYN = ETHER / IP(src="172.18.0.3", dst="198.51.100.1") / TCP(sport=40000, dport=80, flags="S")
QUESTION = ETHER / IP(src="172.18.0.3", dst="198.51.100.1") / UDP(sport=5000, dport=53) / b"what"
DROPPED = "dropped ttl_expired: the time to live ran out here; 172.18.0.3 may send from front"


@pytest.fixture
def ours(tmp_path: Path) -> Path:
    file = tmp_path / "ours.pcapng"
    with file.open("wb") as stream:
        writer = PcapngWriter(stream)
        app, uplink = writer.add_interface("app"), writer.add_interface("uplink")
        for number, (port, way, frame, comment) in enumerate(
            (
                (app, Direction.RECEIVED, SYN, "forwarded; flow 12; a > b"),
                (uplink, Direction.SENT, SYN, "forwarded; flow 12; a > b"),
                (app, Direction.RECEIVED, QUESTION, DROPPED),
            )
        ):
            when = 1_700_000_000 * SECOND + number * SECOND // 4
            writer.write(port, way, bytes(HEADER_LENGTH) + bytes(frame), when, comment=comment)
    return file


def test_each_frame_is_a_line_with_its_verdict(vswitch: Vswitch, ours: Path) -> None:
    shown = vswitch("dump", str(ours))
    assert (shown.status, shown.err) == (0, "")
    first, second, third = shown.out.splitlines()
    assert "0.000000 app      in  IPv4 172.18.0.3:40000 > 198.51.100.1:80 TCP SYN" in first
    assert first.endswith("  [forwarded; flow 12]")
    assert "0.250000 uplink   out IPv4" in second
    assert "0.500000 app      in  IPv4 172.18.0.3:5000 > 198.51.100.1:53 UDP data 4" in third
    assert third.endswith("  [dropped ttl_expired: the time to live ran out here]")


def test_verbose_is_a_line_for_each_layer_and_the_whole_verdict(
    vswitch: Vswitch, ours: Path
) -> None:
    lines = vswitch("dump", "-v", str(ours)).out.splitlines()
    assert sum("Ethernet 02:00:00:00:00:0a > 02:00:00:00:00:01 IPv4" in line for line in lines) == 3
    assert lines[-1].strip() == "172.18.0.3 may send from front"


def test_count_ends_early_and_time_may_be_absolute(vswitch: Vswitch, ours: Path) -> None:
    [line] = vswitch("dump", "-c", "1", "-t", "absolute", str(ours)).out.splitlines()
    assert "2023-11-14 22:13:20.000000" in line


def test_octets_and_scapys_fields_follow_where_they_are_asked_for(
    vswitch: Vswitch, ours: Path
) -> None:
    plain = vswitch("dump", str(ours)).out
    octets = vswitch("dump", "-x", str(ours)).out
    assert "0000  02 00 00 00 00 01 02 00 00 00 00 0a 08 00" in octets
    full = vswitch("dump", "--full", str(ours)).out
    assert full.count("###[ Ethernet ]###") == 3
    assert len(plain.splitlines()) == 3


@pytest.mark.parametrize(("option", "is_loaded"), [("-v", False), ("--full", True)])
def test_scapy_is_loaded_only_where_it_is_asked_for(
    ours: Path, option: str, is_loaded: bool
) -> None:
    code = (
        "import sys; from vswitch.cli.app import app;"
        f"app(['dump', '{option}', {str(ours)!r}], standalone_mode=False);"
        "sys.exit('scapy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (bool(done.returncode), done.stderr) == (is_loaded, "")
    assert ("###[ TCP ]###" in done.stdout) is is_loaded


def test_classic_capture_of_another_tool_is_read(vswitch: Vswitch, tmp_path: Path) -> None:
    file = tmp_path / "theirs.pcap"
    wrpcap(str(file), [SYN, QUESTION])
    lines = vswitch("dump", str(file)).out.splitlines()
    assert ["TCP SYN" in line for line in lines] == [True, False]
    assert lines[0].split()[2] == "-"


def test_standard_input_is_read(
    vswitch: Vswitch, ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(ours.read_bytes())))
    assert len(vswitch("dump", "-").out.splitlines()) == 3


def test_terminal_gets_colours_and_a_pipe_none(
    vswitch: Vswitch, ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    plain = vswitch("dump", str(ours)).out
    monkeypatch.setattr("vswitch.cli.dump.is_terminal", lambda: True)
    monkeypatch.setenv("FORCE_COLOR", "1")
    coloured = vswitch("dump", str(ours)).out
    assert "\x1b[31m" in coloured
    assert "\x1b" not in plain


def test_reader_that_leaves_early_is_no_error(ours: Path) -> None:
    code = (
        f"import sys; from vswitch.cli import main; sys.argv[1:] = ['dump', {str(ours)!r}]; main()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdout=pipe, stderr=pipe) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""


def test_damaged_file_is_printed_as_far_as_it_goes(vswitch: Vswitch, ours: Path) -> None:
    ours.write_bytes(ours.read_bytes()[:-20])
    shown = vswitch("dump", str(ours))
    assert (shown.status, len(shown.out.splitlines()), shown.err.count("\n")) == (1, 2, 1)
    assert shown.err.startswith(f"vswitch: {ours}: ")


def test_what_is_wrong_with_a_file_is_told_after_what_was_read(ours: Path) -> None:
    ours.write_bytes(ours.read_bytes()[:-20])
    code = (
        f"import sys; from vswitch.cli import main; sys.argv[1:] = ['dump', {str(ours)!r}]; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=30,
    )
    assert done.stdout.splitlines()[-1].startswith("vswitch: ")


@pytest.mark.parametrize("content", [b"", b"not a capture at all"])
def test_file_that_is_no_capture_is_refused_in_one_line(
    vswitch: Vswitch, tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "file"
    file.write_bytes(content)
    shown = vswitch("dump", str(file))
    assert (shown.status, shown.out) == (1, "")
    assert "not a capture file" in shown.err
    assert shown.err.count("\n") == 1


def test_file_that_is_not_there_is_told(vswitch: Vswitch) -> None:
    shown = vswitch("dump", "/no/such/file")
    assert shown.err == "vswitch: /no/such/file: cannot be read: No such file or directory\n"


def test_filter_leaves_what_it_takes_with_its_number_in_the_file(
    vswitch: Vswitch, ours: Path
) -> None:
    shown = vswitch("dump", str(ours), "udp", "port", "53")
    (line,) = shown.out.splitlines()
    assert line.split()[0] == "3"
    assert "UDP" in line
    assert len(vswitch("dump", "-c", "1", str(ours), "tcp").out.splitlines()) == 1


def test_filter_that_is_none_is_refused_in_libpcaps_words(vswitch: Vswitch, ours: Path) -> None:
    shown = vswitch("dump", str(ours), "tcp prot 80")
    assert (shown.status, shown.out) == (1, "")
    assert shown.err.startswith("vswitch: filter 'tcp prot 80': ")


def test_dump_of_nothing_says_what_it_could_be(vswitch: Vswitch) -> None:
    shown = vswitch("dump")
    assert shown.status == 2
    assert "--live" in shown.err
