"""The way out: what is too long is cut or told, and TCP is kept from sending it at all."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, IPOption, defragment
from scapy.packet import Packet, Raw

from tests.dataplane.conversation import CLIENT_FIRST, S1, Conversation, quiet_lab
from tests.dataplane.corpus import cut
from tests.harness import UPLINK_ADDRESS, Host, Lab, assert_checksums_right, on_the_wire, only
from vswitch.dataplane.drops import DropReason
from vswitch.translation import Limits, Outside
from vswitch.units import KIBIBYTE
from vswitch.wire.checksum import pseudo_header_sum
from vswitch.wire.offload import (
    GSO_UDP_L4,
    HEADER_LENGTH,
    NEEDS_CSUM,
    OffloadHeader,
    Offloads,
)
from vswitch.wire.values import IpAddress, Protocol


def datagram(host: Host, length: int, **fields: object) -> Packet:
    """A datagram to S1 whose IPv4 packet is `length` bytes long."""
    payload = bytes(n % 251 for n in range(length - 28))
    packet = IP(**{"src": host.ip, "dst": S1, "id": 7, **fields})
    return packet / UDP(sport=5000, dport=7000) / payload


def put_together(pieces: list[Packet]) -> Packet:
    """The datagram that fragments are of."""
    return only(defragment([IP(bytes(piece[IP])) for piece in pieces]))


# Cutting (RFC 4787, REQ-13a)


@pytest.mark.parametrize(
    ("length", "lengths"), [(1280, [1280]), (1281, [1276, 25]), (2600, [1276, 1276, 88])]
)
def test_datagram_that_is_too_long_leaves_in_fragments_in_order(
    length: int, lengths: list[int]
) -> None:
    made = quiet_lab(uplink_mtu=1280)
    packet = datagram(made.a, length)
    pieces = made.exchange(made.a, packet)["outside"]
    assert [len(piece[IP]) for piece in pieces] == lengths
    assert [piece[IP].frag * 8 for piece in pieces] == [1256 * n for n in range(len(lengths))]
    assert [bool(piece[IP].flags.MF) for piece in pieces] == [True] * (len(lengths) - 1) + [False]
    assert len({piece[IP].id for piece in pieces}) == 1
    whole = put_together(pieces)
    assert (whole.src, whole[UDP].sport) == (UPLINK_ADDRESS, 5000)
    assert bytes(whole[UDP].payload) == bytes(packet[UDP].payload)
    assert_checksums_right(whole)


def test_each_fragment_has_a_right_header_and_one_hop_less() -> None:
    made = quiet_lab(uplink_mtu=1280)
    for piece in made.exchange(made.a, datagram(made.a, 2600, ttl=9, tos=0xB8))["outside"]:
        header = IP(bytes(piece[IP])[:20])
        right = header.copy()
        del right.chksum
        assert header.chksum == IP(bytes(right)).chksum
        assert (header.ttl, header.tos, header.src) == (8, 0xB8, UPLINK_ADDRESS)


def test_options_are_carried_as_their_copy_bit_says() -> None:
    """RFC 791, 3.1: router alert is copied into each fragment, record route is not."""
    made = quiet_lab(uplink_mtu=1280)
    options = [IPOption(b"\x94\x04\x00\x00"), IPOption(b"\x07\x07\x04\x00\x00\x00\x00\x00")]
    first, *later = made.exchange(made.a, datagram(made.a, 2600, options=options))["outside"]
    assert first[IP].ihl == 8
    assert [piece[IP].ihl for piece in later] == [6] * len(later)
    assert all(bytes(piece[IP])[20:24] == b"\x94\x04\x00\x00" for piece in (first, *later))


def test_hosts_that_have_chosen_the_same_identification_leave_with_different_ones() -> None:
    """RFC 6864; RFC 7857, 10."""
    made = quiet_lab(uplink_mtu=1280)
    ids = set()
    for host in (made.a, made.b, made.c):
        pieces = made.exchange(host, datagram(host, 2000))["outside"]
        ids |= {piece[IP].id for piece in pieces}
    assert len(ids) == 3


def test_packet_that_is_not_cut_keeps_its_identification() -> None:
    made = quiet_lab()
    assert only(made.exchange(made.a, datagram(made.a, 1000))["outside"])[IP].id == 7


def test_flow_whose_datagrams_are_cut_goes_the_short_way_with_those_that_are_not() -> None:
    made = quiet_lab(uplink_mtu=1280)
    for _ in range(2):
        made.exchange(made.a, datagram(made.a, 1000))
    hits = made.hits()
    for _ in range(2):
        assert len(made.exchange(made.a, datagram(made.a, 2000))["outside"]) == 2
    assert made.hits() == hits
    assert len(made.exchange(made.a, datagram(made.a, 1000))["outside"]) == 1
    assert made.hits() == hits + 1


def test_datagram_on_its_way_in_is_cut_too() -> None:
    made = quiet_lab(inside_mtu=1280)
    made.publish(8080, made.b, 80, Protocol.UDP)
    packet = IP(src=S1, dst=UPLINK_ADDRESS) / UDP(sport=4000, dport=8080) / bytes(1400)
    pieces = made.exchange(made.outside, packet)["b"]
    assert [len(piece[IP]) for piece in pieces] == [1276, 172]
    assert put_together(pieces)[UDP].dport == 80


def test_datagram_that_waited_for_a_station_is_cut_when_it_leaves() -> None:
    made = quiet_lab(inside_mtu=1280)
    made.publish(8080, made.b, 80, Protocol.UDP)
    made.network("front").neighbours.forget(IpAddress.parse(made.b.ip))
    packet = IP(src=S1, dst=UPLINK_ADDRESS) / UDP(sport=4000, dport=8080) / bytes(1400)
    made.exchange(made.outside, packet)
    made.send(made.b, made.arp_request(made.b, "10.0.0.1"))
    assert len([each for each in made.received(made.b) if IP in each]) == 2


def test_unfinished_checksum_is_finished_before_the_cut() -> None:
    made = quiet_lab(uplink_mtu=1280)
    packet = (
        IP(src=made.a.ip, dst=S1) / UDP(sport=5000, dport=7000) / bytes(range(250)) / bytes(1400)
    )
    ends = IpAddress.parse(made.a.ip), IpAddress.parse(S1)
    packet[UDP].chksum = pseudo_header_sum(*ends, 17, len(packet) - 20)
    header = OffloadHeader(NEEDS_CSUM, 0, 42, 0, 34, 6).pack()
    made.send(made.a, made.routed(made.a, packet), header)
    raw = made.received_raw(made.outside)
    assert all(each[:HEADER_LENGTH] == bytes(HEADER_LENGTH) for each in raw)
    assert_checksums_right(put_together([each for one in raw for each in on_the_wire(one)]))


def test_super_frame_of_datagrams_that_are_too_long_leaves_with_each_of_them_in_fragments() -> None:
    made = quiet_lab(uplink_mtu=1280, offloads=Offloads.ALL)
    packet = IP(src=made.a.ip, dst=S1) / UDP(sport=5000, dport=7000) / bytes(3000)
    ends = IpAddress.parse(made.a.ip), IpAddress.parse(S1)
    packet[UDP].chksum = pseudo_header_sum(*ends, 17, len(packet) - 20)
    header = OffloadHeader(NEEDS_CSUM, GSO_UDP_L4, 42, 1400, 34, 6).pack()
    made.send(made.a, made.routed(made.a, packet), header)
    pieces = [each for raw in made.received_raw(made.outside) for each in on_the_wire(raw)]
    whole = defragment([IP(bytes(piece[IP])) for piece in pieces])
    assert [len(each[UDP].payload) for each in whole] == [1400, 1400, 200]
    for each in whole:
        assert_checksums_right(each)


# Telling (RFC 4787, REQ-13; RFC 1191)


def assert_told(error: Packet, source: str, packet: Packet, mtu: int) -> None:
    assert (error[IP].src, error[IP].dst) == (source, packet[IP].src)
    assert (error[ICMP].type, error[ICMP].code, error[ICMP].nexthopmtu) == (3, 4, mtu)
    assert bytes(packet[IP]).startswith(bytes(error[ICMP].payload))
    assert_checksums_right(error)


def test_sender_inside_is_told_the_uplinks_mtu() -> None:
    made = quiet_lab(uplink_mtu=1280)
    packet = IP(src=made.a.ip, dst=S1, flags="DF") / UDP(sport=5000, dport=7000) / bytes(1253)
    seen = made.exchange(made.a, packet)
    assert_told(only(seen["a"]), "10.0.0.1", packet, 1280)
    assert seen["outside"] == []
    assert made.drops == {DropReason.TOO_BIG: 1}
    assert len(made.switch.tables.mappings) == 0


def test_sender_outside_is_told_the_inside_networks_mtu() -> None:
    made = quiet_lab(inside_mtu=1400)
    made.publish(8080, made.b, 80, Protocol.UDP)
    packet = IP(src=S1, dst=UPLINK_ADDRESS, flags="DF") / UDP(sport=4000, dport=8080) / bytes(1373)
    seen = made.exchange(made.outside, packet)
    assert_told(only(seen["outside"]), UPLINK_ADDRESS, packet, 1400)
    assert seen["b"] == []
    assert len(made.switch.tables.connections) == 0


def test_sender_of_a_hairpin_is_told_too() -> None:
    made = quiet_lab(inside_mtu=1400)
    made.publish(8080, made.b, 80, Protocol.UDP)
    packet = IP(src=made.a.ip, dst=UPLINK_ADDRESS, flags="DF")
    packet /= UDP(sport=5000, dport=8080) / bytes(1373)
    assert_told(only(made.exchange(made.a, packet)["a"]), "10.0.0.1", packet, 1400)


def test_known_flow_is_told_too_and_goes_on() -> None:
    made = quiet_lab(uplink_mtu=1280)
    talk = Conversation.outwards(made).talks()
    packet = talk.segment(0, "PA", bytes(1300))
    packet.flags = "DF"
    assert_told(only(made.exchange(made.a, packet)["a"]), "10.0.0.1", packet, 1280)
    assert len(talk.client("PA", bytes(1200))) == 1


# The maximum segment size (RFC 9293, 3.7.1)

OPTIONS = [("NOP", None), ("MSS", 1460), ("SAckOK", b""), ("WScale", 7)]
"""With the MSS at an odd place."""


def mss_of(segment: Packet) -> int | None:
    return dict(segment[TCP].options).get("MSS")


@pytest.mark.parametrize(
    ("uplink", "inside", "mss"), [(1280, 1500, 1240), (1500, 1400, 1360), (1500, 1500, 1460)]
)
def test_both_syns_ask_for_segments_that_fit_both_networks(
    uplink: int, inside: int, mss: int
) -> None:
    made = quiet_lab(uplink_mtu=uplink, inside_mtu=inside)
    talk = Conversation.outwards(made)
    for speak, flags in ((talk.client, "S"), (talk.server, "SA")):
        seen = only(speak(flags, options=OPTIONS))
        assert mss_of(seen) == mss
        assert_checksums_right(seen)


def test_syns_of_published_and_hairpinned_connections_are_clamped_too() -> None:
    made = quiet_lab(uplink_mtu=1280)
    made.publish(8080, made.b, 80)
    talk = Conversation.inwards(made)
    assert mss_of(only(talk.client("S", options=OPTIONS))) == 1240
    assert mss_of(only(talk.server("SA", options=OPTIONS))) == 1240
    within = Conversation.hairpinned(made)
    assert mss_of(only(within.client("S", options=OPTIONS))) == 1460


def test_smaller_maximum_is_left_and_none_is_added() -> None:
    made = quiet_lab(uplink_mtu=1280)
    talk = Conversation.outwards(made)
    assert mss_of(only(talk.client("S", options=[("MSS", 1000)]))) == 1000
    assert mss_of(only(talk.server("SA"))) is None


def test_uplink_may_leave_the_maximum_alone() -> None:
    made = quiet_lab(uplink_mtu=1280, outside=Outside(clamps_mss=False))
    talk = Conversation.outwards(made)
    assert mss_of(only(talk.client("S", options=OPTIONS))) == 1460
    assert mss_of(only(talk.server("SA", options=OPTIONS))) == 1460


def test_unfinished_checksum_of_a_clamped_syn_comes_out_right() -> None:
    made = quiet_lab(uplink_mtu=1280)
    segment = TCP(sport=5000, dport=80, flags="S", seq=CLIENT_FIRST, options=OPTIONS)
    packet = IP(src=made.a.ip, dst=S1) / segment
    ends = IpAddress.parse(made.a.ip), IpAddress.parse(S1)
    packet[TCP].chksum = pseudo_header_sum(*ends, 6, len(packet) - 20)
    header = OffloadHeader(NEEDS_CSUM, 0, 0, 0, 34, 16).pack()
    made.send(made.a, made.routed(made.a, packet), header)
    (raw,) = made.received_raw(made.outside)
    assert raw[:HEADER_LENGTH] == header
    (finished,) = on_the_wire(raw)
    assert mss_of(finished) == 1240
    assert_checksums_right(finished)


def test_wrong_checksum_of_a_clamped_syn_stays_wrong() -> None:
    made = quiet_lab(uplink_mtu=1280)
    wrong = only(Conversation.outwards(made).client("S", options=OPTIONS, chksum=0x1234))
    assert mss_of(wrong) == 1240
    right = IP(bytes(wrong[IP]))
    del right[TCP].chksum
    assert IP(bytes(right))[TCP].chksum != wrong[TCP].chksum


# Fragments on their way through

orders = st.permutations(range(4))


@settings(max_examples=15)
@given(order=orders)
def test_fragments_in_any_order_leave_as_the_same_datagram(order: list[int]) -> None:
    made = quiet_lab()
    packet = datagram(made.a, 3000)
    pieces = cut(packet, 800)
    seen: list[Packet] = []
    for index in order:
        assert seen == []
        seen = made.exchange(made.a, pieces[index])["outside"]
    whole = put_together(seen)
    assert bytes(whole[UDP].payload) == bytes(packet[UDP].payload)
    assert whole.src == UPLINK_ADDRESS
    assert_checksums_right(whole)


def test_datagram_leaves_in_fragments_no_longer_than_it_came_in() -> None:
    """Who has sent short ones may know of a narrow place."""
    made = quiet_lab()
    pieces = cut(datagram(made.a, 3000), 400)
    seen = [each for piece in pieces for each in made.exchange(made.a, piece)["outside"]]
    assert [len(each[IP]) for each in seen] == [len(piece) for piece in pieces]


@pytest.mark.parametrize(
    "transport",
    [UDP(sport=5000, dport=7000), ICMP(type=8, id=9), TCP(sport=5000, dport=80, flags="S", seq=1)],
)
def test_fragments_of_every_transport_are_translated(transport: Packet) -> None:
    made = quiet_lab()
    packet = IP(src=made.a.ip, dst=S1, id=3) / transport / Raw(bytes(2000))
    seen = [each for piece in cut(packet) for each in made.exchange(made.a, piece)["outside"]]
    whole = put_together(seen)
    assert whole.src == UPLINK_ADDRESS
    assert bytes(whole.payload)[-2000:] == bytes(2000)
    assert_checksums_right(whole)


def test_fragments_with_df_that_do_not_fit_are_told() -> None:
    made = quiet_lab(uplink_mtu=1280)
    pieces = cut(datagram(made.a, 2600, flags="DF"), 1400)
    seen = [made.exchange(made.a, piece) for piece in pieces]
    assert seen[-1]["outside"] == []
    error = only(seen[-1]["a"])
    assert (error[ICMP].code, error[ICMP].nexthopmtu) == (4, 1280)


def test_fragments_that_overlap_are_dropped_and_all_counted() -> None:
    made = quiet_lab()
    first, second, third, _ = cut(datagram(made.a, 3000), 800)
    made.exchange(made.a, first)
    made.exchange(made.a, third)
    second.frag -= 1
    assert not any(made.exchange(made.a, second).values())
    assert made.drops == {DropReason.FRAGMENT_OVERLAP: 3}
    made.exchange(made.a, first)
    assert made.drops == {DropReason.FRAGMENT_OVERLAP: 4}


def test_datagram_whose_rest_never_comes_is_told_to_who_sent_its_first_fragment() -> None:
    """RFC 792: reassembly time exceeded."""
    made = quiet_lab()
    first, second, *_ = cut(datagram(made.a, 3000), 800)
    made.exchange(made.a, first)
    made.exchange(made.b, IP(src=made.b.ip, dst=S1, id=9, proto=17, frag=100) / Raw(bytes(80)))
    made.pass_time(31_000_000_000)
    error = only(made.received(made.a))
    assert (error[ICMP].type, error[ICMP].code, error[IP].src) == (11, 1, "10.0.0.1")
    assert made.received(made.b) == []
    assert made.drops == {DropReason.FRAGMENT_TIMEOUT: 2}
    made.exchange(made.a, second)
    assert len(made.switch.tables.reassembly) == 1


def test_outside_is_not_told_about_datagrams_to_addresses_that_are_not_ours() -> None:
    made = quiet_lab()
    for number, to in enumerate((made.a.ip, "192.0.2.9", UPLINK_ADDRESS)):
        first = cut(IP(src=S1, dst=to, id=number) / UDP(sport=7000, dport=5000) / Raw(bytes(3000)))[
            0
        ]
        made.exchange(made.outside, first)
    made.pass_time(31_000_000_000)
    error = only(made.received(made.outside))
    assert (error[ICMP].type, error[ICMP].code, error[IPerror].dst) == (11, 1, UPLINK_ADDRESS)
    assert made.drops == {DropReason.FRAGMENT_TIMEOUT: 3}


def test_fragments_of_a_port_that_goes_away_are_counted() -> None:
    made = quiet_lab()
    first, second, *_ = cut(datagram(made.a, 3000), 800)
    for piece in (first, second):
        made.exchange(made.a, piece)
    made.switch.remove_port(made.a.port)
    assert made.drops == {DropReason.ENDED_WHILE_WAITING: 2}


def answered(made: Lab) -> bool:
    packet = IP(src=S1, dst=UPLINK_ADDRESS, id=1) / UDP(sport=7000, dport=5000) / bytes(2000)
    seen = [each for piece in cut(packet) for each in made.exchange(made.outside, piece)["a"]]
    return bool(seen) and put_together(seen).dst == made.a.ip


def test_flood_of_fragments_from_outside_hurts_no_flow() -> None:
    """RFC 4787, REQ-14a."""
    made = quiet_lab(limits=Limits(fragments=256 * KIBIBYTE))
    made.exchange(made.a, datagram(made.a, 100))
    for number in range(1000):
        source = f"192.0.2.{number % 250 + 1}"
        lie = IP(src=source, dst=UPLINK_ADDRESS, id=number, flags="MF") / UDP() / bytes(1400)
        made.send(made.outside, made.routed(made.outside, lie))
        assert made.switch.tables.reassembly.memory <= 256 * KIBIBYTE
    assert made.drops[DropReason.FRAGMENT_MEMORY_FULL] > 800
    assert answered(made)
