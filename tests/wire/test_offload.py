from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

from vswitch.wire.checksum import pseudo_header_sum
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import (
    DATA_VALID,
    FINISHED,
    GSO_ECN,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP,
    GSO_UDP_L4,
    NEEDS_CSUM,
    OffloadHeader,
    Offloads,
    complete_checksum,
    required,
)

V4 = IP(src="10.0.0.2", dst="10.0.0.1")
V6 = IPv6(src="fd00::2", dst="fd00::1")
LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
U8 = st.integers(0, 0xFF)
U16 = st.integers(0, 0xFFFF)


def unfinished(packet: Packet, transport: int, field: int) -> bytearray:
    """What a kernel hands over for `packet`: the pseudo header's sum instead of the checksum."""
    data = bytearray(bytes(packet))
    size = 4 if IP in packet else 16
    addresses = bytes(data[transport - 2 * size : transport])
    partial = pseudo_header_sum(
        addresses[:size], addresses[size:], 6 if TCP in packet else 17, len(data) - transport
    )
    struct.pack_into(">H", data, transport + field, partial)
    header = OffloadHeader(NEEDS_CSUM, checksum_start=transport, checksum_offset=field)
    return bytearray(header.pack() + data)


@given(st.tuples(U8, U8, U16, U16, U16, U16))
def test_header_is_read_as_it_was_written(fields: tuple[int, int, int, int, int, int]) -> None:
    header = OffloadHeader(*fields)
    assert OffloadHeader.parse(header.pack() + b"frame") == header


def test_header_has_the_kernel_s_layout() -> None:
    header = OffloadHeader(1, 4, 0x0102, 0x0304, 0x0506, 0x0708)
    assert header.pack() == bytes([1, 4, 2, 1, 4, 3, 6, 5, 8, 7])
    assert OffloadHeader().pack() == FINISHED


@pytest.mark.parametrize(
    ("flags", "gso_type", "needed"),
    [
        (0, 0, Offloads.NONE),
        (DATA_VALID, 0, Offloads.NONE),
        (NEEDS_CSUM, 0, Offloads.CHECKSUM),
        (NEEDS_CSUM | DATA_VALID, 0, Offloads.CHECKSUM),
        (NEEDS_CSUM, GSO_TCPV4, Offloads.CHECKSUM | Offloads.TSO4),
        (NEEDS_CSUM, GSO_TCPV4 | GSO_ECN, Offloads.CHECKSUM | Offloads.TSO4 | Offloads.ECN),
        (NEEDS_CSUM, GSO_TCPV6, Offloads.CHECKSUM | Offloads.TSO6),
        (NEEDS_CSUM, GSO_UDP_L4, Offloads.CHECKSUM | Offloads.USO),
        (DATA_VALID, GSO_TCPV4, Offloads.TSO4),
    ],
)
def test_frame_requires_what_is_unfinished_about_it(
    flags: int, gso_type: int, needed: Offloads
) -> None:
    assert required(OffloadHeader(flags, gso_type).pack()) == needed
    assert needed in Offloads.ALL


@pytest.mark.parametrize("gso_type", [GSO_UDP, 2, 6, 0x7F, GSO_ECN | 7])
def test_no_device_takes_an_unknown_gso_type(gso_type: int) -> None:
    assert required(OffloadHeader(NEEDS_CSUM, gso_type).pack()) not in Offloads.ALL


@given(st.binary(max_size=200), st.sampled_from([4, 6]), st.booleans(), st.booleans())
def test_completed_checksum_is_the_one_of_a_sender_without_offloads(
    data: bytes, version: int, is_tcp: bool, tagged: bool
) -> None:
    link = LINK / Dot1Q(vlan=5) if tagged else LINK
    network = V4 if version == 4 else V6
    packet = link / network / (TCP(flags="A") if is_tcp else UDP()) / Raw(data)
    transport = len(link) + len(network)
    frame = unfinished(packet, transport, 16 if is_tcp else 6)
    assert complete_checksum(frame) is None
    assert frame == FINISHED + bytes(packet)


def test_completed_udp_checksum_of_zero_is_sent_as_all_ones() -> None:
    link, network = LINK, V4
    blank = bytes(link / network / UDP() / Raw(b"\0\0"))
    packet = link / network / UDP() / Raw(blank[40:42])
    frame = unfinished(packet, 34, 6)
    assert complete_checksum(frame) is None
    assert frame[50:52] == b"\xff\xff"


def test_frame_in_a_memoryview_is_completed_in_place() -> None:
    packet = LINK / V4 / UDP() / Raw(b"data")
    memory = bytearray(b"front") + unfinished(packet, 34, 6)
    assert complete_checksum(memoryview(memory)[5:]) is None
    assert memory == b"front" + FINISHED + bytes(packet)


def test_finished_frame_is_left_alone(sample: bytes) -> None:
    if sample[0] & NEEDS_CSUM:
        sample = FINISHED + sample[10:]
    frame = bytearray(sample)
    assert complete_checksum(frame) is None
    assert frame == sample


@pytest.mark.parametrize(
    "header",
    [
        OffloadHeader(NEEDS_CSUM, checksum_start=34, checksum_offset=17),
        OffloadHeader(NEEDS_CSUM, checksum_start=0xFFFF, checksum_offset=0),
        OffloadHeader(NEEDS_CSUM, checksum_start=0, checksum_offset=0xFFFF),
        OffloadHeader(NEEDS_CSUM, GSO_TCPV4, 0, 100, 34, 6),
    ],
)
def test_lying_header_is_refused_and_the_frame_unchanged(header: OffloadHeader) -> None:
    original = header.pack() + bytes(LINK / V4 / UDP() / Raw(b"datadata"))
    frame = bytearray(original)
    assert complete_checksum(frame) is Malformed.BAD_OFFLOAD_HEADER
    assert frame == original


def test_checksum_in_the_last_two_bytes_of_the_frame_is_completed() -> None:
    frame = bytearray(OffloadHeader(NEEDS_CSUM, 0, 0, 0, 34, 6).pack() + bytes(42))
    assert complete_checksum(frame) is None
    assert frame[50:] == b"\xff\xff"
