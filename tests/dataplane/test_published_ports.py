"""Published ports and hairpins: who gets in, as whom, and what ends when the publication ends."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror
from scapy.packet import Packet

from tests.dataplane.conversation import S1, S2, Conversation, quiet_lab
from tests.harness import UPLINK_ADDRESS, Host, Lab, assert_checksums_right, only
from vswitch.dataplane.drops import DropReason
from vswitch.units import SECOND
from vswitch.wire.values import IpAddress, Protocol


def udp(lab: Lab, host: Host, ports: tuple[int, int], to: str) -> dict[str, list[Packet]]:
    source = S1 if host is lab.outside else host.ip
    packet = IP(src=source, dst=to) / UDP(sport=ports[0], dport=ports[1]) / b"payload"
    return lab.exchange(host, packet)


def tcp(
    lab: Lab, host: Host, ports: tuple[int, int], to: str, flags: str = "S"
) -> dict[str, list[Packet]]:
    source = S1 if host is lab.outside else host.ip
    packet = IP(src=source, dst=to) / TCP(sport=ports[0], dport=ports[1], flags=flags)
    return lab.exchange(host, packet)


# In from the outside


def test_client_reaches_the_endpoint_with_its_own_address() -> None:
    made = quiet_lab()
    made.publish(8080, made.b, 80)
    seen = only(tcp(made, made.outside, (4000, 8080), UPLINK_ADDRESS)["b"])
    assert (seen[IP].src, seen[TCP].sport) == (S1, 4000)
    assert (seen[IP].dst, seen[TCP].dport) == (made.b.ip, 80)
    assert (seen.src, seen.dst, seen[IP].ttl) == (made.b.gateway_mac, made.b.mac, 63)
    assert_checksums_right(seen)


def test_endpoints_answer_carries_the_published_port() -> None:
    made = quiet_lab()
    made.publish(8080, made.b, 80)
    tcp(made, made.outside, (4000, 8080), UPLINK_ADDRESS)
    answers = tcp(made, made.b, (80, 4000), S1, "SA")
    back = only(answers["outside"])
    assert (back[IP].src, back[TCP].sport) == (UPLINK_ADDRESS, 8080)
    assert (back[IP].dst, back[TCP].dport) == (S1, 4000)
    assert_checksums_right(back)


def test_conversation_with_a_published_port_goes_the_short_way() -> None:
    made = quiet_lab()
    made.publish(8080, made.b, 80)
    talk = Conversation.inwards(made).talks()
    before = made.hits()
    assert len(talk.client("A")) == 1
    assert len(talk.server("PA", b"more")) == 1
    assert made.hits() == before + 2


def test_range_of_ports_leads_to_the_same_place_in_the_range() -> None:
    made = quiet_lab()
    made.publish(9000, made.b, 100, Protocol.UDP, count=5)
    for offset in (0, 4):
        seen = only(udp(made, made.outside, (4000, 9000 + offset), UPLINK_ADDRESS)["b"])
        assert seen[UDP].dport == 100 + offset
    for beside in (8999, 9005):
        assert not any(udp(made, made.outside, (4000, beside), UPLINK_ADDRESS).values())
    assert made.drops == {DropReason.NOT_PUBLISHED: 2}


def test_publication_of_one_protocol_opens_no_other() -> None:
    made = quiet_lab()
    made.publish(53, made.b, 53, Protocol.UDP)
    assert not any(tcp(made, made.outside, (4000, 53), UPLINK_ADDRESS).values())
    assert len(udp(made, made.outside, (4000, 53), UPLINK_ADDRESS)["b"]) == 1


def test_segment_without_a_connection_does_not_reach_a_published_port() -> None:
    made = quiet_lab()
    made.publish(8080, made.b, 80)
    assert not any(tcp(made, made.outside, (4000, 8080), UPLINK_ADDRESS, "A").values())
    assert made.drops == {DropReason.NO_CONNECTION: 1}


def test_closed_port_behind_a_publication_refuses_in_the_uplinks_name() -> None:
    made = quiet_lab()
    made.publish(8080, made.b, 80)
    tcp(made, made.outside, (4000, 8080), UPLINK_ADDRESS)
    reset = only(tcp(made, made.b, (80, 4000), S1, "RA")["outside"])
    assert (reset[IP].src, reset[TCP].sport, reset[TCP].flags) == (UPLINK_ADDRESS, 8080, "RA")


# Port shadowing (X6) and changes (X7)


@pytest.mark.parametrize("transport", [udp, tcp])
def test_endpoint_can_not_take_a_published_port_for_itself(transport: object) -> None:
    made = quiet_lab()
    protocol = Protocol.UDP if transport is udp else Protocol.TCP
    made.publish(8080, made.b, 80, protocol)
    send = udp if transport is udp else tcp
    sent = only(send(made, made.a, (8080, 4444), S1)["outside"])
    assert sent.sport != 8080
    answers = send(made, made.outside, (4444, 8080), UPLINK_ADDRESS)
    assert only(answers["b"]).dport == 80
    assert answers["a"] == []


def test_port_that_an_endpoint_has_taken_before_is_taken_back_by_publishing_it() -> None:
    made = quiet_lab()
    for _ in range(2):
        assert only(udp(made, made.a, (8080, 4444), S1)["outside"]).sport == 8080
    made.publish(8080, made.b, 80, Protocol.UDP)
    answers = udp(made, made.outside, (4444, 8080), UPLINK_ADDRESS)
    assert only(answers["b"]).dport == 80
    assert answers["a"] == []
    assert only(udp(made, made.a, (8080, 4445), S1)["outside"]).sport != 8080


def test_hairpin_to_a_port_that_is_published_since_ends() -> None:
    made = quiet_lab()
    udp(made, made.a, (8080, 4444), S1)
    assert len(udp(made, made.b, (6000, 8080), UPLINK_ADDRESS)["a"]) == 1
    made.publish(8080, made.c, 80, Protocol.UDP)
    answers = udp(made, made.b, (6000, 8080), UPLINK_ADDRESS)
    assert len(answers["c"]) == 1
    assert answers["a"] == []


def test_publishing_leaves_other_mappings_alone() -> None:
    made = quiet_lab()
    udp(made, made.a, (5000, 4444), S1)
    made.publish(8080, made.b, 80, Protocol.UDP)
    assert len(udp(made, made.outside, (4444, 5000), UPLINK_ADDRESS)["a"]) == 1


def test_unpublished_port_lets_nobody_in_any_more() -> None:
    made = quiet_lab()
    publication = made.publish(8080, made.b, 80, Protocol.UDP)
    for _ in range(3):
        udp(made, made.outside, (4000, 8080), UPLINK_ADDRESS)
        udp(made, made.b, (80, 4000), S1)
    made.switch.changes.unpublish(publication, made.now)
    assert len(made.switch.tables.connections) == 0
    assert not any(udp(made, made.outside, (4000, 8080), UPLINK_ADDRESS).values())
    assert made.drops == {DropReason.NOT_PUBLISHED: 1}


def test_port_that_is_pointed_elsewhere_leads_there_with_the_next_frame() -> None:
    made = quiet_lab()
    publication = made.publish(8080, made.b, 80, Protocol.UDP)
    for _ in range(3):
        udp(made, made.outside, (4000, 8080), UPLINK_ADDRESS)
    made.switch.changes.unpublish(publication, made.now)
    made.publish(8080, made.a, 80, Protocol.UDP)
    answers = udp(made, made.outside, (4000, 8080), UPLINK_ADDRESS)
    assert len(answers["a"]) == 1
    assert answers["b"] == []


def test_silence_before_publishing_is_not_remembered() -> None:
    made = quiet_lab()
    udp(made, made.outside, (4000, 8080), UPLINK_ADDRESS)
    made.publish(8080, made.b, 80, Protocol.UDP)
    assert len(udp(made, made.outside, (4000, 8080), UPLINK_ADDRESS)["b"]) == 1


def test_publication_of_an_endpoint_that_is_gone_ends_its_connections() -> None:
    made = quiet_lab()
    made.publish(8080, made.b, 80, Protocol.UDP)
    udp(made, made.outside, (4000, 8080), UPLINK_ADDRESS)
    made.switch.changes.forget_address(
        made.network("front").number, IpAddress.parse(made.b.ip), made.now
    )
    assert len(made.switch.tables.connections) == 0


def test_endpoint_that_has_spoken_first_is_not_confused_with_its_publication() -> None:
    """b:80 talks to S1:4000 by itself: that the client's answers are b's own is not decidable."""
    made = quiet_lab()
    made.publish(8080, made.b, 80, Protocol.UDP)
    udp(made, made.b, (80, 4000), S1)
    assert udp(made, made.outside, (4000, 8080), UPLINK_ADDRESS)["b"] == []
    assert made.drops == {DropReason.ANSWERS_AMBIGUOUS: 1}


# Hairpins


@pytest.mark.parametrize("client", ["a", "c", "b"])
def test_published_port_is_reached_from_the_inside_by_the_uplinks_address(client: str) -> None:
    made = quiet_lab()
    made.publish(8080, made.b, 80)
    host = made.hosts[client]
    seen = only(tcp(made, host, (5000, 8080), UPLINK_ADDRESS)["b"])
    assert (seen[IP].src, seen[TCP].sport) == (UPLINK_ADDRESS, 5000)
    assert (seen[IP].dst, seen[TCP].dport) == (made.b.ip, 80)
    assert_checksums_right(seen)
    back = only(tcp(made, made.b, (80, 5000), UPLINK_ADDRESS, "SA")[client])
    assert (back[IP].src, back[TCP].sport) == (UPLINK_ADDRESS, 8080)
    assert (back[IP].dst, back[TCP].dport) == (host.ip, 5000)
    assert_checksums_right(back)


def test_hairpinned_connection_opens_carries_data_and_ends() -> None:
    made = quiet_lab()
    made.publish(8080, made.b, 80)
    talk = Conversation.hairpinned(made).talks()
    hits = made.hits()
    for speak, flags in (
        (talk.client, "PA"),
        (talk.server, "PA"),
        (talk.client, "A"),
        (talk.server, "FA"),
        (talk.client, "FA"),
        (talk.server, "A"),
    ):
        assert len(speak(flags)) == 1
    assert made.hits() == hits + 6
    made.pass_time(241 * SECOND)
    assert len(made.switch.tables.connections) == 0


def test_hairpin_to_a_mapping_comes_from_the_senders_external_port() -> None:
    """RFC 4787, REQ-9a."""
    made = quiet_lab()
    external = only(udp(made, made.b, (6000, 7000), S1)["outside"]).sport
    udp(made, made.c, (5000, 7000), S1)
    seen = only(udp(made, made.a, (5000, external), UPLINK_ADDRESS)["b"])
    assert seen[IP].src == UPLINK_ADDRESS
    assert (seen[IP].dst, seen[UDP].dport, seen[IP].ttl) == (made.b.ip, 6000, 63)
    outside = only(udp(made, made.a, (5000, 7000), S2)["outside"]).sport
    assert seen[UDP].sport == outside != 5000
    back = only(udp(made, made.b, (6000, outside), UPLINK_ADDRESS)["a"])
    assert (back[IP].src, back[UDP].sport) == (UPLINK_ADDRESS, external)
    assert (back[IP].dst, back[UDP].dport) == (made.a.ip, 5000)
    assert_checksums_right(back)


def test_hairpin_to_ones_own_mapping_comes_back() -> None:
    made = quiet_lab()
    udp(made, made.a, (5000, 7000), S1)
    seen = only(udp(made, made.a, (5001, 5000), UPLINK_ADDRESS)["a"])
    assert (seen[IP].src, seen[UDP].sport, seen[UDP].dport) == (UPLINK_ADDRESS, 5001, 5000)


def test_endpoint_that_talks_to_its_own_mapping_from_the_same_port_hears_itself() -> None:
    """What STUN asks, to find out whether a NAT hairpins: both tuples of such a flow are one."""
    made = quiet_lab()
    udp(made, made.a, (5000, 7000), S1)
    for _ in range(2):
        heard = only(udp(made, made.a, (5000, 5000), UPLINK_ADDRESS)["a"])
        assert (heard[IP].src, heard[UDP].sport) == (UPLINK_ADDRESS, 5000)
        assert (heard[IP].dst, heard[UDP].dport) == (made.a.ip, 5000)
        assert_checksums_right(heard)
    made.pass_time(1000 * SECOND)
    assert len(made.switch.tables.connections) == 0
    assert len(made.switch.tables.mappings) == 0


def test_port_that_nobody_has_is_refused_to_the_inside() -> None:
    made = quiet_lab()
    error = only(udp(made, made.a, (5000, 9999), UPLINK_ADDRESS)["a"])
    assert (error[ICMP].type, error[ICMP].code) == (3, 3)
    assert error[IPerror].dst == UPLINK_ADDRESS


def test_publication_on_one_address_is_not_found_on_another() -> None:
    made = quiet_lab()
    publication = made.publish(8080, made.b, 80, Protocol.UDP)
    made.switch.changes.unpublish(publication, made.now)
    only_uplink = type(publication)(
        Protocol.UDP,
        IpAddress.parse(UPLINK_ADDRESS),
        range(8080, 8081),
        publication.network,
        publication.endpoint,
        80,
    )
    made.switch.changes.publish(only_uplink, made.now)
    assert len(udp(made, made.a, (5000, 8080), UPLINK_ADDRESS)["b"]) == 1
    assert only(udp(made, made.a, (5000, 8080), "10.0.0.1")["a"])[ICMP].code == 3
