"""Rules that change while there are more connections than are asked about at once.

What is held against the new rules at once is none here, as if there were too many: everything that
is allowed no longer has to be stopped by its own next frame, or by the time that passes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Packet

from tests.dataplane.conversation import S1, S2, Conversation, forget_received, ip, quiet_lab
from tests.dataplane.test_filters import ACCEPT, DROP, RETURN, Chain, knocks, lab_with, net, udp
from tests.harness import UPLINK_ADDRESS, Lab, only
from vswitch.dataplane import policy, revalidation
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.verdict import Fate
from vswitch.policy import Filter, GatewayMode, NetworkPolicy
from vswitch.translation import Translation
from vswitch.units import SECOND
from vswitch.wire.offload import HEADER_LENGTH

TO_S1 = Filter(DROP, destination=(net(S1),))


@contextmanager
def none_at_once() -> Iterator[None]:
    """Meanwhile no connection is asked about but by its own frames."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(revalidation, "STEP", 0)
        yield


def apply(lab: Lab, *rules: Filter) -> None:
    with none_at_once():
        lab.switch.changes.set_filters(rules, lab.now)


def alive(lab: Lab) -> int:
    return len(lab.switch.tables.connections)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every connection that policy is asked about."""
    connections: list[object] = []
    refuse = policy.refuse_connection

    def note(tables: object, connection: object) -> object:
        connections.append(connection)
        return refuse(tables, connection)

    monkeypatch.setattr(policy, "refuse_connection", note)
    return connections


# No further frame


def test_next_frame_of_either_side_ends_what_may_not_be_any_more() -> None:
    for speaker in ("client", "server"):
        lab = quiet_lab()
        talk = Conversation.outwards(lab).talks()
        apply(lab, TO_S1)
        assert alive(lab) == 1
        assert getattr(talk, speaker)("PA", b"hello?") == []
        assert alive(lab) == 0


def test_refused_frame_is_one_of_a_flow_that_nobody_knows() -> None:
    lab = quiet_lab()
    talk = Conversation.outwards(lab).talks()
    apply(lab, TO_S1)
    talk.client("PA", b"hello?")
    assert lab.drops == {DropReason.FILTER_DROPPED: 1}


def test_error_about_what_may_not_be_any_more_does_not_pass() -> None:
    lab = quiet_lab()
    sent = only(lab.exchange(lab.a, udp(lab.a, S1))["outside"])
    apply(lab, TO_S1)
    error = IP(src=S1, dst=UPLINK_ADDRESS) / ICMP(type=3, code=3) / sent[IP]
    assert lab.exchange(lab.outside, error)["a"] == []
    assert lab.drops == {DropReason.ICMP_ERROR_UNRELATED: 1}


def test_connection_that_may_be_goes_on_and_is_asked_about_once(asked: list[object]) -> None:
    lab = quiet_lab()
    talk = Conversation.outwards(lab, server=S2).talks()
    apply(lab, TO_S1)
    before = lab.hits()
    for _ in range(5):
        assert len(talk.client("PA", b"still here")) == len(talk.server("PA", b"and here")) == 1
    assert len(asked) == 1
    assert lab.hits() - before == 8


def test_frame_that_waits_for_a_station_is_not_sent_when_that_is_known() -> None:
    lab = quiet_lab()
    lab.switch.changes.set_filters([Filter(ACCEPT, arrives="front", leaves="back")], lab.now)
    lab.answering = False
    lab.network("back").neighbours.forget(ip(lab.c.ip))
    lab.exchange(lab.a, udp(lab.a, lab.c.ip))
    apply(lab)
    assert alive(lab) == 0
    lab.send(lab.c, lab.arp_request(lab.c, "10.1.0.1"))
    assert not any(UDP in frame for frame in lab.received(lab.c))
    assert lab.drops == {DropReason.ENDED_WHILE_WAITING: 1}


def test_trace_tells_the_truth_and_ends_nothing() -> None:
    lab = quiet_lab()
    lab.exchange(lab.a, udp(lab.a, S1))
    apply(lab, TO_S1)
    frame = bytearray(bytes(HEADER_LENGTH) + bytes(lab.routed(lab.a, udp(lab.a, S1))))
    verdict = lab.switch.trace(lab.a.port, frame, lab.now)
    assert (verdict.fate, verdict.reason) == (Fate.DROPPED, DropReason.FILTER_DROPPED)
    assert alive(lab) == 1


def test_flow_that_may_be_in_another_way_begins_anew() -> None:
    """Shown to the outside before, hidden from it now: the same tuple, another connection."""
    lab = quiet_lab()
    front = lab.network("front").number
    routed = NetworkPolicy(gateway_mode=GatewayMode.ROUTED)
    lab.switch.changes.set_policy(front, routed, lab.now)
    lab.exchange(lab.a, udp(lab.a, S1))
    with none_at_once():
        lab.switch.changes.set_policy(front, NetworkPolicy(), lab.now)
    assert only(lab.exchange(lab.a, udp(lab.a, S1))["outside"])[IP].src == UPLINK_ADDRESS
    assert alive(lab) == 1


def test_answers_are_for_who_asks_now_and_not_for_who_may_not_any_more() -> None:
    """From outside in, and the same ends from inside out: one is refused, the other begins."""
    outwards = IP(src="10.0.0.3", dst=S1) / UDP(sport=80, dport=4000) / b"x"
    inwards = IP(src=S1, dst=UPLINK_ADDRESS) / UDP(sport=4000, dport=8080) / b"x"
    ways = (("b", outwards, "outside", "front"), ("outside", inwards, "b", "outside"))
    for first, second in (ways, ways[::-1]):
        lab = quiet_lab()
        lab.publish(8080, lab.b, 80, 17)
        for (speaker, packet, hearer, _), *rules in ((first,), (second, first[-1])):
            apply(lab, *(Filter(DROP, arrives=each) for each in rules))
            assert len(lab.exchange(lab.hosts[speaker], packet)[hearer]) == 1
        (left,) = lab.switch.tables.connections
        assert left.original.network == lab.network(second[-1]).number


# In time


def crowd(count: int) -> Lab:
    """Connections from many ports, every other one to S1."""
    lab = quiet_lab(translation=Translation(resets=True))
    for number in range(count):
        server = S1 if number % 2 else S2
        Conversation.outwards(lab, sport=5000 + number, server=server).talks()
    forget_received(lab)
    return lab


def test_what_is_silent_ends_in_time_and_its_ends_are_told() -> None:
    lab = crowd(6)
    apply(lab, TO_S1)
    assert (alive(lab), lab.received(lab.a)) == (6, [])
    lab.pass_time(SECOND)
    assert {str(each.original.destination) for each in lab.switch.tables.connections} == {S2}
    assert alive(lab) == 3
    assert [_is_reset(frame) for frame in lab.received(lab.a)] == [True] * 3


def test_change_asks_about_a_bounded_number_and_time_about_the_others(
    asked: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = crowd(40)
    monkeypatch.setattr(revalidation, "STEP", 50)
    lab.switch.changes.add_filter(Filter(DROP, destination=(net("192.0.2.1"),)), lab.now)
    assert len(asked) == 10
    lab.pass_time(SECOND)
    assert len(asked) == len(set(asked)) == 40
    assert lab.switch.changes.revalidation.next_deadline() is None


def test_every_connection_is_asked_about_the_last_change(asked: list[object]) -> None:
    lab = crowd(6)
    apply(lab, Filter(DROP, destination=(net("192.0.2.1"),)))
    apply(lab, TO_S1)
    lab.pass_time(SECOND)
    assert (len(asked), alive(lab)) == (6, 3)


def test_what_ends_before_it_is_asked_about_is_left_alone(asked: list[object]) -> None:
    lab = crowd(2)
    apply(lab, Filter(DROP, destination=(net("192.0.2.1"),)))
    lab.detach(lab.a)
    lab.pass_time(SECOND)
    assert (asked, alive(lab)) == ([], 0)


def test_rule_that_has_come_and_gone_in_between_ends_nothing() -> None:
    lab = crowd(2)
    apply(lab, TO_S1)
    apply(lab)
    lab.pass_time(SECOND)
    assert alive(lab) == 2


# Against somebody who reads the rules one by one


RULES = st.builds(
    Filter,
    st.sampled_from([RETURN, DROP]),
    source=st.sampled_from([(), (net("10.0.0.2"),)]),
    source_ports=st.sampled_from([(), (range(5000, 5001),)]),
    arrives=st.sampled_from([None, "front", "outside"]),
)


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["add", "remove", "a", "knock"]), RULES, st.integers(0, 1)),
        max_size=12,
    )
)
def test_no_frame_passes_that_rules_forbid_however_few_have_been_asked_about(
    steps: list[tuple[str, Filter, int]],
) -> None:
    lab, chain = lab_with(), Chain()
    for what, rule, number in steps:
        sport = 5000 + number
        if what == "add":
            chain.rules.insert(0, rule)
            apply(lab, *chain.rules)
        elif what == "remove" and chain.rules:
            del chain.rules[number % len(chain.rules)]
            apply(lab, *chain.rules)
        elif what == "a":
            seen = lab.exchange(lab.a, udp(lab.a, S1, sport))["outside"]
            assert bool(seen) is chain.passes("front", lab.a.ip, sport, S1, 7000)
        elif what == "knock":
            seen = knocks(lab, S1, sport)
            assert bool(seen) is chain.passes("outside", S1, sport, "10.0.0.3", 80)
    lab.pass_time(SECOND)
    for connection in lab.switch.tables.connections:
        assert policy.refuse_connection(lab.switch.tables, connection) is None


# Within a network


def test_change_asks_about_no_flow_within_a_network_until_a_frame_of_it_comes() -> None:
    lab = quiet_lab()
    within = {"arrives": "front", "leaves": "front"}
    lab.switch.changes.set_filters([Filter(ACCEPT, **within)], lab.now)
    for sport in range(5000, 5010):
        assert _neighbour_hears(lab, sport)
    asked = 0
    chain = lab.switch.tables.filters
    judge = chain.judge_within

    def note(flow: object) -> object:
        nonlocal asked
        asked += 1
        return judge(flow)

    chain.judge_within = note
    lab.switch.changes.set_filters([Filter(DROP, source_ports=(range(5005, 5006),), **within)], 1)
    assert asked == 0
    assert _neighbour_hears(lab, 5004)
    assert not _neighbour_hears(lab, 5005)
    assert _neighbour_hears(lab, 5004)
    assert asked == 2


def _neighbour_hears(lab: Lab, sport: int) -> bool:
    frame = lab.routed(lab.a, IP(src=lab.a.ip, dst=lab.b.ip) / UDP(sport=sport, dport=53))
    frame.dst = lab.b.mac
    lab.send(lab.a, frame)
    return bool(lab.received(lab.b))


def _is_reset(frame: Packet) -> bool:
    return TCP in frame and "R" in str(frame[TCP].flags)
