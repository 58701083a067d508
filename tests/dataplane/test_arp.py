"""ARP: the gateway answers and is not impersonated; routed frames wait for their next hop."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, UDP, IPerror
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from tests.harness import Lab, assert_checksums_right, only
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.neighbours import QUEUE, REQUESTS
from vswitch.dataplane.verdict import Fate
from vswitch.units import SECOND
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import IpAddress, MacAddress, Protocol

BROADCAST = "ff:ff:ff:ff:ff:ff"
S1 = "198.51.100.1"


def arp(source: str, operation: int, sender_ip: str, target_ip: str, to: str = BROADCAST) -> Packet:
    return Ether(src=source, dst=to) / ARP(
        op=operation, hwsrc=source, psrc=sender_ip, pdst=target_ip
    )


def published_lab() -> Lab:
    """Port 8053 leads to b, whose station the switch does not know yet."""
    lab = Lab()
    lab.publish(8053, lab.b, 53, Protocol.UDP)
    return lab


def query(lab: Lab, number: int, ttl: int = 64) -> Packet:
    packet = IP(src=S1, dst="203.0.113.1", ttl=ttl) / UDP(sport=4000, dport=8053)
    return lab.routed(lab.outside, packet / bytes((number,)))


def answer_of_b(lab: Lab) -> Packet:
    return arp(lab.b.mac, 2, lab.b.ip, "10.0.0.1", to=lab.b.gateway_mac)


def test_gateway_answers_for_its_own_address() -> None:
    lab = Lab()
    lab.send(lab.a, lab.arp_request(lab.a, "10.0.0.1"))
    reply = only(lab.received(lab.a))
    assert (reply.src, reply.dst) == (lab.a.gateway_mac, lab.a.mac)
    assert (reply[ARP].op, reply[ARP].psrc, reply[ARP].hwsrc) == (2, "10.0.0.1", reply.src)
    assert (reply[ARP].pdst, reply[ARP].hwdst) == (lab.a.ip, lab.a.mac)
    assert lab.received(lab.b) == []


def test_uplink_answers_for_its_own_address_and_for_no_other() -> None:
    lab = Lab()
    lab.send(lab.outside, lab.arp_request(lab.outside, "203.0.113.1"))
    assert only(lab.received(lab.outside))[ARP].psrc == "203.0.113.1"
    for hidden in ("10.0.0.1", "10.0.0.2", "203.0.113.9"):
        lab.send(lab.outside, lab.arp_request(lab.outside, hidden))
    assert lab.received(lab.outside) == []
    assert lab.received(lab.a) == []


def test_request_for_another_endpoint_is_bridged() -> None:
    lab = Lab()
    request = lab.arp_request(lab.a, lab.b.ip)
    lab.send(lab.a, request)
    assert bytes(only(lab.received(lab.b))) == bytes(request)
    assert lab.received(lab.a) == []


def test_gateway_of_another_network_is_not_answered_for() -> None:
    lab = Lab()
    lab.send(lab.a, lab.arp_request(lab.a, "10.1.0.1"))
    assert lab.received(lab.a) == []


def test_claim_to_the_gateways_address_goes_no_further() -> None:
    lab = Lab()
    lab.send(lab.a, arp(lab.a.mac, 2, "10.0.0.1", "10.0.0.3", to=lab.b.mac))
    lab.send(lab.a, arp(lab.a.mac, 1, "10.0.0.1", "10.0.0.1"))
    assert lab.drops == {DropReason.ARP_CLAIMS_OUR_ADDRESS: 2}
    assert lab.received(lab.b) == []
    assert len(lab.network("front").neighbours) == 0


def test_probe_for_the_gateways_address_is_defended_and_teaches_nothing() -> None:
    lab = Lab()
    lab.send(lab.a, arp(lab.a.mac, 1, "0.0.0.0", "10.0.0.1"))
    reply = only(lab.received(lab.a))
    assert (reply[ARP].op, reply[ARP].psrc) == (2, "10.0.0.1")
    assert len(lab.network("front").neighbours) == 0


def test_probe_for_another_address_reaches_its_owner() -> None:
    lab = Lab()
    lab.send(lab.a, arp(lab.a.mac, 1, "0.0.0.0", lab.b.ip))
    assert only(lab.received(lab.b))[ARP].psrc == "0.0.0.0"


def test_asking_the_gateway_introduces_the_asker() -> None:
    lab = Lab()
    lab.send(lab.a, lab.arp_request(lab.a, "10.0.0.1"))
    station = lab.network("front").neighbours.station(IpAddress.parse(lab.a.ip))
    assert station == MacAddress.parse(lab.a.mac)


def test_overheard_message_adds_no_address() -> None:
    lab = Lab()
    lab.send(lab.a, lab.arp_request(lab.a, lab.b.ip))
    assert len(lab.network("front").neighbours) == 0


def test_sender_outside_the_subnet_is_not_learned() -> None:
    lab = Lab()
    lab.send(lab.a, arp(lab.a.mac, 1, "192.0.2.5", "10.0.0.1"))
    assert len(lab.network("front").neighbours) == 0


def test_sender_without_a_station_is_not_learned() -> None:
    lab = Lab()
    for nobody in ("00:00:00:00:00:00", "03:00:00:00:00:01", BROADCAST):
        message = ARP(op=1, hwsrc=nobody, psrc=lab.a.ip, pdst="10.0.0.1")
        lab.send(lab.a, Ether(src=lab.a.mac, dst=BROADCAST) / message)
    assert len(lab.network("front").neighbours) == 0


def test_gratuitous_arp_moves_a_known_address_and_what_is_sent_to_it() -> None:
    lab = published_lab().meet_everyone()
    for number in range(3):
        lab.send(lab.outside, query(lab, number))
    assert {packet.dst for packet in lab.received(lab.b)} == {lab.b.mac}
    spare = "02:00:00:00:00:99"
    lab.send(lab.b, arp(spare, 1, lab.b.ip, lab.b.ip))
    lab.send(lab.outside, query(lab, 9))
    assert [packet.dst for packet in lab.received(lab.b)] == [spare]


def test_message_that_lies_or_is_cut_is_dropped() -> None:
    lab = Lab()
    whole = bytes(lab.arp_request(lab.a, "10.0.0.1"))
    lab.send(lab.a, whole[:41])
    token_ring = bytearray(whole)
    token_ring[15] = 6
    lab.send(lab.a, bytes(token_ring))
    assert lab.drops == {Malformed.TRUNCATED_ARP: 1, Malformed.ARP_NOT_ETHERNET_IPV4: 1}


def test_padded_message_is_answered() -> None:
    lab = Lab()
    lab.send(lab.a, bytes(lab.arp_request(lab.a, "10.0.0.1")) + bytes(18))
    assert only(lab.received(lab.a))[ARP].op == 2


def test_frames_wait_for_their_next_hop_and_go_in_order() -> None:
    lab = published_lab()
    for number in range(QUEUE):
        lab.send(lab.outside, query(lab, number))
    request = only(lab.received(lab.b))
    assert (request[ARP].op, request[ARP].pdst, request.dst) == (1, lab.b.ip, BROADCAST)
    assert (request[ARP].psrc, request.src) == ("10.0.0.1", lab.b.gateway_mac)
    assert lab.switch.counters.fates[Fate.WAITING] == QUEUE
    lab.send(lab.b, answer_of_b(lab))
    released = lab.received(lab.b)
    assert [bytes(packet[UDP].payload) for packet in released] == [b"\0", b"\1", b"\2"]
    for packet in released:
        assert (packet[IP].dst, packet[UDP].dport, packet[IP].ttl) == (lab.b.ip, 53, 63)
        assert packet.dst == lab.b.mac
        assert_checksums_right(packet)


def test_flow_that_waited_is_cached_once_its_next_hop_is_known() -> None:
    lab = published_lab()
    lab.send(lab.outside, query(lab, 0))
    lab.send(lab.b, answer_of_b(lab))
    before = lab.hits()
    lab.send(lab.outside, query(lab, 1))
    assert lab.hits() == before + 1


def test_one_frame_too_many_is_dropped() -> None:
    lab = published_lab()
    for number in range(QUEUE + 1):
        lab.send(lab.outside, query(lab, number))
    assert lab.drops == {DropReason.NEIGHBOUR_QUEUE_FULL: 1}


def test_silent_next_hop_is_asked_three_times_and_the_sender_is_told() -> None:
    lab = published_lab()
    lab.send(lab.outside, query(lab, 7))
    for second in range(1, REQUESTS + 3):
        lab.pass_time(1 * SECOND)
        assert (second < REQUESTS) == (lab.received(lab.outside) == []) or second > REQUESTS
    requests = lab.received(lab.b)
    assert [request[ARP].pdst for request in requests] == [lab.b.ip] * REQUESTS
    assert lab.drops == {DropReason.NEIGHBOUR_UNREACHABLE: 1}


def test_sender_of_an_undeliverable_packet_gets_it_quoted_as_it_was_sent() -> None:
    lab = published_lab()
    lab.send(lab.outside, query(lab, 7))
    lab.pass_time(5 * SECOND)
    error = only(lab.received(lab.outside))
    assert (error[IP].src, error[IP].dst) == ("203.0.113.1", S1)
    assert (error[ICMP].type, error[ICMP].code) == (3, 1)
    quoted = error[IPerror]
    assert (quoted.src, quoted.dst, quoted.ttl) == (S1, "203.0.113.1", 64)
    assert_checksums_right(error)


def test_inside_sender_is_told_that_the_router_is_gone() -> None:
    lab = Lab()
    lab.send(lab.a, lab.arp_request(lab.a, "10.0.0.1"))
    lab.received(lab.a)
    lab.send(lab.a, lab.routed(lab.a, IP(src=lab.a.ip, dst=S1) / UDP(sport=5000, dport=53) / b"x"))
    lab.pass_time(5 * SECOND)
    error = only(lab.received(lab.a))
    assert (error[IP].src, error[ICMP].type, error[ICMP].code) == ("10.0.0.1", 3, 1)
    assert (error[IPerror].src, error[IPerror].dst) == (lab.a.ip, S1)
    assert [packet[ARP].psrc for packet in lab.received(lab.outside)] == ["203.0.113.1"] * REQUESTS


def test_frames_that_wait_for_an_endpoint_that_is_gone_are_counted_as_dropped() -> None:
    lab = published_lab()
    lab.send(lab.outside, query(lab, 0))
    lab.send(lab.outside, query(lab, 1))
    lab.switch.changes.forget_address(
        lab.network("front").number, IpAddress.parse(lab.b.ip), lab.now
    )
    assert lab.drops == {DropReason.ENDED_WHILE_WAITING: 2}


def test_answer_that_comes_after_the_end_of_a_connection_revives_nothing() -> None:
    """A frame waits, its publication goes, its next hop answers: no program may be kept."""
    lab = Lab()
    publication = lab.publish(8053, lab.b, 53, Protocol.UDP)
    lab.send(lab.outside, query(lab, 0))
    lab.switch.changes.unpublish(publication, lab.now)
    lab.send(lab.b, answer_of_b(lab))
    lab.received(lab.b)
    lab.send(lab.outside, query(lab, 1))
    assert lab.received(lab.b) == []
    assert lab.drops[DropReason.NOT_PUBLISHED] == 1


def test_network_can_be_told_which_station_the_gateway_is() -> None:
    lab = Lab()
    lab.switch.transmit(lab.switch.announce(lab.network("front").number), lab.now)
    for host in (lab.a, lab.b):
        message = only(lab.received(host))
        assert (message[ARP].psrc, message[ARP].pdst) == ("10.0.0.1", "10.0.0.1")
        assert (message.src, message.dst) == (host.gateway_mac, BROADCAST)
    assert lab.received(lab.c) == []
