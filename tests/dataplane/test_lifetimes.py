"""How long what is silent lives through the whole switch: connections, mappings, freed ports."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Packet

from tests.dataplane.conversation import S1, S2, S3, Conversation, forget_received, quiet_lab
from tests.harness import UPLINK_ADDRESS, Host, Lab, only
from vswitch.translation import PROFILES, Filtering, Refresh, Timeouts, Translation
from vswitch.units import HOUR, MINUTE, SECOND, Nanoseconds


def udp_out(lab: Lab, host: Host, sport: int, server: str = S1) -> int:
    """The external port of a datagram."""
    packet = IP(src=host.ip, dst=server) / UDP(sport=sport, dport=7000) / b"question"
    port: int = only(lab.exchange(host, packet)["outside"])[UDP].sport
    return port


def udp_back(lab: Lab, external: int = 5000, server: str = S1) -> list[Packet]:
    """What a gets of an answer."""
    packet = IP(src=server, dst=UPLINK_ADDRESS) / UDP(sport=7000, dport=external) / b"answer"
    return lab.exchange(lab.outside, packet)["a"]


def udp_exchange(made: Lab) -> None:
    udp_out(made, made.a, 5000)


def echo_exchange(made: Lab) -> None:
    packet = IP(src=made.a.ip, dst=S1) / ICMP(type=8, id=9) / b"ping"
    only(made.exchange(made.a, packet)["outside"])


def echo_answered(made: Lab) -> bool:
    answer = IP(src=S1, dst=UPLINK_ADDRESS) / ICMP(type=0, id=9) / b"ping"
    return bool(made.exchange(made.outside, answer)["a"])


def tcp_opened(made: Lab) -> None:
    Conversation.outwards(made).opens()


def tcp_answered(made: Lab) -> bool:
    talk = Conversation.outwards(made)
    talk.next = [talk.next[0] + 1, talk.next[1] + 1]
    return bool(talk.server("PA", b"answer"))


def times_of(profile: str) -> Translation:
    return Translation(timeouts=PROFILES[profile])


def jump(lab: Lab, nanoseconds: Nanoseconds) -> None:
    """Let days pass without the ARP of each of their minutes."""
    lab.now += nanoseconds
    lab.switch.transmit(lab.switch.tick(lab.now), lab.now)
    forget_received(lab)


# Connections


@pytest.mark.parametrize(
    ("ask", "answered", "limit"),
    [
        (udp_exchange, lambda made: bool(udp_back(made)), 300 * SECOND),
        (echo_exchange, echo_answered, 60 * SECOND),
        (tcp_opened, tcp_answered, 124 * MINUTE),
    ],
)
def test_answer_is_let_in_up_to_the_timeout_and_not_after(
    ask: Callable[[Lab], None], answered: Callable[[Lab], bool], limit: Nanoseconds
) -> None:
    in_time, late = quiet_lab(), quiet_lab()
    for made in (in_time, late):
        ask(made)
    in_time.pass_time(limit - 1 * SECOND)
    assert answered(in_time)
    late.pass_time(limit + 1 * SECOND)
    assert not answered(late)


@pytest.mark.parametrize(
    ("profile", "udp_limit", "tcp_limit"),
    [
        ("rfc", 300 * SECOND, 124 * MINUTE),
        ("linux", 30 * SECOND, 120 * HOUR),
        ("ovs", 60 * SECOND, 24 * HOUR),
    ],
)
def test_profile_sets_the_timeouts(
    profile: str, udp_limit: Nanoseconds, tcp_limit: Nanoseconds
) -> None:
    for limit, ask, answered in (
        (udp_limit, udp_exchange, lambda made: bool(udp_back(made))),
        (tcp_limit, tcp_opened, tcp_answered),
    ):
        for waits, is_let_in in ((limit - 1 * SECOND, True), (limit + 1 * SECOND, False)):
            made = quiet_lab(translation=times_of(profile))
            ask(made)
            jump(made, waits)
            assert answered(made) is is_let_in


def test_shorter_timeouts_can_be_set() -> None:
    made = quiet_lab(translation=Translation(timeouts=Timeouts(udp_unanswered=5 * SECOND)))
    udp_exchange(made)
    made.pass_time(6 * SECOND)
    assert udp_back(made) == []


def test_question_to_a_name_server_lives_as_short_as_is_said_for_it() -> None:
    made = quiet_lab(translation=Translation(timeouts=Timeouts(udp_short=10 * SECOND)))
    for port in (53, 54):
        packet = IP(src=made.a.ip, dst=S1) / UDP(sport=5000, dport=port) / b"question"
        made.exchange(made.a, packet)
    made.pass_time(11 * SECOND)
    (left,) = made.switch.tables.connections
    assert left.original.destination_port == 54


def test_fast_path_keeps_a_connection_alive() -> None:
    made = quiet_lab()
    hits = made.hits()
    for _ in range(3):
        udp_out(made, made.a, 5000)
    assert made.hits() == hits + 2
    made.pass_time(290 * SECOND)
    udp_out(made, made.a, 5000)
    assert made.hits() == hits + 3
    made.pass_time(299 * SECOND)
    assert udp_back(made)
    made.pass_time(301 * SECOND)
    assert not udp_back(made)


def test_answers_keep_a_connection_alive() -> None:
    made = quiet_lab()
    udp_exchange(made)
    for _ in range(4):
        made.pass_time(200 * SECOND)
        assert udp_back(made)


def test_answers_keep_nothing_alive_where_only_the_inside_may() -> None:
    """RFC 4787, REQ-6, and 12: nobody outside can keep a port open."""
    made = quiet_lab(translation=Translation(refresh=Refresh.OUTBOUND))
    udp_exchange(made)
    made.pass_time(200 * SECOND)
    assert udp_back(made)
    assert udp_back(made)
    made.pass_time(101 * SECOND)
    assert udp_back(made) == []


def test_answers_keep_a_tcp_connection_alive_all_the_same() -> None:
    made = quiet_lab(translation=Translation(refresh=Refresh.OUTBOUND))
    talk = Conversation.outwards(made).talks()
    made.pass_time(100 * MINUTE)
    talk.server("PA", b"data")
    made.pass_time(100 * MINUTE)
    assert len(talk.server("PA", b"data")) == 1


def test_frames_from_a_published_endpoint_are_those_of_the_inside() -> None:
    made = quiet_lab(translation=Translation(refresh=Refresh.OUTBOUND))
    made.publish(8080, made.b, 80, 17)
    question = IP(src=S1, dst=UPLINK_ADDRESS) / UDP(sport=4000, dport=8080) / b"question"
    answer = IP(src=made.b.ip, dst=S1) / UDP(sport=80, dport=4000) / b"answer"
    made.exchange(made.outside, question)
    made.pass_time(200 * SECOND)
    made.exchange(made.b, answer)
    made.pass_time(200 * SECOND)
    made.exchange(made.outside, question)
    assert len(made.switch.tables.connections) == 1
    made.pass_time(101 * SECOND)
    assert len(made.switch.tables.connections) == 0


def test_ended_connection_leaves_nothing_in_the_fast_path() -> None:
    made = quiet_lab()
    for _ in range(3):
        udp_out(made, made.a, 5000)
        assert udp_back(made)
    assert len(made.switch.fastpath) == 2
    made.pass_time(301 * SECOND)
    assert len(made.switch.fastpath) == 0


# Mappings and freed ports


@pytest.mark.parametrize("used_for", [0, 59, 61, 100])
def test_mapping_of_udp_lives_five_minutes_from_the_last_frame_of_the_inside(used_for: int) -> None:
    made = quiet_lab()
    udp_out(made, made.a, 5000)
    made.pass_time(used_for * SECOND)
    udp_out(made, made.a, 5000)
    made.pass_time(299 * SECOND)
    assert len(made.switch.tables.mappings) == 1
    made.pass_time(2 * SECOND)
    assert len(made.switch.tables.mappings) == 0


def test_mapping_outlives_its_connections_where_it_is_given_longer() -> None:
    times = Timeouts(udp_unanswered=120 * SECOND, udp_mapping=300 * SECOND)
    made = quiet_lab(translation=Translation(timeouts=times))
    udp_exchange(made)
    made.pass_time(130 * SECOND)
    assert len(made.switch.tables.connections) == 0
    made.pass_time(165 * SECOND)
    assert len(made.switch.tables.mappings) == 1
    made.pass_time(10 * SECOND)
    assert len(made.switch.tables.mappings) == 0


def test_frames_that_only_the_fast_path_saw_keep_a_mapping_too() -> None:
    times = Timeouts(udp_unanswered=120 * SECOND, udp_mapping=300 * SECOND)
    made = quiet_lab(translation=Translation(timeouts=times))
    for _ in range(2):
        udp_exchange(made)
    made.pass_time(100 * SECOND)
    hits = made.hits()
    udp_exchange(made)
    assert made.hits() == hits + 1
    made.pass_time(299 * SECOND)
    assert len(made.switch.tables.mappings) == 1
    made.pass_time(2 * SECOND)
    assert len(made.switch.tables.mappings) == 0


def test_frames_to_others_keep_a_mapping_too() -> None:
    times = Timeouts(udp_unanswered=120 * SECOND, udp_mapping=300 * SECOND)
    made = quiet_lab(translation=Translation(timeouts=times))
    udp_out(made, made.a, 5000)
    made.pass_time(100 * SECOND)
    udp_out(made, made.a, 5000, S2)
    made.pass_time(299 * SECOND)
    assert len(made.switch.tables.mappings) == 1
    made.pass_time(2 * SECOND)
    assert len(made.switch.tables.mappings) == 0


def test_answers_of_the_inside_keep_the_mapping_that_a_stranger_came_in_by() -> None:
    times = Timeouts(udp_unanswered=120 * SECOND, udp=120 * SECOND, udp_mapping=300 * SECOND)
    filtering = Filtering.ENDPOINT_INDEPENDENT
    made = quiet_lab(translation=Translation(filtering=filtering, timeouts=times))
    udp_out(made, made.a, 5000)
    made.pass_time(100 * SECOND)
    assert udp_back(made, server=S2)
    udp_out(made, made.a, 5000, S2)
    made.pass_time(299 * SECOND)
    assert len(made.switch.tables.mappings) == 1
    made.pass_time(2 * SECOND)
    assert len(made.switch.tables.mappings) == 0


@pytest.mark.parametrize(
    ("ask", "limit"), [(echo_exchange, 60 * SECOND), (tcp_opened, 124 * MINUTE)]
)
def test_mapping_of_tcp_and_icmp_ends_with_its_last_connection(
    ask: Callable[[Lab], None], limit: Nanoseconds
) -> None:
    made = quiet_lab()
    ask(made)
    made.pass_time(limit - 1 * SECOND)
    assert len(made.switch.tables.mappings) == 1
    made.pass_time(1 * SECOND)
    assert len(made.switch.tables.connections) == 0
    assert len(made.switch.tables.mappings) == 0


def test_freed_port_rests_for_two_minutes_before_another_endpoint_gets_it() -> None:
    """RFC 6888, REQ-8."""
    made = quiet_lab()
    udp_out(made, made.a, 5000)
    made.pass_time(300 * SECOND)
    made.pass_time(119 * SECOND)
    assert udp_out(made, made.b, 5000) != 5000
    made.pass_time(2 * SECOND)
    assert udp_out(made, made.c, 5000) == 5000


def test_resting_port_is_given_back_to_the_same_endpoint() -> None:
    made = quiet_lab()
    udp_out(made, made.b, 5000)
    moved = udp_out(made, made.a, 5000)
    assert moved != 5000
    made.pass_time(310 * SECOND)
    assert udp_out(made, made.a, 5000, S2) == moved
    assert udp_out(made, made.a, 5000, S3) == moved


def test_endpoint_gets_its_own_resting_port_from_another_port_too() -> None:
    made = quiet_lab()
    udp_out(made, made.b, 5000)
    moved = udp_out(made, made.a, 5000)
    made.pass_time(310 * SECOND)
    assert udp_out(made, made.a, moved) == moved


def test_without_hold_down_a_port_is_free_at_once() -> None:
    made = quiet_lab(translation=times_of("linux"))
    udp_out(made, made.a, 5000)
    made.pass_time(31 * SECOND)
    assert udp_out(made, made.b, 5000) == 5000


def test_late_answer_to_a_resting_port_reaches_nobody() -> None:
    made = quiet_lab()
    udp_out(made, made.a, 5000)
    made.pass_time(310 * SECOND)
    udp_out(made, made.b, 5000)
    answers = made.exchange(
        made.outside, IP(src=S1, dst=UPLINK_ADDRESS) / UDP(sport=7000, dport=5000) / b"late"
    )
    assert not any(answers.values())


def test_tuple_that_a_client_uses_again_keeps_its_port() -> None:
    made = quiet_lab()
    talk = Conversation.outwards(made).opens()
    talk.client("FA")
    talk.server("FA")
    made.pass_time(4 * MINUTE + 1 * SECOND)
    assert len(made.switch.tables.mappings) == 0
    again = Conversation.outwards(made)
    again.next = [5_000_000, 6_000_000]
    assert only(again.client("S"))[TCP].sport == 5000
