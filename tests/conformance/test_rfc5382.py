"""RFC 5382, TCP: mapping, filtering, unsolicited SYNs, timers, hairpins, ICMP (all but REQ-2)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP, IP, TCP

from tests.conformance.packets import (
    S1,
    S2,
    S3,
    WAYS,
    A,
    B,
    End,
    R,
    Talk,
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
    syn,
    udp,
)
from tests.conformance.requirements import Level, aside, requirement
from tests.harness import Lab, only
from vswitch.translation import (
    Filtering,
    Limits,
    Outside,
    Timeouts,
    Translation,
    Unsolicited,
)
from vswitch.units import HOUR, MINUTE, SECOND, Nanoseconds

ways = pytest.mark.parametrize("way", WAYS)


def external(made: Lab, name: str, sport: int, server: str = S1, dport: int = 80) -> int:
    """The external port of a SYN of a host."""
    host = made.hosts[name]
    return out(made, host, syn(host.ip, sport, server, dport))[TCP].sport


@requirement("RFC 5382", "REQ-1", Level.MUST, "mapping is endpoint-independent for TCP")
def test_rfc5382_req1_mapping_is_endpoint_independent() -> None:
    made = lab()
    assert external(made, "b", 5000, S3, 9) == 5000
    ports = {
        external(made, "a", 5000, server, port)
        for server, port in ((S1, 80), (S1, 81), (S2, 80), (S3, 9))
    }
    assert len(ports) == 1
    assert ports != {5000}


# Filtering

PEERS = {"same": (S1, 80), "other port": (S1, 81), "other address": (S2, 80)}


def let_in(made: Lab) -> set[str]:
    """Who may open to a's port 5000, which has opened to S1:80."""
    assert external(made, "a", 5000) == 5000
    return {way for way, peer in PEERS.items() if is_let_in(made, syn(*peer, X, 5000))}


@requirement("RFC 5382", "REQ-3", Level.RECOMMENDED, "filtering is address-dependent at most")
def test_rfc5382_req3_filtering_is_address_dependent() -> None:
    made = lab()
    assert let_in(made) == {"same", "other port"}
    talk = Talk(made, End(made.outside, (S1, 82), (X, 5000)), End(made.a, (A, 5000), (S1, 82)))
    talk.opens().closes()


@requirement("RFC 5382", "REQ-3a", Level.MAY, "filtering is configurable", "filtering = ...")
@pytest.mark.parametrize(
    ("filtering", "expected"),
    [
        (Filtering.ENDPOINT_INDEPENDENT, {"same", "other port", "other address"}),
        (Filtering.ADDRESS_DEPENDENT, {"same", "other port"}),
        (Filtering.ADDRESS_AND_PORT_DEPENDENT, {"same"}),
    ],
)
def test_rfc5382_req3a_filtering_is_configurable(filtering: Filtering, expected: set[str]) -> None:
    assert let_in(lab(translation=Translation(filtering=filtering))) == expected


aside(
    "RFC 5382",
    "REQ-3b",
    Level.MAY,
    "TCP may be filtered otherwise than UDP",
    "not followed: one setting for both says what is meant",
)


# Unsolicited SYNs


def passes_silently(made: Lab, duration: Nanoseconds) -> bool:
    """Whether nothing comes out towards the outside for a time."""
    made.pass_time(duration)
    return not [frame for frame in made.received(made.outside) if IP in frame]


@requirement("RFC 5382", "REQ-4", Level.MUST, "no answer to an unsolicited SYN for 6 s, then 3/3")
def test_rfc5382_req4_unsolicited_syn_is_refused_after_six_seconds() -> None:
    made = lab()
    knock = syn(S1, 80, X, 5000)
    assert nothing(into(made, knock))
    assert passes_silently(made, 6 * SECOND - 1)
    made.pass_time(2)
    refusal = only([frame for frame in made.received(made.outside) if IP in frame])
    assert_answered(refusal, 3, 3, about=knock, source=X)
    assert passes_silently(made, 60 * SECOND)


@requirement("RFC 5382", "REQ-4", Level.MUST, "no answer to an unsolicited SYN for 6 s, then 3/3")
def test_rfc5382_req4_retransmitted_syn_is_refused_once_and_no_later() -> None:
    made = lab()
    for _ in range(3):
        assert nothing(into(made, syn(S1, 80, X, 5000)))
        made.pass_time(1 * SECOND)
    made.pass_time(3 * SECOND + 1)
    assert len([frame for frame in made.received(made.outside) if IP in frame]) == 1
    assert passes_silently(made, 60 * SECOND)


@requirement("RFC 5382", "REQ-4", Level.MUST, "no answer to an unsolicited SYN for 6 s, then 3/3")
def test_rfc5382_req4_syn_is_forgotten_where_the_inside_opens_to_the_same_peer() -> None:
    made = lab()
    talk = Talk.outwards(made)
    knock = talk.segment(1, "S")
    assert nothing(into(made, knock))
    made.pass_time(3 * SECOND)
    talk.repeats(0, talk.segment(0, "S"))
    assert passes_silently(made, 3 * SECOND)
    talk.repeats(1, knock)
    assert passes_silently(made, 60 * SECOND)


@requirement("RFC 5382", "REQ-4", Level.MUST, "no answer to an unsolicited SYN for 6 s, then 3/3")
def test_rfc5382_req4_other_peers_are_refused_all_the_same() -> None:
    made = lab()
    assert nothing(into(made, syn(S2, 80, X, 5000)))
    made.pass_time(3 * SECOND)
    assert external(made, "a", 5000) == 5000
    made.pass_time(4 * SECOND)
    refusal = only([frame for frame in made.received(made.outside) if IP in frame])
    assert (refusal[ICMP].type, refusal[IP].dst) == (3, S2)


@requirement(
    "RFC 5382", "REQ-4a", Level.MUST, "silence where policy wants it", "unsolicited = drop"
)
def test_rfc5382_req4a_unsolicited_syn_is_dropped_in_silence_where_that_is_chosen() -> None:
    made = lab(outside=Outside(unsolicited=Unsolicited.DROP))
    assert nothing(into(made, syn(S1, 80, X, 5000)))
    assert sum(made.drops.values()) == 1
    assert passes_silently(made, 60 * SECOND)


@requirement("RFC 5382", "REQ-4", Level.MUST, "no answer to an unsolicited SYN for 6 s, then 3/3")
def test_rfc5382_req4_held_syns_are_limited() -> None:
    made = lab(limits=Limits(held_syns=4))
    for port in range(10):
        assert nothing(into(made, syn(S1, 80, X, 5000 + port)))
    made.pass_time(60 * SECOND)
    assert len([frame for frame in made.received(made.outside) if IP in frame]) == 4
    assert sum(made.drops.values()) == 10


# Timers


def opening(talk: Talk) -> None:
    talk.says(0, "S")


def established(talk: Talk) -> None:
    talk.opens()


def half_closed(talk: Talk) -> None:
    talk.opens().says(0, "FA")
    talk.says(1, "A")


def closing(talk: Talk) -> None:
    talk.opens().closes()


def reset(talk: Talk) -> None:
    talk.opens().says(1, "R")


IDLE = {
    opening: 4 * MINUTE,
    established: 2 * HOUR + 4 * MINUTE,
    half_closed: 2 * HOUR + 4 * MINUTE,
    closing: 4 * MINUTE,
    reset: 4 * MINUTE,
}


@requirement("RFC 5382", "REQ-5", Level.MUST, "idle: 2 h 4 min established, 4 min transitory")
@pytest.mark.parametrize("state", IDLE, ids=lambda state: state.__name__)
@ways
def test_rfc5382_req5_idle_connection_lives_long_enough_and_no_longer(
    way: str, state: Callable[[Talk], None]
) -> None:
    for age, alive in ((IDLE[state] - 1 * SECOND, True), (IDLE[state] + 1 * SECOND, False)):
        talk = WAYS[way](lab())
        state(talk)
        talk.made.pass_time(age)
        flags = "SA" if state is opening else "A"
        assert talk.passes(1, flags) is alive


@requirement("RFC 5382", "REQ-5", Level.MUST, "idle: 2 h 4 min established, 4 min transitory")
@ways
def test_rfc5382_req5_keepalive_every_two_hours_keeps_a_connection(way: str) -> None:
    talk = WAYS[way](lab()).opens()
    for _ in range(4):
        talk.made.pass_time(2 * HOUR)
        talk.says(0, "A", seq=talk.next[0] - 1)
        talk.says(1, "A")


@requirement("RFC 5382", "REQ-5a", Level.MAY, "timers are configurable", "timeouts = ...")
@pytest.mark.parametrize(
    ("state", "field"),
    [
        (opening, "tcp_opening"),
        (established, "tcp_established"),
        (half_closed, "tcp_half_closed"),
        (closing, "tcp_closing"),
        (reset, "tcp_reset"),
    ],
)
def test_rfc5382_req5a_timers_are_configurable(state: Callable[[Talk], None], field: str) -> None:
    timeouts = Timeouts(**{field: 30 * SECOND})
    for age, alive in ((29, True), (31, False)):
        talk = Talk.outwards(lab(translation=Translation(timeouts=timeouts)))
        state(talk)
        talk.made.pass_time(age * SECOND)
        assert talk.passes(1, "SA" if state is opening else "A") is alive


# ALGs, ports, hairpins

FTP = [
    b"PORT 10,0,0,2,19,137\r\n",
    b"EPRT |1|10.0.0.2|5001|\r\n",
    b"227 Entering Passive Mode (10,0,0,2,19,137)\r\n",
    b"229 Entering Extended Passive Mode (|||5001|)\r\n",
]


@requirement("RFC 5382", "REQ-6", Level.RECOMMENDED, "TCP ALGs are off: payloads are not touched")
@pytest.mark.parametrize("line", FTP)
def test_rfc5382_req6_payload_is_not_touched(line: bytes) -> None:
    made = lab()
    client, server = End(made.a, (A, 5000), (S1, 21)), End(made.outside, (S1, 21), (X, 5000))
    talk = Talk(made, client, server).opens()
    talk.says(0, "PA", line)
    talk.says(1, "PA", line)
    assert nothing(into(made, syn(S1, 20, X, 5001)))


@requirement("RFC 5382", "REQ-7", Level.MUST, "no two hosts share an external TCP port")
def test_rfc5382_req7_ports_are_not_overloaded() -> None:
    made = lab()
    ports = [external(made, name, 5000, f"198.51.100.{ord(name)}") for name in "abcd"]
    assert len(set(ports)) == 4


@requirement("RFC 5382", "REQ-8", Level.MUST, "hairpinning for TCP")
@pytest.mark.parametrize("client", ["a", "c", "b"])
def test_rfc5382_req8_hairpinned_connection_opens_carries_data_and_closes(client: str) -> None:
    made = lab()
    made.publish(8080, made.b, 80)
    host = made.hosts[client]
    ends = End(host, (host.ip, 5000), (X, 8080)), End(made.b, (B, 80), (X, 5000))
    talk = Talk(made, *ends).opens()
    talk.says(0, "PA", b"question")
    talk.says(1, "PA", b"answer")
    talk.closes()


@requirement("RFC 5382", "REQ-8a", Level.MUST, "hairpinned segments carry the external source")
def test_rfc5382_req8a_hairpinned_segment_has_the_external_source_address_and_port() -> None:
    made = lab()
    assert external(made, "d", 5000) == 5000
    mine, theirs = external(made, "a", 5000, S2), external(made, "b", 6000)
    assert mine != 5000
    packet = syn(A, 5000, X, theirs)
    there = only(made.exchange(made.a, packet)["b"])
    assert_arrived(there, packet, src=X, dst=B, sport=mine, dport=6000)
    answer = syn(B, 6000, X, mine, flags="SA", ack=1001)
    back = only(made.exchange(made.b, answer)["a"])
    assert_arrived(back, answer, src=X, dst=A, sport=theirs, dport=5000)


# ICMP


@requirement("RFC 5382", "REQ-9", Level.SHOULD, "ICMP type 3 about TCP is translated")
@pytest.mark.parametrize("code", [0, 1, 3, 4, 13])
@pytest.mark.parametrize("quoted", [8, 20, 60])
def test_rfc5382_req9_destination_unreachable_is_translated(code: int, quoted: int) -> None:
    made = lab()
    packet = syn(A, 5000, S1, 80)
    sent = bytes(out(made, made.a, packet)[IP])[: 20 + quoted]
    message = error(sent, 3, code)
    quote = rewritten(packet)[: 20 + quoted]
    assert_error_arrived(only(into(made, message)["a"]), message, quote, dst=A)


@requirement("RFC 5382", "REQ-10", Level.MUST, "no ICMP message ends a connection or mapping")
@pytest.mark.parametrize(("kind", "code"), [(3, 0), (3, 1), (3, 3), (3, 13), (11, 0), (12, 0)])
@pytest.mark.parametrize("state", [opening, established, half_closed])
def test_rfc5382_req10_error_ends_no_connection(
    state: Callable[[Talk], None], kind: int, code: int
) -> None:
    made = lab()
    talk = Talk.outwards(made)
    state(talk)
    quoted = rewritten(talk.segment(0, "A", seq=talk.next[0] - 1), src=X)
    for source in (S1, R):
        assert len(into(made, error(quoted, kind, code, source=source))["a"]) == 1
    made.pass_time(IDLE[state] - 1 * SECOND)
    assert talk.passes(1, "SA" if state is opening else "A")


@requirement("RFC 5382", "REQ-10", Level.MUST, "no ICMP message ends a connection or mapping")
def test_rfc5382_req10_error_of_the_inside_ends_no_connection() -> None:
    made = lab()
    talk = Talk.inwards(made).opens()
    quoted = rewritten(talk.segment(0, "A"), dst=B, dport=80)
    message = error(quoted, 3, 3, source=B, to=S1)
    assert len(made.exchange(made.b, message)["outside"]) == 1
    talk.says(0, "PA", b"question")
    assert out(made, made.b, udp(B, 80, S1, 4000))[IP].src == X
