"""The spoof guard: a port speaks in its own name, or is not heard."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Dot1Q, Ether
from scapy.packet import Packet

from tests.dataplane.conversation import forget_received, ip, quiet_lab
from tests.harness import Lab
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.fdb import Station
from vswitch.policy import PortPolicy, PortRole
from vswitch.wire.values import MacAddress

STRANGER = "02:66:00:00:00:01"
BROADCAST = "ff:ff:ff:ff:ff:ff"


def guarded() -> Lab:
    """A lab whose endpoint a may speak in its own name alone."""
    lab = quiet_lab()
    own = PortPolicy(
        stations=frozenset({MacAddress.parse(lab.a.mac)}), addresses=frozenset({ip(lab.a.ip)})
    )
    lab.switch.changes.set_port_policy(lab.a.port, own)
    return lab


def arp(lab: Lab, **fields: object) -> Packet:
    said = {"op": 2, "hwsrc": lab.a.mac, "psrc": lab.a.ip, "pdst": lab.b.ip, **fields}
    return Ether(src=lab.a.mac, dst=BROADCAST) / ARP(**said)


def datagram(lab: Lab, source: str, to_mac: str, dst: str = "10.0.0.3") -> Packet:
    return Ether(src=lab.a.mac, dst=to_mac) / IP(src=source, dst=dst) / UDP(sport=1, dport=2)


def test_own_name_is_heard_by_neighbours_and_outside() -> None:
    lab = guarded()
    lab.send(lab.a, datagram(lab, lab.a.ip, lab.b.mac))
    lab.send(lab.a, arp(lab))
    lab.send(lab.a, datagram(lab, lab.a.ip, lab.a.gateway_mac, "198.51.100.1"))
    assert (len(lab.received(lab.b)), len(lab.received(lab.outside))) == (2, 1)
    assert lab.drops == {}


def test_station_of_another_is_not_heard_and_not_learnt() -> None:
    lab = guarded()
    lab.send(lab.a, Ether(src=lab.b.mac, dst=BROADCAST, type=0x88B5) / b"I am b")
    assert lab.drops == {DropReason.STATION_SPOOFED: 1}
    front = lab.network("front")
    assert front.fdb.where(Station(0, MacAddress.parse(lab.b.mac))) == lab.b.port


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"psrc": "10.0.0.3"}, DropReason.ADDRESS_SPOOFED),
        ({"psrc": "10.0.0.3", "pdst": "10.0.0.3", "op": 1}, DropReason.ADDRESS_SPOOFED),
        ({"hwsrc": STRANGER}, DropReason.STATION_SPOOFED),
    ],
)
def test_claim_to_be_another_is_not_heard_and_not_believed(
    fields: dict[str, object], reason: DropReason
) -> None:
    lab = guarded()
    lab.send(lab.a, arp(lab, **fields))
    assert lab.received(lab.b) == []
    assert lab.drops == {reason: 1}
    assert str(lab.network("front").neighbours.station(ip(lab.b.ip))) == lab.b.mac


def test_address_of_another_is_not_heard() -> None:
    lab = guarded()
    for to in (lab.b.mac, lab.a.gateway_mac, BROADCAST):
        lab.send(lab.a, datagram(lab, "10.0.0.77", to, "198.51.100.1"))
    assert lab.received(lab.b) == lab.received(lab.outside) == []
    assert lab.drops == {DropReason.ADDRESS_SPOOFED: 3}


def test_program_that_speaks_for_the_station_lets_no_other_address_by() -> None:
    lab = guarded()
    for _ in range(3):
        lab.send(lab.a, datagram(lab, lab.a.ip, lab.b.mac))
    lab.send(lab.a, datagram(lab, "10.0.0.77", lab.b.mac))
    assert len(lab.received(lab.b)) == 3
    assert lab.drops == {DropReason.ADDRESS_SPOOFED: 1}


def test_guard_holds_towards_the_hosts_own_port_too() -> None:
    lab = guarded()
    lab.switch.changes.set_port_policy(lab.b.port, PortPolicy(PortRole.PROMISCUOUS))
    for _ in range(3):
        lab.send(lab.a, datagram(lab, lab.a.ip, lab.b.mac))
    lab.send(lab.a, datagram(lab, "10.0.0.77", lab.b.mac))
    assert len(lab.received(lab.b)) == 3
    assert lab.drops == {DropReason.ADDRESS_SPOOFED: 1}


def test_priority_tag_is_no_way_by_the_guard() -> None:
    lab = guarded()
    packet = IP(src="10.0.0.77", dst=lab.b.ip) / UDP()
    for tags in (Dot1Q(vlan=0), Dot1Q(vlan=0) / Dot1Q(vlan=0)):
        lab.send(lab.a, Ether(src=lab.a.mac, dst=lab.b.mac) / tags / packet)
    assert lab.received(lab.b) == []
    assert lab.drops == {DropReason.ADDRESS_SPOOFED: 1, DropReason.TAG_IN_TAG: 1}


def test_who_has_no_address_yet_may_ask_for_one_and_probe_it() -> None:
    lab = guarded()
    lab.send(lab.a, datagram(lab, "0.0.0.0", BROADCAST, "255.255.255.255"))
    lab.send(lab.a, arp(lab, psrc="0.0.0.0", op=1))
    assert len(lab.received(lab.b)) == 2


def test_guard_that_comes_stops_what_the_fast_path_has_carried() -> None:
    lab = quiet_lab()
    for _ in range(3):
        lab.send(lab.a, datagram(lab, "10.0.0.77", lab.a.gateway_mac, "198.51.100.1"))
        lab.send(lab.a, datagram(lab, "10.0.0.77", lab.b.mac))
    assert lab.hits() > 0
    forget_received(lab)
    own = PortPolicy(addresses=frozenset({ip(lab.a.ip)}))
    lab.switch.changes.set_port_policy(lab.a.port, own)
    lab.send(lab.a, datagram(lab, "10.0.0.77", lab.a.gateway_mac, "198.51.100.1"))
    lab.send(lab.a, datagram(lab, "10.0.0.77", lab.b.mac))
    assert lab.received(lab.b) == lab.received(lab.outside) == []
    assert lab.drops == {DropReason.ADDRESS_SPOOFED: 2}


def test_others_are_not_guarded() -> None:
    lab = guarded()
    before = lab.hits()
    for _ in range(3):
        lab.send(lab.b, Ether(src=lab.b.mac, dst=lab.a.mac) / IP(src="10.0.0.77") / UDP())
    assert len(lab.received(lab.a)) == 3
    assert lab.hits() == before + 2
