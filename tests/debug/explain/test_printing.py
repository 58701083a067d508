"""Captured frames as lines: what each says, and that no capture can talk to a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from vswitch.debug.explain.printing import Detail, Printer, verdict
from vswitch.debug.explain.times import Times
from vswitch.debug.files.reading import ETHERNET, Interface, Packet
from vswitch.debug.sight import Direction
from vswitch.units import MILLISECOND, SECOND, Nanoseconds

WHEN: Nanoseconds = 1_700_000_000 * SECOND + 123_456_789
SYN = bytes(
    Ether(src="02:00:00:00:00:0a", dst="02:00:00:00:00:01")
    / IP(src="172.18.0.3", dst="198.51.100.1")
    / TCP(sport=40000, dport=80, flags="S")
)
HEADLINE = Detail()
FORWARDED = "forwarded; flow 12; a > b; 198.51.100.1 is reached through uplink"


def packet(
    data: bytes = SYN,
    *,
    number: int = 1,
    when: Nanoseconds | None = WHEN,
    name: str = "app",
    direction: Direction | None = Direction.RECEIVED,
    comment: str = "",
    cut: int = 0,
) -> Packet:
    interface = Interface(name, "app on front (tap)", ETHERNET, 0)
    return Packet(number, when, interface, data, len(data) + cut, direction, comment)


def shown(of: Packet, detail: Detail = HEADLINE, times: Times = Times.RELATIVE) -> list[str]:
    return [line.plain for line in Printer(times, detail).lines(of)]


def test_line_says_which_when_where_and_what() -> None:
    [line] = shown(packet(number=7))
    told = "7 0.000000 app in IPv4 172.18.0.3:40000 > 198.51.100.1:80 TCP SYN seq 0 win 8192"
    assert " ".join(line.split()) == told


def test_time_counts_from_the_first_frame_and_may_run_backwards() -> None:
    printer = Printer()
    moments = (WHEN, WHEN + 1500 * MILLISECOND, WHEN - 250 * MILLISECOND, None)
    lines = [next(printer.lines(packet(when=when))).plain for when in moments]
    assert [line.split()[1] for line in lines] == ["0.000000", "1.500000", "-0.250000", "-"]


def test_absolute_time_is_utc() -> None:
    [line] = shown(packet(), times=Times.ABSOLUTE)
    assert "2023-11-14 22:13:20.123456" in line


@pytest.mark.parametrize("when", [0, 2**63 * SECOND, None])
def test_any_time_stamp_is_told(when: Nanoseconds | None) -> None:
    [line] = shown(packet(when=when), times=Times.ABSOLUTE)
    assert "TCP SYN" in line


def test_frames_that_leave_are_told_from_those_that_come() -> None:
    told = [shown(packet(direction=each))[0].split()[3] for each in (*Direction, None)]
    assert told == ["in", "out", "IPv4"]


def test_frame_that_the_capture_cut_says_how_much_is_there() -> None:
    [line] = shown(packet(SYN[:40], cut=1460))
    assert "truncated" in line
    assert line.endswith("(40 of 1500 bytes)")


def test_verdict_is_told_in_short_and_with_detail_in_full() -> None:
    [line] = shown(packet(comment=FORWARDED))
    assert line.endswith("  [forwarded; flow 12]")
    lines = shown(packet(comment=FORWARDED), Detail(layers=True))
    assert [each.strip() for each in lines[-4:]] == FORWARDED.split("; ")


@pytest.mark.parametrize(
    ("comment", "short"),
    [
        (
            "dropped ttl_expired: the time to live ran out here; flow 3; more",
            "dropped ttl_expired: the time to live ran out here; flow 3",
        ),
        ("dropped no_route: nothing leads there; a > b", "dropped no_route: nothing leads there"),
        ("somebody else's; words; about it", "somebody else's; words; about it"),
        ("two\nlines", "two"),
        ("", ""),
    ],
)
def test_comment_in_short(comment: str, short: str) -> None:
    assert verdict(comment) == short


def test_layers_are_a_line_each() -> None:
    lines = shown(packet(), Detail(layers=True))
    assert [line.split()[0] for line in lines[1:4]] == ["Ethernet", "IPv4", "TCP"]
    assert lines[4].strip() == "seen at app on front (tap)"


def test_octets_read_back() -> None:
    lines = shown(packet(SYN + b"Hello\x00"), Detail(octets=True))[1:]
    octets = b"".join(bytes.fromhex(line[12:60]) for line in lines)
    assert octets == SYN + b"Hello\x00"
    assert lines[0].strip().startswith("0000  02 00 00 00 00 01 02 00")
    assert lines[1].strip().startswith("0010  ")
    assert lines[-1].endswith("Hello.")


def test_dissection_is_scapys() -> None:
    text = "\n".join(shown(packet(), Detail(dissection=True)))
    assert "###[ Ethernet ]###" in text
    assert "dport     = http" in text or "dport     = 80" in text


def test_colours_follow_the_fate() -> None:
    for comment, style in (("dropped x: y", "red"), (FORWARDED, "green"), ("other", "dim")):
        line = next(Printer().lines(packet(comment=comment)))
        assert line.spans[-1].style == style


def test_name_that_is_longer_than_its_column_keeps_later_lines_in_line() -> None:
    printer = Printer()
    lines = [next(printer.lines(packet(name=name))).plain for name in ("a-very-long-name", "b")]
    assert lines[0].index("IPv4") == lines[1].index("IPv4")


@given(
    data=st.binary(max_size=80),
    name=st.text(max_size=8),
    comment=st.text(max_size=40),
    layers=st.booleans(),
)
def test_nothing_in_a_capture_reaches_the_terminal_unescaped(
    data: bytes, name: str, comment: str, layers: bool
) -> None:
    lines = shown(packet(data, name=name, comment=comment), Detail(layers, octets=True))
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("data", [b"", b"\x01", SYN[:20], bytes(60)])
def test_anything_can_be_dissected(data: bytes) -> None:
    assert len(shown(packet(data), Detail(dissection=True))) > 1


def test_unfinished_datagram_is_one_line_too() -> None:
    frame = bytes(Ether() / IP(dst="10.0.0.1", src="10.0.0.2") / UDP(sport=1, dport=2) / b"xyz")
    assert len(shown(packet(frame[:-2]))) == 1
