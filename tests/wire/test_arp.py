from __future__ import annotations

from scapy.layers.l2 import ARP

from vswitch.wire import arp
from vswitch.wire.arp import Arp
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import IpAddress, MacAddress

ALICE = MacAddress.parse("02:00:00:00:00:01")
BOB = MacAddress.parse("02:00:00:00:00:02")
INSIDE = IpAddress.parse("10.0.0.2")
OUTSIDE = IpAddress.parse("198.51.100.1")


def test_arp_message() -> None:
    data = b"pad" + bytes(
        ARP(op=2, hwsrc=str(ALICE), psrc=str(INSIDE), hwdst=str(BOB), pdst=str(OUTSIDE))
    )
    message = Arp.parse(data, 3)
    assert isinstance(message, Arp)
    assert message.operation == arp.Operation.REPLY
    assert (message.sender_mac, message.sender_ip) == (ALICE, INSIDE)
    assert (message.target_mac, message.target_ip) == (BOB, OUTSIDE)
    assert isinstance(message.sender_ip, IpAddress)
    assert not message.is_gratuitous
    assert not message.is_probe
    assert arp.build(arp.Operation.REPLY, ALICE, INSIDE, BOB, OUTSIDE) == data[3:]


def test_announcement_and_probe_are_told_apart() -> None:
    announcement = Arp.parse(bytes(ARP(psrc="10.0.0.2", pdst="10.0.0.2")), 0)
    probe = Arp.parse(bytes(ARP(psrc="0.0.0.0", pdst="10.0.0.2")), 0)
    assert isinstance(announcement, Arp)
    assert isinstance(probe, Arp)
    assert (announcement.is_gratuitous, announcement.is_probe) == (True, False)
    assert (probe.is_gratuitous, probe.is_probe) == (False, True)


def test_arp_about_anything_but_ipv4_on_ethernet_is_refused() -> None:
    for field, value in (("hwtype", 6), ("ptype", 0x86DD), ("hwlen", 8), ("plen", 16)):
        data = bytes(ARP(**{"hwlen": 6, "plen": 4, "ptype": 0x800} | {field: value}))
        assert Arp.parse(data + bytes(40), 0) is Malformed.ARP_NOT_ETHERNET_IPV4
    data = bytes(ARP(psrc="10.0.0.2", pdst="10.0.0.2"))
    assert Arp.parse(memoryview(data)[:27], 0) is Malformed.TRUNCATED_ARP
    assert isinstance(Arp.parse(memoryview(data), 0), Arp)
