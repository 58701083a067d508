"""Limits and quotas through the switch: who is refused, who has to give way, and who never does."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Packet

from tests.dataplane.conversation import S1, S2, Conversation, quiet_lab
from tests.harness import UPLINK_ADDRESS, Host, Lab, assert_checksums_right, only
from vswitch.dataplane.conntrack import BYTES_EACH
from vswitch.dataplane.drops import DropReason
from vswitch.fastpath.states import State
from vswitch.translation import Limits, Outside, Quotas, Timeouts, Translation
from vswitch.units import MILLISECOND, SECOND


def lab(*, connections: int = 262_144, **quotas: int) -> Lab:
    translation = Translation(quotas=Quotas(**quotas))
    return quiet_lab(translation=translation, limits=Limits(connections=connections))


def udp(lab: Lab, host: Host, sport: int, dport: int = 7000) -> dict[str, list[Packet]]:
    packet = IP(src=host.ip, dst=S1) / UDP(sport=sport, dport=dport) / b"question"
    return lab.exchange(host, packet)


def answer(lab: Lab, external: int, sport: int = 7000) -> dict[str, list[Packet]]:
    packet = IP(src=S1, dst=UPLINK_ADDRESS) / UDP(sport=sport, dport=external) / b"answer"
    return lab.exchange(lab.outside, packet)


def assert_refused(seen: dict[str, list[Packet]], name: str = "a") -> None:
    """Nothing has left, and the sender was told: administratively prohibited (RFC 5508, REQ-8)."""
    error = only(seen[name])
    assert (error[ICMP].type, error[ICMP].code) == (3, 13)
    assert_checksums_right(error)
    assert seen["outside"] == []


# The table


def test_full_table_refuses_and_takes_nothing_from_others() -> None:
    made = lab(connections=1)
    udp(made, made.b, 5000)
    assert_refused(udp(made, made.a, 5001))
    assert made.drops == {DropReason.CONNECTION_TABLE_FULL: 1}
    assert len(made.switch.tables.mappings) == 1
    assert len(answer(made, 5000)["b"]) == 1


def test_limit_in_bytes_counts_as_well() -> None:
    made = quiet_lab(limits=Limits(connections=100, memory=2 * BYTES_EACH))
    for port in (5000, 5001):
        assert len(udp(made, made.b, port)["outside"]) == 1
    assert_refused(udp(made, made.a, 5002))


def test_full_table_gives_the_endpoint_its_own_oldest_unanswered_place() -> None:
    made = lab(connections=3)
    for port in (5000, 5001, 5002):
        udp(made, made.a, port)
    answer(made, 5000)
    assert len(udp(made, made.a, 5003)["outside"]) == 1
    assert {each.original.source_port for each in made.switch.tables.connections} == {
        5000,
        5002,
        5003,
    }
    assert made.drops == {}


def test_connection_that_has_to_go_leaves_no_program_behind() -> None:
    made = lab(connections=1)
    for _ in range(2):
        udp(made, made.a, 5000)
    assert len(made.switch.fastpath) == 2
    udp(made, made.a, 5001)
    (left,) = made.switch.tables.connections
    assert left.original.source_port == 5001
    hits = made.hits()
    assert len(udp(made, made.a, 5000)["outside"]) == 1
    assert made.hits() == hits


def test_answered_connections_are_never_given_up() -> None:
    made = lab(connections=2)
    for port in (5000, 5001):
        udp(made, made.a, port)
        answer(made, port)
    assert_refused(udp(made, made.a, 5002))
    assert all(len(answer(made, port)["a"]) == 1 for port in (5000, 5001))


def test_what_dies_of_its_time_to_live_makes_nobody_give_way() -> None:
    made = lab(connections=1)
    udp(made, made.a, 5000)
    packet = IP(src=made.a.ip, dst=S1, ttl=1) / UDP(sport=5001, dport=7000)
    assert only(made.exchange(made.a, packet)["a"])[ICMP].type == 11
    (left,) = made.switch.tables.connections
    assert left.original.source_port == 5000


def test_stranger_is_not_told_that_the_table_is_full_by_a_connection_of_somebody_else() -> None:
    made = lab(connections=1)
    made.publish(8080, made.b, 80, 17)
    udp(made, made.a, 5000)
    packet = IP(src=S1, dst=UPLINK_ADDRESS) / UDP(sport=4000, dport=8080) / b"question"
    seen = made.exchange(made.outside, packet)
    assert seen["b"] == []
    assert only(seen["outside"])[ICMP].code == 13
    assert len(answer(made, 5000)["a"]) == 1


# Quotas


def test_quota_of_connections_is_each_endpoints_own() -> None:
    made = quiet_lab(translation=Translation(quotas=Quotas(connections=2)))
    for port in (5000, 5001):
        udp(made, made.a, port)
        answer(made, port)
    assert_refused(udp(made, made.a, 5002))
    assert made.drops == {DropReason.CONNECTION_QUOTA: 1}
    assert len(udp(made, made.b, 5003)["outside"]) == 1


def test_quota_of_connections_makes_the_endpoints_own_fleeting_ones_give_way() -> None:
    made = quiet_lab(translation=Translation(quotas=Quotas(connections=2)))
    for port in (5000, 5001, 5002):
        assert len(udp(made, made.a, port)["outside"]) == 1
    assert [each.original.source_port for each in made.switch.tables.connections] == [5001, 5002]


def test_quota_of_connections_counts_those_that_come_in() -> None:
    """A connection belongs to the endpoint that it leads to."""
    made = quiet_lab(translation=Translation(quotas=Quotas(connections=2)))
    made.publish(8080, made.b, 80, 17)
    for sport in (4000, 4001):
        packet = IP(src=S1, dst=UPLINK_ADDRESS) / UDP(sport=sport, dport=8080)
        assert len(made.exchange(made.outside, packet)["b"]) == 1
        made.exchange(made.b, IP(src=made.b.ip, dst=S1) / UDP(sport=80, dport=sport))
    assert_refused(udp(made, made.b, 5000), "b")


def test_quota_of_mappings_counts_ports_and_not_destinations() -> None:
    """RFC 6888, REQ-4."""
    made = lab(mappings=4)
    for port in range(4):
        assert len(udp(made, made.a, 5000 + port)["outside"]) == 1
    assert_refused(udp(made, made.a, 5004))
    assert made.drops == {DropReason.MAPPING_QUOTA: 1}
    for destination in range(10):
        assert len(udp(made, made.a, 5000, 8000 + destination)["outside"]) == 1
    assert len(udp(made, made.b, 5004)["outside"]) == 1


def test_quota_of_mappings_counts_all_protocols_together() -> None:
    made = lab(mappings=2)
    udp(made, made.a, 5000)
    Conversation.outwards(made).client("S")
    echo = IP(src=made.a.ip, dst=S1) / ICMP(type=8, id=7) / b"ping"
    assert_refused(made.exchange(made.a, echo))


def test_quota_of_mappings_holds_while_a_mapping_outlives_its_connections() -> None:
    times = Timeouts(udp_unanswered=120 * SECOND, udp_mapping=300 * SECOND)
    made = quiet_lab(translation=Translation(timeouts=times, quotas=Quotas(mappings=1)))
    udp(made, made.a, 5000)
    made.pass_time(121 * SECOND)
    assert len(made.switch.tables.connections) == 0
    assert_refused(udp(made, made.a, 5001))
    assert len(udp(made, made.a, 5000)["outside"]) == 1


def test_mapping_that_has_ended_makes_room_for_another() -> None:
    made = lab(mappings=1)
    udp(made, made.a, 5000)
    made.pass_time(301 * SECOND)
    assert len(udp(made, made.a, 5001)["outside"]) == 1


def test_rate_of_new_connections_is_each_endpoints_own() -> None:
    made = lab(connections_per_second=5)
    for port in range(5):
        assert len(udp(made, made.a, 5000 + port)["outside"]) == 1
    assert_refused(udp(made, made.a, 5005))
    assert made.drops == {DropReason.CONNECTION_RATE: 1}
    assert len(udp(made, made.b, 6000)["outside"]) == 1
    assert len(udp(made, made.a, 5000)["outside"]) == 1
    made.pass_time(200 * MILLISECOND)
    assert len(udp(made, made.a, 5005)["outside"]) == 1
    assert_refused(udp(made, made.a, 5006))


# Who floods hurts himself


def live_connections(made: Lab) -> list[Conversation]:
    """One of b that has opened, one of c that is half open, and one that comes in to b."""
    made.publish(8080, made.b, 80)
    opened = Conversation.outwards(made, made.b, sport=6000).talks()
    inwards = Conversation.inwards(made, client=S2).talks()
    half_open = Conversation.outwards(made, made.c, sport=6001)
    only(half_open.client("S"))
    return [opened, inwards, half_open]


def assert_alive(talks: list[Conversation]) -> None:
    *_, half_open = talks
    only(half_open.server("SA"))
    for talk in talks:
        assert len(talk.client("PA", b"still here")) == 1
        assert len(talk.server("PA", b"and here")) == 1


@pytest.mark.parametrize("flood", ["syns", "scan", "datagrams"])
def test_flood_of_one_endpoint_takes_nothing_from_the_others(flood: str) -> None:
    made = lab(connections=300)
    talks = live_connections(made)
    for number in range(600):
        match flood:
            case "syns":
                packet = TCP(sport=1024 + number, dport=80, flags="S", seq=number)
            case "scan":
                packet = TCP(sport=50000, dport=1 + number, flags="S", seq=number)
            case _:
                packet = UDP(sport=1024 + number, dport=7000)
        seen = made.exchange(made.a, IP(src=made.a.ip, dst=S1) / packet)
        assert len(seen["outside"]) == 1
    assert len(made.switch.tables.connections) == 300
    assert_alive(talks)


def test_flood_of_answered_connections_leaves_the_others_theirs_and_is_refused() -> None:
    made = quiet_lab(
        translation=Translation(quotas=Quotas(connections=50)), limits=Limits(connections=100)
    )
    talks = live_connections(made)
    for number in range(80):
        udp(made, made.a, 2000 + number)
        answer(made, 2000 + number)
    assert made.drops[DropReason.CONNECTION_QUOTA] == 30
    assert_alive(talks)
    assert len(udp(made, made.b, 7000)["outside"]) == 1


def test_flood_over_few_ports_leaves_the_others_theirs_and_is_refused() -> None:
    made = quiet_lab(
        translation=Translation(quotas=Quotas(mappings=8)),
        outside=Outside(ports=(range(2000, 2016), range(6000, 6002))),
    )
    talks = live_connections(made)
    for number in range(80):
        udp(made, made.a, 2000 + number)
    assert made.drops[DropReason.MAPPING_QUOTA] == 72
    assert_alive(talks)
    assert len(udp(made, made.b, 7000)["outside"]) == 1


def test_scan_from_outside_takes_nothing_from_anybody() -> None:
    made = lab(connections=20)
    talks = live_connections(made)
    for port in range(1, 400):
        for packet in (TCP(sport=4444, dport=port, flags="S"), UDP(sport=4444, dport=port)):
            made.exchange(made.outside, IP(src="198.51.100.66", dst=UPLINK_ADDRESS) / packet)
    assert len(made.switch.tables.connections) == 3
    assert_alive(talks)


def test_flood_to_a_published_port_gives_up_its_own_half_open_ones() -> None:
    made = lab(connections=50)
    talks = live_connections(made)
    for number in range(200):
        syn = TCP(sport=1024 + number, dport=8080, flags="S")
        assert len(made.exchange(made.outside, IP(src=S1, dst=UPLINK_ADDRESS) / syn)["b"]) == 1
    assert len(made.switch.tables.connections) == 50
    states = [each.state for each in made.switch.tables.connections]
    assert states.count(State.ESTABLISHED) == 2
    assert_alive(talks)
