"""The DHCP server of a network: which address it offers to whom (RFC 2131, 4.3.1; RFC 4039)."""

from __future__ import annotations

import pytest

from tests.dataplane.dhcp_guests import (
    BOOTP,
    FIRST,
    GATEWAY,
    LEASE_SECONDS,
    OTHER,
    SECOND_ADDRESS,
    SMALL,
    STRANGER,
    GuestLab,
    arp_answer,
    client,
    ip,
    kind,
    options,
    reboot,
    select,
)
from tests.harness import ARP
from vswitch.dataplane.dhcp.server.contests import CONTEST_WAIT
from vswitch.dataplane.dhcp.server.news import (
    Ended,
    Exhausted,
    Granted,
)
from vswitch.dataplane.dhcp.server.server import OFFER_TIME, PROBE_WAIT
from vswitch.dataplane.drops import DropReason
from vswitch.leasing import Leasing, Reservation
from vswitch.units import SECOND
from vswitch.wire.values import IpNetwork, MacAddress

# DISCOVER and OFFER (4.3.1)


def test_who_looks_for_a_server_is_offered_an_address_and_gets_it() -> None:
    lab = GuestLab()
    offer = lab.ask(lab.g, client(lab.g.mac, "discover"))
    assert offer is not None
    assert (kind(offer), offer[BOOTP].yiaddr, offer[BOOTP].xid) == ("offer", FIRST, 7)
    assert options(offer)["server_id"] == GATEWAY
    assert options(offer)["lease_time"] == LEASE_SECONDS
    ack = lab.ask(lab.g, select(lab.g.mac, FIRST))
    assert ack is not None
    assert (kind(ack), ack[BOOTP].yiaddr) == ("ack", FIRST)
    assert lab.grants == {lab.g.mac: FIRST}
    (granted,) = lab.turns()
    assert isinstance(granted, Granted)
    assert granted.grant.until == lab.now + LEASE_SECONDS * SECOND


def test_times_to_renew_and_rebind_are_half_and_seven_eighths() -> None:
    lab = GuestLab()
    offer = lab.ask(lab.g, client(lab.g.mac, "discover"))
    assert offer is not None
    assert options(offer)["renewal_time"] == LEASE_SECONDS // 2
    assert options(offer)["rebinding_time"] == LEASE_SECONDS * 7 // 8


def test_endpoint_is_offered_its_own_address_whatever_station_its_guest_has() -> None:
    lab = GuestLab()
    assert lab.bind(lab.vm, OTHER) == "10.0.0.7"
    assert lab.grants == {OTHER: "10.0.0.7"}


def test_second_station_behind_an_endpoints_port_gets_one_of_the_pool() -> None:
    lab = GuestLab()
    assert lab.bind(lab.vm) == "10.0.0.7"
    lab.send(lab.vm, client(OTHER, "discover"))
    (question,) = lab.received(lab.vm)
    assert (question[ARP].op, question[ARP].pdst) == (1, "10.0.0.7")
    lab.send(lab.vm, arp_answer(lab.vm.mac, "10.0.0.7", lab.vm.gateway_mac))
    lab.pass_time(PROBE_WAIT)
    (offer,) = lab.heard(lab.vm)
    assert offer[BOOTP].yiaddr == FIRST
    assert lab.bind(lab.vm, OTHER) == FIRST
    assert lab.grants == {lab.vm.mac: "10.0.0.7", OTHER: FIRST}


@pytest.mark.parametrize("takes_guests", [True, False])
def test_machine_that_comes_back_as_another_station_has_its_address_still(
    takes_guests: bool,
) -> None:
    lab = GuestLab(Leasing(takes_guests=takes_guests))
    lab.bind(lab.vm)
    lab.turns()
    lab.send(lab.vm, client(OTHER, "discover"))
    lab.pass_time(CONTEST_WAIT - 1)
    assert lab.heard(lab.vm) == []
    assert lab.grants == {lab.vm.mac: "10.0.0.7"}
    lab.send(lab.a, arp_answer(STRANGER, "10.0.0.7", lab.a.gateway_mac))
    lab.send(lab.vm, arp_answer(OTHER, "10.0.0.7", lab.vm.gateway_mac))
    lab.pass_time(1)
    (offer,) = lab.heard(lab.vm)
    assert offer[BOOTP].yiaddr == "10.0.0.7"
    assert lab.bind(lab.vm, OTHER) == "10.0.0.7"
    assert lab.grants == {OTHER: "10.0.0.7"}
    assert [type(each) for each in lab.turns()] == [Ended, Granted]


def test_firmware_and_what_it_boots_are_one_station_behind_an_endpoints_port() -> None:
    lab = GuestLab()
    assert lab.bind(lab.vm, client_id=b"\0firmware") == "10.0.0.7"
    assert lab.bind(lab.vm, client_id=b"\xffsystem") == "10.0.0.7"
    assert [type(each) for each in lab.turns()] == [Granted, Ended, Granted]


def test_client_is_known_by_its_identifier_before_its_station() -> None:
    lab = GuestLab()
    assert lab.bind(lab.g, client_id=b"\xffme") == FIRST
    assert lab.bind(lab.g, OTHER, client_id=b"\xffme") == FIRST
    assert lab.bind(lab.g, client_id=b"\xffanother") == SECOND_ADDRESS


def test_identifier_is_repeated_in_every_answer() -> None:
    """RFC 6842."""
    lab = GuestLab()
    offer = lab.ask(lab.g, client(lab.g.mac, "discover", client_id=b"\xffme"))
    assert offer is not None
    assert options(offer)["client_id"] == b"\xffme"
    refused = lab.ask(lab.g, reboot(lab.g.mac, "10.9.9.9", client_id=b"\xffme"))
    assert refused is not None
    assert (kind(refused), options(refused)["client_id"]) == ("nak", b"\xffme")


def test_client_without_an_identifier_hears_of_none() -> None:
    lab = GuestLab()
    offer = lab.ask(lab.g, client(lab.g.mac, "discover"))
    assert offer is not None
    assert "client_id" not in options(offer)


def test_address_that_is_asked_for_is_offered_where_it_is_free() -> None:
    lab = GuestLab()
    offer = lab.ask(lab.g, client(lab.g.mac, "discover", requested_addr="10.0.9.77"))
    assert offer is not None
    assert offer[BOOTP].yiaddr == "10.0.9.77"


@pytest.mark.parametrize(
    "wanted", [GATEWAY, "10.0.0.2", "10.0.0.7", "10.0.0.0", "10.0.255.255", "10.0.8.8", "10.7.0.1"]
)
def test_address_that_is_no_guests_is_not_offered_to_who_asks_for_it(wanted: str) -> None:
    """The gateway's, an endpoint's, that of the network and to all of it, out of the pool, out of
    the network."""
    lab = GuestLab()
    offer = lab.ask(lab.g, client(lab.g.mac, "discover", requested_addr=wanted))
    assert offer is not None
    assert offer[BOOTP].yiaddr == FIRST


def test_pool_that_is_all_of_the_subnet_gives_no_address_that_is_somebodys() -> None:
    lab = GuestLab(pool=IpNetwork.parse("10.0.0.0/16"))
    assert lab.bind(lab.g) == "10.0.0.4"
    assert lab.bind(lab.g, OTHER) == "10.0.0.5"


def test_same_client_gets_its_earlier_address_again() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    lab.bind(lab.g, OTHER)
    lab.pass_time(2 * LEASE_SECONDS * SECOND)
    assert lab.grants == {}
    assert lab.bind(lab.g, STRANGER) == "10.0.9.2"
    assert lab.bind(lab.g, OTHER) == SECOND_ADDRESS


def test_of_used_addresses_the_one_comes_first_that_has_been_free_for_longest() -> None:
    lab = GuestLab(pool=SMALL)
    lab.bind(lab.g)
    lab.pass_time(10 * SECOND)
    lab.bind(lab.g, OTHER)
    lab.pass_time(2 * LEASE_SECONDS * SECOND)
    assert lab.bind(lab.g, STRANGER) == FIRST


def test_offer_is_held_for_its_client_and_then_lapses() -> None:
    lab = GuestLab(pool=IpNetwork.parse("10.0.9.5/32"))
    assert lab.ask(lab.g, client(lab.g.mac, "discover")) is not None
    assert lab.ask(lab.g, client(OTHER, "discover")) is None
    lab.pass_time(OFFER_TIME)
    assert lab.ask(lab.g, client(OTHER, "discover")) is not None


def test_reservation_goes_before_everything_and_to_nobody_else() -> None:
    station = MacAddress.parse(OTHER)
    reserved = Reservation(station, ip("10.0.5.5")), Reservation("printer", ip(FIRST))
    lab = GuestLab(Leasing(reservations=reserved))
    assert lab.bind(lab.g) == SECOND_ADDRESS
    assert lab.bind(lab.vm, OTHER) == "10.0.5.5"
    assert lab.bind(lab.g, STRANGER, hostname=b"Printer.example.org") == FIRST


def test_hostname_of_a_client_stands_in_its_grant_where_it_can_be_a_name() -> None:
    lab = GuestLab()
    lab.bind(lab.g, hostname=b"box.example\0")
    lab.bind(lab.g, OTHER, hostname=b"not a name")
    names = [turn.grant.hostname for turn in lab.turns() if isinstance(turn, Granted)]
    assert names == ["box", None]


def test_lease_is_shorter_where_the_client_asks_for_that_and_never_longer() -> None:
    lab = GuestLab()
    for asked, given in ((600, 600), (5, 60), (10**6, LEASE_SECONDS)):
        offer = lab.ask(lab.g, client(lab.g.mac, "discover", lease_time=asked))
        assert offer is not None
        assert options(offer)["lease_time"] == given


def test_pool_that_is_exhausted_is_told_once_a_second_and_answered_by_nothing() -> None:
    lab = GuestLab(pool=SMALL)
    lab.bind(lab.g)
    lab.bind(lab.g, OTHER)
    for _ in range(3):
        assert lab.ask(lab.g, client(STRANGER, "discover")) is None
    assert lab.drops == {DropReason.ADDRESSES_EXHAUSTED: 3}
    assert lab.news() == [Exhausted(MacAddress.parse(STRANGER))]
    lab.send(lab.g, client(OTHER, "release", ciaddr=SECOND_ADDRESS, server_id=GATEWAY))
    assert lab.bind(lab.g, STRANGER) == SECOND_ADDRESS


def test_address_is_found_at_once_where_the_exhausted_pool_becomes_another() -> None:
    lab = GuestLab(pool=SMALL)
    lab.bind(lab.g)
    lab.bind(lab.g, OTHER)
    assert lab.ask(lab.g, client(STRANGER, "discover")) is None
    lab.lease(pool=IpNetwork.parse("10.0.9.0/30"))
    assert lab.bind(lab.g, STRANGER) == "10.0.9.2"


# Rapid commit (RFC 4039)


def test_client_that_asks_for_it_has_its_lease_after_one_message() -> None:
    lab = GuestLab()
    ack = lab.ask(lab.g, client(lab.g.mac, "discover", rapid_commit=b""))
    assert ack is not None
    assert (kind(ack), ack[BOOTP].yiaddr) == ("ack", FIRST)
    assert options(ack)["rapid_commit"] == b""
    assert lab.grants == {lab.g.mac: FIRST}


def test_lease_that_ends_as_another_begins_does_not_take_that_along() -> None:
    lab = GuestLab(Leasing(reservations=(Reservation("box", ip("10.0.5.5")),)))
    lab.bind(lab.g, client_id=b"\xffme")
    lab.pass_time(LEASE_SECONDS * SECOND - PROBE_WAIT)
    said = {"client_id": b"\xffme", "hostname": b"box", "rapid_commit": b""}
    lab.send(lab.g, client(lab.g.mac, "discover", **said))
    lab.pass_time(PROBE_WAIT)
    assert lab.grants == {lab.g.mac: "10.0.5.5"}
    assert [type(each) for each in lab.turns()] == [Granted, Ended, Granted]
