"""The user's filters: what they say about routed flows, once for each, and what a change ends."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Packet

from tests.dataplane.conversation import S1, S2, Conversation, quiet_lab
from tests.harness import UPLINK_ADDRESS, Host, Lab, only
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.filters import LOGGED, FilterChain
from vswitch.dataplane.verdict import Stage
from vswitch.policy import Action, Filter, GatewayMode, NetworkPolicy
from vswitch.wire.offload import HEADER_LENGTH
from vswitch.wire.values import IpNetwork, Protocol

ACCEPT, RETURN, DROP, REJECT, LOG = (
    *(Action.ACCEPT, Action.RETURN, Action.DROP),
    *(Action.REJECT, Action.LOG),
)


def net(text: str) -> IpNetwork:
    return IpNetwork.parse(text if "/" in text else f"{text}/32")


def lab_with(*rules: Filter) -> Lab:
    lab = quiet_lab()
    lab.publish(8080, lab.b, 80)
    lab.publish(8080, lab.b, 80, Protocol.UDP)
    lab.switch.changes.set_filters(rules, lab.now)
    return lab


def udp(host: Host, to: str, sport: int = 5000, dport: int = 7000) -> Packet:
    return IP(src=host.ip, dst=to) / UDP(sport=sport, dport=dport) / b"x"


def knocks(lab: Lab, source: str = S1, sport: int = 4000) -> list[Packet]:
    """What b hears of a datagram from outside to the published port."""
    packet = IP(src=source, dst=UPLINK_ADDRESS) / UDP(sport=sport, dport=8080) / b"x"
    return lab.exchange(lab.outside, packet)["b"]


def counts(lab: Lab) -> list[int]:
    return [entry.matched for entry in lab.switch.tables.filters]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every flow that the chain is asked about."""
    flows: list[object] = []
    judge = FilterChain.judge

    def note(self: FilterChain, flow: Any) -> Any:
        flows.append(flow)
        return judge(self, flow)

    monkeypatch.setattr(FilterChain, "judge", note)
    return flows


# What a rule is about


@pytest.mark.parametrize(
    "rule",
    [
        Filter(DROP),
        Filter(DROP, source=(net("10.0.0.2"),)),
        Filter(DROP, source=(net("192.0.2.0/24"), net("10.0.0.0/16"))),
        Filter(DROP, destination=(net("198.51.100.0/24"),)),
        Filter(DROP, protocol=Protocol.UDP),
        Filter(DROP, protocol=Protocol.UDP, ports=(range(7000, 7001),)),
        Filter(DROP, protocol=Protocol.UDP, ports=(range(1, 9), range(6999, 7002))),
        Filter(DROP, protocol=Protocol.UDP, source_ports=(range(5000, 5001),)),
        Filter(DROP, arrives="front"),
        Filter(DROP, leaves="outside"),
        Filter(DROP, arrives="front", leaves="outside"),
    ],
    ids=str,
)
def test_rule_that_is_about_a_flow_ends_it(rule: Filter) -> None:
    lab = lab_with(rule)
    assert not any(lab.exchange(lab.a, udp(lab.a, S1)).values())
    assert lab.drops == {DropReason.FILTER_DROPPED: 1}
    assert counts(lab) == [1]
    assert len(lab.switch.tables.connections) == len(lab.switch.tables.mappings) == 0


@pytest.mark.parametrize(
    "rule",
    [
        Filter(DROP, source=(net("10.0.0.3"),)),
        Filter(DROP, destination=(net(S2),)),
        Filter(DROP, protocol=Protocol.TCP),
        Filter(DROP, protocol=Protocol.UDP, ports=(range(7001, 7002),)),
        Filter(DROP, protocol=Protocol.UDP, source_ports=(range(7000, 7001),)),
        Filter(DROP, arrives="back"),
        Filter(DROP, leaves="front"),
        Filter(DROP, arrives="front", leaves="front"),
    ],
    ids=str,
)
def test_rule_that_is_about_another_flow_says_nothing(rule: Filter) -> None:
    lab = lab_with(rule)
    assert len(lab.exchange(lab.a, udp(lab.a, S1))["outside"]) == 1
    assert counts(lab) == [0]


def test_only_one_address_outside_may_reach_what_is_published() -> None:
    """The rule of Docker's manual: DOCKER-USER, with everybody else dropped."""
    lab = lab_with(
        Filter(RETURN, source=(net(S1),), arrives="outside"), Filter(DROP, arrives="outside")
    )
    assert len(knocks(lab, S1)) == 1
    assert knocks(lab, S2) == []
    assert counts(lab) == [1, 1]
    assert len(lab.exchange(lab.a, udp(lab.a, S2))["outside"]) == 1


def test_published_port_is_known_to_rules_as_the_endpoints_own() -> None:
    behind = Filter(DROP, destination=(net("10.0.0.3"),), protocol=17, ports=(range(80, 81),))
    assert knocks(lab_with(behind)) == []
    before = Filter(DROP, destination=(net(UPLINK_ADDRESS),))
    assert len(knocks(lab_with(before))) == 1


def test_hairpin_is_known_to_rules_by_both_endpoints() -> None:
    rule = Filter(DROP, source=(net("10.0.0.2"),), destination=(net("10.0.0.3"),))
    lab = lab_with(rule)
    assert lab.exchange(lab.a, udp(lab.a, UPLINK_ADDRESS, dport=8080))["b"] == []
    assert lab.drops == {DropReason.FILTER_DROPPED: 1}


def test_echo_has_no_port_that_a_rule_could_be_about() -> None:
    lab = lab_with(Filter(DROP, ports=(range(1, 65536),)), Filter(DROP, protocol=17))
    ping = IP(src=lab.a.ip, dst=S1) / ICMP(type=8, id=80)
    assert len(lab.exchange(lab.a, ping)["outside"]) == 1


# What becomes of it


def test_first_rule_that_ends_the_matter_decides() -> None:
    lab = lab_with(Filter(LOG), Filter(RETURN, source=(net("10.0.0.2"),)), Filter(DROP))
    assert len(lab.exchange(lab.a, udp(lab.a, S1))["outside"]) == 1
    assert lab.exchange(lab.b, udp(lab.b, S1))["outside"] == []
    assert counts(lab) == [2, 1, 1]


def test_rejected_syn_is_refused_in_the_name_of_whom_it_was_for() -> None:
    lab = lab_with(Filter(REJECT))
    syn = IP(src=lab.a.ip, dst=S1) / TCP(sport=5000, dport=80, flags="S", seq=7)
    heard = only(lab.exchange(lab.a, syn)["a"])
    assert (heard[IP].src, heard[TCP].sport, str(heard[TCP].flags)) == (S1, 80, "RA")
    assert heard[TCP].ack == 8
    assert lab.drops == {DropReason.FILTER_REJECTED: 1}


def test_rejected_datagram_is_refused_by_the_gateway() -> None:
    lab = lab_with(Filter(REJECT))
    heard = only(lab.exchange(lab.a, udp(lab.a, S1))["a"])
    assert (heard[IP].src, heard[ICMP].type, heard[ICMP].code) == ("10.0.0.1", 3, 13)


def test_outside_is_told_of_what_it_sent_to_the_switch() -> None:
    lab = lab_with(Filter(REJECT, arrives="outside"))
    syn = IP(src=S1, dst=UPLINK_ADDRESS) / TCP(sport=4000, dport=8080, flags="S")
    heard = only(lab.exchange(lab.outside, syn)["outside"])
    assert (heard[IP].src, str(heard[TCP].flags)) == (UPLINK_ADDRESS, "RA")


def test_outside_hears_nothing_of_inside_addresses_by_a_rule() -> None:
    lab = lab_with(Filter(REJECT, arrives="outside"))
    assert not any(lab.exchange(lab.outside, udp(lab.outside, lab.b.ip)).values())


def test_accepted_flow_passes_between_networks() -> None:
    lab = lab_with(Filter(ACCEPT, arrives="front", leaves="back"))
    seen = only(lab.exchange(lab.a, udp(lab.a, lab.c.ip))["c"])
    assert (seen[IP].src, seen[IP].dst, seen[UDP].sport) == (lab.a.ip, lab.c.ip, 5000)
    back = IP(src=lab.c.ip, dst=lab.a.ip) / UDP(sport=7000, dport=5000)
    assert only(lab.exchange(lab.c, back)["a"])[IP].src == lab.c.ip
    assert lab.exchange(lab.c, udp(lab.c, lab.a.ip))["a"] == []


def test_returned_flow_is_for_the_switchs_own_policy() -> None:
    lab = lab_with(Filter(RETURN, arrives="front", leaves="back"))
    assert lab.exchange(lab.a, udp(lab.a, lab.c.ip))["c"] == []
    assert lab.drops == {DropReason.NETWORKS_ISOLATED: 1}


def test_accept_leads_nowhere_new() -> None:
    lab = lab_with(Filter(ACCEPT))
    assert not any(lab.exchange(lab.outside, udp(lab.outside, lab.a.ip)).values())
    number = lab.network("back").number
    lab.switch.changes.set_policy(number, NetworkPolicy(internal=True), lab.now)
    assert lab.exchange(lab.a, udp(lab.a, lab.c.ip))["c"] == []
    lab.switch.changes.set_forwarding(False, lab.now)
    assert lab.exchange(lab.a, udp(lab.a, S1))["outside"] == []
    assert lab.drops == {
        DropReason.NOT_PUBLISHED: 1,
        DropReason.NETWORK_INTERNAL: 1,
        DropReason.FORWARDING_OFF: 1,
    }


def test_logged_flow_goes_on_and_is_written_down() -> None:
    lab = lab_with(Filter(LOG, arrives="front"))
    for sport in (5000, 5001, 5001):
        assert len(lab.exchange(lab.a, udp(lab.a, S1, sport))["outside"]) == 1
    logged = lab.switch.tables.filters.take_logged()
    assert [(each.number, each.arrives, each.leaves, str(each.ends)) for each in logged] == [
        (1, "front", "outside", f"udp 10.0.0.2:{sport} > {S1}:7000") for sport in (5000, 5001)
    ]
    assert lab.switch.tables.filters.take_logged() == []


def test_what_nobody_takes_note_of_in_time_is_counted() -> None:
    lab = lab_with(Filter(LOG), Filter(DROP))
    for sport in range(1, LOGGED + 4):
        lab.exchange(lab.a, udp(lab.a, S1, sport))
    filters = lab.switch.tables.filters
    assert (len(filters.take_logged()), filters.take_unlogged()) == (LOGGED, 3)
    assert filters.take_unlogged() == 0


def test_switch_itself_is_reached_whatever_filters_say() -> None:
    lab = lab_with(Filter(DROP))
    ping = IP(src=lab.a.ip, dst="10.0.0.1") / ICMP(type=8, id=1)
    assert only(lab.exchange(lab.a, ping)["a"])[ICMP].type == 0


def test_rule_stands_in_the_trail() -> None:
    lab = lab_with(
        Filter(LOG, arrives="front"), Filter(DROP, protocol=17, ports=(range(7000, 7001),))
    )
    frame = bytearray(bytes(HEADER_LENGTH) + bytes(lab.routed(lab.a, udp(lab.a, S1))))
    verdict = lab.switch.trace(lab.a.port, frame, lab.now)
    assert verdict.reason is DropReason.FILTER_DROPPED
    said = [str(each) for each in verdict.trail if each.stage is Stage.POLICY]
    assert said[-2:] == ["filter 1 says log in front", "filter 2 says drop udp port 7000"]
    assert counts(lab) == [0, 0]
    assert lab.switch.tables.filters.take_logged() == []


# What it costs


def test_chain_is_asked_about_the_first_frame_of_a_flow_alone(asked: list[object]) -> None:
    lab = lab_with(Filter(RETURN), *(Filter(DROP, source=(net("192.0.2.1"),)) for _ in range(100)))
    asked.clear()
    Conversation.outwards(lab).talks()
    Conversation.inwards(lab).talks()
    assert len(asked) == 2
    assert counts(lab)[0] == 2


def test_empty_chain_is_not_asked(asked: list[object]) -> None:
    lab = lab_with()
    Conversation.outwards(lab).talks()
    assert asked == []


def test_flow_that_repeats_another_is_counted_and_not_asked_about(asked: list[object]) -> None:
    lab = lab_with(Filter(RETURN, protocol=17))
    for sport in range(5000, 5010):
        lab.exchange(lab.a, udp(lab.a, S1, sport))
    assert (len(asked), counts(lab)) == (1, [10])


def test_rule_about_source_ports_is_asked_about_each_flow(asked: list[object]) -> None:
    lab = lab_with(Filter(DROP, protocol=17, source_ports=(range(5005, 5006),)))
    seen = [lab.exchange(lab.a, udp(lab.a, S1, sport))["outside"] for sport in range(5000, 5010)]
    assert [len(each) for each in seen] == [1, 1, 1, 1, 1, 0, 1, 1, 1, 1]
    assert len(asked) == 10


# What changes


def test_new_rule_ends_what_it_is_about_and_nothing_else() -> None:
    lab = lab_with()
    Conversation.outwards(lab, server=S1).talks()
    other = Conversation.outwards(lab, lab.b, server=S2, sport=6000).talks()
    knocks(lab)
    lab.switch.changes.add_filter(Filter(DROP, destination=(net(S1),)), lab.now)
    left = [str(each.original) for each in lab.switch.tables.connections]
    assert left == [f"10.0.0.3:6000 > {S2}:80", f"{S1}:4000 > {UPLINK_ADDRESS}:8080"]
    before = lab.hits()
    assert len(other.client("PA", b"still here")) == 1
    assert len(other.server("PA", b"and here")) == 1
    assert lab.hits() - before <= 2


def test_flow_that_passed_unasked_is_asked_about_when_rules_come() -> None:
    """Neither a program nor a precedent outlives the rule that it knew nothing of."""
    lab = lab_with()
    for sport in (5000, 5001):
        assert len(lab.exchange(lab.a, udp(lab.a, S1, sport))["outside"]) == 1
    lab.switch.changes.set_filters([Filter(DROP, source=(net(lab.a.ip),))], lab.now)
    for sport in (5000, 5001, 5002):
        assert lab.exchange(lab.a, udp(lab.a, S1, sport))["outside"] == []


def test_ending_is_told_to_a_connection_that_speaks_again() -> None:
    lab = lab_with()
    talk = Conversation.outwards(lab).talks()
    lab.switch.changes.add_filter(Filter(REJECT, protocol=6), lab.now)
    heard = lab.exchange(lab.a, talk.segment(0, "PA", b"hello?"))
    assert "R" in str(only(heard["a"])[TCP].flags)
    assert heard["outside"] == []


def test_rule_that_goes_lets_pass_what_it_had_ended() -> None:
    lab = lab_with(Filter(DROP), Filter(RETURN))
    number = next(iter(lab.switch.tables.filters)).number
    assert lab.exchange(lab.a, udp(lab.a, S1))["outside"] == []
    lab.switch.changes.remove_filter(number, lab.now)
    assert len(lab.exchange(lab.a, udp(lab.a, S1))["outside"]) == 1


def test_rule_keeps_its_number_and_its_count_wherever_it_stands() -> None:
    lab = lab_with(Filter(RETURN, protocol=17), Filter(DROP))
    lab.exchange(lab.a, udp(lab.a, S1))
    first = lab.switch.changes.add_filter(Filter(LOG), lab.now, before=1)
    chain = lab.switch.tables.filters
    assert [entry.number for entry in chain] == [first.number, 1, 2] == [3, 1, 2]
    lab.switch.changes.set_filters([Filter(DROP), Filter(RETURN, protocol=17)], lab.now)
    assert [(entry.number, entry.matched) for entry in chain] == [(2, 0), (1, 1)]


def test_number_that_no_rule_has_is_refused_and_changes_nothing() -> None:
    lab = lab_with(Filter(DROP))
    for change in (
        lambda: lab.switch.changes.remove_filter(9, lab.now),
        lambda: lab.switch.changes.add_filter(Filter(LOG), lab.now, before=9),
    ):
        with pytest.raises(LookupError, match="filter 9 not found"):
            change()
    assert [entry.filter for entry in lab.switch.tables.filters] == [Filter(DROP)]


# Against somebody who reads the rules one by one

RULES = st.builds(
    Filter,
    st.sampled_from([RETURN, DROP, LOG, ACCEPT]),
    source=st.sampled_from([(), (net("10.0.0.2"),), (net("10.0.0.0/16"),), (net(S1),)]),
    destination=st.sampled_from([(), (net(S1),), (net("10.0.0.3"),)]),
    protocol=st.sampled_from([None, 17, 6]),
    ports=st.sampled_from([(), (range(7000, 7001),), (range(80, 81),)]),
    source_ports=st.sampled_from([(), (), (range(5000, 5002),)]),
    arrives=st.sampled_from([None, "front", "outside"]),
)


class Chain:
    """The rules of a list, read in order."""

    def __init__(self) -> None:
        self.rules: list[Filter] = []

    def passes(self, arrives: str, source: str, sport: int, destination: str, port: int) -> bool:
        for rule in self.rules:
            if (
                rule.arrives in (None, arrives)
                and rule.protocol in (None, 17)
                and (not rule.source or any(_in(source, each) for each in rule.source))
                and (not rule.destination or any(_in(destination, e) for e in rule.destination))
                and (not rule.ports or any(port in each for each in rule.ports))
                and (not rule.source_ports or any(sport in each for each in rule.source_ports))
                and rule.action is not LOG
            ):
                return rule.action is not DROP
        return True


def _in(address: str, network: IpNetwork) -> bool:
    from ipaddress import ip_address, ip_network

    return ip_address(address) in ip_network(str(network))


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["add", "insert", "remove", "a", "b", "knock"]),
            RULES,
            st.integers(0, 5),
        ),
        max_size=12,
    )
)
def test_what_passes_is_what_the_rules_say_whatever_has_changed(
    steps: list[tuple[str, Filter, int]],
) -> None:
    lab, chain = lab_with(), Chain()
    changes, entries = lab.switch.changes, lab.switch.tables.filters
    for what, rule, number in steps:
        numbers = [entry.number for entry in entries]
        at = number % len(numbers) if numbers else 0
        if what == "add":
            changes.add_filter(rule, lab.now)
            chain.rules.append(rule)
        elif what == "insert" and numbers:
            changes.add_filter(rule, lab.now, before=numbers[at])
            chain.rules.insert(at, rule)
        elif what == "remove" and numbers:
            changes.remove_filter(numbers[at], lab.now)
            del chain.rules[at]
        elif what in ("a", "b"):
            host, sport = lab.hosts[what], 5000 + number
            seen = lab.exchange(host, udp(host, S1, sport))["outside"]
            assert bool(seen) is chain.passes("front", host.ip, sport, S1, 7000)
        elif what == "knock":
            seen = knocks(lab, S1, 5000 + number)
            assert bool(seen) is chain.passes("outside", S1, 5000 + number, "10.0.0.3", 80)
        for connection in lab.switch.tables.connections:
            original, reply = connection.original, connection.reply
            arrives = lab.switch.tables.networks[original.network].name
            ends = str(original.source), original.source_port
            assert chain.passes(arrives, *ends, str(reply.source), reply.source_port)


def test_mode_that_shows_addresses_lets_a_filter_open_them_to_the_outside() -> None:
    lab = lab_with(Filter(ACCEPT, arrives="outside", source=(net(S1),)))
    policy = NetworkPolicy(gateway_mode=GatewayMode.ROUTED)
    lab.switch.changes.set_policy(lab.network("front").number, policy, lab.now)
    for source, expected in ((S1, 1), (S2, 0)):
        packet = IP(src=source, dst=lab.a.ip) / UDP(sport=1, dport=9) / b"x"
        assert len(lab.exchange(lab.outside, packet)["a"]) == expected
