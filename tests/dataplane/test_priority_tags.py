"""Frames that carry a priority and no VLAN: the switch itself takes them as if they had no tag."""

from __future__ import annotations

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether

from tests.harness import UPLINK_ADDRESS, Lab, assert_checksums_right, only
from vswitch.dataplane.drops import DropReason
from vswitch.wire.checksum import pseudo_header_sum
from vswitch.wire.offload import NEEDS_CSUM, OffloadHeader
from vswitch.wire.values import IpAddress, Protocol

S1 = "198.51.100.1"


def lab() -> Lab:
    made = Lab().meet_everyone()
    for host in made.hosts.values():
        made.received(host)
    return made


def tagged(made: Lab, vlan: int) -> Ether:
    packet = IP(src=made.a.ip, dst=S1) / UDP(sport=5000, dport=7000) / b"question"
    tag = Dot1Q(prio=5, vlan=vlan)
    return Ether(src=made.a.mac, dst=made.a.gateway_mac) / tag / packet


def test_packet_with_a_priority_is_routed_and_leaves_without_a_tag() -> None:
    made = lab()
    made.send(made.a, tagged(made, vlan=0))
    sent = only(made.received(made.outside))
    assert Dot1Q not in sent
    assert (sent[IP].src, bytes(sent[UDP].payload)) == (UPLINK_ADDRESS, b"question")
    assert_checksums_right(sent)


def test_unfinished_checksum_behind_a_priority_tag_is_finished_in_its_place() -> None:
    made = lab()
    frame = tagged(made, vlan=0)
    frame = Ether(bytes(frame))
    length = 8 + len(b"question")
    addresses = IpAddress.parse(made.a.ip), IpAddress.parse(S1)
    frame[UDP].chksum = pseudo_header_sum(*addresses, Protocol.UDP, length)
    header = OffloadHeader(flags=NEEDS_CSUM, checksum_start=38, checksum_offset=6).pack()
    made.outside.device.offloads = made.outside.device.offloads.NONE
    made.switch.fastpath.replace_device(made.outside.port, made.outside.device)
    made.send(made.a, frame, header)
    assert_checksums_right(only(made.received(made.outside)))


def test_packet_in_a_vlan_is_none_of_the_gateways() -> None:
    made = lab()
    made.send(made.a, tagged(made, vlan=10))
    assert made.received(made.outside) == []
    assert made.drops == {DropReason.NOT_ROUTED: 1}


def test_gateway_answers_arp_that_has_a_priority() -> None:
    made = lab()
    question = ARP(op=1, hwsrc=made.a.mac, psrc=made.a.ip, pdst="10.0.0.1")
    frame = Ether(src=made.a.mac, dst="ff:ff:ff:ff:ff:ff") / Dot1Q(prio=5, vlan=0) / question
    made.send(made.a, frame)
    answer = only(made.received(made.a))
    assert (answer[ARP].op, answer[ARP].hwsrc) == (2, made.a.gateway_mac)
