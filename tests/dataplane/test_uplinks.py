"""Several uplinks, destinations that see inside addresses, and an address shared with the host."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.packet import Packet

from tests.dataplane.conversation import S1, S2, Conversation, End, forget_received, ip, quiet_lab
from tests.dataplane.corpus import OTHER_PROTOCOLS, other
from tests.harness import ARP, ROUTER, UPLINK_ADDRESS, Host, Lab, only
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.topology import Interface, Network, Side
from vswitch.translation import Outside, Translation
from vswitch.units import SECOND
from vswitch.wire.values import IpInterface, IpNetwork, MacAddress, Protocol

SECOND_ADDRESS, SECOND_ROUTER = "192.0.2.1", "192.0.2.254"


def udp(
    lab: Lab, host: Host, sport: int, to: str = S1, dport: int = 7000
) -> dict[str, list[Packet]]:
    return lab.exchange(host, IP(src=host.ip, dst=to) / UDP(sport=sport, dport=dport) / b"x")


# Several uplinks


def two_uplinks() -> Lab:
    """Network front leads to `outside`, network back to `second`."""
    lab = quiet_lab()
    interface = Interface(
        MacAddress.parse("02:00:00:00:00:fd"), IpInterface.parse(f"{SECOND_ADDRESS}/24")
    )
    number = lab.switch.new_network_number()
    second = Network(number, "second", Side.OUTSIDE, interface, ip(SECOND_ROUTER), 1400)
    lab.switch.add_network(second)
    lab._networks["second"] = second
    router = lab.add_host("second", "second", SECOND_ROUTER)
    lab.network("back").uplink = number
    lab.send(router, lab.arp_request(router, SECOND_ADDRESS))
    forget_received(lab)
    return lab


def test_network_leaves_by_its_own_uplink_with_that_ones_address() -> None:
    lab = two_uplinks()
    assert only(udp(lab, lab.a, 5000)["outside"])[IP].src == UPLINK_ADDRESS
    seen = udp(lab, lab.c, 5000)
    assert (only(seen["second"])[IP].src, seen["outside"]) == (SECOND_ADDRESS, [])


def test_uplinks_have_ports_of_their_own() -> None:
    lab = two_uplinks()
    assert only(udp(lab, lab.a, 5000)["outside"])[UDP].sport == 5000
    assert only(udp(lab, lab.c, 5000)["second"])[UDP].sport == 5000


def test_answer_comes_in_by_the_uplink_that_the_question_left_by() -> None:
    lab = two_uplinks()
    udp(lab, lab.c, 5000)
    answer = IP(src=S1, dst=SECOND_ADDRESS) / UDP(sport=7000, dport=5000) / b"x"
    assert not any(lab.exchange(lab.outside, answer).values())
    assert only(lab.exchange(lab.hosts["second"], answer)["c"])[UDP].dport == 5000


def test_each_uplink_has_an_mtu_of_its_own() -> None:
    lab = two_uplinks()
    for host, fits in ((lab.a, True), (lab.c, False)):
        packet = IP(src=host.ip, dst=S1, flags="DF") / UDP(sport=5000, dport=7000) / bytes(1450)
        seen = lab.exchange(host, packet)
        if fits:
            assert len(seen["outside"]) == 1
        else:
            assert only(seen["c"])[ICMP].nexthopmtu == 1400


def test_neighbour_of_another_uplink_is_reached_by_the_own_one() -> None:
    lab = two_uplinks()
    assert len(udp(lab, lab.c, 5000, ROUTER)["second"]) == 1
    assert len(udp(lab, lab.a, 5000, SECOND_ROUTER)["outside"]) == 1


def test_published_port_is_reached_by_the_addresses_of_both() -> None:
    lab = two_uplinks()
    lab.publish(8080, lab.b, 80, Protocol.UDP)
    for name, address in (("outside", UPLINK_ADDRESS), ("second", SECOND_ADDRESS)):
        packet = IP(src=S1, dst=address) / UDP(sport=4000, dport=8080) / b"x"
        assert len(lab.exchange(lab.hosts[name], packet)["b"]) == 1
        back = IP(src=lab.b.ip, dst=S1) / UDP(sport=80, dport=4000) / b"x"
        assert only(lab.exchange(lab.b, back)[name])[IP].src == address
        lab.pass_time(301 * SECOND)
        forget_received(lab)


def test_published_port_of_a_network_with_another_uplink_is_reached_from_the_inside() -> None:
    lab = two_uplinks()
    lab.publish(8080, lab.b, 80, Protocol.UDP)
    seen = only(udp(lab, lab.c, 5000, UPLINK_ADDRESS, 8080)["b"])
    assert (seen[IP].src, seen[UDP].dport) == (SECOND_ADDRESS, 80)
    back = IP(src=lab.b.ip, dst=SECOND_ADDRESS) / UDP(sport=80, dport=seen[UDP].sport) / b"x"
    assert only(lab.exchange(lab.b, back)["c"])[IP].src == UPLINK_ADDRESS


def test_uplink_without_an_address_leaves_the_other_one_alone() -> None:
    lab = two_uplinks()
    udp(lab, lab.a, 5000)
    udp(lab, lab.c, 5000)
    number = lab.network("second").number
    lab.switch.changes.set_interface(number, None, None, lab.now)
    assert only(udp(lab, lab.c, 5001)["c"])[ICMP].code == 0
    assert len(udp(lab, lab.a, 5001)["outside"]) == 1
    interface = Interface(MacAddress.parse("02:00:00:00:00:fd"), IpInterface.parse("192.0.2.9/24"))
    lab.switch.changes.set_interface(number, interface, ip(SECOND_ROUTER), lab.now)
    assert {each.original.source for each in lab.switch.tables.connections} == {ip(lab.a.ip)}


def test_echo_to_each_uplinks_address_is_answered() -> None:
    lab = two_uplinks()
    for name, address in (("outside", UPLINK_ADDRESS), ("second", SECOND_ADDRESS)):
        ping = IP(src=S1, dst=address) / ICMP(type=8, id=3) / b"ping"
        assert only(lab.exchange(lab.hosts[name], ping)[name])[IP].src == address


# Destinations that see inside addresses (RFC 6888, REQ-6)


def with_untranslated() -> Lab:
    untranslated = (IpNetwork.parse("198.51.100.0/30"), IpNetwork.parse("192.0.2.0/24"))
    return quiet_lab(translation=Translation(untranslated=untranslated))


@pytest.mark.parametrize(
    ("to", "seen_as"),
    [(S1, "10.0.0.2"), ("198.51.100.4", UPLINK_ADDRESS), ("192.0.2.77", "10.0.0.2")],
)
def test_destinations_see_what_they_shall(to: str, seen_as: str) -> None:
    lab = with_untranslated()
    sent = only(udp(lab, lab.a, 5000, to)["outside"])
    assert (sent[IP].src, sent[UDP].sport, sent[IP].ttl) == (seen_as, 5000, 63)


def test_untranslated_flow_takes_no_port() -> None:
    lab = with_untranslated()
    for host in (lab.a, lab.b):
        udp(lab, host, 5000)
    assert len(lab.switch.tables.mappings) == 0
    assert len(lab.switch.tables.connections) == 2


def test_answer_to_an_inside_address_comes_in_and_nothing_else_does() -> None:
    lab = with_untranslated()
    udp(lab, lab.a, 5000)
    answer = IP(src=S1, dst=lab.a.ip) / UDP(sport=7000, dport=5000) / b"x"
    assert only(lab.exchange(lab.outside, answer)["a"])[UDP].dport == 5000
    for other_answer in (
        IP(src=S1, dst=lab.a.ip) / UDP(sport=7001, dport=5000),
        IP(src=S2, dst=lab.a.ip) / UDP(sport=7000, dport=5000),
        IP(src=S1, dst=lab.b.ip) / UDP(sport=7000, dport=5000),
    ):
        assert not any(lab.exchange(lab.outside, other_answer).values())
    assert lab.drops == {DropReason.NOT_PUBLISHED: 3}


def test_later_frames_of_an_untranslated_flow_go_the_short_way() -> None:
    lab = with_untranslated()
    answer = IP(src=S1, dst=lab.a.ip) / UDP(sport=7000, dport=5000) / b"x"
    for _ in range(2):
        udp(lab, lab.a, 5000)
        lab.exchange(lab.outside, answer)
    hits = lab.hits()
    assert only(udp(lab, lab.a, 5000)["outside"])[IP].src == lab.a.ip
    assert len(lab.exchange(lab.outside, answer)["a"]) == 1
    assert lab.hits() == hits + 2


def test_error_about_an_untranslated_packet_finds_its_sender() -> None:
    lab = with_untranslated()
    sent = only(udp(lab, lab.a, 5000)["outside"])
    error = IP(src="198.51.100.99", dst=lab.a.ip) / ICMP(type=3, code=3) / sent[IP]
    seen = only(lab.exchange(lab.outside, error)["a"])
    assert (seen[IP].dst, seen[ICMP].payload.src) == (lab.a.ip, lab.a.ip)


def test_one_protocol_without_ports_per_endpoint_and_peer() -> None:
    lab = with_untranslated()
    for host in (lab.a, lab.b):
        seen = lab.exchange(host, other(Protocol.GRE, host.ip, S1, 0, 0))
        assert only(seen["outside"])[IP].src == host.ip


# An address that the switch shares with the host


def shared(ports: tuple[range, ...] = (range(5000, 6000),)) -> Lab:
    lab = quiet_lab(outside=Outside(ports=ports))
    own = lab.network("outside").interface
    assert own is not None
    interface = Interface(own.mac, own.address, is_shared=True)
    lab.switch.changes.set_interface(lab.network("outside").number, interface, ip(ROUTER), lab.now)
    return lab


def test_question_for_a_shared_address_is_left_to_the_host() -> None:
    lab = shared()
    lab.send(lab.outside, lab.arp_request(lab.outside, UPLINK_ADDRESS))
    assert lab.received(lab.outside) == []
    assert lab.drops == {}


def test_stations_are_learned_from_what_is_asked_for_a_shared_address_all_the_same() -> None:
    lab = shared()
    lab.network("outside").neighbours.forget(ip(ROUTER))
    lab.send(lab.outside, lab.arp_request(lab.outside, UPLINK_ADDRESS))
    assert len(udp(lab, lab.a, 5000)["outside"]) == 1


def test_somebody_elses_claim_to_a_shared_address_is_still_refused() -> None:
    lab = shared()
    claim = lab.arp_request(lab.outside, "203.0.113.77")
    claim[ARP].psrc = UPLINK_ADDRESS
    lab.send(lab.outside, claim)
    assert lab.drops == {DropReason.ARP_CLAIMS_OUR_ADDRESS: 1}


FOR_THE_HOST = [
    UDP(sport=4000, dport=53),
    UDP(sport=4000, dport=4999),
    TCP(sport=4000, dport=22, flags="S"),
    TCP(sport=4000, dport=22, flags="A", seq=7),
    ICMP(type=8, id=7),
    ICMP(type=0, id=7),
    ICMP(type=0, id=5500),
]


@pytest.mark.parametrize("transport", FOR_THE_HOST)
def test_what_no_table_claims_is_left_to_the_host_in_silence(transport: Packet) -> None:
    lab = shared()
    assert not any(lab.exchange(lab.outside, IP(src=S1, dst=UPLINK_ADDRESS) / transport).values())
    assert lab.drops == {DropReason.FOR_THE_HOST: 1}
    lab.pass_time(60 * SECOND)
    assert lab.received(lab.outside) == []


@pytest.mark.parametrize("protocol", OTHER_PROTOCOLS)
def test_protocols_that_the_kernel_is_not_kept_from_are_left_to_the_host_too(protocol: int) -> None:
    lab = shared()
    lab.exchange(lab.outside, other(protocol, S1, UPLINK_ADDRESS, 4000, 5500))
    assert lab.drops == {DropReason.FOR_THE_HOST: 1}


def test_ports_of_the_switch_are_refused_by_the_switch() -> None:
    """The kernel is kept from answering there, so nobody else would."""
    lab = shared()
    syn = IP(src=S1, dst=UPLINK_ADDRESS) / TCP(sport=4000, dport=5500, flags="S")
    assert not any(lab.exchange(lab.outside, syn).values())
    assert lab.drops == {DropReason.NOT_PUBLISHED: 1}
    lab.pass_time(6 * SECOND)
    assert only([each for each in lab.received(lab.outside) if IP in each])[ICMP].code == 3


def test_only_ports_of_the_switch_are_given_away_and_answers_to_them_come_in() -> None:
    lab = shared()
    sent = only(udp(lab, lab.a, 40000)["outside"])
    assert (sent[IP].src, sent[UDP].sport in range(5000, 6000)) == (UPLINK_ADDRESS, True)
    answer = IP(src=S1, dst=UPLINK_ADDRESS) / UDP(sport=7000, dport=sent[UDP].sport) / b"x"
    assert only(lab.exchange(lab.outside, answer)["a"])[UDP].dport == 40000


def test_published_port_outside_the_range_is_the_switches() -> None:
    lab = shared()
    lab.publish(80, lab.b, 8080)
    client = End(lab.outside, (S1, 4000), (UPLINK_ADDRESS, 80))
    server = End(lab.b, (lab.b.ip, 8080), (S1, 4000))
    Conversation(lab, client, server).talks()
    assert lab.drops == {}


def test_answers_to_an_echo_of_the_inside_are_the_switches_and_others_the_hosts() -> None:
    lab = shared((range(5000, 6000),))
    echo = IP(src=lab.a.ip, dst=S1) / ICMP(type=8, id=7) / b"ping"
    identifier = only(lab.exchange(lab.a, echo)["outside"])[ICMP].id
    assert identifier in range(5000, 6000)
    for number, name in ((identifier, "a"), (7, None)):
        answer = IP(src=S1, dst=UPLINK_ADDRESS) / ICMP(type=0, id=number) / b"ping"
        seen = lab.exchange(lab.outside, answer)
        assert [each for each, frames in seen.items() if frames] == ([name] if name else [])
    assert lab.drops == {DropReason.FOR_THE_HOST: 1}
