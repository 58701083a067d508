"""The maximum segment size that a SYN asks for, against scapy's reading of its options."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

from tests.harness import assert_checksums_right
from vswitch.fastpath.program import Action, ClampMss, Program, SetSource
from vswitch.fastpath.routine import prepare
from vswitch.wire.offload import HEADER_LENGTH, NEEDS_CSUM, OffloadHeader
from vswitch.wire.values import IpAddress

pytestmark = pytest.mark.usefixtures("twin")

UPLINK = IpAddress.parse("203.0.113.1")


def run(frame: Packet, *actions: Action, header: bytes = bytes(HEADER_LENGTH)) -> bytes:
    """The frame after the program, with its virtio-net header."""
    buffer = bytearray(header + bytes(frame))
    prepare(Program(actions), buffer).run(buffer)
    return bytes(buffer)


def ethernet(packet: Packet) -> Packet:
    return Ether(src="02:00:00:00:00:0a", dst="02:00:00:00:01:01") / packet


def syn(*options: tuple[str, object], flags: str = "S", payload: bytes = b"") -> Packet:
    segment = TCP(sport=5000, dport=80, flags=flags, options=list(options))
    return ethernet(IP(src="10.0.0.2", dst="198.51.100.1") / segment / payload)


@pytest.mark.parametrize("flags", ["S", "SA", "SEC"])
@pytest.mark.parametrize(
    ("asked", "becomes"), [(1460, 1360), (1361, 1360), (1360, 1360), (536, 536)]
)
def test_syn_asks_for_no_more_than_the_limit(flags: str, asked: int, becomes: int) -> None:
    packet = syn(("MSS", asked), ("WScale", 7), ("SAckOK", b""), flags=flags)
    result = Ether(run(packet, ClampMss(1360))[HEADER_LENGTH:])
    assert result[TCP].options[:3] == [("MSS", becomes), ("WScale", 7), ("SAckOK", b"")]
    assert_checksums_right(result)


@given(before=st.integers(0, 7), asked=st.integers(1361, 65535), payload=st.binary(max_size=9))
def test_option_may_begin_anywhere(before: int, asked: int, payload: bytes) -> None:
    packet = syn(*[("NOP", None)] * before, ("MSS", asked), payload=payload)
    result = Ether(run(packet, ClampMss(1360), SetSource(UPLINK, 6000))[HEADER_LENGTH:])
    assert dict(result[TCP].options)["MSS"] == 1360
    assert (result[IP].src, result[TCP].sport) == (str(UPLINK), 6000)
    assert_checksums_right(result)


@pytest.mark.parametrize("flags", ["A", "R", "FA", "PA"])
def test_only_a_syn_asks(flags: str) -> None:
    packet = syn(("MSS", 1460), flags=flags)
    assert run(packet, ClampMss(1360))[HEADER_LENGTH:] == bytes(packet)


def test_syn_without_the_option_gets_none() -> None:
    packet = syn(("WScale", 7))
    assert run(packet, ClampMss(1360))[HEADER_LENGTH:] == bytes(packet)


@pytest.mark.parametrize(
    "options",
    [
        b"\x02\x03\xff\xff",
        b"\x01\x02\x04\xff",
        b"\x03\x00\x02\x04\xff\xff",
        b"\x00\x02\x04\xff\xff",
    ],
    ids=["one byte", "cut off", "behind a lie", "behind the end"],
)
def test_malformed_options_are_left_alone(options: bytes) -> None:
    options += bytes(-len(options) % 4)
    segment = TCP(sport=5000, dport=80, flags="S", dataofs=5 + len(options) // 4)
    packet = ethernet(IP(src="10.0.0.2", dst="198.51.100.1", proto=6) / segment / options)
    assert run(packet, ClampMss(1360))[HEADER_LENGTH:] == bytes(packet)


def test_unfinished_checksum_holds_no_options() -> None:
    packet = syn(("MSS", 1460))
    packet[TCP].chksum = 0x1234
    header = OffloadHeader(NEEDS_CSUM, 0, 54, 0, 34, 16).pack()
    result = Ether(run(packet, ClampMss(1360), header=header)[HEADER_LENGTH:])
    assert result[TCP].options[0] == ("MSS", 1360)
    assert result[TCP].chksum == 0x1234


def test_wrong_checksum_of_a_syn_stays_wrong() -> None:
    packet = Ether(bytes(syn(("MSS", 1460))))
    right = packet[TCP].chksum
    packet[TCP].chksum = right - 1
    result = Ether(run(packet, ClampMss(1360))[HEADER_LENGTH:])
    wrong = result[TCP].chksum
    del result[TCP].chksum
    assert wrong == Ether(bytes(result))[TCP].chksum - 1


def test_syn_behind_ip_options_and_a_tag_is_found() -> None:
    packet = IP(src="10.0.0.2", dst="198.51.100.1", options=[(b"\x94\x04\x00\x00")])
    packet = ethernet(Dot1Q(vlan=5) / packet / TCP(flags="S", options=[("MSS", 1460)]))
    result = Ether(run(packet, ClampMss(1360))[HEADER_LENGTH:])
    assert result[TCP].options == [("MSS", 1360)]
    assert_checksums_right(result)


def test_what_only_looks_like_a_syn_is_left_alone() -> None:
    lookalike = syn(("MSS", 1460))
    lookalike[IP].proto = 136
    assert run(lookalike, ClampMss(1360))[HEADER_LENGTH:] == bytes(lookalike)


@given(protocol=st.integers(0, 255), payload=st.binary(max_size=60))
def test_what_is_no_segment_is_left_alone(protocol: int, payload: bytes) -> None:
    packet = ethernet(IP(src="10.0.0.2", dst="198.51.100.1", proto=protocol) / Raw(payload))
    if protocol != 6 or len(payload) < 20:
        assert run(packet, ClampMss(1360))[HEADER_LENGTH:] == bytes(packet)
