"""Super-frames and unfinished checksums on their way through the whole switch."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from tests.dataplane.conversation import S1, Conversation, quiet_lab
from tests.harness import (
    UPLINK_ADDRESS,
    Host,
    Lab,
    assert_checksums_right,
    on_the_wire,
    only,
)
from vswitch.dataplane.drops import DropReason
from vswitch.wire.checksum import pseudo_header_sum
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import (
    GSO_TCPV4,
    GSO_UDP_L4,
    HEADER_LENGTH,
    NEEDS_CSUM,
    OffloadHeader,
    Offloads,
)
from vswitch.wire.values import IpAddress

TCP_UNFINISHED = OffloadHeader(NEEDS_CSUM, 0, 54, 0, 34, 16).pack()
UDP_UNFINISHED = OffloadHeader(NEEDS_CSUM, 0, 42, 0, 34, 6).pack()


def unfinished(packet: Packet) -> Packet:
    """The packet with its pseudo header's sum in place of the transport checksum."""
    source, destination = IpAddress.parse(packet.src), IpAddress.parse(packet.dst)
    protocol = 6 if TCP in packet else 17
    packet.payload.chksum = pseudo_header_sum(source, destination, protocol, len(packet) - 20)
    return packet


def segment(host: Host, payload: bytes, flags: str = "A") -> Packet:
    header = TCP(sport=5000, dport=80, flags=flags, seq=1000, ack=7000)
    return unfinished(IP(src=host.ip, dst=S1, flags="DF") / header / payload)


def tcp_super(size: int) -> bytes:
    return OffloadHeader(NEEDS_CSUM, GSO_TCPV4, 54, size, 34, 16).pack()


def open_connection(lab: Lab) -> None:
    """a:5000 has a connection to S1:80, and the fast path knows both directions."""
    talk = Conversation.outwards(lab)
    talk.next = [999, 6999]
    talk.opens()
    talk.server("A")


@pytest.mark.parametrize("known", [False, True])
def test_unfinished_checksum_leaves_unfinished_and_comes_out_right(known: bool) -> None:
    made = quiet_lab()
    for _ in range(1 + known):
        made.received(made.outside)
        packet = unfinished(IP(src=made.a.ip, dst=S1) / UDP(sport=5000, dport=53) / b"question")
        made.send(made.a, made.routed(made.a, packet), UDP_UNFINISHED)
    (raw,) = made.received_raw(made.outside)
    assert raw[:HEADER_LENGTH] == UDP_UNFINISHED
    (finished,) = on_the_wire(raw)
    assert (finished[IP].src, finished[UDP].sport) == (UPLINK_ADDRESS, 5000)
    assert_checksums_right(finished)


def test_device_without_offloads_gets_a_finished_checksum() -> None:
    made = quiet_lab(offloads=Offloads.NONE)
    packet = unfinished(IP(src=made.a.ip, dst=S1) / UDP(sport=5000, dport=53) / b"question")
    made.send(made.a, made.routed(made.a, packet), UDP_UNFINISHED)
    (raw,) = made.received_raw(made.outside)
    assert raw[:HEADER_LENGTH] == bytes(HEADER_LENGTH)
    assert_checksums_right(Ether(raw[HEADER_LENGTH:]))


def test_super_frame_passes_the_nat_in_one_piece() -> None:
    made = quiet_lab()
    open_connection(made)
    payload = bytes(range(256)) * 100
    before = made.hits()
    made.send(made.a, made.routed(made.a, segment(made.a, payload)), tcp_super(1448))
    assert made.hits() == before + 1
    (raw,) = made.received_raw(made.outside)
    assert raw[:HEADER_LENGTH] == tcp_super(1448)
    segments = list(on_the_wire(raw))
    assert b"".join(bytes(one[TCP].payload) for one in segments) == payload
    for one in segments:
        assert one[IP].src == UPLINK_ADDRESS
        assert_checksums_right(one)


def test_device_without_offloads_gets_segments_of_the_translated_packet() -> None:
    made = quiet_lab(offloads=Offloads.NONE)
    open_connection(made)
    payload = bytes(range(256)) * 100
    made.send(made.a, made.routed(made.a, segment(made.a, payload, "PA")), tcp_super(1000))
    segments = made.received(made.outside)
    assert [one[TCP].seq for one in segments] == list(range(1000, 1000 + len(payload), 1000))
    assert b"".join(bytes(one[TCP].payload) for one in segments) == payload
    assert [one[TCP].flags for one in segments[:-1]] == ["A"] * (len(segments) - 1)
    assert segments[-1][TCP].flags == "PA"
    for one in segments:
        assert_checksums_right(one)


def test_super_frame_comes_back_in_to_who_asked() -> None:
    made = quiet_lab(offloads=Offloads.NONE)
    open_connection(made)
    header = TCP(sport=80, dport=5000, flags="A", seq=7000, ack=1000)
    packet = IP(src=S1, dst=UPLINK_ADDRESS) / header
    made.send(
        made.outside, made.routed(made.outside, unfinished(packet / bytes(4000))), tcp_super(1448)
    )
    segments = made.received(made.a)
    assert [len(one[TCP].payload) for one in segments] == [1448, 1448, 1104]
    for one in segments:
        assert (one[IP].dst, one[TCP].dport) == (made.a.ip, 5000)
        assert_checksums_right(one)


@pytest.mark.parametrize("offloads", [Offloads.ALL, Offloads.NONE])
def test_super_frame_of_datagrams_arrives_as_datagrams(offloads: Offloads) -> None:
    made = quiet_lab(offloads=offloads)
    packet = unfinished(IP(src=made.a.ip, dst=S1) / UDP(sport=5000, dport=443) / bytes(3000))
    header = OffloadHeader(NEEDS_CSUM, GSO_UDP_L4, 42, 1200, 34, 6).pack()
    made.send(made.a, made.routed(made.a, packet), header)
    datagrams = [one for raw in made.received_raw(made.outside) for one in on_the_wire(raw)]
    assert [len(one[UDP].payload) for one in datagrams] == [1200, 1200, 600]
    for one in datagrams:
        assert (one[IP].src, one[UDP].sport) == (UPLINK_ADDRESS, 5000)
        assert_checksums_right(one)


def test_super_frame_is_bridged_whole_where_it_can_be_and_cut_where_not() -> None:
    made = quiet_lab()
    plain = made.add_host("plain", "front", "10.0.0.9", Offloads.NONE)
    packet = IP(src=made.a.ip, dst=plain.ip) / TCP(sport=1, dport=2, flags="A")
    packet = unfinished(packet / bytes(3000))
    made.send(made.a, Ether(src=made.a.mac, dst="02:00:00:00:77:77") / packet, tcp_super(1000))
    (whole,) = made.received_raw(made.b)
    assert len(whole) > 3000
    pieces = made.received(plain)
    assert [len(one[TCP].payload) for one in pieces] == [1000, 1000, 1000]
    for one in pieces:
        assert_checksums_right(one)


def test_segments_that_do_not_fit_the_mtu_are_refused_with_it() -> None:
    made = quiet_lab(uplink_mtu=1280)
    open_connection(made)
    made.send(made.a, made.routed(made.a, segment(made.a, bytes(20000))), tcp_super(1241))
    error = only(made.received(made.a))
    assert (error[ICMP].type, error[ICMP].code, error[ICMP].nexthopmtu) == (3, 4, 1280)
    assert made.received(made.outside) == []
    made.send(made.a, made.routed(made.a, segment(made.a, bytes(20000))), tcp_super(1240))
    assert len(made.received(made.outside)) == 1


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    "header",
    [
        OffloadHeader(NEEDS_CSUM, 0, 0, 0, 14, 12),
        OffloadHeader(NEEDS_CSUM, 0, 0, 0, 14, 16),
        OffloadHeader(NEEDS_CSUM, 0, 0, 0, 24, 2),
        OffloadHeader(NEEDS_CSUM, 0, 0, 0, 34, 0),
        OffloadHeader(NEEDS_CSUM, 0, 0, 0, 34, 16),
        OffloadHeader(NEEDS_CSUM, 0, 0, 0, 35, 6),
    ],
)
def test_offload_header_that_would_write_over_the_rewritten_addresses_is_refused(
    header: OffloadHeader, known: bool
) -> None:
    """Who finishes the checksum writes it where the header says, behind the switch's back."""
    made = quiet_lab(offloads=Offloads.NONE)
    packet = IP(src=made.a.ip, dst=S1) / UDP(sport=5000, dport=53) / bytes(40)
    if known:
        made.exchange(made.a, packet)
        made.exchange(made.a, packet)
    made.send(made.a, made.routed(made.a, packet), header.pack())
    assert made.drops == {Malformed.BAD_OFFLOAD_HEADER: 1}
    assert made.received(made.outside) == []


def test_unfinished_checksum_of_an_echo_is_refused() -> None:
    made = quiet_lab(offloads=Offloads.NONE)
    packet = IP(src=made.a.ip, dst=S1) / ICMP(type=8, id=1) / bytes(40)
    made.send(made.a, made.routed(made.a, packet), OffloadHeader(NEEDS_CSUM, 0, 0, 0, 34, 2).pack())
    assert made.drops == {Malformed.BAD_OFFLOAD_HEADER: 1}


def test_unfinished_checksum_behind_ip_options_is_in_its_place() -> None:
    made = quiet_lab(offloads=Offloads.NONE)
    packet = IP(src=made.a.ip, dst=S1, options=[(b"\x94\x04\x00\x00")])
    packet /= UDP(sport=5000, dport=53) / b"question"
    addresses = IpAddress.parse(made.a.ip), IpAddress.parse(S1)
    packet[UDP].chksum = pseudo_header_sum(*addresses, 17, 16)
    header = OffloadHeader(NEEDS_CSUM, 0, 46, 0, 38, 6)
    made.send(made.a, made.routed(made.a, packet), header.pack())
    sent = only(made.received(made.outside))
    assert sent[IP].src == UPLINK_ADDRESS
    assert_checksums_right(sent)


def test_super_frame_to_a_closed_port_is_reset() -> None:
    made = quiet_lab()
    packet = IP(src=made.a.ip, dst="10.0.0.1") / TCP(sport=5000, dport=22, flags="A", ack=7)
    made.send(made.a, made.routed(made.a, unfinished(packet / bytes(4000))), tcp_super(1000))
    assert only(made.received(made.a))[TCP].seq == 7
    assert made.drops == {DropReason.NO_SERVICE: 1}
