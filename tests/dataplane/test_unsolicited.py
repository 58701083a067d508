"""SYNs that nobody asked for (RFC 5382, REQ-4): the table by itself, and through the switch."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP
from scapy.packet import Packet

from tests.dataplane.conversation import CLIENT_FIRST, S1, Conversation, ip, quiet_lab
from tests.harness import UPLINK_ADDRESS, Lab, assert_checksums_right, only
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.flow import FlowTuple
from vswitch.dataplane.unsolicited import Held, HeldSyn, HeldSyns
from vswitch.translation import Limits, Outside, Unsolicited
from vswitch.units import MILLISECOND, SECOND
from vswitch.wire.values import Protocol


def flow(port: int) -> FlowTuple:
    return FlowTuple(2, Protocol.TCP, ip(S1), port, ip(UPLINK_ADDRESS), 80)


def syn(number: int, port: int = 1) -> HeldSyn:
    return HeldSyn(port, bytes((number,)))


# The table


def test_syn_is_handed_out_at_its_time() -> None:
    table = HeldSyns(10)
    assert table.hold(flow(1), syn(1), 6 * SECOND) is Held.HELD
    assert table.hold(flow(2), syn(2), 7 * SECOND) is Held.HELD
    assert table.next_deadline() == 6 * SECOND
    assert table.due(6 * SECOND - 1) == []
    assert table.due(6 * SECOND) == [syn(1)]
    assert table.due(7 * SECOND) == [syn(2)]
    assert (table.next_deadline(), len(table)) == (None, 0)


def test_syn_that_is_repeated_does_not_wait_anew() -> None:
    table = HeldSyns(10)
    table.hold(flow(1), syn(1), 6 * SECOND)
    assert table.hold(flow(1), syn(2), 9 * SECOND) is Held.AGAIN
    assert table.due(6 * SECOND) == [syn(1)]
    assert table.due(9 * SECOND) == []


def test_forgotten_syn_is_not_handed_out() -> None:
    table = HeldSyns(10)
    table.hold(flow(1), syn(1), 6 * SECOND)
    table.forget(flow(1))
    table.forget(flow(2))
    assert table.next_deadline() is None
    assert table.due(9 * SECOND) == []


def test_full_table_takes_no_more_and_keeps_what_it_has() -> None:
    table = HeldSyns(2)
    for number in (1, 2):
        table.hold(flow(number), syn(number), 6 * SECOND)
    assert table.hold(flow(3), syn(3), 6 * SECOND) is Held.FULL
    assert table.hold(flow(1), syn(1), 6 * SECOND) is Held.AGAIN
    assert table.due(6 * SECOND) == [syn(1), syn(2)]


def test_port_that_goes_away_takes_its_syns_along() -> None:
    table = HeldSyns(10)
    table.hold(flow(1), syn(1, port=1), 6 * SECOND)
    table.hold(flow(2), syn(2, port=2), 6 * SECOND)
    table.forget_port(1)
    assert table.due(6 * SECOND) == [syn(2, port=2)]


# Through the switch


def into(lab: Lab, port: int = 5000, sport: int = 80, **fields: object) -> Packet:
    segment = TCP(**{"sport": sport, "dport": port, "flags": "S", "seq": 77, **fields})
    return IP(src=S1, dst=UPLINK_ADDRESS) / segment


def test_nothing_is_said_for_six_seconds_and_then_that_the_port_is_unreachable() -> None:
    lab = quiet_lab()
    packet = into(lab)
    assert not any(lab.exchange(lab.outside, packet).values())
    assert lab.drops == {DropReason.NOT_PUBLISHED: 1}
    lab.pass_time(6 * SECOND - 1 * MILLISECOND)
    assert lab.received(lab.outside) == []
    lab.pass_time(1 * MILLISECOND)
    error = only(lab.received(lab.outside))
    assert (error[IP].src, error[IP].dst) == (UPLINK_ADDRESS, S1)
    assert (error[ICMP].type, error[ICMP].code) == (3, 3)
    assert bytes(error[ICMP].payload) == bytes(packet)
    assert_checksums_right(error)
    lab.pass_time(60 * SECOND)
    assert lab.received(lab.outside) == []


def test_repeated_syn_is_refused_once() -> None:
    lab = quiet_lab()
    for _ in range(3):
        lab.exchange(lab.outside, into(lab))
        lab.pass_time(1 * SECOND)
    lab.pass_time(60 * SECOND)
    assert len(lab.received(lab.outside)) == 1


def test_inside_that_opens_to_the_same_peer_meanwhile_is_not_disturbed() -> None:
    lab = quiet_lab()
    lab.exchange(lab.outside, into(lab))
    lab.pass_time(3 * SECOND)
    talk = Conversation.outwards(lab)
    assert only(talk.client("S"))[TCP].sport == 5000
    assert len(lab.exchange(lab.outside, into(lab))["a"]) == 1
    only(talk.client("SA", seq=CLIENT_FIRST, ack=78))
    lab.pass_time(60 * SECOND)
    assert lab.received(lab.outside) == []


def test_inside_that_opens_to_another_peer_changes_nothing() -> None:
    lab = quiet_lab()
    lab.exchange(lab.outside, into(lab))
    Conversation.outwards(lab, server="198.51.100.2").client("S")
    lab.pass_time(6 * SECOND)
    assert len(lab.received(lab.outside)) == 1


def test_uplink_that_drops_what_is_unsolicited_says_nothing_at_all() -> None:
    lab = quiet_lab(outside=Outside(unsolicited=Unsolicited.DROP))
    lab.exchange(lab.outside, into(lab))
    lab.pass_time(60 * SECOND)
    assert lab.received(lab.outside) == []
    assert len(lab.switch.tables.held_syns) == 0
    assert lab.drops == {DropReason.NOT_PUBLISHED: 1}


def test_time_to_wait_can_be_set() -> None:
    lab = quiet_lab(outside=Outside(unsolicited_after=9 * SECOND))
    lab.exchange(lab.outside, into(lab))
    lab.pass_time(9 * SECOND - 1)
    assert lab.received(lab.outside) == []
    lab.pass_time(1)
    assert len(lab.received(lab.outside)) == 1


def test_syns_beyond_the_limit_are_dropped_and_nothing_is_said_about_them() -> None:
    lab = quiet_lab(limits=Limits(held_syns=2))
    for sport in (1, 2, 3):
        lab.exchange(lab.outside, into(lab, sport=sport))
    assert lab.drops == {DropReason.NOT_PUBLISHED: 3}
    lab.pass_time(60 * SECOND)
    assert [error[ICMP].payload.payload.sport for error in lab.received(lab.outside)] == [1, 2]


def test_syn_to_a_mapping_that_filters_its_sender_is_held_too() -> None:
    lab = quiet_lab()
    Conversation.outwards(lab, server="198.51.100.2").client("S")
    lab.exchange(lab.outside, into(lab))
    assert lab.drops == {DropReason.FILTERED: 1}
    lab.pass_time(6 * SECOND)
    assert only(lab.received(lab.outside))[ICMP].code == 3


@pytest.mark.parametrize("flags", ["SA", "A", "RA", "R", "FA"])
def test_nothing_but_a_syn_is_ever_answered(flags: str) -> None:
    lab = quiet_lab()
    lab.exchange(lab.outside, into(lab, flags=flags))
    assert lab.switch.tables.held_syns.next_deadline() is None
    lab.pass_time(60 * SECOND)
    assert lab.received(lab.outside) == []


def test_refusals_are_within_the_rate_of_errors() -> None:
    lab = quiet_lab(limits=Limits(errors_per_second=3))
    for sport in range(1, 8):
        lab.exchange(lab.outside, into(lab, sport=sport))
    lab.pass_time(6 * SECOND)
    assert len(lab.received(lab.outside)) == 3
    assert lab.switch.tables.errors_withheld == 4


def test_port_that_is_gone_is_told_nothing() -> None:
    lab = quiet_lab()
    lab.exchange(lab.outside, into(lab))
    lab.switch.remove_port(lab.outside.port)
    assert len(lab.switch.tables.held_syns) == 0


def test_syn_to_a_port_that_is_published_meanwhile_is_not_refused() -> None:
    lab = quiet_lab()
    lab.exchange(lab.outside, into(lab, port=8080))
    lab.publish(8080, lab.b, 80)
    assert len(lab.exchange(lab.outside, into(lab, port=8080))["b"]) == 1
    lab.pass_time(60 * SECOND)
    assert [packet for packet in lab.received(lab.outside) if ICMP in packet] == []
