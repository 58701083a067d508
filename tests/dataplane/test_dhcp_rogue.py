"""Nobody but the switch speaks as a DHCP server where it is the server, on either fast path."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP, IPOption
from scapy.layers.l2 import Dot1Q, Ether
from scapy.packet import Packet, Raw

from tests.dataplane.dhcp_guests import GuestLab
from tests.harness import Host, Lab
from vswitch.dataplane.dhcp.server.news import Rogue
from vswitch.dataplane.drops import DropReason
from vswitch.fastpath import FORCED_BY, available
from vswitch.leasing import Leasing
from vswitch.units import SECOND
from vswitch.wire.values import MacAddress


@pytest.fixture(autouse=True, params=list(available()))
def fast_path(request: pytest.FixtureRequest) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FORCED_BY, request.param)
        yield


def acquainted(lab: GuestLab) -> GuestLab:
    """`a` and `b` have spoken to each other, so the fast path knows their stations."""
    for one, other in ((lab.a, lab.b), (lab.b, lab.a)) * 2:
        lab.send(one, between(one, other))
    assert lab.hits() > 0
    for host in (lab.a, lab.b):
        lab.received(host)
    return lab


def between(one: Host, other: Host, port: int = 7000) -> Packet:
    packet = IP(src=one.ip, dst=other.ip) / UDP(sport=5000, dport=port) / b"x"
    return Ether(src=one.mac, dst=other.mac) / packet


def offer(one: Host, to: str, **header: object) -> Packet:
    message = BOOTP(op=2, yiaddr="10.0.0.99", chaddr=b"\2") / DHCP(
        options=[("message-type", "offer"), "end"]
    )
    packet = IP(src=one.ip, dst="10.0.0.99", **header) / UDP(sport=67, dport=68) / message
    return Ether(src=one.mac, dst=to) / packet


def is_dropped(lab: GuestLab, frame: Packet) -> bool:
    before = lab.drops.get(DropReason.ROGUE_DHCP, 0)
    lab.send(lab.a, frame)
    assert (lab.received(lab.b) == []) == (lab.drops.get(DropReason.ROGUE_DHCP, 0) == before + 1)
    return lab.drops.get(DropReason.ROGUE_DHCP, 0) == before + 1


def test_offer_of_an_endpoint_is_dropped_although_a_program_of_its_stations_is_kept() -> None:
    lab = acquainted(GuestLab())
    hits = lab.hits()
    assert is_dropped(lab, offer(lab.a, lab.b.mac))
    assert is_dropped(lab, offer(lab.a, "ff:ff:ff:ff:ff:ff"))
    assert lab.hits() == hits
    lab.send(lab.a, between(lab.a, lab.b))
    assert lab.hits() == hits + 1
    assert len(lab.received(lab.b)) == 1


def test_rogue_hides_behind_nothing() -> None:
    lab = acquainted(GuestLab())
    plain = offer(lab.a, lab.b.mac)
    tagged = Ether(src=lab.a.mac, dst=lab.b.mac) / Dot1Q(vlan=0, prio=1) / plain[IP]
    first = offer(lab.a, lab.b.mac, flags="MF")
    first[UDP].remove_payload()
    others_port = plain.copy()
    others_port[UDP].sport = 1067
    for frame in (
        tagged,
        first,
        others_port,
        offer(lab.a, lab.b.mac, options=[IPOption(b"\1")] * 4),
    ):
        assert is_dropped(lab, frame)


def test_what_only_looks_like_it_passes() -> None:
    lab = acquainted(GuestLab())
    later = Ether(src=lab.a.mac, dst=lab.b.mac) / IP(src=lab.a.ip, dst=lab.b.ip, proto=17, frag=9)
    vlan = Ether(src=lab.a.mac, dst=lab.b.mac) / Dot1Q(vlan=5) / offer(lab.a, lab.b.mac)[IP]
    assert not is_dropped(lab, later / Raw(b"\0\x43\0\x44" * 4))
    assert not is_dropped(lab, vlan)
    assert not is_dropped(lab, between(lab.a, lab.b, port=67))


def test_rogue_is_told_once_a_second() -> None:
    lab = GuestLab()
    rogue = Rogue(MacAddress.parse(lab.a.mac), lab.a.port)
    for _ in range(3):
        lab.send(lab.a, offer(lab.a, lab.b.mac))
    assert lab.news() == [rogue]
    lab.pass_time(1 * SECOND)
    lab.send(lab.a, offer(lab.a, lab.b.mac))
    assert lab.news() == [rogue]


def test_rogue_that_is_only_asked_about_is_no_news() -> None:
    lab = GuestLab()
    frame = bytearray(10) + bytes(offer(lab.a, lab.b.mac))
    assert lab.switch.trace(lab.a.port, frame, lab.now).reason is DropReason.ROGUE_DHCP
    assert lab.news() == []


def test_endpoint_may_be_the_server_where_the_switch_leases_to_machines_alone() -> None:
    lab = acquainted(GuestLab(Leasing(takes_guests=False)))
    assert not is_dropped(lab, offer(lab.a, lab.b.mac))


@pytest.mark.parametrize("guards", [True, False])
def test_network_without_a_server_guards_where_it_guards_against_spoofing(guards: bool) -> None:
    lab = Lab()
    network = lab.network("front")
    policy = replace(network.policy, spoof_guard=guards)
    lab.switch.changes.set_policy(network.number, policy, lab.now)
    for one, other in ((lab.a, lab.b), (lab.b, lab.a)):
        lab.send(one, between(one, other))
    lab.received(lab.b)
    lab.send(lab.a, offer(lab.a, lab.b.mac))
    assert len(lab.received(lab.b)) == (0 if guards else 1)
    assert lab.drops == ({DropReason.ROGUE_DHCP: 1} if guards else {})


def test_rogue_that_is_gone_before_anybody_has_heard_of_it_is_no_news() -> None:
    lab = GuestLab()
    lab.send(lab.a, offer(lab.a, lab.b.mac))
    lab.switch.remove_port(lab.a.port)
    assert lab.news() == []
