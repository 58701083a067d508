"""RFC 4787, UDP: filtering, ICMP and sizes (REQ-8 and REQ-12 to REQ-14)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from scapy.layers.inet import ICMP, IP, UDP
from scapy.packet import Packet
from scapy.utils import checksum

from tests.conformance.fragments import ORDERS, assert_is, cut, send_all, whole
from tests.conformance.packets import (
    S1,
    S2,
    A,
    B,
    R,
    X,
    assert_answered,
    assert_arrived,
    assert_error_arrived,
    error,
    into,
    is_let_in,
    lab,
    nothing,
    out,
    rewritten,
    udp,
)
from tests.conformance.requirements import Level, requirement
from tests.harness import Lab, only
from vswitch.translation import Filtering, Limits, Translation
from vswitch.units import KIBIBYTE, SECOND

WAYS = {"same": (S1, 7000), "other port": (S1, 7001), "other address": (S2, 7000)}


def let_in(made: Lab) -> set[str]:
    """Who may answer by a's port 5000, which has sent to S1:7000."""
    assert out(made, made.a, udp(A, 5000, S1, 7000))[UDP].sport == 5000
    return {way for way, peer in WAYS.items() if is_let_in(made, udp(*peer, X, 5000))}


@requirement("RFC 4787", "REQ-8", Level.RECOMMENDED, "filtering is address-dependent at most")
def test_rfc4787_req8_filtering_is_address_dependent() -> None:
    made = lab()
    assert let_in(made) == {"same", "other port"}
    seen = only(into(made, udp(S1, 7001, X, 5000, b"from another port"))["a"])
    assert_arrived(seen, udp(S1, 7001, X, 5000, b"from another port"), dst=A)


@requirement(
    "RFC 4787",
    "REQ-8",
    Level.RECOMMENDED,
    "or endpoint-independent, for transparency",
    "filtering = endpoint-independent",
)
def test_rfc4787_req8_filtering_can_be_endpoint_independent() -> None:
    made = lab(translation=Translation(filtering=Filtering.ENDPOINT_INDEPENDENT))
    assert let_in(made) == set(WAYS)


@requirement("RFC 4787", "REQ-8a", Level.MAY, "filtering is configurable", "filtering = ...")
@pytest.mark.parametrize(
    ("filtering", "expected"),
    [
        (Filtering.ENDPOINT_INDEPENDENT, {"same", "other port", "other address"}),
        (Filtering.ADDRESS_DEPENDENT, {"same", "other port"}),
        (Filtering.ADDRESS_AND_PORT_DEPENDENT, {"same"}),
    ],
)
def test_rfc4787_req8a_filtering_is_configurable(filtering: Filtering, expected: set[str]) -> None:
    assert let_in(lab(translation=Translation(filtering=filtering))) == expected


# ICMP

ERRORS = [(3, 0), (3, 1), (3, 3), (3, 4), (3, 13), (4, 0), (11, 0), (11, 1), (12, 0)]


@requirement("RFC 4787", "REQ-12", Level.MUST, "no ICMP message ends a mapping")
@pytest.mark.parametrize(("kind", "code"), ERRORS)
def test_rfc4787_req12_error_ends_no_mapping(kind: int, code: int) -> None:
    made = lab()
    sent = out(made, made.a, udp(A, 5000, S1, 7000))[IP]
    into(made, error(sent, kind, code))
    assert is_let_in(made, udp(S1, 7000, X, 5000))
    assert out(made, made.a, udp(A, 5000, S2, 7000))[UDP].sport == 5000


@requirement("RFC 4787", "REQ-12a", Level.SHOULD, "ICMP is not filtered by its source")
@pytest.mark.parametrize("source", [R, S1, "192.0.2.77"])
def test_rfc4787_req12a_error_of_any_router_is_let_in(source: str) -> None:
    made = lab()
    sent = out(made, made.a, udp(A, 5000, S1, 7000))[IP]
    assert only(into(made, error(sent, 11, 0, source=source))["a"])[IP].src == source


@requirement("RFC 4787", "REQ-12b", Level.RECOMMENDED, "Destination Unreachable is passed on")
@pytest.mark.parametrize("code", [0, 1, 2, 3, 4, 9, 10, 13])
def test_rfc4787_req12b_destination_unreachable_is_passed_on(code: int) -> None:
    made = lab()
    packet = udp(A, 5000, S1, 7000)
    sent = out(made, made.a, packet)[IP]
    message = error(sent, 3, code, **({"nexthopmtu": 1280} if code == 4 else {}))
    assert_error_arrived(only(into(made, message)["a"]), message, rewritten(packet), dst=A)


# Sizes


@requirement("RFC 4787", "REQ-13", Level.MUST, "too big with DF: ICMP 3/4 to the sender")
def test_rfc4787_req13_packet_that_must_not_be_cut_is_answered_with_the_mtu() -> None:
    made = lab(uplink_mtu=1280)
    packet = udp(A, 5000, S1, 7000, bytes(1372))
    seen = made.exchange(made.a, packet)
    answer = only(seen["a"])
    assert_answered(answer, 3, 4, about=packet)
    assert answer[ICMP].nexthopmtu == 1280
    assert seen["outside"] == []
    assert out(made, made.b, udp(B, 5000, S1, 7000))[UDP].sport == 5000


@requirement("RFC 4787", "REQ-13", Level.MUST, "too big with DF: ICMP 3/4 to the sender")
def test_rfc4787_req13_sender_outside_is_told_in_the_external_address_name() -> None:
    made = lab(inside_mtu=1280)
    out(made, made.a, udp(A, 5000, S1, 7000))
    packet = udp(S1, 7000, X, 5000, bytes(1372))
    seen = into(made, packet)
    answer = only(seen["outside"])
    assert_answered(answer, 3, 4, about=packet, source=X)
    assert answer[ICMP].nexthopmtu == 1280
    assert seen["a"] == []


@requirement("RFC 4787", "REQ-13a", Level.MUST, "too big without DF: fragments, in order")
def test_rfc4787_req13a_packet_that_may_be_cut_leaves_in_fragments_in_order() -> None:
    made = lab(uplink_mtu=1280)
    packet = udp(A, 5000, S1, 7000, bytes(range(200)) * 7, flags=0)
    pieces = made.exchange(made.a, packet)["outside"]
    assert [(piece[IP].frag * 8, piece[IP].flags.MF) for piece in pieces] == [(0, 1), (1256, 0)]
    assert max(len(piece[IP]) for piece in pieces) <= 1280
    assert_is(whole(pieces), rewritten(packet, src=X))


LARGE = bytes(range(250)) * 6


def sent_by(made: Lab, direction: str) -> tuple[str, Packet, bytes]:
    """Who sends what in a direction of a's flow, and what it has to become."""
    if direction == "out":
        packet = udp(A, 5000, S1, 7000, LARGE, flags=0)
        return "a", packet, rewritten(packet, src=X)
    out(made, made.a, udp(A, 5000, S1, 7000))
    packet = udp(S1, 7000, X, 5000, LARGE, flags=0)
    return "outside", packet, rewritten(packet, dst=A)


TO = {"a": "outside", "outside": "a"}


@requirement("RFC 4787", "REQ-14", Level.MUST, "fragments are received in any order")
@pytest.mark.parametrize("direction", ["out", "in"])
@pytest.mark.parametrize("order", ORDERS)
def test_rfc4787_req14_fragments_are_received_in_any_order(
    order: tuple[int, ...], direction: str
) -> None:
    made = lab()
    sender, packet, expected = sent_by(made, direction)
    pieces = cut(packet, 512)
    seen = send_all(made, made.hosts[sender], [pieces[index] for index in order])
    assert_is(whole(seen[TO[sender]]), expected)


@requirement("RFC 4787", "REQ-14", Level.MUST, "fragments are received in any order")
def test_rfc4787_req14_duplicates_change_nothing() -> None:
    made = lab()
    packet = udp(A, 5000, S1, 7000, LARGE, flags=0)
    first, middle, last = cut(packet, 512)
    seen = send_all(made, made.a, [last, first, first, last, middle])
    assert_is(whole(seen["outside"]), rewritten(packet, src=X))


@requirement("RFC 4787", "REQ-14", Level.MUST, "fragments are received in any order")
def test_rfc4787_req14_datagrams_with_one_identification_are_kept_apart() -> None:
    made = lab()
    packets = {
        "a": udp(A, 5000, S1, 7000, b"a" * 1400, flags=0),
        "b": udp(B, 6000, S1, 7000, b"b" * 1400, flags=0),
    }
    pieces = {name: cut(packet, 512) for name, packet in packets.items()}
    for index in (2, 0):
        for name in "ab":
            assert made.exchange(made.hosts[name], pieces[name][index])["outside"] == []
    for name in "ab":
        seen = made.exchange(made.hosts[name], pieces[name][1])["outside"]
        assert_is(whole(seen), rewritten(packets[name], src=X))


FLOOD = 4000
MEMORY = 512 * KIBIBYTE


def flood(made: Lab, index: int, sources: int) -> Iterator[bytes]:
    """Fragments that are alone, of as many datagrams, sent by a in the name of `sources` hosts."""
    packet = udp(A, 5000, S1, 7000, LARGE, flags=0)
    octets = bytearray(bytes(made.routed(made.a, cut(packet, 512)[index])))
    for number in range(FLOOD):
        octets[18:20] = number.to_bytes(2, "big")
        octets[28:30] = (256 + number % sources).to_bytes(2, "big")
        octets[24:26] = b"\0\0"
        octets[24:26] = checksum(bytes(octets[14:34])).to_bytes(2, "big")
        yield bytes(octets)


@requirement("RFC 4787", "REQ-14a", Level.MUST, "a flood of fragments does not hurt the others")
@pytest.mark.parametrize("index", [0, 2], ids=["first", "last"])
@pytest.mark.parametrize("sources", [1, 1000])
def test_rfc4787_req14a_flood_of_fragments_hurts_nobody_else(sources: int, index: int) -> None:
    made = lab(limits=Limits(fragments=MEMORY))
    packet = udp(B, 6000, S1, 7000, LARGE, flags=0)
    early, *rest = cut(packet, 512)
    assert nothing(made.exchange(made.b, early))
    for frame in flood(made, index, sources):
        made.send(made.a, frame)
    assert made.received(made.outside) == []
    assert sum(made.drops.values()) > FLOOD - MEMORY // 512
    seen = send_all(made, made.b, rest)
    assert_is(whole(seen["outside"]), rewritten(packet, src=X))
    plain = udp(B, 6000, S1, 7000)
    assert_arrived(out(made, made.b, plain), plain, src=X)
    made.pass_time(60 * SECOND)
    assert sum(made.drops.values()) == FLOOD
