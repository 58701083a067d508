"""The DHCP server of a network: one port invents clients without end. What is left for others?"""

from __future__ import annotations

from tests.dataplane.dhcp_guests import (
    ARP,
    BOOTP,
    GuestLab,
    arp_answer,
    client,
    ip,
    renewal,
)
from tests.harness import Host
from vswitch.dataplane.dhcp.server.choice import SHARE
from vswitch.dataplane.dhcp.server.news import Crowded
from vswitch.dataplane.dhcp.server.server import MESSAGES_PER_SECOND, OFFER_TIME
from vswitch.dataplane.drops import DropReason
from vswitch.leasing import MACHINES_ALONE, Leasing, Reservation
from vswitch.units import SECOND
from vswitch.wire.values import IpNetwork, MacAddress

POOL = IpNetwork.parse("10.0.9.0/28")
THEIRS = 12
"""Of 16 addresses, three quarters."""

STRANGER = "02:00:00:00:99:66"


def invented(number: int) -> str:
    return f"02:00:00:00:98:{number:02x}"


def flood(lab: GuestLab, host: Host, count: int = 20, first: int = 0) -> list[str]:
    """Let so many clients behind a port ask for an address; those that get one."""
    stations = [invented(number) for number in range(first, first + count)]
    return [lab.bind(host, each) for each in stations if lab.ask(host, client(each, "discover"))]


def test_port_that_invents_clients_has_its_share_of_the_pool_and_no_more() -> None:
    lab = GuestLab(pool=POOL)
    assert len(flood(lab, lab.g)) == THEIRS
    assert lab.drops == {DropReason.TOO_MANY_LEASES: 20 - THEIRS}
    assert Crowded(MacAddress.parse(invented(THEIRS)), lab.g.port) in lab.news()
    assert lab.bind(lab.a) == "10.0.9.12"


def test_two_ports_that_do_leave_something_for_a_third() -> None:
    lab = GuestLab(pool=POOL)
    flood(lab, lab.g)
    flood(lab, lab.a, first=64)
    assert lab.bind(lab.b) == "10.0.9.15"


def test_offers_that_nobody_takes_count_until_they_lapse() -> None:
    lab = GuestLab(pool=POOL)
    given = [lab.ask(lab.g, client(invented(each), "discover")) for each in range(20)]
    assert sum(each is not None for each in given) == THEIRS
    lab.pass_time(OFFER_TIME)
    assert lab.bind(lab.g, STRANGER)


def test_share_is_not_got_round_by_asking_for_an_address_or_claiming_to_have_one() -> None:
    lab = GuestLab(pool=POOL)
    flood(lab, lab.g, THEIRS)
    wish = client(STRANGER, "discover", requested_addr="10.0.9.14")
    assert lab.ask(lab.g, wish) is None
    lab.send(lab.g, renewal(STRANGER, "10.0.9.14", lab.g.gateway_mac))
    assert STRANGER not in lab.grants


def test_who_has_a_lease_renews_it_although_its_port_has_its_share() -> None:
    lab = GuestLab(pool=POOL)
    first, *_ = flood(lab, lab.g)
    answer = lab.ask(lab.g, renewal(invented(0), first, lab.g.gateway_mac))
    assert answer is not None
    assert answer[BOOTP].yiaddr == first


def test_reserved_address_is_beyond_the_share() -> None:
    reserved = Reservation(MacAddress.parse(STRANGER), ip("10.0.9.14"))
    lab = GuestLab(Leasing(reservations=(reserved,)), pool=POOL)
    flood(lab, lab.g)
    assert lab.bind(lab.g, STRANGER) == "10.0.9.14"


def test_leases_of_a_port_that_is_gone_are_no_other_ports() -> None:
    lab = GuestLab(pool=POOL)
    flood(lab, lab.g, THEIRS)
    lab.switch.remove_port(lab.g.port)
    assert lab.bind(lab.a, STRANGER)
    assert len(lab.grants) == THEIRS + 1


def test_handful_of_addresses_is_not_divided() -> None:
    lab = GuestLab(pool=IpNetwork.parse("10.0.9.0/31"))
    assert SHARE > 1
    assert len(flood(lab, lab.g, 2)) == 2


def test_messages_of_a_port_are_heard_at_a_rate_and_others_are_heard_beside_it() -> None:
    lab = GuestLab()
    lab.bind(lab.a)
    lab.pass_time(SECOND)
    for number in range(MESSAGES_PER_SECOND + 5):
        lab.send(lab.g, client(invented(number), "discover"))
    assert lab.drops == {DropReason.TOO_MUCH_DHCP: 5}
    assert lab.ask(lab.a, renewal(lab.a.mac, "10.0.9.0", lab.g.gateway_mac)) is not None
    lab.pass_time(SECOND)
    lab.send(lab.g, client(STRANGER, "discover"))
    assert lab.drops == {DropReason.TOO_MUCH_DHCP: 5}


def test_messages_that_the_server_is_not_for_are_nobodys_to_count() -> None:
    lab = GuestLab(MACHINES_ALONE)
    for _ in range(MESSAGES_PER_SECOND + 5):
        lab.send(lab.g, client(lab.g.mac, "discover"))
    assert lab.drops == {}


def test_station_that_answers_for_every_address_is_not_asked_about_them_without_end() -> None:
    lab = GuestLab()
    lab.send(lab.g, client(STRANGER, "discover"))
    asked = 0
    while questions := [each for each in lab.received(lab.a) if ARP in each]:
        asked += len(questions)
        for each in questions:
            lab.send(lab.a, arp_answer(lab.a.mac, each[ARP].pdst, lab.a.gateway_mac))
    assert asked == MESSAGES_PER_SECOND
