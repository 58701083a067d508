"""NAPT: out and back, endpoint-independent mapping, clashes, lives and ends of connections."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Packet

from tests.harness import UPLINK_ADDRESS, Host, Lab, assert_checksums_right, only
from vswitch.dataplane import conntrack
from vswitch.dataplane.conntrack import State
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.mappings import HIGH_PORTS, LIFETIME, External, Internal, Mapping
from vswitch.units import HOUR, MINUTE, SECOND, Nanoseconds
from vswitch.wire.values import IpAddress, Protocol

S1, S2, S3 = "198.51.100.1", "198.51.100.2", "198.51.100.3"


def lab() -> Lab:
    made = Lab().meet_everyone()
    made.answering = True
    made.add_host("d", "front", "10.0.0.4")
    made.send(made.hosts["d"], made.arp_request(made.hosts["d"], "10.0.0.1"))
    for host in made.hosts.values():
        made.received(host)
    return made


def udp_out(lab: Lab, host: Host, sport: int, server: str, dport: int) -> Packet:
    """What comes out of the uplink for a datagram."""
    packet = IP(src=host.ip, dst=server) / UDP(sport=sport, dport=dport) / b"question"
    return only(lab.exchange(host, packet)["outside"])


def udp_back(lab: Lab, server: str, sport: int, external: int) -> dict[str, list[Packet]]:
    packet = IP(src=server, dst=UPLINK_ADDRESS) / UDP(sport=sport, dport=external) / b"answer"
    return lab.exchange(lab.outside, packet)


def tcp_out(lab: Lab, host: Host, flags: str, sport: int = 5000, server: str = S1) -> list[Packet]:
    packet = IP(src=host.ip, dst=server) / TCP(sport=sport, dport=80, flags=flags)
    return lab.exchange(host, packet)["outside"]


def tcp_back(lab: Lab, flags: str, external: int = 5000, server: str = S1) -> list[Packet]:
    packet = IP(src=server, dst=UPLINK_ADDRESS) / TCP(sport=80, dport=external, flags=flags)
    return lab.exchange(lab.outside, packet)["a"]


def opened(lab: Lab) -> None:
    """a:5000 has a connection to S1:80."""
    only(tcp_out(lab, lab.a, "S"))
    only(tcp_back(lab, "SA"))
    only(tcp_out(lab, lab.a, "A"))


def state(lab: Lab) -> State:
    (connection,) = lab.switch.tables.connections
    return connection.state


def drop_count(lab: Lab, reason: DropReason) -> int:
    return lab.drops.get(reason, 0)


# Out and back


def test_datagram_leaves_with_the_uplinks_address_and_its_own_port() -> None:
    made = lab()
    sent = udp_out(made, made.a, 5000, S1, 7000)
    assert (sent[IP].src, sent[UDP].sport) == (UPLINK_ADDRESS, 5000)
    assert (sent[IP].dst, sent[UDP].dport) == (S1, 7000)
    assert bytes(sent[UDP].payload) == b"question"
    assert_checksums_right(sent)


def test_answer_comes_back_to_who_asked() -> None:
    made = lab()
    udp_out(made, made.a, 5000, S1, 7000)
    answers = udp_back(made, S1, 7000, 5000)
    back = only(answers["a"])
    assert (back[IP].src, back[UDP].sport) == (S1, 7000)
    assert (back[IP].dst, back[UDP].dport) == (made.a.ip, 5000)
    assert (back.src, back.dst, back[IP].ttl) == (made.a.gateway_mac, made.a.mac, 63)
    assert_checksums_right(back)
    assert answers["b"] == []


def test_later_frames_of_both_directions_go_the_short_way_and_look_the_same() -> None:
    made = lab()
    first_out = udp_out(made, made.a, 5000, S1, 7000)
    first_back = only(udp_back(made, S1, 7000, 5000)["a"])
    before = made.hits()
    assert bytes(udp_out(made, made.a, 5000, S1, 7000)) == bytes(first_out)
    assert bytes(only(udp_back(made, S1, 7000, 5000)["a"])) == bytes(first_back)
    assert made.hits() == before + 2


def test_udp_without_a_checksum_is_translated_and_stays_without() -> None:
    made = lab()
    packet = IP(src=made.a.ip, dst=S1) / UDP(sport=5000, dport=7000, chksum=0) / b"question"
    for _ in range(2):
        sent = only(made.exchange(made.a, packet)["outside"])
        assert (sent[IP].src, sent[UDP].chksum) == (UPLINK_ADDRESS, 0)


def test_udp_bytes_behind_the_datagram_are_carried_unchanged() -> None:
    """RFC 9868's surplus: the checksum covers the UDP length only."""
    made = lab()
    datagram = UDP(sport=5000, dport=7000, len=10) / b"xy"
    packet = IP(src=made.a.ip, dst=S1) / datagram / b"surplus"
    sent = only(made.exchange(made.a, packet)["outside"])
    assert bytes(sent[IP]).endswith(b"xysurplus")
    assert sent[IP].src == UPLINK_ADDRESS


@pytest.mark.parametrize("identifier", [9, 0])
def test_echo_goes_out_and_its_answer_comes_back(identifier: int) -> None:
    made = lab()
    packet = IP(src=made.a.ip, dst=S1) / ICMP(type=8, id=identifier, seq=4) / b"ping"
    sent = only(made.exchange(made.a, packet)["outside"])
    assert (sent[IP].src, sent[ICMP].seq) == (UPLINK_ADDRESS, 4)
    assert sent[ICMP].id == identifier or not identifier
    assert_checksums_right(sent)
    answer = IP(src=S1, dst=UPLINK_ADDRESS) / ICMP(type=0, id=sent[ICMP].id, seq=4) / b"ping"
    back = only(made.exchange(made.outside, answer)["a"])
    assert (back[IP].dst, back[ICMP].type) == (made.a.ip, 0)
    assert (back[ICMP].id, back[ICMP].seq, bytes(back[ICMP].payload)) == (identifier, 4, b"ping")
    assert_checksums_right(back)


def test_two_hosts_that_ping_with_one_identifier_are_told_apart() -> None:
    made = lab()
    ids = {}
    for host in (made.a, made.b):
        packet = IP(src=host.ip, dst=S1) / ICMP(type=8, id=7) / b"ping"
        ids[host.name] = only(made.exchange(host, packet)["outside"])[ICMP].id
    assert ids["a"] == 7 != ids["b"]
    answer = IP(src=S1, dst=UPLINK_ADDRESS) / ICMP(type=0, id=ids["b"]) / b"ping"
    back = made.exchange(made.outside, answer)
    assert only(back["b"])[ICMP].id == 7
    assert back["a"] == []


# Mapping (RFC 4787)


def test_mapping_is_the_same_for_every_destination() -> None:
    made = lab()
    udp_out(made, made.b, 5000, S3, 9)
    ports = {
        udp_out(made, made.a, 5000, server, port)[UDP].sport
        for server, port in ((S1, 7000), (S1, 7001), (S2, 7000), (S3, 9))
    }
    assert len(ports) == 1
    assert ports != {5000}


def test_no_two_hosts_share_an_external_port_even_towards_different_servers() -> None:
    made = lab()
    assert udp_out(made, made.a, 5000, S1, 7000)[UDP].sport == 5000
    clashed = udp_out(made, made.b, 5000, S2, 9)[UDP].sport
    assert clashed != 5000
    assert clashed % 2 == 0
    assert clashed in HIGH_PORTS


def test_answers_to_clashing_hosts_reach_the_right_one() -> None:
    made = lab()
    udp_out(made, made.a, 5000, S1, 7000)
    clashed = udp_out(made, made.b, 5000, S1, 7000)[UDP].sport
    back = udp_back(made, S1, 7000, clashed)
    assert only(back["b"])[UDP].dport == 5000
    assert back["a"] == []


def test_networks_share_the_uplink_without_sharing_ports() -> None:
    made = lab()
    assert udp_out(made, made.a, 5000, S1, 7000)[UDP].sport == 5000
    other = udp_out(made, made.c, 5000, S1, 7000)[UDP].sport
    assert other != 5000
    assert only(udp_back(made, S1, 7000, other)["c"])[IP].dst == made.c.ip


def test_udp_and_tcp_have_ports_of_their_own() -> None:
    made = lab()
    udp_out(made, made.a, 5000, S1, 7000)
    assert only(tcp_out(made, made.b, "S"))[TCP].sport == 5000


def test_stranger_is_not_let_in_by_another_ones_mapping() -> None:
    made = lab()
    udp_out(made, made.a, 5000, S1, 7000)
    for server, port in ((S2, 7000), (S1, 7001)):
        assert udp_back(made, server, port, 5000)["a"] == []
    assert made.drops == {DropReason.NOT_PUBLISHED: 2}


def test_unsolicited_datagram_before_does_not_change_the_port_after() -> None:
    made = lab()
    udp_back(made, S2, 7000, 5000)
    assert udp_out(made, made.a, 5000, S2, 7000)[UDP].sport == 5000


def test_answer_to_another_protocols_port_is_not_let_in() -> None:
    made = lab()
    udp_out(made, made.a, 5000, S1, 80)
    assert tcp_back(made, "SA") == []


flows = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "d"]),
        st.sampled_from([80, 81, 5000, 5001]),
        st.sampled_from([S1, S2, S3]),
        st.sampled_from([7000, 7001]),
    ),
    min_size=1,
    max_size=10,
)


@settings(max_examples=25)
@given(flows=flows)
def test_external_port_depends_on_the_inside_endpoint_alone(
    flows: list[tuple[str, int, str, int]],
) -> None:
    made = lab()
    external: dict[tuple[str, int], int] = {}
    for name, port, server, server_port in flows:
        sent = udp_out(made, made.hosts[name], port, server, server_port)[UDP].sport
        assert external.setdefault((name, port), sent) == sent
        back = udp_back(made, server, server_port, sent)
        assert only(back[name])[UDP].dport == port
    assert len(set(external.values())) == len(external)


def test_when_every_port_is_taken_the_sender_is_told() -> None:
    made = lab()
    mappings = made.switch.tables.mappings
    uplink, stranger = IpAddress.parse(UPLINK_ADDRESS), IpAddress.parse("10.0.9.9")
    for port in HIGH_PORTS:
        internal = Internal(1, Protocol.UDP, stranger, port)
        external = External(Protocol.UDP, uplink, port)
        mappings.add(Mapping(internal, external, made.now))
    packet = IP(src=made.a.ip, dst=S1) / UDP(sport=5000, dport=7000) / b"question"
    answers = made.exchange(made.a, packet)
    error = only(answers["a"])
    assert (error[ICMP].type, error[ICMP].code) == (3, 13)
    assert answers["outside"] == []
    assert made.drops == {DropReason.PORTS_EXHAUSTED: 1}
    assert udp_out(made, made.a, 500, S1, 7000)[UDP].sport == 500


def test_when_the_connection_table_is_full_the_sender_is_told_and_nobody_is_evicted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = lab()
    udp_out(made, made.a, 5000, S1, 7000)
    monkeypatch.setattr(made.switch.tables.connections, "_capacity", 1)
    packet = IP(src=made.b.ip, dst=S1) / UDP(sport=5001, dport=7000) / b"question"
    error = only(made.exchange(made.b, packet)["b"])
    assert (error[ICMP].type, error[ICMP].code) == (3, 13)
    assert made.drops == {DropReason.CONNECTION_TABLE_FULL: 1}
    assert len(udp_back(made, S1, 7000, 5000)["a"]) == 1
    assert len(made.switch.tables.mappings) == 1


# The life of a TCP connection


def test_connection_opens_carries_data_and_closes() -> None:
    made = lab()
    only(tcp_out(made, made.a, "S"))
    assert state(made) is State.OPENING
    only(tcp_back(made, "SA"))
    assert state(made) is State.ESTABLISHED
    for _ in range(3):
        only(tcp_out(made, made.a, "PA"))
        only(tcp_back(made, "A"))
    only(tcp_out(made, made.a, "FA"))
    assert state(made) is State.ORIGINAL_CLOSED
    only(tcp_back(made, "PA"))
    only(tcp_back(made, "FA"))
    assert state(made) is State.CLOSING
    only(tcp_out(made, made.a, "A"))
    made.pass_time(4 * MINUTE + 1 * SECOND)
    assert len(made.switch.tables.connections) == 0


def test_server_may_close_first() -> None:
    made = lab()
    opened(made)
    only(tcp_back(made, "FA"))
    assert state(made) is State.REPLY_CLOSED
    only(tcp_out(made, made.a, "PA"))
    only(tcp_out(made, made.a, "FA"))
    assert state(made) is State.CLOSING


def test_data_of_an_open_connection_goes_the_short_way_and_its_end_does_not() -> None:
    made = lab()
    opened(made)
    tcp_back(made, "A")
    before = made.hits()
    for _ in range(4):
        tcp_out(made, made.a, "PA")
        tcp_back(made, "A")
    assert made.hits() == before + 8
    tcp_out(made, made.a, "FA")
    tcp_back(made, "FA")
    assert made.hits() == before + 8


def test_reset_passes_and_shortens_the_life() -> None:
    made = lab()
    opened(made)
    only(tcp_back(made, "R"))
    assert state(made) is State.TRANSITORY
    made.pass_time(4 * MINUTE - 1 * SECOND)
    assert len(made.switch.tables.connections) == 1
    made.pass_time(2 * SECOND)
    assert len(made.switch.tables.connections) == 0


def test_traffic_after_a_reset_revives_the_connection() -> None:
    """The reset may have been forged or out of its window (RFC 6146, 3.5.2.2)."""
    made = lab()
    opened(made)
    for _ in range(2):
        tcp_back(made, "A")
    only(tcp_back(made, "R"))
    only(tcp_out(made, made.a, "A"))
    assert state(made) is State.ESTABLISHED
    made.pass_time(2 * HOUR)
    assert len(tcp_back(made, "A")) == 1


def test_tuple_is_used_again_after_its_end() -> None:
    made = lab()
    opened(made)
    tcp_out(made, made.a, "FA")
    tcp_back(made, "FA")
    assert only(tcp_out(made, made.a, "S"))[TCP].sport == 5000
    assert state(made) is State.OPENING
    only(tcp_back(made, "SA"))
    assert state(made) is State.ESTABLISHED
    assert len(made.switch.tables.connections) == 1


def test_simultaneous_open_passes() -> None:
    made = lab()
    only(tcp_out(made, made.a, "S"))
    only(tcp_back(made, "S"))
    only(tcp_out(made, made.a, "SA"))
    only(tcp_back(made, "SA"))
    assert state(made) is State.ESTABLISHED


@pytest.mark.parametrize("flags", ["A", "PA", "FA", "R", "RA", "SA"])
def test_segment_in_the_middle_of_nothing_is_dropped_and_opens_nothing(flags: str) -> None:
    made = lab()
    assert tcp_out(made, made.a, flags) == []
    assert made.drops == {DropReason.NO_CONNECTION: 1}
    assert len(made.switch.tables.connections) == 0
    assert len(made.switch.tables.mappings) == 0


def test_connect_to_a_silent_server_is_forgotten_after_four_minutes() -> None:
    made = lab()
    only(tcp_out(made, made.a, "S"))
    made.pass_time(4 * MINUTE - 1 * SECOND)
    assert len(tcp_back(made, "SA")) == 1
    again = lab()
    only(tcp_out(again, again.a, "S"))
    again.pass_time(4 * MINUTE + 1 * SECOND)
    assert tcp_back(again, "SA") == []


def test_keepalive_after_two_hours_still_passes() -> None:
    made = lab()
    opened(made)
    for _ in range(3):
        made.pass_time(2 * HOUR)
        assert len(tcp_out(made, made.a, "A")) == 1
        assert len(tcp_back(made, "A")) == 1


# Time


def udp_exchange(made: Lab) -> None:
    udp_out(made, made.a, 5000, S1, 7000)


def echo_exchange(made: Lab) -> None:
    packet = IP(src=made.a.ip, dst=S1) / ICMP(type=8, id=9) / b"ping"
    only(made.exchange(made.a, packet)["outside"])


def udp_answered(made: Lab) -> bool:
    return bool(udp_back(made, S1, 7000, 5000)["a"])


def echo_answered(made: Lab) -> bool:
    answer = IP(src=S1, dst=UPLINK_ADDRESS) / ICMP(type=0, id=9) / b"ping"
    return bool(made.exchange(made.outside, answer)["a"])


@pytest.mark.parametrize(
    ("ask", "answered", "limit"),
    [
        (udp_exchange, udp_answered, 300 * SECOND),
        (echo_exchange, echo_answered, 60 * SECOND),
        (opened, lambda made: bool(tcp_back(made, "A")), 124 * MINUTE),
    ],
)
def test_answer_is_let_in_up_to_the_timeout_and_not_after(
    ask: Callable[[Lab], None], answered: Callable[[Lab], bool], limit: Nanoseconds
) -> None:
    in_time, late = lab(), lab()
    for made in (in_time, late):
        ask(made)
    in_time.pass_time(limit - 1 * SECOND)
    assert answered(in_time)
    late.pass_time(limit + 1 * SECOND)
    assert not answered(late)


def test_fast_path_keeps_a_connection_alive() -> None:
    made = lab()
    hits = made.hits()
    for _ in range(3):
        udp_out(made, made.a, 5000, S1, 7000)
    assert made.hits() == hits + 2
    made.pass_time(290 * SECOND)
    udp_out(made, made.a, 5000, S1, 7000)
    made.pass_time(299 * SECOND)
    assert udp_answered(made)
    made.pass_time(301 * SECOND)
    assert not udp_answered(made)


def test_ended_connection_leaves_nothing_in_the_fast_path() -> None:
    made = lab()
    for _ in range(3):
        udp_out(made, made.a, 5000, S1, 7000)
        assert udp_answered(made)
    assert len(made.switch.fastpath) >= 2
    made.pass_time(301 * SECOND)
    assert len(made.switch.fastpath) == 0


@pytest.mark.parametrize("used_for", [0, 59, 61, 100])
def test_mapping_outlives_its_last_connection_by_its_lifetime(used_for: int) -> None:
    made = lab()
    udp_out(made, made.b, 5000, S1, 7000)
    first = udp_out(made, made.a, 5000, S1, 7000)[UDP].sport
    made.pass_time(used_for * SECOND)
    udp_out(made, made.a, 5000, S1, 7000)
    made.pass_time(300 * SECOND + LIFETIME - 2 * SECOND)
    assert len(made.switch.tables.connections) == 0
    assert udp_out(made, made.a, 5000, S2, 7000)[UDP].sport == first


def test_freed_port_can_be_used_by_another_after_it_has_rested() -> None:
    made = lab()
    udp_out(made, made.a, 5000, S1, 7000)
    made.pass_time(300 * SECOND + LIFETIME - 2 * SECOND)
    assert udp_out(made, made.b, 5000, S1, 7000)[UDP].sport != 5000
    made.pass_time(2 * LIFETIME)
    assert udp_out(made, made.hosts["d"], 5000, S1, 7000)[UDP].sport == 5000


def test_shorter_timeouts_can_be_set() -> None:
    made = Lab(timeouts=conntrack.Timeouts(udp=5 * SECOND)).meet_everyone()
    made.received(made.outside)
    udp_exchange(made)
    made.pass_time(6 * SECOND)
    assert not udp_answered(made)


# Endings from outside the dataplane


def test_endpoint_that_is_gone_leaves_nothing_behind() -> None:
    made = lab()
    opened(made)
    udp_exchange(made)
    made.switch.changes.forget_address(
        made.network("front").number, IpAddress.parse(made.a.ip), made.now
    )
    made.switch.remove_port(made.a.port)
    assert len(made.switch.tables.connections) == 0
    assert len(made.switch.tables.mappings) == 0
    assert IpAddress.parse(made.a.ip) not in {n.address for n in made.network("front").neighbours}
    assert tcp_back(made, "A") == []
    assert not udp_answered(made)
    assert udp_out(made, made.b, 5000, S1, 7000)[UDP].sport == 5000


def test_endpoint_that_is_gone_leaves_the_others_alone() -> None:
    made = lab()
    udp_out(made, made.a, 5000, S1, 7000)
    udp_out(made, made.b, 6000, S1, 7000)
    made.switch.changes.forget_address(
        made.network("front").number, IpAddress.parse(made.a.ip), made.now
    )
    assert len(udp_back(made, S1, 7000, 6000)["b"]) == 1


def test_frame_from_a_group_address_is_refused_although_its_flow_is_known() -> None:
    made = lab()
    for _ in range(2):
        udp_exchange(made)
    frame = made.routed(made.a, IP(src=made.a.ip, dst=S1) / UDP(sport=5000, dport=7000) / b"x")
    frame.src = "03:00:00:00:00:01"
    made.received(made.outside)
    made.send(made.a, frame)
    assert drop_count(made, DropReason.SOURCE_IS_GROUP) == 1
    assert made.received(made.outside) == []
