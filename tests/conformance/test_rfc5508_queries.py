"""RFC 5508, ICMP: queries, and what the switch says in its own name (REQ-1, 2, 7 to 11)."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from tests.conformance.packets import (
    GATEWAY,
    S1,
    S2,
    S3,
    A,
    B,
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
    ping,
    pong,
    syn,
    udp,
)
from tests.conformance.requirements import Level, aside, requirement
from tests.harness import only
from vswitch.translation import Limits, Quotas, Timeouts, Translation
from vswitch.units import SECOND

QUERIES = {"echo": (8, 0), "timestamp": (13, 14), "information": (15, 16), "mask": (17, 18)}


@requirement("RFC 5508", "REQ-1", Level.MUST, "queries go out and their answers come back")
@pytest.mark.parametrize("kind", QUERIES)
@pytest.mark.parametrize("identifier", [1, 7, 65535])
def test_rfc5508_req1_query_goes_out_and_its_answer_comes_back(kind: str, identifier: int) -> None:
    made = lab()
    asks, answers = QUERIES[kind]
    for sequence in range(3):
        query = ping(A, S1, identifier, type=asks, seq=sequence)
        assert_arrived(out(made, made.a, query), query, src=X)
        answer = ping(S1, X, identifier, type=answers, seq=sequence)
        assert_arrived(only(into(made, answer)["a"]), answer, dst=A)


@requirement("RFC 5508", "REQ-1a", Level.SHOULD, "the identifier's mapping is host-independent")
@pytest.mark.parametrize("kind", QUERIES)
def test_rfc5508_req1a_identifier_is_the_same_for_every_destination(kind: str) -> None:
    made = lab()
    asks, answers = QUERIES[kind]
    assert out(made, made.b, ping(B, S3, 7, type=asks))[ICMP].id == 7
    identifiers = set()
    for server in (S1, S2, S3):
        query = ping(A, server, 7, type=asks)
        seen = out(made, made.a, query)
        identifiers.add(seen[ICMP].id)
        assert_arrived(seen, query, src=X, identifier=seen[ICMP].id)
    (identifier,) = identifiers
    assert identifier != 7
    answer = ping(S2, X, identifier, type=answers)
    assert_arrived(only(into(made, answer)["a"]), answer, dst=A, identifier=7)


@requirement("RFC 5508", "REQ-2", Level.MUST, "a query's session lives a minute at least")
@pytest.mark.parametrize(("age", "alive"), [(59, True), (61, False)])
def test_rfc5508_req2_answer_is_let_in_for_a_minute(age: int, alive: bool) -> None:
    made = lab()
    out(made, made.a, ping(A, S1))
    made.pass_time(age * SECOND)
    assert is_let_in(made, pong(S1, X)) is alive


@requirement("RFC 5508", "REQ-2a", Level.RECOMMENDED, "and is configurable", "icmp = 100s")
@pytest.mark.parametrize(("age", "alive"), [(99, True), (101, False)])
def test_rfc5508_req2a_timer_is_configurable(age: int, alive: bool) -> None:
    made = lab(translation=Translation(timeouts=Timeouts(icmp=100 * SECOND)))
    out(made, made.a, ping(A, S1))
    made.pass_time(age * SECOND)
    assert is_let_in(made, pong(S1, X)) is alive


# What is refused


@requirement("RFC 5508", "REQ-8", Level.SHOULD, "a session that can not be had: ICMP 3/13")
@pytest.mark.parametrize("transport", ["UDP", "TCP", "ICMP"])
def test_rfc5508_req8_flow_that_is_refused_is_answered_and_goes_nowhere(transport: str) -> None:
    made = lab(translation=Translation(quotas=Quotas(mappings=4)))
    for port in range(4):
        out(made, made.a, udp(A, 5000 + port, S1, 7000))
    packets = {"UDP": udp(A, 6000, S1, 7000), "TCP": syn(A, 6000, S1, 80), "ICMP": ping(A, S1)}
    seen = made.exchange(made.a, packets[transport])
    assert_answered(only(seen["a"]), 3, 13, about=packets[transport])
    assert seen["outside"] == []
    assert sum(made.drops.values()) == 1


aside(
    "RFC 5508",
    "REQ-9",
    Level.MAY,
    "ICMP towards an interface may be suppressed",
    "not followed: what is generated is limited by rate on each port, not switched off",
)


# What the switch says in its own name


@requirement("RFC 5508", "REQ-10a", Level.MUST, "unreachable, time exceeded and echo of its own")
@pytest.mark.parametrize("target", [GATEWAY, "10.1.0.1", X])
def test_rfc5508_req10a_echo_is_answered(target: str) -> None:
    made = lab()
    hosts = [(made.a, A), (made.outside, S1)] if target == X else [(made.a, A)]
    for host, source in hosts:
        reply = only(made.exchange(host, ping(source, target))[host.name])
        expected = pong(target, source)
        assert bytes(reply[ICMP]) == bytes(IP(bytes(expected))[ICMP])
        assert (reply[IP].src, reply[IP].dst) == (target, source)


@requirement("RFC 5508", "REQ-10a", Level.MUST, "unreachable, time exceeded and echo of its own")
@pytest.mark.parametrize("kind", ["timestamp", "information", "mask"])
def test_rfc5508_req10a_other_queries_are_not_answered(kind: str) -> None:
    made = lab()
    for target in (GATEWAY, X):
        assert nothing(made.exchange(made.a, ping(A, target, type=QUERIES[kind][0])))
    assert nothing(into(made, ping(S1, X, type=QUERIES[kind][0])))


@requirement("RFC 5508", "REQ-10a", Level.MUST, "unreachable, time exceeded and echo of its own")
def test_rfc5508_req10a_time_exceeded_is_told_to_both_sides() -> None:
    made = lab()
    out(made, made.a, udp(A, 5000, S1, 7000))
    packet = udp(A, 5000, S1, 7000, ttl=1)
    assert_answered(only(made.exchange(made.a, packet)["a"]), 11, 0, about=packet)
    packet = udp(S1, 7000, X, 5000, ttl=1)
    assert_answered(only(into(made, packet)["outside"]), 11, 0, about=packet, source=X)


@requirement("RFC 5508", "REQ-10a", Level.MUST, "unreachable, time exceeded and echo of its own")
@pytest.mark.parametrize("kind", QUERIES)
def test_rfc5508_req10a_time_exceeded_is_told_about_queries(kind: str) -> None:
    made = lab()
    query = ping(A, S1, type=QUERIES[kind][0])
    query.ttl = 1
    assert_answered(only(made.exchange(made.a, query)["a"]), 11, 0, about=query)


@requirement("RFC 5508", "REQ-10a", Level.MUST, "unreachable, time exceeded and echo of its own")
def test_rfc5508_req10a_destination_unreachable_is_told() -> None:
    made = lab()
    for packet, code in ((udp(A, 5000, GATEWAY, 69), 3), (udp(A, 5000, "10.1.0.2", 7), 13)):
        assert_answered(only(made.exchange(made.a, packet)["a"]), 3, code, about=packet)
    packet = udp(A, 5000, X, 69)
    assert_answered(only(made.exchange(made.a, packet)["a"]), 3, 3, about=packet, source=X)


@requirement("RFC 5508", "REQ-10a", Level.MUST, "unreachable, time exceeded and echo of its own")
def test_rfc5508_req10a_next_hop_that_is_silent_is_told() -> None:
    made = lab()
    made.answering = False
    made.pass_time(1000 * SECOND)
    made.received(made.a)
    packet = udp(A, 5000, "203.0.113.77", 7000)
    made.send(made.a, made.routed(made.a, packet))
    made.pass_time(10 * SECOND)
    told = [frame for frame in made.received(made.a) if ICMP in frame]
    assert_answered(only(told), 3, 1, about=packet)


aside(
    "RFC 5508",
    "REQ-10b",
    Level.MAY,
    "redirects, timestamps, masks, parameter problems, router discovery of its own",
    "not followed: nobody here needs them; the queries of hosts are translated",
)


@requirement("RFC 5508", "REQ-10 by RFC 1812, 4.3.2.1", Level.MUST, "unknown types are discarded")
@pytest.mark.parametrize("kind", [1, 2, 6, 7, 19, 30, 41, 200, 255])
def test_rfc5508_req10_by_rfc_1812_4_3_2_1_message_of_unknown_type_is_discarded(kind: int) -> None:
    made = lab()
    assert nothing(made.exchange(made.a, ping(A, GATEWAY, type=kind)))
    assert nothing(into(made, ping(S1, X, type=kind)))
    assert sum(made.drops.values()) == 2


@requirement("RFC 5508", "REQ-10 by RFC 1812, 4.3.2.2", Level.MUST, "own time to live")
def test_rfc5508_req10_by_rfc_1812_4_3_2_2_time_to_live_is_not_the_senders() -> None:
    made = lab()
    expired = udp(A, 5000, S1, 7000, ttl=1)
    refused = udp(A, 5000, GATEWAY, 69, ttl=200)
    lives = {only(made.exchange(made.a, packet)["a"])[IP].ttl for packet in (expired, refused)}
    assert lives == {64}


@requirement("RFC 5508", "REQ-10 by RFC 1812, 4.3.2.3", Level.SHOULD, "quotes up to 576 bytes")
@pytest.mark.parametrize(("length", "quoted"), [(0, 28), (100, 128), (520, 548), (1400, 548)])
def test_rfc5508_req10_by_rfc_1812_4_3_2_3_as_much_is_quoted_as_may_be(
    length: int, quoted: int
) -> None:
    made = lab()
    packet = udp(A, 5000, GATEWAY, 69, bytes(length))
    answer = only(made.exchange(made.a, packet)["a"])
    assert_answered(answer, 3, 3, about=packet)
    assert bytes(answer[IP])[28:] == bytes(packet)[:quoted]
    assert len(answer[IP]) <= 576


@requirement("RFC 5508", "REQ-10 by RFC 1812, 4.3.2.4", Level.MUST, "source: its own there")
def test_rfc5508_req10_by_rfc_1812_4_3_2_4_source_is_the_address_on_that_side() -> None:
    made = lab()
    for host, source in ((made.a, GATEWAY), (made.c, "10.1.0.1")):
        packet = udp(host.ip, 5000, S1, 7000, ttl=1)
        assert only(made.exchange(host, packet)[host.name])[IP].src == source
    made.publish(8080, made.b, 80, 17)
    assert only(into(made, udp(S1, 7, X, 8080, ttl=1))["outside"])[IP].src == X


TOS = "a reply has the TOS of its query, an error precedence 6"


@requirement("RFC 5508", "REQ-10 by RFC 1812, 4.3.2.5", Level.SHOULD, TOS)
@pytest.mark.parametrize("tos", [0x00, 0x10, 0xB8])
def test_rfc5508_req10_by_rfc_1812_4_3_2_5_type_of_service_is_the_querys(tos: int) -> None:
    made = lab()
    query = ping(A, GATEWAY)
    query.tos = tos
    assert only(made.exchange(made.a, query)["a"])[IP].tos == tos
    expired = udp(A, 5000, S1, 7000, ttl=1, tos=tos)
    assert only(made.exchange(made.a, expired)["a"])[IP].tos == 0xC0 | tos & 0x1C


aside(
    "RFC 5508",
    "REQ-10 by RFC 1812, 4.3.2.6",
    Level.SHOULD,
    "an error goes back by the source route of the packet",
    "does not apply: packets with a source route are dropped in silence (RFC 7126)",
)


def never_answered() -> dict[str, Packet]:
    """Frames of a, each of which would be answered if it were not what it is."""
    plain = {"dst": "02:00:00:00:01:01", "src": "02:00:00:00:01:10"}
    group = {**plain, "dst": "ff:ff:ff:ff:ff:ff"}
    own_error = error(udp(S1, 7000, A, 6000), source=A, to=S1)
    own_error.ttl = 1
    return {
        "an error": Ether(**plain) / own_error,
        "a later fragment": Ether(**plain)
        / ip(A, S1, ttl=1, flags=0, frag=10, proto=17)
        / Raw(b"x"),
        "a group frame": Ether(**group) / udp(A, 5000, S1, 7000, ttl=1),
        "to a group": Ether(**plain) / udp(A, 5000, "224.0.0.9", 7000, ttl=1),
        "to everybody": Ether(**plain) / udp(A, 5000, "10.0.255.255", 7000, ttl=1),
        "of nobody": Ether(**plain) / udp("0.0.0.0", 5000, S1, 7000, ttl=1),
        "of itself": Ether(**plain) / udp("127.0.0.1", 5000, S1, 7000, ttl=1),
        "of a group": Ether(**plain) / udp("224.0.0.9", 5000, S1, 7000, ttl=1),
        "of everybody": Ether(**plain) / udp("255.255.255.255", 5000, S1, 7000, ttl=1),
    }


@requirement("RFC 5508", "REQ-10 by RFC 1812, 4.3.2.7", Level.MUST, "when not to send an error")
@pytest.mark.parametrize("what", never_answered())
def test_rfc5508_req10_by_rfc_1812_4_3_2_7_what_must_not_be_answered_is_not(what: str) -> None:
    made = lab()
    out(made, made.a, udp(A, 6000, S1, 7000))
    made.send(made.a, never_answered()[what])
    made.pass_time(2 * SECOND)
    for host in made.hosts.values():
        assert [frame for frame in made.received(host) if ICMP in frame] == []


@requirement("RFC 5508", "REQ-10 by RFC 1812, 4.3.2.8", Level.SHOULD, "errors are rate limited")
def test_rfc5508_req10_by_rfc_1812_4_3_2_8_errors_are_limited_by_rate() -> None:
    made = lab(limits=Limits(errors_per_second=10))

    def answered(host: str, packets: int) -> int:
        sender = made.hosts[host]
        expired = udp(sender.ip, 5000, S1, 7000, ttl=1)
        return sum(len(made.exchange(sender, expired)[host]) for _ in range(packets))

    assert answered("a", 100) == 10
    assert answered("b", 5) == 5
    made.pass_time(1 * SECOND)
    assert answered("a", 100) == 10


@requirement("RFC 5508", "REQ-11", Level.MAY, "other messages are dropped, and never leak")
@pytest.mark.parametrize("kind", [5, 6, 9, 10, 19, 30, 40, 42, 200])
def test_rfc5508_req11_other_messages_are_dropped(kind: int) -> None:
    made = lab()
    out(made, made.a, ping(A, S1))
    assert nothing(made.exchange(made.a, ping(A, S1, type=kind)))
    assert nothing(into(made, ping(S1, X, type=kind)))
    assert sum(made.drops.values()) == 2


@requirement("RFC 5508", "REQ-11", Level.MAY, "other messages are dropped, and never leak")
@pytest.mark.parametrize("kind", [0, 14, 16, 18])
def test_rfc5508_req11_answers_that_nobody_asked_for_are_dropped(kind: int) -> None:
    made = lab()
    assert nothing(made.exchange(made.a, ping(A, S1, type=kind)))
    assert nothing(made.exchange(made.a, ping(A, GATEWAY, type=kind)))
    assert nothing(into(made, ping(S1, X, type=kind)))
    assert sum(made.drops.values()) == 3
