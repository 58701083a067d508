from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, IPv6ExtHdrHopByHop
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import (
    DATA_VALID,
    FINISHED,
    GSO_ECN,
    GSO_NONE,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP,
    GSO_UDP_L4,
    NEEDS_CSUM,
    OffloadHeader,
)
from vswitch.wire.segment import MOST_DATAGRAMS, SMALLEST_TCP_SEGMENT, segment

LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
V4 = IP(src="10.0.0.2", dst="10.0.0.1")
V6 = IPv6(src="fd00::2", dst="fd00::1")
TCP_OPTIONS = [("NOP", None), ("NOP", None), ("Timestamp", (0xAABB, 7))]
FIN, PSH, CWR = 0x01, 0x08, 0x80


def link(tagged: bool) -> Packet:
    return LINK / Dot1Q(vlan=5, prio=3) if tagged else LINK


def network(version: int, identification: int, options: bool = False) -> Packet:
    if version == 4:
        extra = [IPOption_NOP()] * 4 if options else []
        return IP(src="10.0.0.2", dst="10.0.0.3", id=identification, flags="DF", options=extra)
    headers = IPv6(src="fd00::2", dst="fd00::3", fl=0x12345, tc=1)
    return headers / IPv6ExtHdrHopByHop() if options else headers


def super_frame(packet: Packet, transport: int, gso_type: int, size: int, flags: int) -> bytes:
    offset = 6 if gso_type == GSO_UDP_L4 else 16
    header = OffloadHeader(flags, gso_type, 0, size, transport, offset)
    return header.pack() + bytes(packet)


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)] or [b""]


@settings(max_examples=60, deadline=None)
@given(
    data=st.binary(max_size=64).map(lambda octets: octets * 25),
    size=st.integers(150, 1460),
    sequence=st.integers(0xFFFFFA00, 0xFFFFFFFF) | st.integers(0, 0xFFFFFFFF),
    identification=st.integers(0xFFFA, 0xFFFF) | st.integers(0, 0xFFFF),
    flags=st.integers(0, 0xFF),
    version=st.sampled_from([4, 6]),
    tagged=st.booleans(),
    options=st.booleans(),
)
def test_tcp_super_frame_becomes_what_a_sender_without_offloads_sends(
    data: bytes, size: int, sequence: int, identification: int, flags: int, version: int,
    tagged: bool, options: bool,
) -> None:  # fmt: skip
    headers = link(tagged) / network(version, identification, options)
    whole = headers / TCP(seq=sequence, flags=flags, options=TCP_OPTIONS) / Raw(data)
    gso_type = (GSO_TCPV4 if version == 4 else GSO_TCPV6) | (GSO_ECN if flags & CWR else 0)
    frame = super_frame(whole, len(headers), gso_type, size, NEEDS_CSUM)
    expected: list[bytearray] = []
    chunks = pieces(data, size)
    for index, chunk in enumerate(chunks):
        kept = flags
        kept &= 0xFF if index == 0 else ~CWR
        kept &= 0xFF if index == len(chunks) - 1 else ~(FIN | PSH)
        part = TCP(seq=(sequence + index * size) % 2**32, flags=kept, options=TCP_OPTIONS)
        layers = link(tagged) / network(version, (identification + index) % 2**16, options)
        expected.append(bytearray(FINISHED + bytes(layers / part / Raw(chunk))))
    assert segment(frame) == expected


@settings(max_examples=40, deadline=None)
@given(
    data=st.binary(max_size=64).map(lambda octets: octets * 25),
    size=st.integers(150, 1460),
    identification=st.integers(0xFFFA, 0xFFFF) | st.integers(0, 0xFFFF),
    version=st.sampled_from([4, 6]),
    tagged=st.booleans(),
)
def test_udp_super_frame_becomes_datagrams_of_their_own(
    data: bytes, size: int, identification: int, version: int, tagged: bool
) -> None:
    headers = link(tagged) / network(version, identification)
    whole = headers / UDP(sport=1000, dport=2000) / Raw(data)
    frame = super_frame(whole, len(headers), GSO_UDP_L4, size, NEEDS_CSUM)
    expected: list[bytearray] = []
    for index, chunk in enumerate(pieces(data, size)):
        layers = link(tagged) / network(version, (identification + index) % 2**16)
        datagram = layers / UDP(sport=1000, dport=2000) / Raw(chunk)
        expected.append(bytearray(FINISHED + bytes(datagram)))
    assert segment(frame) == expected


def test_datagram_whose_checksum_comes_out_as_zero_carries_all_ones() -> None:
    def whole(payload: bytes) -> Packet:
        return LINK / V4 / UDP() / Raw(payload)

    chunk = bytes(whole(b"\0\0"))[40:42]
    frames = segment(super_frame(whole(chunk * 3), 34, GSO_UDP_L4, 2, NEEDS_CSUM))
    assert isinstance(frames, list)
    assert [frame[50:52] for frame in frames] == [b"\xff\xff"] * 3


def test_super_frame_of_the_largest_size_is_cut_and_not_changed() -> None:
    data = bytes(range(256)) * 255
    whole = LINK / V4 / TCP(flags="A") / Raw(data)
    frame = bytearray(super_frame(whole, 34, GSO_TCPV4, 1460, NEEDS_CSUM))
    before = bytes(frame)
    frames = segment(memoryview(frame))
    assert isinstance(frames, list)
    assert len(frames) == 45
    assert b"".join(frame[64:] for frame in frames) == data
    assert frame == before


def test_sequence_and_identification_begin_again_after_their_highest_number() -> None:
    packet = IP(src="10.0.0.2", dst="10.0.0.1", id=0xFFFF) / TCP(flags="A", seq=0xFFFFFFFF)
    frames = segment(GOOD.pack() + bytes(LINK / packet / Raw(bytes(150))))
    assert isinstance(frames, list)
    pieces_read = [Ether(frame[10:]) for frame in frames]
    assert [piece[TCP].seq for piece in pieces_read] == [0xFFFFFFFF, 49, 99]
    assert [piece[IP].id for piece in pieces_read] == [0xFFFF, 0, 1]


def test_segments_that_a_card_put_together_are_taken_apart_again() -> None:
    whole = LINK / V4 / TCP(flags="A") / Raw(bytes(250))
    unfinished = segment(super_frame(whole, 34, GSO_TCPV4, 100, NEEDS_CSUM))
    header = OffloadHeader(DATA_VALID, GSO_TCPV4, gso_size=100)
    assert segment(header.pack() + bytes(whole)) == unfinished


def test_padding_behind_the_packet_is_not_carried() -> None:
    whole = bytes(LINK / V4 / TCP(flags="A") / Raw(bytes(20)))
    header = OffloadHeader(NEEDS_CSUM, GSO_TCPV4, 0, 15, 34, 16).pack()
    assert segment(header + whole + b"padding") == segment(header + whole)


TCP4 = LINK / V4 / TCP() / Raw(bytes(100))
TCP6 = LINK / V6 / TCP() / Raw(bytes(100))
UDP4 = LINK / V4 / UDP() / Raw(bytes(300))
GOOD = OffloadHeader(NEEDS_CSUM, GSO_TCPV4, 54, 50, 34, 16)
GOOD6 = OffloadHeader(NEEDS_CSUM, GSO_TCPV6, 74, 50, 54, 16)
GOOD_UDP = OffloadHeader(NEEDS_CSUM, GSO_UDP_L4, 42, 50, 34, 6)


@pytest.mark.parametrize(
    ("packet", "good", "lie"),
    [
        (TCP4, GOOD, {"gso_size": 0}),
        (TCP4, GOOD, {"gso_size": SMALLEST_TCP_SEGMENT - 1}),
        (TCP4, GOOD, {"gso_type": GSO_NONE}),
        (TCP4, GOOD, {"gso_type": GSO_TCPV6}),
        (TCP4, GOOD, {"gso_type": GSO_UDP_L4}),
        (TCP4, GOOD, {"gso_type": GSO_UDP}),
        (TCP4, GOOD, {"checksum_start": 33}),
        (TCP4, GOOD, {"checksum_start": 38}),
        (TCP4, GOOD, {"checksum_start": 0xFFFF}),
        (TCP4, GOOD, {"checksum_offset": 6}),
        (TCP4, GOOD, {"checksum_offset": 0xFFFF}),
        (TCP6, GOOD6, {"gso_type": GSO_TCPV4}),
        (TCP6, GOOD6, {"checksum_start": 0xFFFF}),
        (TCP6, GOOD6, {"checksum_start": 14}),
        (TCP6, GOOD6, {"checksum_start": 58}),
        (UDP4, GOOD_UDP, {"gso_size": 0}),
        (UDP4, GOOD_UDP, {"gso_size": 300 // MOST_DATAGRAMS}),
        (UDP4, GOOD_UDP, {"gso_type": GSO_TCPV4, "checksum_offset": 16}),
    ],
)
def test_offload_header_that_contradicts_its_frame(
    packet: Packet, good: OffloadHeader, lie: dict[str, int]
) -> None:
    assert isinstance(segment(good.pack() + bytes(packet)), list)
    header = dataclasses.replace(good, **lie)
    assert segment(header.pack() + bytes(packet)) is Malformed.BAD_OFFLOAD_HEADER


@pytest.mark.parametrize(
    ("packet", "header"),
    [
        (LINK / ARP(hwsrc="02:00:00:00:00:01", psrc="10.0.0.2"), GOOD),
        (LINK / IP(src="10.0.0.2", dst="10.0.0.1", flags="MF") / TCP() / Raw(bytes(100)), GOOD),
        (LINK / IP(src="10.0.0.2", dst="10.0.0.1", frag=1) / TCP() / Raw(bytes(100)), GOOD),
        (
            LINK / V6 / IPv6ExtHdrFragment() / TCP() / Raw(bytes(100)),
            dataclasses.replace(GOOD6, checksum_start=62),
        ),
    ],
)
def test_what_can_not_be_a_super_frame_is_refused(packet: Packet, header: OffloadHeader) -> None:
    assert segment(header.pack() + bytes(packet)) is Malformed.BAD_OFFLOAD_HEADER


@pytest.mark.parametrize(
    ("data", "malformed"),
    [
        (bytes(TCP4)[:13], Malformed.TRUNCATED_ETHERNET),
        (bytes(TCP4)[:33], Malformed.TRUNCATED_IPV4),
        (bytes(TCP4)[:80], Malformed.IPV4_BAD_TOTAL_LENGTH),
        (
            bytes(LINK / IP(src="10.0.0.2", dst="10.0.0.1", proto=6) / Raw(bytes(19))),
            Malformed.TRUNCATED_TCP,
        ),
        (bytes(LINK / V4 / TCP(dataofs=4)), Malformed.TCP_BAD_DATA_OFFSET),
    ],
)
def test_malformed_packet_is_named_as_such(data: bytes, malformed: Malformed) -> None:
    assert segment(GOOD.pack() + data) is malformed
    assert segment(dataclasses.replace(GOOD, flags=0).pack() + data) is malformed


def test_super_frame_without_a_whole_udp_header_is_truncated() -> None:
    data = bytes(LINK / IP(src="10.0.0.2", dst="10.0.0.1", proto=17) / Raw(bytes(7)))
    assert segment(GOOD_UDP.pack() + data) is Malformed.TRUNCATED_UDP
