"""Beyond the RFCs, headers and payloads: TTL, options, TOS, checksums, offloads, MSS, ALGs."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption, IPOption_RR, in4_chksum
from scapy.packet import Packet, Raw

from tests.conformance.packets import (
    S1,
    A,
    Talk,
    X,
    assert_answered,
    assert_arrived,
    into,
    ip,
    lab,
    nothing,
    out,
    rewritten,
    syn,
    udp,
)
from tests.conformance.requirements import Level, requirement
from tests.harness import Lab, on_the_wire, only
from vswitch.translation import Outside
from vswitch.wire.checksum import pseudo_header_sum
from vswitch.wire.offload import (
    GSO_TCPV4,
    GSO_UDP_L4,
    NEEDS_CSUM,
    OffloadHeader,
    Offloads,
)
from vswitch.wire.values import IpAddress, Protocol

# TTL, options, TOS

ttl = requirement("beyond", "TTL", Level.MUST, "each way costs one; at the end 11/0 and no state")


@ttl
@pytest.mark.parametrize("life", [2, 3, 64, 255])
def test_beyond_ttl_is_one_less_on_the_other_side(life: int) -> None:
    made = lab()
    for _ in range(2):
        packet = udp(A, 5000, S1, 7000, ttl=life)
        assert_arrived(out(made, made.a, packet), packet, src=X)
        answer = udp(S1, 7000, X, 5000, ttl=life)
        assert_arrived(only(into(made, answer)["a"]), answer, dst=A)


@ttl
@pytest.mark.parametrize("life", [0, 1])
def test_beyond_ttl_that_ends_here_is_told_and_makes_no_mapping(life: int) -> None:
    made = lab()
    packet = udp(A, 5000, S1, 7000, ttl=life)
    seen = made.exchange(made.a, packet)
    assert_answered(only(seen["a"]), 11, 0, about=packet)
    assert seen["outside"] == []
    assert len(made.switch.tables.mappings) == len(made.switch.tables.connections) == 0


@ttl
@pytest.mark.parametrize("life", [0, 1])
def test_beyond_ttl_that_ends_on_the_way_in_is_told_with_the_external_address(life: int) -> None:
    made = lab()
    for _ in range(2):
        out(made, made.a, udp(A, 5000, S1, 7000))
    packet = udp(S1, 7000, X, 5000, ttl=life)
    seen = into(made, packet)
    assert_answered(only(seen["outside"]), 11, 0, about=packet, source=X)
    assert seen["a"] == []


options = requirement(
    "beyond", "options", Level.MUST, "no source routes, no recorded inside address"
)


@options
@pytest.mark.parametrize(
    "option", [b"\x83\x07\x04\xc6\x33\x64\x02", b"\x89\x07\x04\xc6\x33\x64\x02"]
)
def test_beyond_options_source_routes_are_dropped(option: bytes) -> None:
    made = lab()
    assert nothing(made.exchange(made.a, udp(A, 5000, S1, 7000, options=[IPOption(option)])))
    made.publish(8080, made.b, 80, Protocol.UDP)
    assert nothing(into(made, udp(S1, 7000, X, 8080, options=[IPOption(option)])))
    assert sum(made.drops.values()) == 2


@options
@pytest.mark.parametrize("option", [b"\x94\x04\0\0", b"\x88\x04\0\1", b"\x44\x0c\5\0" + bytes(8)])
def test_beyond_options_others_pass_unchanged(option: bytes) -> None:
    made = lab()
    packet = udp(A, 5000, S1, 7000, options=[IPOption(option)])
    for _ in range(2):
        assert_arrived(out(made, made.a, packet), packet, src=X)


@options
def test_beyond_options_recorded_route_never_shows_an_inside_address() -> None:
    """`ping -R` writes the address of its own interface into the first place."""
    made = lab()
    route = IPOption_RR(routers=[A, "0.0.0.0", "0.0.0.0"], pointer=8, length=15)
    packet = ip(A, S1, options=[route]) / UDP(sport=5000, dport=7000) / Raw(b"question")
    seen = made.exchange(made.a, packet)["outside"]
    assert all(IpAddress.parse(A) not in bytes(frame) for frame in seen)
    assert len(seen) + sum(made.drops.values()) == 1


@requirement("beyond", "TOS", Level.MUST, "TOS, ECN, identification and DF are kept")
@pytest.mark.parametrize("fields", [{"tos": 0xB9}, {"tos": 0x03}, {"id": 0}, {"id": 0xFFFF}])
def test_beyond_tos_ecn_identification_and_df_are_kept(fields: dict[str, int]) -> None:
    made = lab()
    for _ in range(2):
        packet = udp(A, 5000, S1, 7000, **fields)
        assert_arrived(out(made, made.a, packet), packet, src=X)
        answer = udp(S1, 7000, X, 5000, **fields)
        assert_arrived(only(into(made, answer)["a"]), answer, dst=A)


# Checksums

sums = requirement(
    "beyond", "checksums", Level.MUST, "right stays right, wrong stays wrong, 0 stays 0"
)


@sums
def test_beyond_checksums_of_zero_stay_zero() -> None:
    made = lab()
    for _ in range(2):
        packet = udp(A, 5000, S1, 7000)
        packet[UDP].chksum = 0
        assert_arrived(out(made, made.a, packet), packet, src=X)
        answer = udp(S1, 7000, X, 5000)
        answer[UDP].chksum = 0
        assert_arrived(only(into(made, answer)["a"]), answer, dst=A)


@sums
def test_beyond_checksums_that_come_out_as_zero_are_written_as_ffff() -> None:
    made = lab()
    packet = udp(A, 5000, S1, 7000, (38607).to_bytes(2, "big") + b"z" * 16)
    for _ in range(2):
        seen = out(made, made.a, packet)
        assert seen[UDP].chksum == 0xFFFF
        assert_arrived(seen, packet, src=X)


@sums
@settings(max_examples=60)
@given(payload=st.binary(max_size=40), word=st.integers(0, 0xFFFF))
def test_beyond_checksums_are_what_scapy_computes(payload: bytes, word: int) -> None:
    made = lab()
    content = word.to_bytes(2, "big") + payload
    for _ in range(2):
        packet = udp(A, 5000, S1, 7000, content)
        assert_arrived(out(made, made.a, packet), packet, src=X)
        answer = udp(S1, 7000, X, 5000, content)
        assert_arrived(only(into(made, answer)["a"]), answer, dst=A)


@sums
@pytest.mark.parametrize("seen_by", ["sender", "receiver"])
@pytest.mark.parametrize("beside", [-1, 0, 1])
def test_beyond_checksums_near_both_zeros_come_out_right(seen_by: str, beside: int) -> None:
    """One's complement has two zeros; the sum is near them before, or after translation."""
    made = lab()
    packet = udp(A, 5000, S1, 7000, b"\0\0")
    summed = packet if seen_by == "sender" else IP(rewritten(packet, src=X))
    word = (IP(bytes(summed))[UDP].chksum + beside) % 0xFFFF
    packet = udp(A, 5000, S1, 7000, word.to_bytes(2, "big"))
    for _ in range(2):
        assert_arrived(out(made, made.a, packet), packet, src=X)


@sums
@pytest.mark.parametrize("make", [udp, syn])
def test_beyond_checksums_that_are_wrong_are_counted(make: object) -> None:
    made = lab()
    packet = make(A, 5000, S1, 80)
    packet.payload.chksum = 0x1234
    for seen in range(1, 4):
        out(made, made.a, packet)
        counted = made.switch.fastpath.port_counters(made.a.port).wrong_checksums
        assert counted == seen
    assert made.drops == {}


@sums
@pytest.mark.parametrize("trailer", [b"\0" * 18, b"\xff" * 4, b"trailer"])
def test_beyond_checksums_do_not_cover_what_follows_the_packet(trailer: bytes) -> None:
    made = lab()
    packet = udp(A, 5000, S1, 7000, b"x")
    for _ in range(2):
        made.send(made.a, bytes(made.routed(made.a, packet)) + trailer)
        (raw,) = made.received_raw(made.outside)
        expected = rewritten(packet, src=X)
        assert raw[24 : 24 + len(expected)] == expected


# Offloads

offloaded = requirement("beyond", "offloads", Level.MUST, "unfinished checksums and super-frames")
UNFINISHED = {UDP: (42, 6), TCP: (54, 16)}


def unfinished(packet: Packet, gso: int = 0, size: int = 0) -> tuple[Packet, bytes]:
    """A packet with the sum of its pseudo header alone, and the header that says so."""
    transport = TCP if TCP in packet else UDP
    ends = IpAddress.parse(packet.src), IpAddress.parse(packet.dst)
    protocol = 6 if transport is TCP else 17
    packet[transport].chksum = pseudo_header_sum(*ends, protocol, len(packet) - 20)
    length, field = UNFINISHED[transport]
    return packet, OffloadHeader(NEEDS_CSUM, gso, length, size, 34, field).pack()


def sent_unfinished(made: Lab, packet: Packet, gso: int = 0, size: int = 0) -> list[Packet]:
    """What a packet of a's becomes on the wire outside."""
    unsummed, header = unfinished(packet.copy(), gso, size)
    made.send(made.a, made.routed(made.a, unsummed), header)
    return [one for raw in made.received_raw(made.outside) for one in on_the_wire(raw)]


@offloaded
@pytest.mark.parametrize("device", [Offloads.ALL, Offloads.NONE])
@pytest.mark.parametrize("make", [udp, syn])
def test_beyond_offloads_unfinished_checksum_comes_out_right(
    make: object, device: Offloads
) -> None:
    made = lab(offloads=device)
    packet = make(A, 5000, S1, 80)
    for _ in range(3):
        assert_arrived(only(sent_unfinished(made, packet)), packet, src=X)


@offloaded
@pytest.mark.parametrize("device", [Offloads.ALL, Offloads.NONE])
def test_beyond_offloads_super_frame_of_tcp_becomes_translated_segments(device: Offloads) -> None:
    made = lab(offloads=device)
    talk = Talk.outwards(made).opens()
    talk.says(1, "A", window=0xFFFF)
    payload = bytes(range(256)) * 40
    segments = sent_unfinished(made, talk.segment(0, "PA", payload), GSO_TCPV4, 1000)
    assert b"".join(bytes(one[TCP].payload) for one in segments) == payload
    for number, segment in enumerate(segments):
        part = payload[1000 * number : 1000 * (number + 1)]
        flags = "PA" if number == len(segments) - 1 else "A"
        alone = talk.segment(0, flags, part, seq=talk.next[0] + 1000 * number)
        alone.id = 0x1234 + number
        assert_arrived(segment, alone, src=X)


@offloaded
@pytest.mark.parametrize("device", [Offloads.ALL, Offloads.NONE])
def test_beyond_offloads_super_frame_of_udp_becomes_translated_datagrams(device: Offloads) -> None:
    made = lab(offloads=device)
    payload = bytes(range(256)) * 12
    datagrams = sent_unfinished(made, udp(A, 5000, S1, 443, payload), GSO_UDP_L4, 1200)
    assert [len(one[UDP].payload) for one in datagrams] == [1200, 1200, 672]
    for number, datagram in enumerate(datagrams):
        alone = udp(A, 5000, S1, 443, payload[1200 * number : 1200 * (number + 1)])
        alone.id = 0x1234 + number
        assert_arrived(datagram, alone, src=X)


@offloaded
def test_beyond_offloads_segments_that_do_not_fit_the_way_out_are_refused_with_its_mtu() -> None:
    made = lab(uplink_mtu=1280)
    talk = Talk.outwards(made).opens()
    talk.says(1, "A", window=0xFFFF)
    packet = talk.segment(0, "A", bytes(5000))
    assert sent_unfinished(made, packet, GSO_TCPV4, 1241) == []
    answer = only(made.received(made.a))
    assert (answer[ICMP].type, answer[ICMP].code, answer[ICMP].nexthopmtu) == (3, 4, 1280)
    assert len(sent_unfinished(made, packet, GSO_TCPV4, 1240)) == 5


# MSS

clamped = requirement("beyond", "MSS", Level.SHOULD, "SYNs promise no more than the way can carry")


def offered(size: int) -> list[tuple[str, object]]:
    return [("NOP", None), ("MSS", size), ("SAckOK", b""), ("WScale", 7), ("NOP", None)]


def raw_syn(source: str, octets: bytes) -> Packet:
    """A SYN to S1 with these bytes for options, which scapy would put right, and its checksum."""
    header = bytearray(bytes(TCP(sport=5000, dport=80, flags="S")))
    header[12] = (5 + len(octets) // 4) << 4
    packet = ip(source, S1, proto=6)
    summed = in4_chksum(6, IP(bytes(packet)), bytes(header) + octets)
    header[16:18] = summed.to_bytes(2, "big")
    return packet / Raw(bytes(header) + octets)


@clamped
@pytest.mark.parametrize("mtus", [(1280, 1500), (1500, 1280), (1280, 1400)])
@pytest.mark.parametrize(("size", "passed"), [(1460, 1240), (1241, 1240), (1240, 1240), (536, 536)])
@pytest.mark.parametrize("partial", [False, True])
def test_beyond_mss_is_clamped_in_both_directions(
    mtus: tuple[int, int], size: int, passed: int, partial: bool
) -> None:
    made = lab(uplink_mtu=mtus[0], inside_mtu=mtus[1])
    packet = syn(A, 5000, S1, 80, options=offered(size))
    seen = only(sent_unfinished(made, packet)) if partial else out(made, made.a, packet)
    assert_arrived(seen, syn(A, 5000, S1, 80, options=offered(passed)), src=X)
    fields = {"seq": 9000, "ack": 1001, "flags": "SA"}
    answer = syn(S1, 80, X, 5000, options=offered(size), **fields)
    expected = syn(S1, 80, X, 5000, options=offered(passed), **fields)
    assert_arrived(only(into(made, answer)["a"]), expected, dst=A)


@clamped
def test_beyond_mss_is_clamped_for_published_ports_too() -> None:
    made = lab(uplink_mtu=1280)
    made.publish(8080, made.b, 80)
    packet = syn(S1, 4000, X, 8080, options=offered(1460))
    expected = syn(S1, 4000, X, 8080, options=offered(1240))
    assert_arrived(only(into(made, packet)["b"]), expected, dst="10.0.0.3", dport=80)


@clamped
@pytest.mark.parametrize("wrong", [b"\2\0\0\0", b"\2\3\0\0", b"\2\6\5\xb4", b"\x22\0\0\0"])
def test_beyond_mss_is_not_invented_nor_looked_for_behind_options_that_lie(wrong: bytes) -> None:
    made = lab(uplink_mtu=1280)
    for octets in (b"", wrong):
        seen = out(made, made.a, raw_syn(A, octets))
        assert bytes(seen[IP].payload) == bytes(raw_syn(X, octets).payload)


@requirement("beyond", "MSS", Level.SHOULD, "or as they like", "clamp_mss = false")
def test_beyond_mss_is_left_alone_where_that_is_chosen() -> None:
    made = lab(uplink_mtu=1280, outside=Outside(clamps_mss=False))
    packet = syn(A, 5000, S1, 80, options=offered(1460))
    assert_arrived(out(made, made.a, packet), packet, src=X)


# ALGs


@requirement("beyond", "ALGs", Level.SHOULD, "no payload of a published server is touched either")
@pytest.mark.parametrize(
    "line",
    [
        b"227 Entering Passive Mode (10,0,0,3,19,137)\r\n",
        b"229 Entering Extended Passive Mode (|||5001|)\r\n",
        b"SIP/2.0 200 OK\r\nContact: <sip:b@10.0.0.3:5060>\r\n\r\n",
    ],
)
def test_beyond_algs_payload_of_a_published_server_is_untouched(line: bytes) -> None:
    talk = Talk.inwards(lab()).opens()
    talk.says(1, "PA", line)
    talk.says(0, "PA", line)
