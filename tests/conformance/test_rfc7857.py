"""RFC 7857, updates to the other three; it numbers no requirements, so its sections do."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP

from tests.conformance.fragments import cut, send_all, whole
from tests.conformance.packets import (
    S1,
    S2,
    A,
    B,
    Talk,
    X,
    assert_arrived,
    error,
    into,
    is_let_in,
    lab,
    nothing,
    out,
    ping,
    pong,
    rewritten,
    syn,
    udp,
)
from tests.conformance.requirements import Level, aside, requirement
from tests.harness import Lab, only
from vswitch.translation import Filtering, Timeouts, Translation
from vswitch.units import HOUR, MINUTE, SECOND

# 2: TCP session tracking

TRANSITORY, ESTABLISHED = 4 * MINUTE, 2 * HOUR + 4 * MINUTE

STEPS: dict[str, tuple[list[tuple[int, str]], int]] = {
    "init": ([(0, "S")], TRANSITORY),
    "init, SYN again": ([(0, "S"), (0, "S")], TRANSITORY),
    "init, simultaneous": ([(0, "S"), (1, "S")], ESTABLISHED),
    "established": ([(0, "S"), (1, "SA")], ESTABLISHED),
    "established, data": ([(0, "S"), (1, "SA"), (0, "A"), (1, "PA"), (0, "PA")], ESTABLISHED),
    "client FIN": ([(0, "S"), (1, "SA"), (0, "A"), (0, "FA")], ESTABLISHED),
    "client FIN, data": ([(0, "S"), (1, "SA"), (0, "A"), (0, "FA"), (1, "PA")], ESTABLISHED),
    "server FIN": ([(0, "S"), (1, "SA"), (0, "A"), (1, "FA")], ESTABLISHED),
    "both FINs": ([(0, "S"), (1, "SA"), (0, "A"), (0, "FA"), (1, "FA"), (0, "A")], TRANSITORY),
    "client RST": ([(0, "S"), (1, "SA"), (0, "A"), (0, "R")], TRANSITORY),
    "server RST": ([(0, "S"), (1, "SA"), (0, "A"), (1, "R")], TRANSITORY),
    "RST, then data": ([(0, "S"), (1, "SA"), (0, "A"), (1, "R"), (0, "PA")], ESTABLISHED),
    "FIN, then RST": ([(0, "S"), (1, "SA"), (0, "A"), (0, "FA"), (1, "R")], TRANSITORY),
    "refused": ([(0, "S"), (1, "RA")], TRANSITORY),
}
"""Segments, and how long the connection that they lead to lives without more."""


def play(talk: Talk, steps: list[tuple[int, str]]) -> None:
    began: set[int] = set()
    for end, flags in steps:
        if "S" in flags and end in began:
            talk.next[end] -= 1
        began.add(end)
        talk.says(end, flags, b"data" if "P" in flags else b"")


@requirement("RFC 7857", "section 2.1", Level.SHOULD, "TCP sessions follow the state machine")
@pytest.mark.parametrize("name", STEPS)
@pytest.mark.parametrize("way", [Talk.outwards, Talk.inwards], ids=["outwards", "inwards"])
def test_rfc7857_section2_1_state_decides_how_long_a_session_lives(
    way: Callable[[Lab], Talk], name: str
) -> None:
    steps, lifetime = STEPS[name]
    for age, alive in ((lifetime - SECOND, True), (lifetime + SECOND, False)):
        talk = way(lab())
        play(talk, steps)
        talk.made.pass_time(age)
        assert talk.passes(1, "SA" if steps[-1] == (0, "S") else "A") is alive


@requirement("RFC 7857", "section 2.2", Level.SHOULD, "own timers for opening and closing")
@pytest.mark.parametrize(("name", "field"), [("init", "tcp_opening"), ("both FINs", "tcp_closing")])
def test_rfc7857_section2_2_opening_and_closing_have_timers_of_their_own(
    name: str, field: str
) -> None:
    timeouts = Timeouts(**{field: 60 * SECOND})
    for other, (steps, lifetime) in STEPS.items():
        if lifetime != TRANSITORY or "RST" in other or other == "refused":
            continue
        made = lab(translation=Translation(timeouts=timeouts))
        talk = Talk.outwards(made)
        play(talk, steps)
        made.pass_time(61 * SECOND)
        is_shortened = (steps[-1][1] == "S") == (name == "init")
        assert talk.passes(1, "SA" if steps[-1][1] == "S" else "A") is not is_shortened


@requirement("RFC 7857", "section 2.3", Level.MUST, "a RST is translated; state lives 4 min more")
@pytest.mark.parametrize("end", [0, 1])
def test_rfc7857_section2_3_session_outlives_a_reset_by_four_minutes(end: int) -> None:
    made = lab()
    talk = Talk.outwards(made).opens()
    talk.says(end, "R")
    made.pass_time(4 * MINUTE - SECOND)
    assert out(made, made.b, syn(B, 5000, S2, 80))[TCP].sport != 5000
    talk.says(1 - end, "A")


@requirement("RFC 7857", "section 2.3", Level.MUST, "a RST is translated; state lives 4 min more")
def test_rfc7857_section2_3_refused_port_is_not_given_to_others_at_once() -> None:
    made = lab()
    talk = Talk.outwards(made)
    talk.says(0, "S")
    talk.says(1, "RA", seq=0)
    assert out(made, made.b, syn(B, 5000, S2, 80))[TCP].sport != 5000


# 3 to 6: ports, pooling, protocols

aside(
    "RFC 7857",
    "section 3",
    Level.MAY,
    "flows to different destinations may share an external port",
    "not followed: hosts whose mappings share a port can not be told apart by others",
)


@requirement("RFC 7857", "section 4", Level.RECOMMENDED, "pooling is paired for all protocols")
def test_rfc7857_section4_every_protocol_of_a_host_has_the_same_address() -> None:
    made = lab(also=("203.0.113.2", "203.0.113.3"))
    for name in "abcd":
        host = made.hosts[name]
        packets = (udp(host.ip, 53, S1, 53), syn(host.ip, 80, S2, 80), ping(host.ip, S1))
        assert len({out(made, host, packet)[IP].src for packet in packets}) == 1


@requirement("RFC 7857", "section 5", Level.SHOULD, "mappings are per protocol")
def test_rfc7857_section5_each_protocol_has_ports_of_its_own() -> None:
    made = lab()
    assert out(made, made.a, udp(A, 5000, S1, 80))[UDP].sport == 5000
    assert out(made, made.b, syn(B, 5000, S1, 80))[TCP].sport == 5000
    assert out(made, made.c, ping("10.1.0.2", S1, 5000))[ICMP].id == 5000


@requirement("RFC 7857", "section 6", Level.SHOULD, "filters are per protocol")
@pytest.mark.parametrize("filtering", Filtering)
def test_rfc7857_section6_mapping_of_one_protocol_lets_no_other_in(filtering: Filtering) -> None:
    made = lab(translation=Translation(filtering=filtering))
    out(made, made.a, udp(A, 5000, S1, 80))
    assert nothing(into(made, syn(S1, 80, X, 5000)))
    assert nothing(into(made, pong(S1, X, 5000)))
    out(made, made.b, syn(B, 6000, S1, 80))
    assert nothing(into(made, udp(S1, 80, X, 6000)))


# 7: refresh


@requirement("RFC 7857", "section 7", Level.SHOULD, "filtered inbound packets refresh nothing")
def test_rfc7857_section7_who_is_filtered_keeps_no_mapping_alive() -> None:
    made = lab()
    out(made, made.a, udp(A, 5000, S1, 7000))
    for _ in range(4):
        made.pass_time(74 * SECOND)
        assert nothing(into(made, udp(S2, 7000, X, 5000)))
    made.pass_time(5 * SECOND)
    assert not is_let_in(made, udp(S1, 7000, X, 5000))
    made.pass_time(121 * SECOND)
    assert out(made, made.b, udp(B, 5000, S1, 7000))[UDP].sport == 5000


@requirement("RFC 7857", "section 7.1", Level.SHOULD, "outbound errors and RSTs refresh nothing")
def test_rfc7857_section7_1_outbound_error_refreshes_nothing() -> None:
    made = lab()
    out(made, made.a, udp(A, 5000, S1, 7000))
    quoted = rewritten(udp(S1, 7000, X, 5000), dst=A)
    for _ in range(2):
        made.pass_time(140 * SECOND)
        assert out(made, made.a, error(quoted, source=A, to=S1))[IP].src == X
    made.pass_time(21 * SECOND)
    assert not is_let_in(made, udp(S1, 7000, X, 5000))


@requirement("RFC 7857", "section 7.1", Level.SHOULD, "outbound errors and RSTs refresh nothing")
def test_rfc7857_section7_1_outbound_reset_refreshes_nothing() -> None:
    made = lab()
    talk = Talk.outwards(made)
    talk.says(0, "S")
    talk.says(1, "SA")
    for _ in range(3):
        talk.says(0, "R")
        made.pass_time(100 * SECOND)
    assert not talk.passes(1, "A")


# 8 to 10: ports and identification


@requirement("RFC 7857", "section 8", Level.MAY, "parity may be off", "port_parity = false")
def test_rfc7857_section8_parity_may_be_switched_off() -> None:
    parities = set()
    for seed in range(30):
        made = lab(seed=seed, translation=Translation(keeps_parity=False))
        assert out(made, made.a, udp(A, 5000, S1, 7000))[UDP].sport == 5000
        parities.add(out(made, made.b, udp(B, 5000, S1, 7000))[UDP].sport % 2)
    assert parities == {0, 1}


@requirement("RFC 7857", "section 9", Level.SHOULD, "ports are chosen at random (RFC 6056)")
def test_rfc7857_section9_ports_that_clash_are_chosen_at_random() -> None:
    made = lab()
    chosen = []
    for number in range(200):
        host = made.hosts["b" if number % 2 else "a"]
        for sender in (made.hosts["d"], host):
            seen = out(made, sender, udp(sender.ip, 20_000 + number, S1, 7000))
        chosen.append(seen[UDP].sport)
    steps = {after - before for before, after in pairwise(chosen)}
    assert len(steps) > 150
    assert {port // 8192 for port in chosen} == set(range(8))


@requirement("RFC 7857", "section 9", Level.SHOULD, "ports are chosen at random (RFC 6056)")
def test_rfc7857_section9_other_seed_gives_other_ports() -> None:
    def chosen(seed: int) -> int:
        made = lab(seed=seed)
        out(made, made.a, udp(A, 5000, S1, 7000))
        return out(made, made.b, udp(B, 5000, S1, 7000))[UDP].sport

    assert len({chosen(seed) for seed in range(10)}) > 8
    assert chosen(1) == chosen(1)


aside(
    "RFC 7857",
    "section 10, uncut",
    Level.SHOULD,
    "so are those of datagrams that leave whole without DF",
    "not followed: such a datagram keeps what its sender chose; what is cut here gets a new one",
)


@requirement("RFC 7857", "section 10", Level.SHOULD, "identifications are unique (RFC 6864)")
def test_rfc7857_section10_hosts_with_one_identification_leave_with_two() -> None:
    made = lab()
    identifications = set()
    for name in "abd":
        host = made.hosts[name]
        packet = udp(host.ip, 5000, S1, 7000, bytes(1400), id=0x1234, flags=0)
        seen = send_all(made, host, cut(packet, 512))
        identifications.add(whole(seen["outside"]).id)
    assert len(identifications) == 3


@requirement("RFC 7857", "section 10", Level.SHOULD, "identifications are unique (RFC 6864)")
@settings(max_examples=20)
@given(identification=st.integers(0, 0xFFFF))
def test_rfc7857_section10_identification_of_what_is_never_cut_is_kept(
    identification: int,
) -> None:
    made = lab()
    packet = udp(A, 5000, S1, 7000, id=identification)
    assert_arrived(out(made, made.a, packet), packet, src=X)


# 11 and 12: ICMP


@requirement("RFC 7857", "section 11", Level.MAY, "a query's mapping may go with its session")
def test_rfc7857_section11_identifier_is_free_again_after_its_last_session() -> None:
    made = lab()
    assert out(made, made.a, ping(A, S1, 7))[ICMP].id == 7
    made.pass_time(61 * SECOND + 121 * SECOND)
    assert out(made, made.b, ping(B, S1, 7))[ICMP].id == 7


@requirement("RFC 7857", "section 12", Level.MUST, "hairpinned queries are supported")
def test_rfc7857_section12_query_to_the_external_address_is_answered() -> None:
    made = lab()
    query = ping(A, X)
    reply = only(made.exchange(made.a, query)["a"])
    assert (reply[IP].src, reply[IP].dst) == (X, A)
    assert bytes(reply[ICMP]) == bytes(IP(bytes(pong(X, A)))[ICMP])


@requirement("RFC 7857", "section 12", Level.MUST, "hairpinned queries are supported")
def test_rfc7857_section12_query_to_the_address_of_another_host_reaches_it() -> None:
    made = lab(also=("203.0.113.2",))
    made.translate_one_to_one(made.b, "203.0.113.2")
    query = ping(A, "203.0.113.2")
    seen = only(made.exchange(made.a, query)["b"])
    assert_arrived(seen, query, src=X, dst=B)
    answer = pong(B, X)
    back = only(made.exchange(made.b, answer)["a"])
    assert_arrived(back, answer, src="203.0.113.2", dst=A)
