"""Beyond the RFCs, fragments: every order, way and protocol, and every way to abuse them."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Packet, Raw

from tests.conformance.fragments import (
    ORDERS,
    assert_is,
    cut,
    protocol_payload,
    send_all,
    whole,
)
from tests.conformance.packets import (
    S1,
    A,
    B,
    R,
    X,
    assert_answered,
    assert_arrived,
    error,
    into,
    ip,
    is_let_in,
    lab,
    nothing,
    out,
    rewritten,
    udp,
)
from tests.conformance.requirements import Level, requirement
from tests.harness import Lab, only
from vswitch.units import SECOND
from vswitch.wire.values import Protocol

every_way = requirement("beyond", "fragments", Level.MUST, "in every order, way and protocol")
PROTOCOLS = {"UDP": Protocol.UDP, "TCP": Protocol.TCP, "ICMP": Protocol.ICMP}


@dataclass(frozen=True)
class Passage:
    """A datagram in three fragments: who sends it, who gets it, and as what."""

    sender: str
    packet: Packet
    receiver: str
    arrives: bytes


def passage(made: Lab, way: str, protocol: str) -> Passage:
    payload = protocol_payload(protocol)
    if way == "out":
        packet = ip(A, S1, flags=0) / payload
        return Passage("a", packet, "outside", rewritten(packet, src=X))
    if way == "in":
        return _inwards(made, protocol, payload)
    if protocol == "ICMP":
        packet = ip(A, X, flags=0) / payload
        answer = ip(X, A, flags=0) / payload
        answer[ICMP].type = 0
        return Passage("a", packet, "a", rewritten(answer, hops=0))
    port = 7000 if protocol == "UDP" else 80
    made.publish(port, made.b, 8000, PROTOCOLS[protocol])
    packet = ip(A, X, flags=0) / payload
    return Passage("a", packet, "b", rewritten(packet, src=X, dst=B, dport=8000))


def _inwards(made: Lab, protocol: str, payload: Packet) -> Passage:
    asked = ip(A, S1) / protocol_payload(protocol)
    out(made, made.a, asked)
    if protocol == "ICMP":
        payload.type = 0
    else:
        payload.sport, payload.dport = payload.dport, payload.sport
    if protocol == "TCP":
        payload.flags, payload.ack = "SA", 1000 + 1 + 1200
    packet = ip(S1, X, flags=0) / payload
    return Passage("outside", packet, "a", rewritten(packet, dst=A))


@every_way
@pytest.mark.parametrize("way", ["out", "in", "hairpin"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("order", ORDERS)
def test_beyond_fragments_pass_in_every_order(
    order: tuple[int, ...], protocol: str, way: str
) -> None:
    made = lab()
    trip = passage(made, way, protocol)
    pieces = cut(trip.packet, 480)
    assert len(pieces) == 3
    seen = send_all(made, made.hosts[trip.sender], [pieces[index] for index in order])
    if way == "hairpin" and protocol == "ICMP":
        assert bytes(whole(seen["a"]).payload) == bytes(IP(trip.arrives).payload)
    else:
        assert_is(whole(seen[trip.receiver]), trip.arrives)
    assert nothing({name: frames for name, frames in seen.items() if name != trip.receiver})


LARGE = udp(A, 5000, S1, 7000, bytes(range(240)) * 5, flags=0)
EXPECTED = rewritten(LARGE, src=X)


@every_way
def test_beyond_fragments_leave_as_small_as_they_came() -> None:
    made = lab()
    pieces = cut(LARGE, 480)
    seen = send_all(made, made.a, pieces)["outside"]
    assert [len(frame[IP]) for frame in seen] == [len(piece) for piece in pieces]
    assert_is(whole(seen), EXPECTED)


@every_way
def test_beyond_fragments_that_are_too_long_for_the_way_out_are_cut_again() -> None:
    made = lab(uplink_mtu=576)
    seen = send_all(made, made.a, cut(LARGE, 1000))["outside"]
    assert max(len(frame[IP]) for frame in seen) <= 576
    assert_is(whole(seen), EXPECTED)


@every_way
@pytest.mark.parametrize("size", [8, 16, 1480])
def test_beyond_fragments_may_be_tiny_and_many(size: int) -> None:
    made = lab()
    packet = udp(A, 5000, S1, 7000, bytes(1024), flags=0)
    pieces = cut(packet, size)
    assert len(pieces) in (1, 65, 129)
    assert_is(whole(send_all(made, made.a, pieces[::-1])["outside"]), rewritten(packet, src=X))


@every_way
def test_beyond_fragments_last_one_may_be_one_byte() -> None:
    made = lab()
    packet = udp(A, 5000, S1, 7000, bytes(480 - 8) + b"!", flags=0)
    pieces = cut(packet, 480)
    assert len(bytes(pieces[-1].payload)) == 1
    assert_is(whole(send_all(made, made.a, pieces)["outside"]), rewritten(packet, src=X))


@every_way
def test_beyond_fragments_datagram_of_64_kib_passes() -> None:
    made = lab()
    packet = udp(A, 5000, S1, 7000, bytes(range(256)) * 255, flags=0)
    seen = send_all(made, made.a, cut(packet, 1480))["outside"]
    assert_is(whole(seen), rewritten(packet, src=X))


@every_way
def test_beyond_fragments_wrong_checksum_stays_wrong_by_the_same() -> None:
    made = lab()
    packet, expected = IP(bytes(LARGE)), IP(EXPECTED)
    for one in (packet, expected):
        one[UDP].chksum = (one[UDP].chksum + 0x1234) % 0xFFFF or 0xFFFF
    seen = send_all(made, made.a, cut(packet, 480))["outside"]
    assert_is(whole(seen), bytes(expected))


@every_way
def test_beyond_fragments_checksum_of_zero_stays_zero() -> None:
    made = lab()
    packet = IP(bytes(LARGE))
    packet[UDP].chksum = 0
    seen = send_all(made, made.a, cut(packet, 480))["outside"]
    assert whole(seen)[UDP].chksum == 0


@every_way
def test_beyond_fragments_error_about_the_first_one_finds_who_sent_it() -> None:
    made = lab()
    first = send_all(made, made.a, cut(LARGE, 480))["outside"][0]
    seen = only(into(made, error(first[IP], 3, 4, nexthopmtu=400))["a"])
    quote = IP(bytes(seen[IP])[28:])
    assert (seen[IP].src, seen[IP].dst, quote.src, quote[UDP].sport) == (R, A, A, 5000)


# What is refused


def piece(offset: int, payload: bytes, *, more: bool, identification: int = 7) -> Packet:
    """A fragment of a UDP datagram by hand; `offset` in bytes."""
    flags = "MF" if more else 0
    fields = {"flags": flags, "frag": offset // 8, "id": identification, "proto": 17}
    return ip(A, S1, **fields) / Raw(payload)


def assert_all_dropped(made: Lab, pieces: list[Packet]) -> None:
    """Nothing comes of them, each of them is counted, and a good datagram passes afterwards."""
    assert nothing(send_all(made, made.a, pieces))
    made.pass_time(61 * SECOND)
    assert not [frame for frame in made.received(made.outside) if IP in frame]
    assert sum(made.drops.values()) == len(pieces)
    assert_is(whole(send_all(made, made.a, cut(LARGE, 480))["outside"]), EXPECTED)


HEAD = bytes(UDP(sport=5000, dport=7000, len=48, chksum=0)) + bytes(16)


@every_way
@pytest.mark.parametrize("order", [(0, 1, 2), (1, 0, 2), (1, 2, 0), (2, 1, 0)])
def test_beyond_fragments_that_overlap_are_refused_with_the_whole_datagram(
    order: tuple[int, ...],
) -> None:
    pieces = [
        piece(0, HEAD, more=True),
        piece(16, b"overlaps", more=True),
        piece(24, bytes(24), more=False),
    ]
    assert_all_dropped(lab(), [pieces[index] for index in order])


@every_way
def test_beyond_fragments_that_repeat_others_with_other_bytes_are_refused() -> None:
    other = HEAD[:-1] + b"!"
    pieces = [
        piece(0, HEAD, more=True),
        piece(0, other, more=True),
        piece(24, bytes(24), more=False),
    ]
    assert_all_dropped(lab(), pieces)


@every_way
def test_beyond_fragments_with_two_ends_are_refused() -> None:
    pieces = [
        piece(24, bytes(24), more=False),
        piece(48, bytes(8), more=False),
        piece(0, HEAD, more=True),
    ]
    assert_all_dropped(lab(), pieces)


@every_way
@pytest.mark.parametrize(
    "bad",
    [
        piece(24, bytes(13), more=True),
        piece(24, b"", more=True),
        piece(65528, bytes(100), more=False),
    ],
    ids=["no multiple of 8", "empty", "beyond 65535"],
)
def test_beyond_fragments_that_lie_about_their_length_are_refused(bad: Packet) -> None:
    made = lab()
    assert nothing(made.exchange(made.a, bad))
    assert sum(made.drops.values()) == 1


@every_way
def test_beyond_fragments_whose_rest_does_not_come_are_forgotten() -> None:
    made = lab()
    pieces = cut(LARGE, 480)
    assert nothing(send_all(made, made.a, pieces[:2]))
    made.pass_time(31 * SECOND)
    assert sum(made.drops.values()) == 2
    told = only([frame for frame in made.received(made.a) if ICMP in frame])
    assert_answered(told, 11, 1, about=pieces[0])
    assert nothing(made.exchange(made.a, pieces[2]))


@every_way
def test_beyond_fragments_of_strangers_get_nowhere() -> None:
    made = lab()
    out(made, made.a, udp(A, 5000, S1, 7000))
    stranger = udp(R, 7000, X, 5000, bytes(1200), flags=0)
    assert nothing(send_all(made, made.outside, cut(stranger, 480)))
    assert is_let_in(made, udp(S1, 7000, X, 5000))


@every_way
def test_beyond_fragments_of_a_flow_do_not_disturb_what_is_whole() -> None:
    made = lab()
    pieces = cut(LARGE, 480)
    between = udp(A, 5000, S1, 7000)
    for fragment in pieces[:2]:
        made.exchange(made.a, fragment)
        assert_arrived(out(made, made.a, between), between, src=X)
    assert_is(whole(made.exchange(made.a, pieces[2])["outside"]), EXPECTED)


@every_way
def test_beyond_fragments_are_answered_like_whole_packets_where_they_may_not_go() -> None:
    made = lab()
    packet = ip(A, "10.1.0.2", flags=0) / TCP(sport=5000, dport=80) / Raw(bytes(1200))
    seen = send_all(made, made.a, cut(packet, 480))
    answer = only(seen["a"])
    assert (answer[ICMP].type, answer[ICMP].code) == (3, 13)
    assert seen["c"] == []
