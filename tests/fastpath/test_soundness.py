"""Whether a checksum is wrong, by scapy's own computation of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

from vswitch.fastpath.soundness import has_wrong_checksum
from vswitch.wire.offload import (
    DATA_VALID,
    GSO_TCPV4,
    HEADER_LENGTH,
    NEEDS_CSUM,
    OffloadHeader,
)

UNTAGGED = HEADER_LENGTH + 14
TAGGED = HEADER_LENGTH + 18
OPTIONS = [(b"\x94\x04\x00\x00")]


def ip(**fields: object) -> Packet:
    return IP(src="10.0.0.2", dst="198.51.100.1", **fields)


def raw(packet: Packet, *, damage: int = 0, header: bytes = bytes(HEADER_LENGTH)) -> bytes:
    """The frame, whose transport checksum is too great by `damage`."""
    built = Ether(bytes(Ether() / packet))
    for layer in (TCP, UDP, ICMP):
        if layer in built:
            built[layer].chksum = (built[layer].chksum + damage) % 0xFFFF
    return header + bytes(built)


@given(
    payload=st.binary(max_size=70), kind=st.sampled_from([TCP, UDP]), damage=st.integers(1, 65534)
)
def test_checksum_is_wrong_where_it_is_not_what_scapy_computes(
    payload: bytes, kind: type[Packet], damage: int
) -> None:
    packet = ip() / kind(sport=5000, dport=53) / Raw(payload)
    assert not has_wrong_checksum(raw(packet), UNTAGGED)
    assert has_wrong_checksum(raw(packet, damage=damage), UNTAGGED)


@pytest.mark.parametrize("damage", [0, 1])
@pytest.mark.parametrize("kind", [TCP, UDP])
def test_headers_with_options_and_tags_are_understood(kind: type[Packet], damage: int) -> None:
    segment = kind(sport=5000, dport=53) / b"odd"
    assert has_wrong_checksum(raw(ip(options=OPTIONS) / segment, damage=damage), UNTAGGED) is bool(
        damage
    )
    tagged = Dot1Q(vlan=5) / ip() / segment
    assert has_wrong_checksum(raw(tagged, damage=damage), TAGGED) is bool(damage)


@pytest.mark.parametrize("kind", [TCP, UDP])
def test_trailer_behind_the_packet_does_not_count(kind: type[Packet]) -> None:
    packet = ip() / kind(sport=5000, dport=53) / b"odd"
    assert not has_wrong_checksum(raw(packet) + b"trailer", UNTAGGED)
    assert has_wrong_checksum(raw(packet, damage=9) + b"trailer", UNTAGGED)


def test_datagram_may_be_shorter_than_its_packet() -> None:
    """RFC 9868 puts options behind it, which its checksum does not cover."""
    datagram = bytes(ip() / UDP(sport=5000, dport=53) / b"data")[20:]
    packet = ip(proto=17) / Raw(datagram + b"options")
    assert not has_wrong_checksum(bytes(HEADER_LENGTH) + bytes(Ether() / packet), UNTAGGED)


def test_datagram_without_a_checksum_is_not_wrong() -> None:
    packet = ip() / UDP(sport=5000, dport=53, chksum=0) / b"data"
    assert not has_wrong_checksum(bytes(HEADER_LENGTH) + bytes(Ether() / packet), UNTAGGED)


def test_segment_with_a_checksum_of_zero_is_wrong() -> None:
    packet = ip() / TCP(sport=5000, dport=53, chksum=0) / b"data"
    assert has_wrong_checksum(bytes(HEADER_LENGTH) + bytes(Ether() / packet), UNTAGGED)


@pytest.mark.parametrize(
    "header",
    [
        OffloadHeader(NEEDS_CSUM, 0, 0, 0, 34, 16),
        OffloadHeader(DATA_VALID),
        OffloadHeader(0, GSO_TCPV4, 54, 1448),
    ],
    ids=["unfinished", "verified", "to be cut"],
)
def test_checksum_that_nobody_vouches_for_yet_is_not_wrong(header: OffloadHeader) -> None:
    packet = ip() / TCP(sport=5000, dport=53) / b"data"
    assert not has_wrong_checksum(raw(packet, damage=1, header=header.pack()), UNTAGGED)


@given(protocol=st.integers(0, 255), payload=st.binary(max_size=30))
def test_other_protocols_have_none(protocol: int, payload: bytes) -> None:
    packet = ip(proto=protocol) / Raw(payload)
    if protocol not in (6, 17):
        assert not has_wrong_checksum(bytes(HEADER_LENGTH) + bytes(Ether() / packet), UNTAGGED)
