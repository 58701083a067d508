"""What a witness tells: every frame where it comes in and where it leaves, and why."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether

from tests.dataplane.oracle import Oracle, query
from tests.harness import UPLINK_ADDRESS, Lab
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.verdict import Fate
from vswitch.debug.sight import Direction, Sight
from vswitch.debug.witness import Witness
from vswitch.units import SECOND
from vswitch.wire.offload import HEADER_LENGTH

S1 = "198.51.100.1"


def watched(lab: Lab, snap_length: int = 2000) -> list[Sight]:
    sights: list[Sight] = []
    Witness(lab.switch).add(sights.append, snap_length)
    return sights


def datagram(lab: Lab) -> IP:
    return IP(src=lab.a.ip, dst=S1) / UDP(sport=5000, dport=7000) / b"hello"


def sources(sights: list[Sight]) -> list[str]:
    return [Ether(sight.frame[HEADER_LENGTH:])[IP].src for sight in sights]


def test_translated_frame_is_seen_before_and_behind_with_one_flow_number() -> None:
    lab = Lab().meet_everyone()
    sights = watched(lab)
    for _ in range(2):  # the pipeline decides about the first, the fast path has the second
        lab.exchange(lab.a, datagram(lab))
    (connection,) = lab.switch.tables.connections
    assert [sight.flow for sight in sights] == [connection.number] * 4
    assert [sight.port for sight in sights] == [lab.a.port, lab.outside.port] * 2
    assert [sight.direction for sight in sights] == [Direction.RECEIVED, Direction.SENT] * 2
    assert sources(sights) == [lab.a.ip, UPLINK_ADDRESS] * 2


def test_dropped_frame_is_seen_with_its_reason() -> None:
    lab = Lab().meet_everyone()
    sights = watched(lab)
    lab.exchange(lab.outside, IP(src=S1, dst=UPLINK_ADDRESS) / TCP(sport=1, dport=2, flags="S"))
    (sight,) = sights
    assert (sight.fate, sight.reason) == (Fate.DROPPED, DropReason.NOT_PUBLISHED)
    assert "not_published" in sight.comment
    assert "port 2 of 203.0.113.1 is neither published nor mapped" in sight.comment


def test_frame_that_waited_is_seen_leaving_in_its_own_flow() -> None:
    lab = Lab()
    lab.send(lab.a, lab.arp_request(lab.a, lab.gateway_of(lab.a)))
    lab.exchange(lab.a, datagram(lab))
    sights = watched(lab)
    lab.send(lab.outside, lab.arp_request(lab.outside, UPLINK_ADDRESS))
    (connection,) = lab.switch.tables.connections
    arp, *sent = sights
    assert arp.flow == 0
    assert (Fate.FORWARDED, connection.number) in [(each.fate, each.flow) for each in sent]


def test_frame_is_cut_to_the_snap_length_and_keeps_its_true_length() -> None:
    lab = Lab().meet_everyone()
    sights = watched(lab, snap_length=60)
    packet = IP(src=lab.a.ip, dst=S1) / ICMP(type=8, id=1) / bytes(500)
    lab.exchange(lab.a, packet)
    assert {len(sight.frame) for sight in sights} == {HEADER_LENGTH + 60}
    assert {sight.original_length for sight in sights} == {14 + 20 + 8 + 500}


def test_what_the_switch_sends_by_itself_is_seen() -> None:
    lab = Lab()
    sights = watched(lab)
    lab.switch.transmit(lab.switch.announce(lab.network("front").number), lab.now)
    assert {sight.direction for sight in sights} == {Direction.SENT}
    assert len(sights) == 2


def test_what_a_timer_sends_has_nothing_to_do_with_the_last_frame() -> None:
    lab = Lab().meet_everyone()
    lab.exchange(lab.a, IP(src=lab.a.ip, dst="203.0.113.9") / UDP(sport=1, dport=2))
    sights = watched(lab)
    lab.exchange(lab.b, IP(src=lab.b.ip, dst=S1) / UDP())
    lab.pass_time(1 * SECOND)
    asked = sights[-1]
    assert (asked.direction, asked.flow) == (Direction.SENT, 0)
    assert "by itself" in asked.comment


def test_answer_to_a_query_that_had_waited_says_so() -> None:
    lab = Lab().meet_everyone()
    queries = lab.switch.tables.queries
    queries.front = Oracle()
    sights = watched(lab)
    lab.send(lab.a, query(lab, lab.a, b"ask"))
    lab.send(lab.b, lab.arp_request(lab.b, "10.0.0.1"))
    lab.now += SECOND
    (waiting,) = queries.take()
    lab.switch.answer_query(waiting, b"they say", lab.now)
    words = "a query for debian.org A, asked of servers"
    assert (sights[0].fate, sights[0].words[-1]) == (Fate.ABSORBED, words)
    assert (sights[-1].direction, sights[-1].port) == (Direction.SENT, lab.a.port)
    assert sights[-1].comment == f"answered; {words}, which have answered"


def test_nobody_is_told_any_more_once_the_last_sink_is_gone() -> None:
    lab = Lab().meet_everyone()
    sights: list[Sight] = []
    witness = Witness(lab.switch)
    witness.add(sights.append, 100)
    witness.remove(sights.append)
    lab.exchange(lab.a, datagram(lab))
    assert sights == []
    assert lab.switch.fastpath.observer is None
