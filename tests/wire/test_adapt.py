from __future__ import annotations

import itertools

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from vswitch.wire.adapt import adapt
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import (
    FINISHED,
    GSO_ECN,
    GSO_TCPV4,
    GSO_UDP,
    NEEDS_CSUM,
    OffloadHeader,
    Offloads,
    complete_checksum,
    required,
)
from vswitch.wire.segment import segment

LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
SUPER = OffloadHeader(NEEDS_CSUM, GSO_TCPV4, 54, 100, 34, 16).pack() + bytes(
    LINK / IP(src="10.0.0.2", dst="10.0.0.1") / TCP(flags="A") / Raw(bytes(250))
)
UNFINISHED = OffloadHeader(NEEDS_CSUM, 0, 0, 0, 34, 6).pack() + bytes(
    LINK / IP(src="10.0.0.2", dst="10.0.0.1") / UDP() / Raw(b"data")
)
SINGLES = [Offloads.CHECKSUM, Offloads.TSO4, Offloads.TSO6, Offloads.USO, Offloads.ECN]
EVERY_DEVICE = [
    combination
    for size in range(len(SINGLES) + 1)
    for members in itertools.combinations(SINGLES, size)
    for combination in [Offloads(sum(member.value for member in members))]
]


def test_device_that_takes_the_frame_gets_the_very_same_one(sample: bytes) -> None:
    frame = bytearray(sample)
    adapted = adapt(frame, Offloads.ALL)
    assert not isinstance(adapted, Malformed)
    assert len(adapted) == 1
    assert adapted[0] is frame
    assert frame == sample


def test_plain_device_gets_finished_frames_only(sample: bytes) -> None:
    adapted = adapt(bytearray(sample), Offloads.NONE)
    assert not isinstance(adapted, Malformed)
    assert all(frame[:10] == FINISHED for frame in adapted)


def test_every_device_gets_what_it_takes_and_the_frame_stays_as_it_was(sample: bytes) -> None:
    for takes in EVERY_DEVICE:
        frame = bytearray(sample)
        adapted = adapt(memoryview(frame), takes)
        assert not isinstance(adapted, Malformed)
        assert all(required(piece) in takes for piece in adapted)
        assert frame == sample


def test_device_without_checksums_gets_a_completed_copy() -> None:
    expected = bytearray(UNFINISHED)
    complete_checksum(expected)
    frame = bytearray(UNFINISHED)
    for takes in (Offloads.NONE, Offloads.TSO4):
        assert adapt(frame, takes) == (expected,)
    assert frame == UNFINISHED


@pytest.mark.parametrize(
    "takes", [Offloads.NONE, Offloads.CHECKSUM, Offloads.TSO4, Offloads.ALL & ~Offloads.TSO4]
)
def test_device_that_lacks_a_part_of_the_offload_gets_segments(takes: Offloads) -> None:
    assert adapt(bytearray(SUPER), takes) == segment(SUPER)


def test_device_without_ecn_gets_segments_of_a_frame_with_cwr() -> None:
    frame = bytearray(SUPER)
    frame[1] |= GSO_ECN
    assert adapt(frame, Offloads.ALL) == (frame,)
    assert adapt(frame, Offloads.ALL & ~Offloads.ECN) == segment(frame)


@pytest.mark.parametrize("takes", [Offloads.NONE, Offloads.ALL])
def test_gso_type_that_nobody_takes_is_refused_by_all(takes: Offloads) -> None:
    frame = bytearray(SUPER)
    frame[1] = GSO_UDP
    assert adapt(frame, takes) is Malformed.BAD_OFFLOAD_HEADER


def test_checksum_outside_the_frame_is_refused() -> None:
    frame = bytearray(UNFINISHED)
    frame[:10] = OffloadHeader(NEEDS_CSUM, checksum_start=0xFFFF).pack()
    assert adapt(frame, Offloads.NONE) is Malformed.BAD_OFFLOAD_HEADER
