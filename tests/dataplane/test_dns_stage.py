"""Queries to the gateway's port 53: who is heard, what leaves, what waits, and what is counted."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scapy.packet import Packet

from tests.dataplane.corpus import cut
from tests.dataplane.oracle import GATEWAY, OTHER_GATEWAY, Oracle, query
from tests.harness import (
    IP,
    UDP,
    Host,
    Lab,
    assert_checksums_right,
    only,
)
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.queries import MOST_WAITING, Query
from vswitch.dataplane.responders.dns.front import Asker
from vswitch.dataplane.verdict import Fate
from vswitch.policy import PortPolicy
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import HEADER_LENGTH, NEEDS_CSUM, OffloadHeader
from vswitch.wire.values import IpAddress, MacAddress, Protocol


@pytest.fixture
def oracle() -> Oracle:
    return Oracle()


@pytest.fixture
def lab(oracle: Oracle) -> Lab:
    lab = Lab().meet_everyone()
    lab.switch.tables.queries.front = oracle
    for host in lab.hosts.values():
        lab.received(host)
    return lab


def heard(lab: Lab, host: Host) -> bytes:
    """What a host is told, in one datagram from the gateway's port 53 to its own."""
    frame = only(lab.received(host))
    assert (frame.src, frame.dst) == (host.gateway_mac, host.mac)
    assert (frame[IP].src, frame[IP].dst) == (lab.gateway_of(host), host.ip)
    assert (frame[UDP].sport, frame[UDP].dport) == (53, 4000)
    assert_checksums_right(frame)
    return bytes(frame[UDP].payload)


def trail(lab: Lab, host: Host, frame: Packet) -> list[str]:
    verdict = lab.switch.trace(host.port, bytearray(HEADER_LENGTH) + bytes(frame), lab.now)
    return [str(finding) for finding in verdict.trail]


# Who is heard


def test_gateway_answers_who_asks_it(lab: Lab, oracle: Oracle) -> None:
    lab.send(lab.a, query(lab, lab.a))
    assert heard(lab, lab.a) == b"answer"
    network = lab.network("front").number
    assert oracle.asked == [(b"known", Asker(network, IpAddress.parse("10.0.0.2")))]
    assert lab.switch.counters.fates[Fate.ANSWERED] == 5  # four of them ARP
    assert not len(lab.switch.tables.connections)


def test_every_network_asks_its_own_gateway_alone(lab: Lab, oracle: Oracle) -> None:
    lab.send(lab.c, query(lab, lab.c, to=OTHER_GATEWAY))
    assert heard(lab, lab.c) == b"answer"
    lab.send(lab.c, query(lab, lab.c, to=GATEWAY))
    assert lab.drops == {DropReason.NO_SERVICE: 1}
    assert [asker.network for _, asker in oracle.asked] == [lab.network("back").number]


def test_outside_is_not_heard(lab: Lab, oracle: Oracle) -> None:
    lab.send(lab.outside, query(lab, lab.outside, to="203.0.113.1"))
    assert lab.received(lab.outside) == []
    assert oracle.asked == []


def test_network_may_have_no_names_at_its_gateway(lab: Lab, oracle: Oracle) -> None:
    lab.switch.changes.set_answering(lab.network("front").number, answers=False)
    lab.send(lab.a, query(lab, lab.a))
    assert (lab.drops, oracle.asked) == ({DropReason.NO_SERVICE: 1}, [])


def test_switch_without_names_refuses_as_any_closed_port(oracle: Oracle) -> None:
    lab = Lab().meet_everyone()
    lab.send(lab.a, query(lab, lab.a))
    assert lab.drops == {DropReason.NO_SERVICE: 1}


@pytest.mark.parametrize("source", ["10.1.0.9", "203.0.113.7", "0.0.0.0", "10.0.255.255"])
def test_address_that_is_not_on_the_network_may_not_ask(
    lab: Lab, oracle: Oracle, source: str
) -> None:
    frame = query(lab, lab.a)
    frame[IP].src = source
    lab.send(lab.a, frame)
    assert (lab.received(lab.a), oracle.asked) == ([], [])


def test_guarded_port_asks_in_its_own_name(lab: Lab, oracle: Oracle) -> None:
    stations, addresses = {MacAddress.parse(lab.a.mac)}, {IpAddress.parse(lab.a.ip)}
    policy = PortPolicy(stations=frozenset(stations), addresses=frozenset(addresses))
    lab.switch.changes.set_port_policy(lab.a.port, policy)
    frame = query(lab, lab.a)
    frame[IP].src = lab.b.ip
    lab.send(lab.a, frame)
    assert (lab.drops, oracle.asked) == ({DropReason.ADDRESS_SPOOFED: 1}, [])
    lab.send(lab.a, query(lab, lab.a))
    assert heard(lab, lab.a) == b"answer"


def test_what_is_published_at_the_port_goes_first(lab: Lab, oracle: Oracle) -> None:
    lab.publish(53, lab.b, 53, Protocol.UDP)
    lab.send(lab.a, query(lab, lab.a))
    assert only(lab.received(lab.b))[IP].dst == lab.b.ip
    assert oracle.asked == []


def test_host_on_the_network_is_asked_where_the_gateway_does_not_answer(
    lab: Lab, oracle: Oracle
) -> None:
    host = lab.add_host_port("front")
    lab.send(lab.a, query(lab, lab.a))
    assert heard(lab, lab.a) == b"answer"
    assert lab.received(host) == []
    lab.switch.changes.set_answering(lab.network("front").number, answers=False)
    lab.send(lab.a, query(lab, lab.a))
    assert only(lab.received(host))[UDP].dport == 53
    assert len(oracle.asked) == 1


# What is said


def test_answer_that_is_too_long_for_the_network_leaves_in_fragments(
    lab: Lab, oracle: Oracle
) -> None:
    oracle.answer = bytes(range(256)) * 16
    lab.send(lab.a, query(lab, lab.a))
    pieces = lab.received(lab.a)
    assert len(pieces) == 3
    assert all(len(piece[IP]) <= 1500 and not piece[IP].flags.DF for piece in pieces)
    assert len({piece[IP].id for piece in pieces}) == 1
    octets = b"".join(bytes(piece[IP].payload) for piece in pieces)
    assert octets[8:] == oracle.answer


def test_answer_that_fits_leaves_whole(lab: Lab, oracle: Oracle) -> None:
    oracle.answer = bytes(1500 - 28)
    lab.send(lab.a, query(lab, lab.a))
    assert len(only(lab.received(lab.a))[IP]) == 1500


def test_query_in_fragments_is_heard_when_it_is_whole(lab: Lab, oracle: Oracle) -> None:
    whole = query(lab, lab.a, b"known" + bytes(2000))
    first, *others = cut(IP(bytes(whole[IP])), 1024)
    for piece in (*others, first):
        assert lab.received(lab.a) == []
        lab.send(lab.a, lab.routed(lab.a, piece))
    assert heard(lab, lab.a) == b"answer"
    assert [octets for octets, _ in oracle.asked] == [b"known" + bytes(2000)]


def test_query_whose_checksum_is_unfinished_is_heard(lab: Lab) -> None:
    frame = query(lab, lab.a)
    frame[UDP].chksum = 0x1234
    header = OffloadHeader(flags=NEEDS_CSUM, checksum_start=34, checksum_offset=6)
    lab.send(lab.a, frame, header.pack())
    assert heard(lab, lab.a) == b"answer"


def test_query_with_a_wrong_checksum_is_not_heard(lab: Lab, oracle: Oracle) -> None:
    frame = query(lab, lab.a)
    frame[UDP].chksum = 0x1234
    lab.send(lab.a, frame)
    assert (lab.drops, oracle.asked) == ({Malformed.UDP_BAD_CHECKSUM: 1}, [])
    frame[UDP].chksum = 0
    lab.send(lab.a, frame)
    assert heard(lab, lab.a) == b"answer"


@pytest.mark.parametrize(("text", "sport"), [(b"\0", 4000), (b"known", 0)])
def test_what_can_not_be_answered_is_dropped_in_silence(lab: Lab, text: bytes, sport: int) -> None:
    lab.send(lab.a, query(lab, lab.a, text, sport=sport))
    assert lab.drops == {DropReason.NO_QUERY: 1}
    assert lab.received(lab.a) == []


# What waits


def taken(lab: Lab) -> list[Query]:
    assert lab.switch.news.is_any
    return lab.switch.tables.queries.take()


def test_query_for_servers_waits_until_one_has_spoken(lab: Lab) -> None:
    lab.send(lab.a, query(lab, lab.a, b"ask"))
    assert lab.switch.counters.fates[Fate.ABSORBED] == 1
    waiting = only(taken(lab))
    assert (waiting.message, waiting.inquiry.name) == (b"ask", b"ask")
    assert not lab.switch.news.is_any
    assert lab.received(lab.a) == []
    lab.switch.answer_query(waiting, b"they say", lab.now)
    assert heard(lab, lab.a) == b"they say"
    lab.switch.answer_query(waiting, b"again", lab.now)
    assert lab.received(lab.a) == []


def test_query_that_nothing_is_to_be_said_to_waits_no_longer(lab: Lab) -> None:
    lab.send(lab.a, query(lab, lab.a, b"ask"))
    lab.switch.answer_query(only(taken(lab)), None, lab.now)
    assert lab.received(lab.a) == []
    assert not len(lab.switch.tables.queries)


def test_who_has_gone_is_told_nothing(lab: Lab) -> None:
    lab.send(lab.a, query(lab, lab.a, b"ask"))
    lab.send(lab.b, query(lab, lab.b, b"ask"))
    first, second = taken(lab)
    a, b = lab.a, lab.b
    lab.detach(a)
    for each in (first, second):
        lab.switch.answer_query(each, b"they say", lab.now)
    assert lab.received(a) == []
    assert heard(lab, b) == b"they say"


def test_who_has_gone_before_anybody_has_taken_note_is_not_asked_for(lab: Lab) -> None:
    lab.send(lab.a, query(lab, lab.a, b"ask"))
    lab.detach(lab.a)
    assert taken(lab) == []


def test_port_that_asks_without_end_takes_no_room_from_others(lab: Lab) -> None:
    for number in range(MOST_WAITING + 10):
        lab.send(lab.a, query(lab, lab.a, b"ask", sport=10_000 + number))
    assert lab.drops == {DropReason.QUERIES_WAITING: 10}
    lab.send(lab.b, query(lab, lab.b, b"ask"))
    lab.send(lab.a, query(lab, lab.a))
    assert heard(lab, lab.a) == b"answer"
    waiting = taken(lab)
    assert len(waiting) == MOST_WAITING + 1
    lab.switch.answer_query(waiting[0], None, lab.now)
    lab.send(lab.a, query(lab, lab.a, b"ask"))
    assert lab.drops == {DropReason.QUERIES_WAITING: 10}


# What is told about it


def test_trail_says_what_was_asked_and_who_answers(lab: Lab, oracle: Oracle) -> None:
    assert "a query for web.front A, answered from names" in trail(lab, lab.a, query(lab, lab.a))
    asked = query(lab, lab.a, b"ask")
    assert "a query for debian.org A, asked of servers" in trail(lab, lab.a, asked)
    assert oracle.asked == []
    assert not lab.switch.news.is_any
    assert not len(lab.switch.tables.queries)


# Whatever comes


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    payloads=st.lists(
        st.tuples(st.sampled_from([b"known", b"ask", b""]), st.binary(max_size=40)), max_size=6
    ),
    damage=st.lists(st.tuples(st.integers(14, 60), st.integers(0, 255)), max_size=2),
    length=st.none() | st.integers(14, 60),
)
def test_every_frame_to_the_port_ends_in_one_fate(
    payloads: list[tuple[bytes, bytes]], damage: list[tuple[int, int]], length: int | None
) -> None:
    lab = Lab()
    lab.switch.tables.queries.front = Oracle()
    for start, rest in payloads:
        frame = bytearray(bytes(query(lab, lab.a, start + rest)))
        for at, value in damage:
            if at < len(frame):
                frame[at] = value
        lab.send(lab.a, bytes(frame[:length]))
    counters, waiting = lab.switch.counters, lab.switch.tables.queries
    assert counters.fates.total() == len(payloads)
    assert counters.drops.total() == counters.fates[Fate.DROPPED]
    assert len(waiting) == len(waiting.take()) <= counters.fates[Fate.ABSORBED]
