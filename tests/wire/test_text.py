from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vswitch.wire import arp, ethernet, icmp, ipv4
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import OffloadHeader
from vswitch.wire.text import describe, summary
from vswitch.wire.values import EtherType, IpAddress, MacAddress, Protocol

ALICE = MacAddress.parse("02:00:00:00:00:01")
BOB = MacAddress.parse("02:00:00:00:00:02")
INSIDE = IpAddress.parse("10.0.0.2")
OUTSIDE = IpAddress.parse("198.51.100.1")

OUT = "10.0.0.2 > 198.51.100.1"
OUT_TCP = "10.0.0.2:20 > 198.51.100.1:80 TCP"
SUMMARIES = {
    "arp-request": "ARP who-has 10.0.0.1 tell 10.0.0.2",
    "arp-reply": "ARP 10.0.0.1 is-at 02:00:00:00:00:01",
    "arp-probe": "ARP probe for 10.0.0.1 by 02:00:00:00:00:01",
    "arp-tagged": "vlan 5 ARP who-has 10.0.0.1 tell 10.0.0.2",
    "tcp4": "IPv4 10.0.0.2:5000 > 198.51.100.1:80 TCP SYN seq 1 win 64240",
    "tcp4-data": f"IPv4 {OUT_TCP} PSH,ACK seq 0 ack 0 win 8192 data 33 bytes",
    "tcp4-tagged": f"vlan 7 IPv4 {OUT_TCP} ACK seq 0 ack 0 win 8192 data 5 bytes",
    "tcp4-ip-options": "IPv4 10.0.0.2:20 > 10.0.0.1:80 TCP SYN seq 0 win 8192",
    "udp4": "IPv4 10.0.0.2:5000 > 198.51.100.1:53 UDP data 5 bytes",
    "udp4-first-fragment": "IPv4 10.0.0.2:53 > 10.0.0.1:53 UDP data 56 bytes first fragment",
    "udp4-last-fragment": "IPv4 10.0.0.2 > 10.0.0.1 UDP fragment at 32, 32 bytes",
    "icmp-echo": f"IPv4 {OUT} ICMP echo request id 7 seq 1",
    "icmp-unreachable": f"IPv4 {OUT} ICMP destination unreachable (port)",
    "icmp-too-big": f"IPv4 {OUT} ICMP destination unreachable (fragmentation needed) mtu 1280",
    "icmp-redirect": f"IPv4 {OUT} ICMP redirect code 1",
    "sctp": f"IPv4 {OUT} SCTP 12 bytes",
    "tcp6": "IPv6 [fd00::2]:5000 > [2001:db8::1]:80 TCP FIN,ACK seq 0 ack 0 win 8192 data 3 bytes",
    "udp6": "IPv6 [fd00::2]:5000 > [2001:db8::1]:53 UDP data 5 bytes",
    "icmpv6-echo": "IPv6 fd00::2 > 2001:db8::1 ICMPv6 echo request",
    "icmpv6-ns": "IPv6 fd00::2 > 2001:db8::1 ICMPv6 neighbour solicitation target fd00::9",
    "icmpv6-na": "IPv6 fd00::2 > 2001:db8::1 ICMPv6 neighbour advertisement target fd00::9",
    "icmpv6-unreachable": "IPv6 fd00::2 > 2001:db8::1 ICMPv6 destination unreachable",
    "ipv6-hop-by-hop": "IPv6 fd00::2 > 2001:db8::1 HOP-BY-HOP 16 bytes",
    "ipv6-fragment": "IPv6 fd00::2 > 2001:db8::1 FRAGMENT 32 bytes",
    "stp": "02:00:00:00:00:01 > 01:80:c2:00:00:00 802.2 38 bytes",
    "unknown": "02:00:00:00:00:01 > 02:00:00:00:00:02 type 0x88b5 16 bytes",
    "unfinished-udp4": "IPv4 10.0.0.2:53 > 198.51.100.1:53 UDP data 3 bytes (checksum unfinished)",
    "super-tcp4": f"IPv4 {OUT_TCP} FIN,PSH,ACK,CWR seq 0 ack 0 win 8192 data 250 bytes "
    "(GSO tcp4 100 x 3, ECN, checksum unfinished)",
    "super-tcp4-verified": f"IPv4 {OUT_TCP} ACK seq 0 ack 0 win 8192 data 250 bytes "
    "(GSO tcp4 100 x 3)",
    "super-udp6": "IPv6 [fd00::2]:53 > [2001:db8::1]:53 UDP data 250 bytes "
    "(GSO udp 100 x 3, checksum unfinished)",
}


@pytest.mark.parametrize("name", SUMMARIES)
def test_summary_tells_a_frame_in_one_line(samples: dict[str, bytes], name: str) -> None:
    assert summary(samples[name]) == SUMMARIES[name]


def test_description_has_one_line_per_layer(samples: dict[str, bytes]) -> None:
    assert describe(samples["super-tcp4-tagged"]) == [
        "offload GSO tcp4 100 x 3, checksum unfinished",
        "Ethernet 02:00:00:00:00:01 > 02:00:00:00:00:02 vlan 5 IPv4",
        "IPv4 10.0.0.2 > 198.51.100.1 ttl 64 id 7 length 290",
        "TCP 20 > 80 ACK seq 0 ack 0 win 8192 data 250 bytes",
    ]


def test_description_of_arp_names_the_broadcast(samples: dict[str, bytes]) -> None:
    assert describe(samples["arp-request"]) == [
        "Ethernet 02:00:00:00:00:01 > broadcast ARP",
        "ARP who-has 10.0.0.1 tell 10.0.0.2",
    ]


def test_description_of_an_error_shows_what_it_quotes(samples: dict[str, bytes]) -> None:
    assert describe(samples["icmp-unreachable"])[2:] == [
        "ICMP destination unreachable (port)",
        "quoted IPv4 198.51.100.1:53 > 10.0.0.2:4444 UDP data 40 bytes truncated",
    ]
    assert describe(samples["icmpv6-unreachable"])[-1] == (
        "quoted IPv6 [fd00::2]:53 > [2001:db8::1]:53 UDP data 4 bytes"
    )


def test_description_shows_ip_options_and_ipv6_fields(samples: dict[str, bytes]) -> None:
    assert describe(samples["tcp4-ip-options"])[1] == (
        "IPv4 10.0.0.2 > 10.0.0.1 ttl 64 id 1 length 44 options 4 bytes"
    )
    assert describe(samples["udp6"])[1] == "IPv6 fd00::2 > 2001:db8::1 hop limit 64 payload 13"


def test_announcement_and_unknown_operation_of_arp() -> None:
    for operation, line in (
        (1, "ARP 10.0.0.2 announced by 02:00:00:00:00:01"),
        (9, "ARP operation 9 from 10.0.0.2"),
    ):
        message = arp.build(operation, ALICE, INSIDE, BOB, INSIDE)
        assert summary(ethernet.build(BOB, ALICE, EtherType.ARP, message)) == line


@pytest.mark.parametrize(
    ("length", "line"),
    [
        (0, "truncated: frame is shorter than an Ethernet header (0 bytes)"),
        (12, "truncated: frame is shorter than an Ethernet header (2 bytes)"),
        (24, "IPv4 truncated: frame ends within its IPv4 header"),
        (44, f"IPv4 {OUT} TCP truncated: packet ends within its TCP header"),
        (48, f"IPv4 {OUT_TCP} truncated: packet ends within its TCP header"),
        (52, f"IPv4 {OUT_TCP} seq 0 truncated: packet ends within its TCP header"),
        (70, f"IPv4 {OUT_TCP} PSH,ACK seq 0 ack 0 win 8192 truncated"),
        (77, f"IPv4 {OUT_TCP} PSH,ACK seq 0 ack 0 win 8192 data 1 bytes truncated"),
    ],
)
def test_cut_off_frame_is_told_as_far_as_it_goes(
    samples: dict[str, bytes], length: int, line: str
) -> None:
    assert summary(samples["tcp4-data"][:length]) == line


def test_every_truncation_of_every_frame_is_told_and_says_so(sample: bytes) -> None:
    whole = describe(sample)
    for length in range(len(sample)):
        cut = sample[:length]
        lines = describe(cut)
        assert summary(cut)
        assert lines
        assert all(line and "\n" not in line for line in [*lines, summary(cut)])
        if length < 24 or sample[22:24] == b"\x08\x00":
            assert lines != whole
            assert any("truncated" in line for line in lines)


@settings(max_examples=300)
@given(st.data())
def test_bent_frames_are_told(samples: dict[str, bytes], data: st.DataObject) -> None:
    frame = bytearray(samples[data.draw(st.sampled_from(sorted(samples)))])
    for place in data.draw(st.lists(st.integers(0, len(frame) - 1), max_size=4)):
        frame[place] = data.draw(st.integers(0, 255))
    assert describe(memoryview(frame))
    assert summary(frame)


@given(st.binary(max_size=120))
def test_random_bytes_are_told(data: bytes) -> None:
    assert describe(data)
    assert summary(data)


def test_malformed_layers_are_told_in_words(samples: dict[str, bytes]) -> None:
    frame = bytearray(samples["tcp4"])
    frame[24] = 0x65
    assert summary(frame) == f"IPv4 malformed: {Malformed.IPV4_BAD_VERSION.value}"


@pytest.mark.parametrize(
    ("name", "place", "value", "malformed"),
    [
        ("arp-request", 24, 9, Malformed.ARP_NOT_ETHERNET_IPV4),
        ("tcp4", 24, 0x44, Malformed.IPV4_BAD_HEADER_LENGTH),
        ("tcp4", 27, 19, Malformed.IPV4_BAD_TOTAL_LENGTH),
        ("tcp4", 32, 1, Malformed.IPV4_BAD_CHECKSUM),
        ("tcp4", 56, 0x40, Malformed.TCP_BAD_DATA_OFFSET),
        ("udp4", 49, 7, Malformed.UDP_BAD_LENGTH),
        ("udp4", 49, 14, Malformed.UDP_BAD_LENGTH),
        ("udp4-first-fragment", 49, 7, Malformed.UDP_BAD_LENGTH),
        ("icmp-echo", 52, 0, Malformed.ICMP_BAD_CHECKSUM),
        ("udp6", 24, 0x40, Malformed.IPV6_BAD_VERSION),
    ],
)
def test_what_is_wrong_is_told_in_the_words_for_it(
    samples: dict[str, bytes], name: str, place: int, value: int, malformed: Malformed
) -> None:
    frame = bytearray(samples[name])
    assert malformed.value not in "\n".join(describe(frame))
    frame[place] = value
    assert malformed.value in "\n".join(describe(frame))


def test_unknown_gso_type_and_unknown_protocol_are_told_by_number() -> None:
    packet = ipv4.build(INSIDE, OUTSIDE, 200, b"data")
    frame = ethernet.build(BOB, ALICE, EtherType.IPV4, packet)
    frame[:10] = OffloadHeader(gso_type=7, gso_size=9).pack()
    assert summary(frame) == f"IPv4 {OUT} protocol 200 4 bytes (GSO type 7 9)"


def test_error_that_quotes_an_error_is_told_to_the_first_quote() -> None:
    packet = ipv4.build(INSIDE, OUTSIDE, Protocol.UDP, b"")
    for _ in range(20):
        packet = ipv4.build(INSIDE, OUTSIDE, Protocol.ICMP, icmp.build(3, 1, 0, packet))
    lines = describe(ethernet.build(BOB, ALICE, EtherType.IPV4, packet))
    assert lines[-1] == f"quoted IPv4 {OUT} ICMP destination unreachable (host)"
    assert len(lines) == 4


def test_bad_data_offset_of_a_cut_off_segment_is_told_as_such(samples: dict[str, bytes]) -> None:
    frame = bytearray(samples["tcp4-data"][:70])
    frame[56] = 0x40
    assert Malformed.TCP_BAD_DATA_OFFSET.value in summary(frame)
