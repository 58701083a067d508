"""The flow key: which frames are alike, and which have no key at all."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet, Raw

from vswitch.fastpath.key import KeyContext, extract
from vswitch.wire.offload import (
    GSO_TCPV4,
    HEADER_LENGTH,
    NEEDS_CSUM,
    OffloadHeader,
)
from vswitch.wire.values import MacAddress

GATEWAY = "02:00:00:00:01:01"
ALICE = "02:00:00:00:00:0a"
BOB = "02:00:00:00:00:0b"
CONTEXT = KeyContext.of(7, MacAddress.parse(GATEWAY))


def key(frame: Packet | bytes, header: bytes = bytes(HEADER_LENGTH)) -> bytes | None:
    return extract(CONTEXT, header + bytes(frame))


def to_gateway(packet: Packet) -> Packet:
    return Ether(src=ALICE, dst=GATEWAY) / packet


def ip(**fields: object) -> Packet:
    return IP(**{"src": "10.0.0.2", "dst": "198.51.100.1", **fields})


def udp(**fields: object) -> Packet:
    return to_gateway(ip() / UDP(**{"sport": 5000, "dport": 7000, **fields}) / b"payload")


def data(flags: str = "A", **fields: object) -> Packet:
    return to_gateway(ip() / TCP(**{"sport": 5000, "dport": 80, "flags": flags, **fields}) / b"x")


def ping(**fields: object) -> Packet:
    return to_gateway(ip() / ICMP(**{"type": 8, "id": 9, "seq": 1, **fields}) / b"x")


def with_ip(**fields: object) -> Packet:
    return to_gateway(ip(**fields) / UDP(sport=5000, dport=7000) / b"payload")


# What makes frames alike


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (udp(), with_ip(ttl=7, tos=3, id=99)),
        (udp(), to_gateway(ip() / UDP(sport=5000, dport=7000) / b"another and longer payload")),
        (data(), data("PA", seq=77, ack=5, window=3)),
        (data(), data(options=[("Timestamp", (1, 2))])),
        (ping(seq=1), ping(seq=2)),
        (udp(), with_ip(flags="DF")),
    ],
)
def test_frames_of_one_routed_flow_share_a_key(one: Packet, other: Packet) -> None:
    assert key(one) is not None
    assert key(one) == key(other)


def test_frames_of_different_routed_flows_have_different_keys() -> None:
    frames = [
        udp(),
        udp(sport=5001),
        udp(dport=7001),
        with_ip(src="10.0.0.3"),
        with_ip(dst="198.51.100.2"),
        data(sport=5000, dport=7000),
        ping(),
        ping(id=10),
        ping(type=0),
        Ether(src=BOB, dst=GATEWAY) / ip() / UDP(sport=5000, dport=7000) / b"payload",
    ]
    keys = [key(frame) for frame in frames]
    assert None not in keys
    assert len(set(keys)) == len(frames)


def test_frames_of_one_pair_of_stations_share_a_key() -> None:
    pair = Ether(src=ALICE, dst=BOB)
    assert key(pair / b"anything") is not None
    assert key(pair / b"anything") == key(pair / ip() / TCP(flags="S"))


def test_bridged_keys_tell_stations_and_vlans_apart() -> None:
    frames = [
        Ether(src=ALICE, dst=BOB) / b"....",
        Ether(src=BOB, dst=ALICE) / b"....",
        Ether(src=ALICE, dst="02:00:00:00:00:0c") / b"....",
        Ether(src=ALICE, dst=BOB) / Dot1Q(vlan=10) / b"....",
        Ether(src=ALICE, dst=BOB) / Dot1Q(vlan=0x10A) / b"....",
        Ether(src=ALICE, dst=BOB) / Dot1Q(vlan=0x20A) / b"....",
    ]
    keys = [key(frame) for frame in frames]
    assert None not in keys
    assert len(set(keys)) == len(frames)


def test_priority_of_a_tag_is_no_part_of_the_key() -> None:
    tagged = Ether(src=ALICE, dst=BOB) / Dot1Q(vlan=10, prio=0) / b"...."
    urgent = Ether(src=ALICE, dst=BOB) / Dot1Q(vlan=10, prio=7) / b"...."
    assert key(tagged) == key(urgent)


def test_sender_is_part_of_the_key_so_that_only_one_that_was_learned_hits() -> None:
    keys = {
        key(Ether(src=source, dst=GATEWAY) / ip() / transport / b"x")
        for source in (ALICE, BOB, "03:00:00:00:00:0a")
        for transport in (UDP(sport=1, dport=2), ICMP(type=8, id=1))
    }
    assert None not in keys
    assert len(keys) == 6


def test_ports_have_keys_of_their_own() -> None:
    other = KeyContext.of(8, MacAddress.parse(GATEWAY))
    for frame in (udp(), Ether(src=ALICE, dst=BOB) / b"...."):
        raw = bytes(HEADER_LENGTH) + bytes(frame)
        assert extract(CONTEXT, raw) != extract(other, raw)


def test_kinds_of_keys_are_told_apart_by_the_first_byte() -> None:
    routed, bridged = key(udp()), key(Ether(src=ALICE, dst=BOB) / b"....")
    assert routed is not None
    assert bridged is not None
    assert routed[0] != bridged[0]


def test_what_only_looks_like_ipv4_has_no_key() -> None:
    frame = udp()
    frame.type = 0x88B5
    assert bytes(frame)[14] == 0x45
    assert key(frame) is None


def test_port_without_a_gateway_bridges_everything() -> None:
    context = KeyContext.of(7, None)
    raw = bytes(HEADER_LENGTH) + bytes(udp())
    found, bridged = extract(context, raw), key(Ether(src=ALICE, dst=BOB))
    assert found is not None
    assert bridged is not None
    assert found[0] == bridged[0]


# What has no key


NO_KEY = {
    "not IPv4": to_gateway(IPv6(src="fd00::2", dst="fd00::3") / UDP(sport=1, dport=2)),
    "ARP": to_gateway(ARP(psrc="10.0.0.2", pdst="10.0.0.1")),
    "VLAN-tagged": Ether(src=ALICE, dst=GATEWAY) / Dot1Q(vlan=5) / ip() / UDP(sport=1, dport=2),
    "IPv4 version 6": with_ip(version=6),
    "IP options": with_ip(options=[IPOption(b"\x01")]),
    "wrong header checksum": with_ip(chksum=0x1234),
    "total length beyond the frame": with_ip(len=500),
    "total length below the header": with_ip(len=10),
    "first fragment": with_ip(flags="MF"),
    "later fragment": with_ip(frag=1),
    "far fragment": with_ip(frag=0x1F00),
    "TTL 0": with_ip(ttl=0),
    "TTL 1": with_ip(ttl=1),
    "another protocol": to_gateway(ip(proto=132) / Raw(bytes(40))),
    "SYN and FIN": data("SF"),
    "SYN and RST": data("SR"),
    "FIN and RST": data("FR"),
    "neither ACK nor RST": data("F"),
    "PSH without ACK": data("P"),
    "no TCP flags": data(""),
    "TCP header too short": data(dataofs=4),
    "TCP header beyond the packet": data(dataofs=15),
    "UDP length too short": udp(len=7),
    "UDP length beyond the packet": udp(len=100),
    "ICMP error": to_gateway(ip() / ICMP(type=3, code=3) / ip() / UDP(sport=1, dport=2)),
    "ICMP time exceeded": to_gateway(ip() / ICMP(type=11) / ip() / UDP(sport=1, dport=2)),
    "ICMP timestamp": ping(type=13),
    "echo request with a code": ping(code=1),
    "group destination": Ether(src=ALICE, dst="01:00:5e:00:00:fb") / ip() / UDP(),
    "broadcast": Ether(src=ALICE, dst="ff:ff:ff:ff:ff:ff") / b"....",
    "tag cut short": bytes(Ether(src=ALICE, dst=BOB, type=0x8100)) + b"\0",
    "shorter than Ethernet": bytes.fromhex(BOB.replace(":", "") + ALICE.replace(":", "")),
    "nothing at all": b"",
}


@pytest.mark.parametrize("why", NO_KEY)
def test_frame_that_only_the_pipeline_may_decide_about_has_no_key(why: str) -> None:
    frame = NO_KEY[why]
    assert key(frame) is None


def to_bob(packet: Packet) -> Packet:
    return Ether(src=ALICE, dst=BOB) / packet


TO_A_CLIENT = UDP(sport=67, dport=68) / b"offer"


@pytest.mark.parametrize(
    "frame",
    [
        to_bob(ip() / TO_A_CLIENT),
        to_bob(ip(options=[IPOption(b"\x01")] * 4) / TO_A_CLIENT),
        to_bob(ip(flags="MF") / UDP(sport=67, dport=68)),
        to_bob(Dot1Q(vlan=0) / ip() / TO_A_CLIENT),
        to_bob(Dot1Q(vlan=5) / ip() / TO_A_CLIENT),
    ],
)
def test_what_leads_to_a_dhcp_client_has_no_key_even_where_it_is_bridged(frame: Packet) -> None:
    assert key(frame) is None


@pytest.mark.parametrize(
    "frame",
    [
        to_bob(ip() / UDP(sport=68, dport=67) / b"discover"),
        to_bob(ip() / TCP(sport=67, dport=68)),
        to_bob(ip()),
        to_bob(IPv6(src="fd00::2", dst="fd00::3") / TO_A_CLIENT),
    ],
)
def test_what_only_resembles_it_is_bridged_by_its_stations(frame: Packet) -> None:
    assert key(frame) == key(to_bob(ARP()))


def test_reserved_flag_of_ipv4_makes_no_fragment() -> None:
    assert key(with_ip(flags=4)) is not None


@pytest.mark.parametrize(
    "header",
    [
        OffloadHeader(flags=NEEDS_CSUM, checksum_start=14, checksum_offset=12),
        OffloadHeader(flags=NEEDS_CSUM, checksum_start=34, checksum_offset=6),
        OffloadHeader(flags=NEEDS_CSUM, checksum_start=26, checksum_offset=0),
    ],
)
def test_unfinished_checksum_in_another_place_than_tcps_has_no_key(header: OffloadHeader) -> None:
    """A device that finished it would write over what the switch has rewritten."""
    assert key(data(), header.pack()) is None


def test_unfinished_checksum_in_its_place_is_part_of_the_same_flow() -> None:
    tcp = OffloadHeader(NEEDS_CSUM, GSO_TCPV4, 54, 1448, 34, 16)
    assert key(data(), tcp.pack()) == key(data())
    datagram = OffloadHeader(NEEDS_CSUM, 0, 42, 0, 34, 6)
    assert key(udp(), datagram.pack()) == key(udp())


frames = st.one_of(st.binary(max_size=120), st.sampled_from([bytes(f) for f in NO_KEY.values()]))


@given(frame=frames, cut=st.integers(0, 80), to_us=st.booleans())
@example(frame=bytes(data())[:50], cut=0, to_us=True)
@example(frame=bytes(udp())[:41], cut=0, to_us=True)
def test_any_bytes_have_a_key_or_none_and_never_raise(frame: bytes, cut: int, to_us: bool) -> None:
    if to_us:
        frame = bytes(to_gateway(ip()))[:14] + frame
    raw = bytearray(bytes(HEADER_LENGTH) + frame[: len(frame) - cut])
    before = bytes(raw)
    assert extract(CONTEXT, memoryview(raw)) == extract(CONTEXT, bytes(raw))
    assert bytes(raw) == before


@given(cut=st.integers(0, 60))
def test_frame_cut_short_has_no_routed_key(cut: int) -> None:
    whole = bytes(data())
    assert (key(whole[: len(whole) - cut]) is None) == (cut > 0)


@pytest.mark.parametrize("length", range(8, 20))
def test_packet_that_ends_within_its_tcp_header_has_no_routed_key(length: int) -> None:
    """It is whole as a packet, and nothing stands behind it."""
    header = bytes(data()[TCP])[:length]
    assert key(to_gateway(ip(proto=6) / Raw(header))) is None
