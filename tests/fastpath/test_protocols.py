"""What is rewritten in packets of other protocols than TCP and UDP, and what is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Packet, Raw

from tests.harness import assert_checksums_right
from vswitch.fastpath.program import Action, Program, SetDestination, SetSource
from vswitch.fastpath.routine import prepare
from vswitch.wire.offload import HEADER_LENGTH
from vswitch.wire.values import IpAddress

pytestmark = pytest.mark.usefixtures("twin")

UPLINK = IpAddress.parse("203.0.113.1")
WEB = IpAddress.parse("10.0.0.80")
PORTS = st.integers(0, 65535)


def run(frame: Packet, *actions: Action) -> bytes:
    """The frame after the program, with its virtio-net header."""
    buffer = bytearray(bytes(HEADER_LENGTH) + bytes(frame))
    prepare(Program(actions), buffer).run(buffer)
    return bytes(buffer)


def ethernet(packet: Packet) -> Packet:
    return Ether(src="02:00:00:00:00:0a", dst="02:00:00:00:01:01") / packet


def assert_sums_to_all_ones(covered: bytes) -> None:
    """How a receiver verifies a checksum (RFC 1071)."""
    covered += bytes(len(covered) % 2)
    total = sum(int.from_bytes(covered[at : at + 2], "big") for at in range(0, len(covered), 2))
    assert total > 0
    assert total % 0xFFFF == 0


PSEUDO = b"\xcb\x00\x71\x01\x0a\x00\x00\x50"
"""The addresses that these frames have afterwards: UPLINK and WEB."""


def rewritten(protocol: int, payload: bytes) -> tuple[Packet, bytes]:
    """The IPv4 header and payload after both ends were rewritten, to ports 6000 and 7000."""
    packet = IP(src="10.0.0.2", dst="198.51.100.1", proto=protocol) / Raw(payload)
    raw = run(ethernet(packet), SetSource(UPLINK, 6000), SetDestination(WEB, 7000))
    result = IP(raw[HEADER_LENGTH + 14 :])
    assert (result.src, result.dst) == (str(UPLINK), str(WEB))
    assert_sums_to_all_ones(raw[HEADER_LENGTH + 14 :][:20])
    return result, raw[HEADER_LENGTH + 34 :]


def summed(protocol: int, addresses: bytes, segment: bytes, covered: int) -> bytes:
    """What the checksum of a segment that covers so many bytes of it is the sum of."""
    pseudo = addresses + bytes((0, protocol)) + len(segment).to_bytes(2, "big")
    return pseudo + segment[:covered]


def with_checksum(protocol: int, segment: bytes, covered: int) -> bytes:
    """The segment, whose checksum at 6 is finished."""
    before = b"\x0a\x00\x00\x02\xc6\x33\x64\x01"
    number = int.from_bytes(summed(protocol, before, segment, covered).ljust(200, b"\0"), "big")
    return segment[:6] + (0xFFFF - number % 0xFFFF).to_bytes(2, "big") + segment[8:]


@given(payload=st.binary(max_size=40), beyond=st.binary(max_size=40), ports=st.tuples(PORTS, PORTS))
def test_udp_lite_is_rewritten_like_udp_and_covers_what_it_covers(
    payload: bytes, beyond: bytes, ports: tuple[int, int]
) -> None:
    """RFC 3828: the third word says how much of the datagram the checksum covers."""
    head = ports[0].to_bytes(2, "big") + ports[1].to_bytes(2, "big")
    covered = 8 + len(payload)
    datagram = head + covered.to_bytes(2, "big") + bytes(2) + payload + beyond
    _, result = rewritten(136, with_checksum(136, datagram, covered))
    assert result[:6] == (6000).to_bytes(2, "big") + (7000).to_bytes(2, "big") + datagram[4:6]
    assert result[8:] == payload + beyond
    assert_sums_to_all_ones(summed(136, PSEUDO, result, covered))
    assert any(result[6:8])


def test_udp_lite_without_a_checksum_stays_as_broken_as_it_is() -> None:
    """RFC 3828, 3.1: a zero is never sent, and who receives it drops the datagram."""
    _, result = rewritten(136, b"\x13\x88\x00\x35\x00\x08\x00\x00data")
    assert result == b"\x17\x70\x1b\x58\x00\x08\x00\x00data"


@given(payload=st.binary(max_size=40), ports=st.tuples(PORTS, PORTS))
def test_dccp_is_rewritten_with_its_ports(payload: bytes, ports: tuple[int, int]) -> None:
    head = ports[0].to_bytes(2, "big") + ports[1].to_bytes(2, "big")
    segment = head + b"\x04\x00\x00\x00" + b"\x04\x00\x00\x01" + bytes(8) + payload
    _, result = rewritten(33, with_checksum(33, segment, len(segment)))
    assert result[:4] == (6000).to_bytes(2, "big") + (7000).to_bytes(2, "big")
    assert result[8:] == segment[8:]
    assert_sums_to_all_ones(summed(33, PSEUDO, result, len(result)))


def test_sctp_keeps_its_ports_and_its_crc() -> None:
    segment = bytes(IP(src="10.0.0.2") / SCTP(sport=5000, dport=80, tag=7))[20:]
    _, result = rewritten(132, segment)
    assert result == segment


@given(protocol=st.integers(0, 255), payload=st.binary(min_size=8, max_size=40))
def test_of_other_protocols_addresses_are_all_that_is_known(protocol: int, payload: bytes) -> None:
    if protocol not in (1, 6, 17, 33, 136):
        _, result = rewritten(protocol, payload)
        assert result == payload


def test_shortest_payload_of_a_protocol_without_ports_is_left_alone() -> None:
    for payload in (b"", b"x"):
        assert rewritten(50, payload)[1] == payload


QUESTIONS, ANSWERS = (8, 13, 15, 17), (0, 14, 16, 18)


@pytest.mark.parametrize("kind", range(256))
def test_queries_of_icmp_have_their_identifier_rewritten(kind: int) -> None:
    """A question's belongs to its source, an answer's to its destination; all else has none."""
    message = bytes((kind, 0)) + b"\x00\x00" + b"\x11\x11" + b"\x00\x01" + b"payload"
    number = int.from_bytes(message + b"\0", "big")
    message = message[:2] + (0xFFFF - number % 0xFFFF).to_bytes(2, "big") + message[4:]
    _, result = rewritten(1, message)
    expected = 6000 if kind in QUESTIONS else 7000 if kind in ANSWERS else 0x1111
    assert result[4:6] == expected.to_bytes(2, "big")
    assert result[:2] + result[6:] == message[:2] + message[6:]
    assert_sums_to_all_ones(result)


def test_identifier_of_a_question_is_not_its_destinations() -> None:
    packet = IP(src="10.0.0.2", dst="203.0.113.1") / ICMP(type=8, id=777)
    result = Ether(run(ethernet(packet), SetDestination(WEB, 0))[HEADER_LENGTH:])
    assert (result[IP].dst, result[ICMP].id) == (str(WEB), 777)
    assert_checksums_right(result)
