"""The DHCP server of a network: whom it serves, and where its answers go (RFC 2131, 4.1)."""

from __future__ import annotations

from tests.dataplane.dhcp_guests import (
    ALL_STATIONS,
    BOOTP,
    EVERYBODY,
    FIRST,
    GATEWAY,
    IP,
    NOBODY,
    OTHER,
    UDP,
    Ether,
    GuestLab,
    arp_answer,
    client,
    ip,
    options,
)
from tests.harness import assert_checksums_right
from vswitch.dataplane.dhcp.server.news import (
    Relayed,
)
from vswitch.dataplane.drops import DropReason
from vswitch.leasing import Leasing
from vswitch.policy import PortPolicy
from vswitch.units import SECOND
from vswitch.wire.values import MacAddress

# Where answers go (4.1)


def test_answer_goes_to_the_station_at_the_address_that_it_is_to_have() -> None:
    lab = GuestLab()
    offer = lab.ask(lab.g, client(lab.g.mac, "discover"))
    assert offer is not None
    assert (offer.src, offer.dst, offer[IP].dst) == (lab.g.gateway_mac, lab.g.mac, FIRST)
    assert (offer[IP].src, offer[UDP].sport, offer[UDP].dport) == (GATEWAY, 67, 68)
    assert_checksums_right(offer)


def test_answer_goes_to_everybody_where_the_client_wants_that() -> None:
    lab = GuestLab()
    offer = lab.ask(lab.g, client(lab.g.mac, "discover", flags=0x8000))
    assert offer is not None
    assert (offer.dst, offer[IP].dst) == (ALL_STATIONS, EVERYBODY)
    assert "B" in str(offer[BOOTP].flags)


def test_refusal_goes_to_everybody() -> None:
    lab = GuestLab()
    refused = lab.ask(lab.g, client(lab.g.mac, "request", ciaddr="192.0.2.9"))
    assert refused is not None
    assert (refused.dst, refused[IP].dst) == (ALL_STATIONS, EVERYBODY)
    header = refused[BOOTP]
    assert (header.yiaddr, header.ciaddr, header.siaddr) == (NOBODY, NOBODY, NOBODY)
    assert set(options(refused)) == {"message-type", "server_id", "error_message"}


def test_nobody_but_its_own_port_sees_what_a_client_says_and_hears() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    assert lab.heard(lab.a) == []
    assert lab.heard(lab.vm) == []


def test_tag_that_says_only_how_urgent_a_message_is_does_not_hide_it() -> None:
    from scapy.layers.l2 import Dot1Q

    lab = GuestLab()
    plain = client(lab.g.mac, "discover")
    tagged = Ether(src=plain.src, dst=plain.dst) / Dot1Q(vlan=0, prio=5) / plain[IP]
    assert lab.ask(lab.g, tagged) is not None
    elsewhere = Ether(src=plain.src, dst=plain.dst) / Dot1Q(vlan=5) / plain[IP]
    assert lab.ask(lab.b, elsewhere) is None


# Whom the server is not for


def test_relay_agents_are_refused_in_words() -> None:
    lab = GuestLab()
    assert lab.ask(lab.g, client(lab.g.mac, "discover", giaddr="10.0.0.9")) is None
    assert lab.drops == {DropReason.DHCP_RELAYED: 1}
    assert "relay agents are not served" in DropReason.DHCP_RELAYED.value
    assert lab.news() == [Relayed(ip("10.0.0.9"), lab.g.port)]


def test_guarded_port_asks_for_its_own_stations_alone() -> None:
    lab = GuestLab()
    own = frozenset({MacAddress.parse(lab.vm.mac)})
    lab.switch.changes.set_port_policy(lab.vm.port, PortPolicy(stations=own))
    assert lab.ask(lab.vm, client(OTHER, "discover", source=lab.vm.mac)) is None
    assert lab.drops == {DropReason.STATION_SPOOFED: 1}
    assert lab.bind(lab.vm) == "10.0.0.7"


def test_message_that_is_none_is_dropped_under_its_reason() -> None:
    lab = GuestLab()
    message = client(lab.g.mac, "discover")
    del message["DHCP options"].options[0]
    assert lab.ask(lab.g, message) is None
    broken = client(lab.g.mac, "discover")
    broken[UDP].chksum = 0x1234
    assert lab.ask(lab.g, broken) is None
    assert lab.drops == {DropReason.BAD_DHCP: 2}


def test_network_that_takes_no_guests_leases_to_its_endpoints_alone() -> None:
    """Somebody behind another port may be the server of all others."""
    lab = GuestLab(Leasing(takes_guests=False))
    assert lab.bind(lab.vm) == "10.0.0.7"
    assert lab.ask(lab.g, client(lab.g.mac, "discover")) is None
    assert len(lab.heard(lab.a)) == 1
    lab.send(lab.vm, client(OTHER, "discover"))
    lab.send(lab.vm, arp_answer(lab.vm.mac, "10.0.0.7", lab.vm.gateway_mac))
    lab.heard(lab.vm)
    lab.pass_time(5 * SECOND)
    assert lab.heard(lab.vm) == []
    assert lab.grants == {lab.vm.mac: "10.0.0.7"}


def test_message_to_another_server_is_bridged() -> None:
    lab = GuestLab().meet_everyone()
    assert isinstance(lab, GuestLab)
    lab.received(lab.a)
    way = {"src": "10.0.0.9", "dst": lab.a.ip, "to": lab.a.mac}
    lab.send(lab.g, client(lab.g.mac, "request", ciaddr="10.0.0.9", **way))
    assert len(lab.heard(lab.a)) == 1


def test_network_that_does_not_lease_answers_nobody() -> None:
    lab = GuestLab()
    assert lab.ask(lab.c, client(lab.c.mac, "discover")) is None
