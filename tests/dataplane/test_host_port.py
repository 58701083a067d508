"""The host on a network: it has the gateway's address, and is behind the gateway."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

from tests.dataplane.conversation import S1, Conversation, End, forget_received, ip, quiet_lab
from tests.harness import UPLINK_ADDRESS, Host, Lab, assert_checksums_right, only
from vswitch.dataplane.drops import DropReason
from vswitch.policy import NetworkPolicy
from vswitch.translation import Quotas, Terms, Translation
from vswitch.units import SECOND
from vswitch.wire.offload import HEADER_LENGTH
from vswitch.wire.values import IpNetwork, Protocol

GATEWAY = "10.0.0.1"


def lab_with_host(**settings: object) -> tuple[Lab, Host]:
    """A lab whose host is on front, and knows that its endpoints are behind the gateway."""
    lab = quiet_lab(**settings)
    return lab, lab.add_host_port("front")


def udp(source: str, sport: int, to: str, dport: int) -> Packet:
    return IP(src=source, dst=to) / UDP(sport=sport, dport=dport) / b"hello"


def asks(lab: Lab, host: Host, target: str) -> dict[str, list[Packet]]:
    lab.send(host, lab.arp_request(host, target))
    return {name: lab.received(other) for name, other in lab.hosts.items()}


# Who is where


def test_known_endpoint_is_found_behind_the_gateways_station() -> None:
    lab, host = lab_with_host()
    heard = asks(lab, host, lab.a.ip)
    answer = only(heard["vs-front"])[ARP]
    assert (answer.op, answer.psrc, answer.hwsrc) == (2, lab.a.ip, host.gateway_mac)
    assert (answer.pdst, answer.hwdst) == (GATEWAY, host.mac)
    assert not any(heard[name] for name in ("a", "b", "c", "outside"))


def test_endpoint_that_is_not_known_is_asked_for_and_its_answer_passed_on() -> None:
    lab = Lab()
    host = lab.add_host_port("front")
    heard = asks(lab, host, lab.a.ip)
    assert heard["vs-front"] == []
    for name in ("a", "b"):
        question = only(heard[name])[ARP]
        assert (question.op, question.pdst) == (1, lab.a.ip)
        assert (question.psrc, question.hwsrc) == (GATEWAY, host.gateway_mac)
    reply = ARP(op=2, hwsrc=lab.a.mac, psrc=lab.a.ip, hwdst=host.gateway_mac, pdst=GATEWAY)
    lab.send(lab.a, lab.routed(lab.a, reply))
    passed_on = only(lab.received(host))[ARP]
    assert (passed_on.op, passed_on.psrc, passed_on.hwsrc) == (2, lab.a.ip, host.gateway_mac)


def test_address_where_nobody_is_is_not_answered_for() -> None:
    lab, host = lab_with_host()
    assert asks(lab, host, "10.0.0.99")["vs-front"] == []
    assert asks(lab, host, lab.c.ip)["vs-front"] == [], "on another network"
    assert asks(lab, host, GATEWAY)["vs-front"] == [], "its own"


def test_endpoints_find_the_gateway_as_ever_and_the_host_hears_nothing_of_it() -> None:
    lab, host = lab_with_host()
    heard = asks(lab, lab.a, GATEWAY)
    assert only(heard["a"])[ARP].hwsrc == host.gateway_mac
    assert heard["vs-front"] == []


def test_host_is_not_in_the_broadcast_domain() -> None:
    lab, host = lab_with_host()
    lab.send(lab.a, Ether(src=lab.a.mac, dst="ff:ff:ff:ff:ff:ff") / Raw(b"to all of you"))
    lab.send(lab.a, Ether(src=lab.a.mac, dst=host.mac) / Raw(b"to the host's station"))
    assert len(lab.received(lab.b)) == 2
    assert lab.received(host) == []


@pytest.mark.parametrize(
    "frame",
    [
        Ether(dst="ff:ff:ff:ff:ff:ff") / IP(src=GATEWAY, dst="255.255.255.255") / UDP(),
        Ether(dst="33:33:00:00:00:01") / IPv6(dst="ff02::1"),
        Ether(dst="02:00:00:00:01:10") / IP(src=GATEWAY, dst="10.0.0.2") / UDP(),
    ],
    ids=["broadcast", "IPv6", "an endpoint's station"],
)
def test_host_speaks_to_the_switch_alone(frame: Packet) -> None:
    lab, host = lab_with_host()
    frame.src = host.mac
    lab.send(host, frame)
    assert not any(lab.received(other) for other in lab.hosts.values())
    assert lab.drops == {DropReason.NOT_FOR_US: 1}


# From the host to endpoints


def test_endpoint_sees_the_gateways_address_and_its_answer_reaches_the_host() -> None:
    lab, host = lab_with_host()
    seen = only(lab.exchange(host, udp(GATEWAY, 4000, lab.a.ip, 80))["a"])
    assert (seen[IP].src, seen[UDP].sport, seen[IP].ttl) == (GATEWAY, 4000, 63)
    assert (seen.src, seen.dst) == (lab.a.gateway_mac, lab.a.mac)
    assert_checksums_right(seen)
    answer = only(lab.exchange(lab.a, udp(lab.a.ip, 80, GATEWAY, 4000))["vs-front"])
    assert (answer[IP].src, answer[UDP].sport) == (lab.a.ip, 80)
    assert (answer.src, answer.dst) == (host.gateway_mac, host.mac)
    assert_checksums_right(answer)


def test_station_of_an_endpoint_is_asked_for_on_the_way() -> None:
    lab = Lab()
    lab.answering = True
    host = lab.add_host_port("front")
    lab.send(host, lab.routed(host, udp(GATEWAY, 4000, lab.a.ip, 80)))
    lab.pass_time(SECOND)
    assert any(UDP in frame for frame in lab.received(lab.a))


def test_conversation_goes_the_short_way() -> None:
    lab, host = lab_with_host()
    client = End(host, (GATEWAY, 4000), (lab.b.ip, 80))
    talk = Conversation(lab, client, End(lab.b, (lab.b.ip, 80), (GATEWAY, 4000))).talks()
    before = lab.hits()
    assert len(talk.client("A")) == 1
    assert len(talk.server("PA", b"more")) == 1
    assert lab.hits() == before + 2


def test_repeated_connection_of_the_host_has_a_precedent_and_teaches_no_station() -> None:
    lab, host = lab_with_host()
    for sport in (4000, 4001, 4002):
        assert len(lab.exchange(host, udp(GATEWAY, sport, lab.a.ip, 80))["a"]) == 1
    assert len(lab.switch.tables.precedents) == 1
    assert host.mac not in {str(entry.station.mac) for entry in lab.network("front").fdb}


def test_ping_is_answered_by_the_endpoint() -> None:
    lab, host = lab_with_host()
    question = IP(src=GATEWAY, dst=lab.a.ip) / ICMP(type=8, id=7, seq=1) / b"ping"
    assert only(lab.exchange(host, question)["a"])[ICMP].id == 7
    answer = IP(src=lab.a.ip, dst=GATEWAY) / ICMP(type=0, id=7, seq=1) / b"ping"
    assert only(lab.exchange(lab.a, answer)["vs-front"])[ICMP].type == 0


def test_error_about_what_the_host_has_sent_reaches_it() -> None:
    lab, host = lab_with_host()
    sent = only(lab.exchange(host, udp(GATEWAY, 4000, lab.a.ip, 81))["a"])
    error = IP(src=lab.a.ip, dst=GATEWAY) / ICMP(type=3, code=3) / sent[IP]
    told = only(lab.exchange(lab.a, error)["vs-front"])
    assert (told[ICMP].type, told[ICMP].code) == (3, 3)
    assert (told[IPerror].src, told[IPerror].dst) == (GATEWAY, lab.a.ip)
    assert_checksums_right(told)


def test_answer_is_the_hosts_although_its_port_is_published() -> None:
    """The host takes its ports by itself, and knows nothing of what is published."""
    lab, host = lab_with_host()
    lab.publish(4000, lab.b, 80, Protocol.UDP)
    lab.exchange(host, udp(GATEWAY, 4000, lab.a.ip, 80))
    heard = lab.exchange(lab.a, udp(lab.a.ip, 80, GATEWAY, 4000))
    assert len(heard["vs-front"]) == 1
    assert heard["b"] == []


@pytest.mark.parametrize(
    ("source", "to", "reason"),
    [
        ("192.0.2.1", "10.0.0.2", DropReason.MARTIAN_SOURCE),
        ("10.0.0.3", "10.0.0.2", DropReason.MARTIAN_SOURCE),
        (GATEWAY, GATEWAY, DropReason.LAND),
        (GATEWAY, "10.1.0.2", DropReason.NO_ROUTE),
        (GATEWAY, S1, DropReason.NO_ROUTE),
        (GATEWAY, "10.0.255.255", DropReason.MARTIAN_DESTINATION),
        (GATEWAY, "224.0.0.1", DropReason.MARTIAN_DESTINATION),
    ],
)
def test_host_has_one_address_and_reaches_one_network(
    source: str, to: str, reason: DropReason
) -> None:
    lab, host = lab_with_host()
    assert not any(lab.exchange(host, udp(source, 4000, to, 80)).values())
    assert lab.drops == {reason: 1}


def test_segment_of_no_connection_reaches_nobody() -> None:
    lab, host = lab_with_host()
    segment = IP(src=GATEWAY, dst=lab.a.ip) / TCP(sport=4000, dport=80, flags="A")
    assert not any(lab.exchange(host, segment).values())
    assert lab.drops == {DropReason.NO_CONNECTION: 1}


@pytest.mark.parametrize("policy", [NetworkPolicy(internal=True), NetworkPolicy(icc=False)])
def test_host_and_endpoints_reach_each_other_whatever_the_network_allows_its_own(
    policy: NetworkPolicy,
) -> None:
    lab, host = lab_with_host()
    lab.network("front").policy = policy
    assert len(lab.exchange(host, udp(GATEWAY, 4000, lab.a.ip, 80))["a"]) == 1
    assert len(lab.exchange(lab.a, udp(lab.a.ip, 5000, GATEWAY, 22))["vs-front"]) == 1


# From endpoints to the host


def test_service_of_the_host_is_reached_at_the_gateways_address() -> None:
    lab, host = lab_with_host()
    client = End(lab.a, (lab.a.ip, 5000), (GATEWAY, 22))
    talk = Conversation(lab, client, End(host, (GATEWAY, 22), (lab.a.ip, 5000))).talks()
    before = lab.hits()
    seen = only(talk.client("A"))
    assert (seen[IP].src, seen.src, seen.dst) == (lab.a.ip, host.gateway_mac, host.mac)
    assert len(talk.server("PA", b"more")) == 1
    assert lab.hits() == before + 2


def test_first_answer_of_the_host_is_expected_by_the_fast_path() -> None:
    lab, host = lab_with_host()
    lab.exchange(lab.a, udp(lab.a.ip, 5000, GATEWAY, 22))
    before = lab.hits()
    assert len(lab.exchange(host, udp(GATEWAY, 22, lab.a.ip, 5000))["a"]) == 1
    assert lab.hits() == before + 1


def test_refusal_of_the_host_reaches_the_endpoint() -> None:
    lab, host = lab_with_host()
    client = End(lab.a, (lab.a.ip, 5000), (GATEWAY, 23))
    talk = Conversation(lab, client, End(host, (GATEWAY, 23), (lab.a.ip, 5000)))
    assert len(talk.client("S")) == 1
    assert only(talk.server("RA"))[TCP].flags == "RA"


def test_published_port_leads_to_its_endpoint_also_at_the_gateways_address() -> None:
    lab, _ = lab_with_host()
    lab.publish(8080, lab.b, 80, Protocol.UDP)
    heard = lab.exchange(lab.a, udp(lab.a.ip, 5000, GATEWAY, 8080))
    assert len(heard["b"]) == 1
    assert heard["vs-front"] == []


@pytest.mark.parametrize("address", ["10.1.0.1", UPLINK_ADDRESS])
def test_other_addresses_of_the_switch_are_not_the_hosts(address: str) -> None:
    lab, _ = lab_with_host()
    heard = lab.exchange(lab.a, udp(lab.a.ip, 5000, address, 22))
    assert heard["vs-front"] == []
    assert only(heard["a"])[ICMP].code == 3


def test_gateway_of_a_network_that_the_host_is_not_on_refuses_by_itself() -> None:
    lab, _ = lab_with_host()
    heard = lab.exchange(lab.c, udp(lab.c.ip, 5000, "10.1.0.1", 22))
    assert heard["vs-front"] == []
    assert only(heard["c"])[ICMP].code == 3


def test_endpoint_that_claims_the_gateways_address_is_not_the_host() -> None:
    lab, host = lab_with_host()
    frame = Ether(src=lab.b.mac, dst=host.gateway_mac) / udp(GATEWAY, 4000, lab.a.ip, 80)
    lab.send(lab.b, frame)
    assert lab.received(lab.a) == []
    assert lab.drops == {DropReason.MARTIAN_SOURCE: 1}


def test_outside_reaches_nothing_of_the_host() -> None:
    lab, host = lab_with_host()
    for to in (GATEWAY, UPLINK_ADDRESS):
        lab.exchange(lab.outside, udp(S1, 4000, to, 22))
    assert lab.received(host) == []


def test_endpoint_is_limited_towards_the_host_as_elsewhere() -> None:
    lab, _ = lab_with_host(translation=Translation(quotas=Quotas(connections_per_second=1)))
    assert len(lab.exchange(lab.a, udp(lab.a.ip, 1, GATEWAY, 22))["vs-front"]) == 1
    assert lab.exchange(lab.a, udp(lab.a.ip, 2, GATEWAY, 22))["vs-front"] == []
    assert lab.drops == {DropReason.CONNECTION_RATE: 1}


def test_terms_of_a_publication_say_nothing_about_the_host() -> None:
    lab, host = lab_with_host()
    lab.publish(80, lab.a, 80, Protocol.UDP, terms=Terms(sources=(IpNetwork.parse("1.0.0.0/8"),)))
    assert len(lab.exchange(host, udp(GATEWAY, 4000, lab.a.ip, 80))["a"]) == 1


# How it ends


@pytest.mark.parametrize("begins", ["the host", "the endpoint"])
def test_connections_end_with_the_endpoint(begins: str) -> None:
    lab, host = lab_with_host()
    _begin(lab, host, begins)
    lab.detach(lab.a)
    assert len(lab.switch.tables.connections) == 0


@pytest.mark.parametrize("begins", ["the host", "the endpoint"])
def test_connections_end_with_the_hosts_port(begins: str) -> None:
    lab, host = lab_with_host()
    _begin(lab, host, begins)
    lab.exchange(lab.a, udp(lab.a.ip, 6000, S1, 53))
    lab.detach(host)
    (left,) = lab.switch.tables.connections
    assert left.original.destination == ip(S1)
    refused = only(lab.exchange(lab.a, udp(lab.a.ip, 80, GATEWAY, 4000))["a"])
    assert (refused[ICMP].type, refused[ICMP].code) == (3, 3), "the switch itself answers again"


def test_host_comes_back_with_another_station() -> None:
    lab, host = lab_with_host()
    _begin(lab, host, "the endpoint")
    lab.detach(host)
    again = lab.add_host_port("front")
    assert len(lab.exchange(lab.a, udp(lab.a.ip, 80, GATEWAY, 4000))["vs-front"]) == 1
    assert again.port != host.port


def test_host_alone_on_a_network_is_told_by_time_that_nobody_is_there() -> None:
    lab, host = lab_with_host()
    for other in (lab.a, lab.b):
        lab.detach(other)
    lab.pass_time(3600 * SECOND)
    lab.exchange(host, udp(GATEWAY, 4000, "10.0.0.77", 80))
    lab.pass_time(10 * SECOND)
    assert lab.drops == {DropReason.NEIGHBOUR_UNREACHABLE: 1}


def test_trace_says_whose_the_address_is_and_changes_nothing() -> None:
    lab, host = lab_with_host()
    frame = lab.routed(lab.a, udp(lab.a.ip, 5000, GATEWAY, 22))
    raw = bytearray(HEADER_LENGTH) + bytes(frame)
    verdict = lab.switch.trace(lab.a.port, raw, lab.now)
    words = [str(finding) for finding in verdict.trail]
    assert f"{GATEWAY} is the host's address, too" in words
    assert f"{host.mac} is behind port vs-front" in words
    assert len(lab.switch.tables.connections) == 0


def _begin(lab: Lab, host: Host, who: str) -> None:
    if who == "the host":
        lab.exchange(host, udp(GATEWAY, 4000, lab.a.ip, 80))
        lab.exchange(lab.a, udp(lab.a.ip, 80, GATEWAY, 4000))
    else:
        lab.exchange(lab.a, udp(lab.a.ip, 80, GATEWAY, 4000))
        lab.exchange(host, udp(GATEWAY, 4000, lab.a.ip, 80))
    forget_received(lab)
    assert len(lab.switch.tables.connections) == 1
