"""What actions do to the bytes of a frame, against scapy's own computation of the result."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet

from tests.harness import assert_checksums_right
from vswitch.fastpath.program import (
    Action,
    DecrementTtl,
    Output,
    Program,
    SetDestination,
    SetSource,
    SetStations,
)
from vswitch.fastpath.routine import longest_packet, prepare
from vswitch.wire.adapt import adapt
from vswitch.wire.checksum import pseudo_header_sum
from vswitch.wire.offload import (
    DATA_VALID,
    GSO_ECN,
    GSO_TCPV4,
    GSO_UDP_L4,
    HEADER_LENGTH,
    NEEDS_CSUM,
    OffloadHeader,
    Offloads,
)
from vswitch.wire.values import IpAddress, MacAddress

pytestmark = pytest.mark.usefixtures("twin")

NEXT = MacAddress.parse("02:00:00:00:00:fd")
OURS = MacAddress.parse("02:00:00:00:00:fe")
UPLINK = IpAddress.parse("203.0.113.1")
WEB = IpAddress.parse("10.0.0.80")

ADDRESSES = st.binary(min_size=4, max_size=4).map(IpAddress)
PORTS = st.integers(0, 65535)


def run(frame: Packet, *actions: Action, header: bytes = bytes(HEADER_LENGTH)) -> bytes:
    """The frame after the program, with its virtio-net header."""
    buffer = bytearray(header + bytes(frame))
    prepare(Program(actions), buffer).run(buffer)
    return bytes(buffer)


def ethernet(packet: Packet) -> Packet:
    return Ether(src="02:00:00:00:00:0a", dst="02:00:00:00:01:01") / packet


def transports(payload: bytes) -> list[Packet]:
    return [
        TCP(sport=5000, dport=80, flags="PA", seq=7, ack=8) / payload,
        UDP(sport=5000, dport=53) / payload,
    ]


@given(
    payload=st.binary(max_size=40),
    source=ADDRESSES,
    source_port=PORTS,
    destination=ADDRESSES,
    destination_port=PORTS,
    old=st.tuples(ADDRESSES, ADDRESSES, st.integers(2, 255)),
    kind=st.sampled_from([0, 1]),
)
def test_rewritten_frame_has_the_checksums_that_scapy_computes(
    payload: bytes,
    source: IpAddress,
    source_port: int,
    destination: IpAddress,
    destination_port: int,
    old: tuple[IpAddress, IpAddress, int],
    kind: int,
) -> None:
    packet = IP(src=str(old[0]), dst=str(old[1]), ttl=old[2]) / transports(payload)[kind]
    raw = run(
        ethernet(packet),
        SetStations(NEXT, OURS),
        DecrementTtl(),
        SetSource(source, source_port),
        SetDestination(destination, destination_port),
    )
    result = Ether(raw[HEADER_LENGTH:])
    assert (result.dst, result.src) == (str(NEXT), str(OURS))
    assert (result[IP].src, result[IP].dst) == (str(source), str(destination))
    assert result[IP].ttl == old[2] - 1
    assert (result.payload.payload.sport, result.payload.payload.dport) == (
        source_port,
        destination_port,
    )
    assert bytes(result[IP].payload.payload) == payload
    assert_checksums_right(result)


@given(payload=st.binary(max_size=30), old=st.integers(0, 65535), new=PORTS, seq=st.integers(0, 9))
def test_rewritten_identifier_of_an_echo_leaves_its_checksum_right(
    payload: bytes, old: int, new: int, seq: int
) -> None:
    for kind, action in ((8, SetSource(UPLINK, new)), (0, SetDestination(WEB, new))):
        packet = IP(src="10.0.0.2", dst="10.9.9.9") / ICMP(type=kind, id=old, seq=seq) / payload
        result = Ether(run(ethernet(packet), action)[HEADER_LENGTH:])
        assert (result[ICMP].id, result[ICMP].seq) == (new, seq)
        assert bytes(result[ICMP].payload) == payload
        message = bytes(result[IP].payload)
        assert_sums_to_all_ones(message)


def assert_sums_to_all_ones(message: bytes) -> None:
    """How a receiver verifies a checksum (RFC 1071)."""
    message += bytes(len(message) % 2)
    total = sum(int.from_bytes(message[at : at + 2], "big") for at in range(0, len(message), 2))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    assert total == 0xFFFF


def test_echo_reply_that_becomes_all_zero_keeps_a_checksum_that_verifies() -> None:
    packet = IP(src="198.51.100.1", dst="203.0.113.1") / ICMP(type=0, id=777, seq=0)
    result = Ether(run(ethernet(packet), SetDestination(WEB, 0))[HEADER_LENGTH:])
    assert_sums_to_all_ones(bytes(result[IP].payload))


@given(
    payload=st.binary(max_size=64),
    source=ADDRESSES,
    port=PORTS,
    destination=ADDRESSES,
    kind=st.sampled_from([0, 1]),
)
def test_unfinished_checksum_is_right_once_a_device_finishes_it(
    payload: bytes, source: IpAddress, port: int, destination: IpAddress, kind: int
) -> None:
    """The field holds the pseudo header's sum, so addresses count in it and ports do not."""
    packet = IP(src="10.0.0.2", dst="198.51.100.1") / transports(payload)[kind]
    offset = (16, 6)[kind]
    length = len(packet) - 20
    protocol = (6, 17)[kind]
    partial = pseudo_header_sum(
        IpAddress.parse("10.0.0.2"), IpAddress.parse("198.51.100.1"), protocol, length
    )
    packet.payload.chksum = partial
    header = OffloadHeader(NEEDS_CSUM, 0, 54, 0, 34, offset).pack()
    raw = run(
        ethernet(packet), SetSource(source, port), SetDestination(destination, port), header=header
    )
    assert raw[:HEADER_LENGTH] == header
    finished = adapt(bytearray(raw), Offloads.NONE)
    assert isinstance(finished, tuple)
    assert_checksums_right(Ether(bytes(finished[0])[HEADER_LENGTH:]))


def test_udp_without_a_checksum_stays_without_one() -> None:
    packet = IP(src="10.0.0.2", dst="198.51.100.1") / UDP(sport=1, dport=2, chksum=0) / b"payload"
    result = Ether(run(ethernet(packet), SetSource(UPLINK, 5000))[HEADER_LENGTH:])
    assert result[UDP].sport == 5000
    assert result[UDP].chksum == 0


def test_computed_udp_checksum_of_zero_is_sent_as_all_ones() -> None:
    """The payload makes the sum of the rewritten datagram come out as zero."""
    before = IP(src="10.0.0.2", dst="198.51.100.1") / UDP(sport=5000, dport=7000) / b"\0\0"
    probe = Ether(run(ethernet(before), SetSource(UPLINK, 6000))[HEADER_LENGTH:])
    word = probe[UDP].chksum.to_bytes(2, "big")
    packet = IP(src="10.0.0.2", dst="198.51.100.1") / UDP(sport=5000, dport=7000) / word
    result = Ether(run(ethernet(packet), SetSource(UPLINK, 6000))[HEADER_LENGTH:])
    assert result[UDP].chksum == 0xFFFF
    assert_checksums_right(result)


def test_segment_may_have_a_checksum_of_zero() -> None:
    """The payload makes it come out so; to TCP a zero is a number like any other."""
    probe = TCP(bytes(IP(bytes(IP(src="10.0.0.2", dst="10.9.9.9") / TCP() / b"\0\0"))[TCP]))
    packet = IP(src="10.0.0.2", dst="10.9.9.9") / TCP() / probe.chksum.to_bytes(2, "big")
    assert IP(bytes(packet))[TCP].chksum == 0
    result = Ether(run(ethernet(packet), SetSource(UPLINK, 6000))[HEADER_LENGTH:])
    assert_checksums_right(result)


def test_wrong_checksum_stays_wrong() -> None:
    """What was damaged on its way is not made to look sound."""
    packet = IP(src="10.0.0.2", dst="198.51.100.1") / TCP(sport=1, dport=2) / b"payload"
    right = Ether(run(ethernet(packet), SetSource(UPLINK, 5000))[HEADER_LENGTH:])
    good = TCP(bytes(packet[TCP]))
    damaged = Ether(bytes(ethernet(packet)))
    damaged[TCP].chksum = (damaged[TCP].chksum + 1) & 0xFFFF
    wrong = Ether(run(damaged, SetSource(UPLINK, 5000))[HEADER_LENGTH:])
    assert good.sport == 1
    assert wrong[TCP].chksum != right[TCP].chksum


def test_tagged_frame_gets_new_stations_and_nothing_else() -> None:
    frame = Ether(src="02:00:00:00:00:0a", dst="02:00:00:00:00:0b") / Dot1Q(vlan=5) / b"payload"
    raw = run(frame, SetStations(NEXT, OURS))
    assert raw[HEADER_LENGTH:] == NEXT + OURS + bytes(frame)[12:]


def test_tagged_packet_is_rewritten_behind_its_tag() -> None:
    packet = IP(src="10.0.0.2", dst="198.51.100.1", ttl=9) / UDP(sport=1, dport=2) / b"payload"
    frame = Ether(src="02:00:00:00:00:0a", dst="02:00:00:00:00:0b") / Dot1Q(vlan=5) / packet
    result = Ether(run(frame, DecrementTtl(), SetSource(UPLINK, 5000))[HEADER_LENGTH:])
    assert result[Dot1Q].vlan == 5
    assert (result[IP].src, result[IP].ttl, result[UDP].sport) == (str(UPLINK), 8, 5000)
    assert_checksums_right(result)


def test_ports_behind_ip_options_are_found() -> None:
    packet = (
        IP(src="10.0.0.2", dst="198.51.100.1", options=[(b"\x94\x04\x00\x00")], ttl=9)
        / UDP(sport=1, dport=2)
        / b"payload"
    )
    assert bytes(packet)[0] == 0x46
    result = Ether(run(ethernet(packet), DecrementTtl(), SetSource(UPLINK, 5000))[HEADER_LENGTH:])
    assert (result[IP].ihl, result[IP].src, result[UDP].sport) == (6, str(UPLINK), 5000)
    assert_checksums_right(result)


def test_trailer_behind_the_packet_is_left_alone() -> None:
    packet = IP(src="10.0.0.2", dst="198.51.100.1") / UDP(sport=1, dport=2) / b"x"
    frame = bytes(ethernet(packet)) + bytes(range(17))
    raw = run(Ether(frame), SetSource(UPLINK, 5000))
    assert raw.endswith(bytes(range(17)))
    assert_checksums_right(Ether(raw[HEADER_LENGTH:-17]))


def test_routine_names_the_ports_that_a_frame_leaves_by() -> None:
    frame = bytes(HEADER_LENGTH) + bytes(ethernet(IP() / UDP()))
    assert prepare(Program((Output(3), SetStations(NEXT, OURS), Output(5))), frame).outputs == (
        3,
        5,
    )


# What fits


def super_frame(header: OffloadHeader, payload: int = 6000) -> bytes:
    segment = TCP(options=[("Timestamp", (1, 2)), ("NOP", None), ("NOP", None)]) / bytes(payload)
    return header.pack() + bytes(ethernet(IP(src="10.0.0.2", dst="198.51.100.1") / segment))


@pytest.mark.parametrize("flags", [NEEDS_CSUM, DATA_VALID])
@pytest.mark.parametrize("gso_type", [GSO_TCPV4, GSO_TCPV4 | GSO_ECN])
def test_super_frame_is_as_long_as_one_segment_with_its_headers(flags: int, gso_type: int) -> None:
    start, offset = (34, 16) if flags == NEEDS_CSUM else (0, 0)
    frame = super_frame(OffloadHeader(flags, gso_type, 0, 1000, start, offset))
    assert longest_packet(frame) == 14 + 20 + 32 + 1000


def test_super_frame_of_datagrams_counts_the_udp_header() -> None:
    header = OffloadHeader(NEEDS_CSUM, GSO_UDP_L4, 0, 1000, 34, 6)
    packet = IP(src="10.0.0.2", dst="198.51.100.1") / UDP() / bytes(6000)
    assert longest_packet(header.pack() + bytes(ethernet(packet))) == 14 + 20 + 8 + 1000


def test_super_frame_with_less_than_one_segment_is_as_long_as_it_is() -> None:
    frame = super_frame(OffloadHeader(NEEDS_CSUM, GSO_TCPV4, 0, 60000, 34, 16), payload=100)
    assert longest_packet(frame) == len(frame) - HEADER_LENGTH


@given(frame=st.binary(min_size=24, max_size=100))
def test_length_of_any_bytes_is_found_without_raising(frame: bytes) -> None:
    assert 0 <= longest_packet(frame) <= len(frame) - HEADER_LENGTH
