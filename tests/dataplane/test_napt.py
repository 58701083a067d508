"""NAPT: out and back, endpoint-independent mapping, clashes."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Packet

from tests.dataplane.conversation import S1, S2, S3, Conversation, ip, quiet_lab
from tests.harness import UPLINK_ADDRESS, Host, Lab, assert_checksums_right, only
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.ports import FIRST_HIGH
from vswitch.translation import Outside, Translation


def lab(**kind: object) -> Lab:
    """With one more host on front."""
    made = quiet_lab(**kind)
    made.add_host("d", "front", "10.0.0.4")
    made.send(made.hosts["d"], made.arp_request(made.hosts["d"], "10.0.0.1"))
    made.received(made.hosts["d"])
    return made


def udp_out(lab: Lab, host: Host, sport: int, server: str, dport: int) -> Packet:
    """What comes out of the uplink for a datagram."""
    packet = IP(src=host.ip, dst=server) / UDP(sport=sport, dport=dport) / b"question"
    return only(lab.exchange(host, packet)["outside"])


def udp_back(lab: Lab, server: str, sport: int, external: int) -> dict[str, list[Packet]]:
    packet = IP(src=server, dst=UPLINK_ADDRESS) / UDP(sport=sport, dport=external) / b"answer"
    return lab.exchange(lab.outside, packet)


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
    assert clashed >= FIRST_HIGH


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
    assert only(Conversation.outwards(made, made.b).client("S"))[TCP].sport == 5000


def test_unsolicited_datagram_before_does_not_change_the_port_after() -> None:
    made = lab()
    udp_back(made, S2, 7000, 5000)
    assert udp_out(made, made.a, 5000, S2, 7000)[UDP].sport == 5000


def test_answer_to_another_protocols_port_is_not_let_in() -> None:
    made = lab()
    udp_out(made, made.a, 5000, S1, 80)
    assert Conversation.outwards(made).server("SA") == []


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
    made = lab(outside=Outside(ports=(range(500, 501), range(5000, 5002))))
    udp_out(made, made.b, 5000, S1, 7000)
    udp_out(made, made.b, 5001, S1, 7000)
    packet = IP(src=made.a.ip, dst=S1) / UDP(sport=5000, dport=7000) / b"question"
    answers = made.exchange(made.a, packet)
    error = only(answers["a"])
    assert (error[ICMP].type, error[ICMP].code) == (3, 13)
    assert answers["outside"] == []
    assert made.drops == {DropReason.PORTS_EXHAUSTED: 1}
    assert udp_out(made, made.a, 500, S1, 7000)[UDP].sport == 500


def test_only_the_uplinks_own_ports_are_given_away() -> None:
    made = lab(outside=Outside(ports=(range(2000, 2010), range(61000, 61010))))
    ports = {udp_out(made, made.a, 5000 + n, S1, 7000)[UDP].sport for n in range(20)}
    assert ports == {*range(2000, 2010), *range(61000, 61010)}


def test_parity_is_kept_where_the_network_wants_it() -> None:
    def parities(*, keeps_parity: bool) -> set[int]:
        made = lab(translation=Translation(keeps_parity=keeps_parity))
        ports = range(5000, 5040, 2)
        for port in ports:
            udp_out(made, made.b, port, S1, 7000)
        return {udp_out(made, made.a, port, S1, 7000)[UDP].sport % 2 for port in ports}

    assert parities(keeps_parity=True) == {0}
    assert parities(keeps_parity=False) == {0, 1}


# Several addresses (RFC 4787, REQ-2)


def test_endpoint_has_one_address_for_everything_and_others_have_another() -> None:
    made = lab(also=("203.0.113.7",))
    addresses: dict[str, set[str]] = {"a": set(), "b": set()}
    for name, sources in addresses.items():
        host = made.hosts[name]
        for number in range(10):
            sources.add(udp_out(made, host, 5000 + number, S1, 7000 + number)[IP].src)
        echo = IP(src=host.ip, dst=S1) / ICMP(type=8, id=7) / b"ping"
        sources.add(only(made.exchange(host, echo)["outside"])[IP].src)
        sources.add(only(Conversation.outwards(made, host).client("S"))[IP].src)
    assert {frozenset(sources) for sources in addresses.values()} == {
        frozenset({UPLINK_ADDRESS}),
        frozenset({"203.0.113.7"}),
    }


def test_answers_to_a_further_address_come_back_too() -> None:
    made = lab(also=("203.0.113.7",), translation=Translation(external=ip("203.0.113.7")))
    assert udp_out(made, made.a, 5000, S1, 7000)[IP].src == "203.0.113.7"
    packet = IP(src=S1, dst="203.0.113.7") / UDP(sport=7000, dport=5000) / b"answer"
    assert only(made.exchange(made.outside, packet)["a"])[IP].dst == made.a.ip


def test_network_with_a_fixed_address_uses_no_other() -> None:
    made = lab(also=("203.0.113.7",), translation=Translation(external=ip("203.0.113.7")))
    sources = {udp_out(made, made.hosts[name], 5000, S1, 7000)[IP].src for name in "abcd"}
    assert sources == {"203.0.113.7"}
