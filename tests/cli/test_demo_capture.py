"""Opening the demo's capture with whatever tool there is."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from vswitch.cli.demo import capture
from vswitch.wire import ethernet, ipv4, tcp
from vswitch.wire.values import EtherType, IpAddress, MacAddress, Protocol

OUTSIDE = IpAddress.parse("198.51.100.1")
MAC = MacAddress.parse("02:00:00:00:00:01")
REQUEST = b"GET / HTTP/1.1\r\nHost: 198.51.100.1\r\n\r\n"


def request_from(source: str) -> bytes:
    address = IpAddress.parse(source)
    segment = tcp.build(
        address,
        OUTSIDE,
        40000,
        80,
        sequence=1,
        acknowledgment=1,
        flags=tcp.Flags.PSH | tcp.Flags.ACK,
        payload=REQUEST,
    )
    packet = ipv4.build(address, OUTSIDE, Protocol.TCP, segment)
    return bytes(ethernet.build(MAC, MAC, EtherType.IPV4, packet))


def block(kind: int, body: bytes) -> bytes:
    """A block of a pcapng file (draft-ietf-opsawg-pcapng, 3.1)."""
    body += bytes(-len(body) % 4)
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def capture_file(path: Path, requests: dict[str, str]) -> Path:
    """A section, an interface for each port, and its request, written without our own writer."""
    blocks = [block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))]
    for port in requests:
        name = port.encode() + bytes(-len(port) % 4)
        options = struct.pack("<HH", 2, len(port)) + name + bytes(4)
        blocks.append(block(1, struct.pack("<HHI", 1, 0, 0) + options))
    for number, source in enumerate(requests.values()):
        frame = request_from(source)[ethernet.START :]
        header = struct.pack("<IIIII", number, 0, number, len(frame), len(frame))
        blocks.append(block(6, header + frame))
    file = path / "demo.pcapng"
    file.write_bytes(b"".join(blocks))
    return file


@pytest.fixture(params=["tshark", "tcpdump"])
def only(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The one tool that is found, if it is installed at all."""
    name: str = request.param
    find = shutil.which
    if find(name) is None:
        pytest.fail(f"{name} is not installed")
    monkeypatch.setattr(shutil, "which", lambda each: find(each) if each == name else None)
    return name


def test_the_request_is_shown_before_and_behind_the_translation(only: str, tmp_path: Path) -> None:
    file = capture_file(tmp_path, {"app": "172.18.0.3", "uplink": "198.51.100.2"})
    finding = capture.open_with_tool(file)
    assert finding.passed
    (evidence,) = finding.evidence
    assert evidence.prompt.startswith(f"{only} -r demo.pcapng ")
    first, second = evidence.output.splitlines()
    assert "172.18.0.3" in first
    assert "198.51.100.2" in second
    assert first.index("198.51.100.1") == second.index("198.51.100.1")


def test_a_request_that_is_there_only_once_is_not_enough(only: str, tmp_path: Path) -> None:
    file = capture_file(tmp_path, {"app": "172.18.0.3"})
    assert not capture.open_with_tool(file).passed


def test_a_file_that_the_tool_refuses_is_told_with_its_complaint(only: str, tmp_path: Path) -> None:
    file = tmp_path / "demo.pcapng"
    file.write_bytes(b"no capture at all, whatever it is called")
    finding = capture.open_with_tool(file)
    assert not finding.passed
    assert "format" in finding.evidence[0].output


def test_a_tool_that_does_not_end_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hang(*_: object, **options: object) -> None:
        raise subprocess.TimeoutExpired("tshark", capture.READ_SECONDS)

    monkeypatch.setattr(subprocess, "run", hang)
    monkeypatch.setattr(capture, "reader", lambda _: capture.Reader(("tshark",), "tshark"))
    assert not capture.open_with_tool(tmp_path / "demo.pcapng").passed


@pytest.mark.parametrize(("content", "passes"), [(capture.SECTION_HEADER, True), (b"", False)])
def test_without_a_tool_the_beginning_of_the_file_must_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, passes: bool
) -> None:
    monkeypatch.setattr(capture, "reader", lambda _: None)
    file = tmp_path / "demo.pcapng"
    file.write_bytes(content)
    assert capture.open_with_tool(file).passed is passes
