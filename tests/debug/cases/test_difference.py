"""A difference that a person reads at a glance: which frame, which layer and field, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scapy.layers.dns import DNS, DNSQR
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet

from vswitch.debug.cases.difference import LOOK_AHEAD, SHOWN, Difference, compare, compare_counts
from vswitch.debug.cases.dissection import differing_fields
from vswitch.debug.cases.recording import Recorded
from vswitch.debug.cases.replay import BY_TIMER, Counts, Departure
from vswitch.units import SECOND
from vswitch.wire.offload import FINISHED, OffloadHeader

START = 1_767_225_600 * SECOND
LINK = Ether(src="02:00:00:00:00:01", dst="02:00:00:00:00:02")
INSIDE = {"src": "10.0.0.2", "dst": "10.0.0.3"}
WHY = "forwarded; flow 1; 10.0.0.3 is on port db"


def packet(number: int = 0, ttl: int = 64, dport: int = 7000) -> Packet:
    return LINK / IP(**INSIDE, ttl=ttl) / UDP(sport=5000, dport=dport) / f"number {number:06}"


def departure(number: int, frame: Packet | None = None, port: str = "db") -> Departure:
    raw = FINISHED + bytes(packet(number) if frame is None else frame)
    return Departure(START + number * SECOND, port, raw, WHY, number + 1)


def recorded(number: int, of: Departure) -> Recorded:
    return Recorded(number, of.when, of.port, of.frame, of.comment)


def expected(*of: Departure) -> list[Recorded]:
    return [recorded(number, each) for number, each in enumerate(of, 1)]


def told(ours: list[Departure], theirs: list[Departure]) -> list[str]:
    return list(compare(expected(*ours), theirs, START).lines())


MANY = [departure(number) for number in range(300)]


def test_what_is_the_same_differs_in_nothing() -> None:
    assert not compare(expected(*MANY), MANY)
    assert not compare([], [])
    assert told(MANY, MANY) == []


def test_field_that_differs_is_named_with_its_layer_frame_cause_and_verdict() -> None:
    other = departure(1, packet(1, ttl=63))
    assert told(MANY[:3], [MANY[0], other, MANY[2]]) == [
        "frame 2, on db at 1.000000000 s, caused by packet 2, differs:",
        "    IPv4 10.0.0.2:5000 > 10.0.0.3:7000 UDP data 13 bytes",
        "    layer   field    expected   got",
        "    IP      ttl      64         63",
        "    IP      chksum   0x66bf     0x67bf",
        f"    verdict   {WHY}",
    ]


def test_verdicts_that_differ_are_both_shown() -> None:
    other = replace(MANY[0], comment="flooded; nobody knows 10.0.0.3", cause=None)
    assert told(MANY[:1], [other]) == [
        "frame 1, on db at 0.000000000 s, caused by a timer, differs:",
        "    IPv4 10.0.0.2:5000 > 10.0.0.3:7000 UDP data 13 bytes",
        "    layer     field   expected    got",
        "    verdict   fate    forwarded   flooded",
        "    verdict   flow    flow 1      no flow",
        f"    verdict expected   {WHY}",
        "    verdict got        flooded; nobody knows 10.0.0.3",
    ]


def test_words_of_a_verdict_may_change() -> None:
    reworded = replace(MANY[0], comment="forwarded; flow 1; straight to db")
    assert told(MANY[:1], [reworded]) == []
    other_flow = replace(MANY[0], comment="forwarded; flow 2")
    assert told(MANY[:1], [other_flow]) != []


def test_frame_by_another_port_or_at_another_time_is_one_difference() -> None:
    by_other_port = told(MANY[:2], [MANY[0], replace(MANY[1], port="app")])
    assert by_other_port[3] == "    switch   port    db         app"
    later = told(MANY[:2], [MANY[0], replace(MANY[1], when=MANY[1].when + 5)])
    assert later[3] == "    switch   time    +0.000000000 s   +0.000000005 s"
    assert len(by_other_port) == len(later) == 5


def test_missing_frame_is_one_difference_and_not_one_for_each_behind_it() -> None:
    lines = told(MANY, MANY[:100] + MANY[101:])
    assert lines == [
        "frame 101, on db at 100.000000000 s, is missing:",
        "    IPv4 10.0.0.2:5000 > 10.0.0.3:7000 UDP data 13 bytes",
        f"    verdict   {WHY}",
    ]


def test_frame_that_nobody_expects_is_shown_with_its_cause() -> None:
    stray = replace(
        departure(0, LINK / ARP(hwsrc="02:00:00:00:00:01", psrc="10.0.0.1", pdst="10.0.0.9")),
        comment=BY_TIMER,
        cause=None,
    )
    assert told(MANY[:3], [MANY[0], stray, *MANY[1:3]]) == [
        "a frame that is not expected, on db at 0.000000000 s, caused by a timer:",
        "    ARP who-has 10.0.0.9 tell 10.0.0.1",
        f"    verdict   {BY_TIMER}",
    ]


def test_frames_of_different_protocols_are_not_taken_for_each_other() -> None:
    segment = departure(0, LINK / IP(**INSIDE) / TCP())
    lines = told(MANY[:1], [segment])
    assert [line.split(",")[0] for line in lines if not line.startswith(" ")] == [
        "frame 1",
        "a frame that is not expected",
    ]


def test_frames_that_changed_places_are_told_by_their_times() -> None:
    early, late = MANY[1], MANY[0]
    swapped = [replace(early, when=late.when), replace(late, when=early.when)]
    difference = compare(expected(*MANY[:2]), swapped, START)
    assert [[field.field for field in frame.fields] for frame in difference.frames] == [
        ["time"]
    ] * 2


def test_many_differences_are_counted_and_the_first_are_shown() -> None:
    theirs = [departure(number, packet(number, ttl=9)) for number in range(300)]
    difference = compare(expected(*MANY), theirs, START)
    assert difference.frames_that_differ == 300
    assert len(difference.frames) == SHOWN
    assert list(difference.lines())[-1] == "and 290 more frames that differ"


def test_everything_missing_or_unasked_is_counted_too() -> None:
    assert compare(expected(*MANY), []).frames_that_differ == len(MANY)
    assert compare([], MANY).frames_that_differ == len(MANY)


@pytest.mark.parametrize("lost", [1, LOOK_AHEAD - 1, LOOK_AHEAD + 20])
def test_lost_frames_are_all_that_is_told_or_followed_by_agreement_again(lost: int) -> None:
    difference = compare(expected(*MANY), MANY[:50] + MANY[50 + lost :], START)
    assert difference.frames_that_differ >= lost
    if lost < LOOK_AHEAD:
        assert difference.frames_that_differ == lost
        assert all(frame.got is None for frame in difference.frames)


def test_no_more_is_read_ahead_than_has_to_be() -> None:
    taken = []

    def departures() -> object:
        for each in MANY:
            taken.append(each)
            yield each

    ours = iter(expected(*MANY))

    def checked() -> object:
        for each in ours:
            assert len(taken) <= each.number
            yield each

    assert not compare(checked(), departures())  # type: ignore[arg-type]


def test_what_would_steer_a_terminal_is_escaped() -> None:
    evil = replace(MANY[0], comment="forwarded; \x1b[2J\nflow")
    (*_, last) = told([evil], [])
    assert last == "    verdict   forwarded; \\x1b[2J\\nflow"


def test_counters_that_differ_are_told() -> None:
    ours = Counts({"forwarded": 2, "flooded": 1}, {}, {"full": 1})
    theirs = Counts({"forwarded": 2}, {"ttl_expired": 3}, {"full": 1})
    difference = Difference(counters=compare_counts(ours, theirs))
    assert difference
    assert list(difference.lines()) == [
        "counter fates.flooded: expected 1, got 0",
        "counter drops.ttl_expired: expected 0, got 3",
    ]
    assert compare_counts(ours, ours) == []


# Fields


def fields(ours: Packet, theirs: Packet) -> list[tuple[str, ...]]:
    found = differing_fields(FINISHED + bytes(ours), FINISHED + bytes(theirs))
    return [(each.layer, each.field, each.expected, each.got) for each in found]


def test_fields_of_quoted_headers_are_named_as_such() -> None:
    def error(port: int) -> Packet:
        quoted = IP(**INSIDE) / UDP(sport=port, dport=53)
        return LINK / IP(src="10.0.0.1", dst="10.0.0.2") / ICMP(type=3, code=1) / quoted

    found = fields(error(5000), error(5001))
    assert ("UDP in ICMP", "sport", "5000", "5001") in found
    assert {layer for layer, *_ in found} == {"UDP in ICMP"}


def test_checksums_and_lengths_come_last() -> None:
    names = [field for _, field, *_ in fields(packet(0), packet(0, dport=7001) / b"more")]
    assert names == ["dport", "load[13:]", "len", "chksum", "len", "chksum"]


def test_data_is_shown_from_where_it_differs() -> None:
    header = LINK / IP(**INSIDE) / UDP(sport=5000, dport=7000)
    found = fields(header / (b"a" * 40), header / b"aab")
    assert ("Raw", "load[2:]", f"{'61 ' * 11}61... of 40 bytes", "62 of 3 bytes") in found


def test_layer_of_another_kind_ends_the_comparison() -> None:
    ethertype, layer = fields(packet(), LINK / Dot1Q(vlan=5) / packet()[IP])
    assert ethertype[:2] == ("Ethernet", "type")
    assert layer == ("IP", "layer", "IP", "802.1Q")


def test_layers_that_scapy_knows_beyond_ours_are_compared() -> None:
    def question(name: str) -> Packet:
        query = DNS(qd=DNSQR(qname=name))
        return LINK / IP(**INSIDE) / UDP(sport=9, dport=53) / query

    assert any(layer == "DNS" for layer, *_ in fields(question("a.example"), question("b.example")))


def test_offload_headers_are_compared_under_the_kernels_names() -> None:
    raw = bytes(packet())
    one, other = OffloadHeader(1, 1, 54, 1448, 34, 16), OffloadHeader(1, 1, 54, 1400, 34, 16)
    (only,) = differing_fields(one.pack() + raw, other.pack() + raw)
    assert (only.layer, only.field, only.expected, only.got) == (
        "virtio-net",
        "gso_size",
        "1448",
        "1400",
    )


@pytest.mark.parametrize("cut", [0, 5, 13, 20, 40])
def test_frames_that_no_parser_understands_differ_all_the_same(cut: int) -> None:
    whole = bytes(packet())
    assert differing_fields(FINISHED + whole, FINISHED + whole[:cut])
    assert differing_fields(FINISHED + whole[:cut], FINISHED + whole)
