"""The DHCP server of a network, as RFC 2131 has it: who gets which address, and what is said."""

from __future__ import annotations

import pytest
from scapy.packet import Packet

from tests.dataplane.dhcp_guests import (
    ALL_STATIONS,
    BOOTP,
    EVERYBODY,
    GATEWAY,
    IP,
    LEASE_SECONDS,
    NOBODY,
    UDP,
    Ether,
    GuestLab,
    arp_answer,
    client,
    ip,
    kind,
    options,
    renewal,
)
from tests.harness import ARP, assert_checksums_right
from vswitch.dataplane.dhcp.server.book import Grant
from vswitch.dataplane.dhcp.server.contests import CONTEST_WAIT
from vswitch.dataplane.dhcp.server.news import (
    End,
    Ended,
    Exhausted,
    Granted,
    InUse,
    Relayed,
    Renewed,
)
from vswitch.dataplane.dhcp.server.server import OFFER_TIME, PROBE_WAIT, SPOILT_TIME
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.verdict import Fate
from vswitch.leasing import Leasing, Reservation
from vswitch.policy import PortPolicy
from vswitch.units import MILLISECOND, SECOND
from vswitch.wire.values import IpNetwork, MacAddress

FIRST, SECOND_ADDRESS = "10.0.9.0", "10.0.9.1"
OTHER = "02:00:00:00:99:99"
STRANGER = "02:00:00:00:99:66"
SMALL = IpNetwork.parse("10.0.9.0/31")


def select(station: str, address: str, server: str = GATEWAY, **said: object) -> Packet:
    return client(station, "request", server_id=server, requested_addr=address, **said)


def reboot(station: str, address: str, **said: object) -> Packet:
    return client(station, "request", requested_addr=address, **said)


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


# Conflicts (2.2, 4.3.1)


def test_network_is_asked_before_an_address_is_offered_to_somebody_new() -> None:
    lab = GuestLab()
    lab.send(lab.g, client(lab.g.mac, "discover"))
    for host in (lab.a, lab.g, lab.vm):
        (question,) = lab.received(host)
        assert (question[ARP].op, question[ARP].pdst) == (1, FIRST)
    lab.pass_time(PROBE_WAIT - 1 * MILLISECOND)
    assert lab.heard(lab.g) == []
    lab.pass_time(1 * MILLISECOND)
    (offer,) = lab.heard(lab.g)
    assert kind(offer) == "offer"


def test_address_that_somebody_answers_for_is_not_offered_for_a_while() -> None:
    lab = GuestLab()
    lab.send(lab.g, client(lab.g.mac, "discover"))
    lab.send(lab.a, arp_answer(STRANGER, FIRST, lab.a.gateway_mac))
    lab.pass_time(PROBE_WAIT)
    (offer,) = lab.heard(lab.g)
    assert offer[BOOTP].yiaddr == SECOND_ADDRESS
    assert lab.news() == [InUse(ip(FIRST), MacAddress.parse(STRANGER))]
    assert lab.bind(lab.g, OTHER) == "10.0.9.2"
    lab.pass_time(SPOILT_TIME)
    assert lab.bind(lab.b) == FIRST


def test_answer_of_the_client_itself_is_no_conflict() -> None:
    lab = GuestLab()
    lab.send(lab.g, client(lab.g.mac, "discover"))
    lab.send(lab.g, arp_answer(lab.g.mac, FIRST, lab.g.gateway_mac))
    lab.pass_time(PROBE_WAIT)
    (offer,) = lab.heard(lab.g)
    assert offer[BOOTP].yiaddr == FIRST


def test_clients_own_address_is_offered_without_asking_the_network() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    lab.pass_time(2 * LEASE_SECONDS * SECOND)
    lab.received(lab.a)
    (offer,) = lab.say(lab.g, client(lab.g.mac, "discover"))
    assert (kind(offer), offer[BOOTP].yiaddr) == ("offer", FIRST)
    assert lab.received(lab.a) == []


def test_client_that_asks_again_while_the_network_is_asked_gets_one_answer_to_its_last() -> None:
    lab = GuestLab()
    lab.send(lab.g, client(lab.g.mac, "discover", xid=7))
    lab.send(lab.g, client(lab.g.mac, "discover", xid=8))
    assert len([each for each in lab.received(lab.a) if ARP in each]) == 1
    lab.pass_time(1 * SECOND)
    (offer,) = lab.heard(lab.g)
    assert offer[BOOTP].xid == 8


def test_address_that_a_client_declines_is_given_to_nobody_for_a_while() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    lab.turns()
    lab.send(lab.g, client(lab.g.mac, "decline", server_id=GATEWAY, requested_addr=FIRST))
    (ended,) = lab.turns()
    assert isinstance(ended, Ended)
    assert ended.reason is End.DECLINED
    assert lab.news() == [InUse(ip(FIRST), MacAddress.parse(lab.g.mac))]
    assert lab.bind(lab.g) == SECOND_ADDRESS


def test_address_that_was_spoilt_is_asked_about_anew_even_for_who_had_it() -> None:
    lab = GuestLab(pool=IpNetwork.parse("10.0.9.5/32"))
    lab.bind(lab.g)
    lab.send(lab.g, client(lab.g.mac, "decline", server_id=GATEWAY, requested_addr="10.0.9.5"))
    lab.pass_time(SPOILT_TIME)
    lab.received(lab.a)
    lab.send(lab.g, client(lab.g.mac, "discover"))
    (question,) = lab.received(lab.a)
    assert question[ARP].pdst == "10.0.9.5"


def test_address_that_an_endpoint_gets_while_the_network_is_asked_is_not_offered() -> None:
    lab = GuestLab()
    lab.send(lab.g, client(lab.g.mac, "discover"))
    lab.inventory.taken.add(FIRST)
    lab.pass_time(1 * SECOND)
    (offer,) = lab.heard(lab.g)
    assert offer[BOOTP].yiaddr == SECOND_ADDRESS


def test_client_declines_nothing_that_it_does_not_have() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    lab.send(lab.g, client(OTHER, "decline", server_id=GATEWAY, requested_addr=FIRST))
    lab.send(lab.g, client(OTHER, "release", server_id=GATEWAY, ciaddr=FIRST))
    assert lab.grants == {lab.g.mac: FIRST}


def test_station_gives_back_nothing_in_the_name_of_another() -> None:
    lab = GuestLab()
    lab.bind(lab.g, client_id=b"\xffme")
    said = {"server_id": GATEWAY, "client_id": b"\xffme"}
    lab.send(lab.b, client(STRANGER, "release", ciaddr=FIRST, **said))
    lab.send(lab.b, client(STRANGER, "decline", requested_addr=FIRST, **said))
    assert lab.grants == {lab.g.mac: FIRST}


def test_declined_addresses_are_tried_again_where_there_are_no_others() -> None:
    lab = GuestLab(pool=SMALL)
    for _ in range(2):
        address = lab.bind(lab.g)
        lab.send(lab.g, client(lab.g.mac, "decline", server_id=GATEWAY, requested_addr=address))
    assert lab.bind(lab.g) == FIRST


# REQUEST (4.3.2, table 4)


def test_client_that_chooses_another_server_gives_its_offer_back() -> None:
    lab = GuestLab(pool=IpNetwork.parse("10.0.9.5/32"))
    lab.ask(lab.g, client(lab.g.mac, "discover"))
    assert lab.ask(lab.g, select(lab.g.mac, "10.0.9.9", server="10.0.0.99")) is None
    assert lab.ask(lab.g, client(OTHER, "discover")) is not None


def test_client_that_chooses_what_it_was_not_offered_is_refused() -> None:
    lab = GuestLab()
    lab.ask(lab.g, client(lab.g.mac, "discover"))
    refused = lab.ask(lab.g, select(lab.g.mac, "10.0.9.44"))
    assert refused is not None
    assert kind(refused) == "nak"
    assert lab.grants == {}


def test_client_that_hears_no_ack_asks_again_and_hears_it() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    again = lab.ask(lab.g, select(lab.g.mac, FIRST))
    assert again is not None
    assert (kind(again), again[BOOTP].yiaddr) == ("ack", FIRST)
    assert isinstance(lab.turns()[-1], Renewed)


def test_client_that_chooses_an_offer_that_has_lapsed_gets_it_where_it_is_free() -> None:
    lab = GuestLab(pool=IpNetwork.parse("10.0.9.5/32"))
    lab.ask(lab.g, client(lab.g.mac, "discover"))
    lab.pass_time(2 * OFFER_TIME)
    ack = lab.ask(lab.g, select(lab.g.mac, "10.0.9.5"))
    assert ack is not None
    assert kind(ack) == "ack"
    refused = lab.ask(lab.g, select(OTHER, "10.0.9.5"))
    assert refused is not None
    assert kind(refused) == "nak"


def test_client_that_starts_anew_with_its_address_gets_it() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    ack = lab.ask(lab.g, reboot(lab.g.mac, FIRST))
    assert ack is not None
    assert (kind(ack), ack[BOOTP].yiaddr, ack[BOOTP].ciaddr) == ("ack", FIRST, NOBODY)


def test_client_that_starts_anew_with_another_address_is_refused() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    refused = lab.ask(lab.g, reboot(lab.g.mac, "10.0.9.44"))
    assert refused is not None
    assert kind(refused) == "nak"


def test_client_that_starts_anew_with_an_address_of_another_network_is_refused() -> None:
    lab = GuestLab()
    refused = lab.ask(lab.g, reboot(lab.g.mac, "192.168.1.5"))
    assert refused is not None
    assert kind(refused) == "nak"


def test_client_of_which_nothing_is_known_is_answered_by_nothing_when_it_starts_anew() -> None:
    """4.3.2: "the server MUST remain silent"."""
    lab = GuestLab()
    assert lab.ask(lab.g, reboot(lab.g.mac, "10.0.9.44")) is None


def test_endpoint_that_starts_anew_is_known_by_its_port() -> None:
    lab = GuestLab()
    ack = lab.ask(lab.vm, reboot(OTHER, "10.0.0.7"))
    assert ack is not None
    assert kind(ack) == "ack"
    lab = GuestLab()
    refused = lab.ask(lab.vm, reboot(OTHER, "10.0.9.44"))
    assert refused is not None
    assert kind(refused) == "nak"


def test_lease_is_renewed_for_another_whole_time() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    lab.turns()
    lab.pass_time(LEASE_SECONDS // 2 * SECOND)
    ack = lab.ask(lab.g, renewal(lab.g.mac, FIRST, lab.g.gateway_mac))
    assert ack is not None
    assert (kind(ack), ack[BOOTP].yiaddr, ack[BOOTP].ciaddr) == ("ack", FIRST, FIRST)
    assert (ack.dst, ack[IP].dst) == (lab.g.mac, FIRST)
    (renewed,) = lab.turns()
    assert isinstance(renewed, Renewed)
    assert renewed.grant.until == lab.now + LEASE_SECONDS * SECOND
    lab.pass_time(LEASE_SECONDS * SECOND - 1)
    assert lab.grants == {lab.g.mac: FIRST}
    lab.pass_time(1)
    assert lab.grants == {}


def test_client_that_rebinds_is_heard_although_it_asks_everybody() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    ack = lab.ask(lab.g, client(lab.g.mac, "request", ciaddr=FIRST))
    assert ack is not None
    assert (kind(ack), ack.dst, ack[IP].dst) == ("ack", lab.g.mac, FIRST)


def test_client_of_which_nothing_is_known_keeps_its_address_where_that_is_free() -> None:
    lab = GuestLab()
    ack = lab.ask(lab.g, client(lab.g.mac, "request", ciaddr="10.0.9.44"))
    assert ack is not None
    assert kind(ack) == "ack"
    assert lab.grants == {lab.g.mac: "10.0.9.44"}


@pytest.mark.parametrize("address", ["10.0.0.2", "10.0.0.7", GATEWAY, "10.0.8.8", "192.0.2.9"])
def test_client_is_refused_more_time_for_what_it_may_not_have(address: str) -> None:
    lab = GuestLab()
    refused = lab.ask(lab.g, client(lab.g.mac, "request", ciaddr=address, src=NOBODY))
    assert refused is not None
    assert kind(refused) == "nak"
    assert lab.grants == {}


def test_client_is_refused_more_time_for_a_free_address_that_is_not_the_one_it_has() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    refused = lab.ask(lab.g, client(lab.g.mac, "request", ciaddr="10.0.9.44"))
    assert refused is not None
    assert kind(refused) == "nak"
    assert lab.grants == {lab.g.mac: FIRST}


def test_client_is_refused_more_time_for_what_another_has() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    refused = lab.ask(lab.b, client(OTHER, "request", ciaddr=FIRST))
    assert refused is not None
    assert kind(refused) == "nak"
    assert lab.grants == {lab.g.mac: FIRST}


def test_address_that_has_become_somebody_elses_is_refused_and_ends() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    lab.turns()
    lab.inventory.taken.add(FIRST)
    refused = lab.ask(lab.g, renewal(lab.g.mac, FIRST, lab.g.gateway_mac))
    assert refused is not None
    assert kind(refused) == "nak"
    (ended,) = lab.turns()
    assert isinstance(ended, Ended)
    assert ended.reason is End.TAKEN


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"server_id": GATEWAY},
        {"server_id": GATEWAY, "requested_addr": FIRST, "ciaddr": FIRST},
    ],
)
def test_request_that_is_in_no_state_of_table_4_is_not_answered(said: dict[str, str]) -> None:
    lab = GuestLab()
    lab.ask(lab.g, client(lab.g.mac, "discover"))
    assert lab.ask(lab.g, client(lab.g.mac, "request", **said)) is None
    assert lab.grants == {}


# RELEASE and INFORM (4.3.4, 4.3.5)


def test_lease_that_is_given_back_is_over_and_not_answered() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    lab.turns()
    way = {"src": FIRST, "dst": GATEWAY, "to": lab.g.gateway_mac}
    assert (
        lab.ask(lab.g, client(lab.g.mac, "release", ciaddr=FIRST, server_id=GATEWAY, **way)) is None
    )
    assert lab.grants == {}
    (ended,) = lab.turns()
    assert isinstance(ended, Ended)
    assert ended.reason is End.RELEASED


def test_host_with_an_address_of_its_own_is_told_the_rest_without_a_lease() -> None:
    lab = GuestLab()
    ack = lab.ask(lab.a, client(lab.a.mac, "inform", ciaddr=lab.a.ip))
    assert ack is not None
    assert (kind(ack), ack[BOOTP].yiaddr) == ("ack", NOBODY)
    assert (ack.dst, ack[IP].dst) == (lab.a.mac, lab.a.ip)
    assert options(ack)["router"] == GATEWAY
    assert not {"lease_time", "renewal_time", "rebinding_time"} & set(options(ack))
    assert lab.grants == {}


def test_host_of_another_network_is_told_nothing() -> None:
    lab = GuestLab()
    assert lab.ask(lab.a, client(lab.a.mac, "inform", ciaddr="192.0.2.9")) is None


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


# What is kept


def test_station_is_told_nothing_that_could_not_be_written_down() -> None:
    lab = GuestLab()
    assert lab.ask(lab.g, client(lab.g.mac, "discover")) is not None
    lab.inventory.can_write = False
    assert lab.ask(lab.g, select(lab.g.mac, FIRST)) is None
    lab.inventory.can_write = True
    assert lab.ask(lab.g, select(lab.g.mac, FIRST)) is not None


def test_grants_of_an_earlier_life_hold_and_those_that_can_not_are_returned() -> None:
    lab = GuestLab()
    number, station = lab.network("front").number, MacAddress.parse(lab.g.mac)
    sound = Grant(ip(FIRST), station, b"", "box", lab.now + 100 * SECOND)
    over = Grant(ip("10.0.9.8"), MacAddress.parse(OTHER), b"", None, lab.now)
    twice = Grant(ip(FIRST), MacAddress.parse(OTHER), b"", None, lab.now + 100 * SECOND)
    gateways = Grant(ip(GATEWAY), MacAddress.parse(STRANGER), b"", None, lab.now + 100 * SECOND)
    lost = lab.switch.changes.restore_leases(number, [sound, over, twice, gateways], lab.now)
    assert lost == [over, twice, gateways]
    assert lab.switch.grants(number) == [sound]
    assert lab.turns() == []
    ack = lab.ask(lab.g, reboot(lab.g.mac, FIRST))
    assert ack is not None
    lab.pass_time(LEASE_SECONDS * SECOND)
    assert [type(each) for each in lab.turns()] == [Renewed, Ended]


def test_endpoint_that_leaves_takes_its_lease_along_and_a_guest_keeps_his() -> None:
    lab = GuestLab()
    lab.bind(lab.vm)
    lab.bind(lab.g, OTHER)
    lab.turns()
    lab.detach(lab.vm)
    (ended,) = lab.turns()
    assert isinstance(ended, Ended)
    assert (str(ended.grant.address), ended.reason) == ("10.0.0.7", End.LEFT)
    assert lab.grants == {OTHER: FIRST}
    ack = lab.ask(lab.g, renewal(OTHER, FIRST, lab.g.gateway_mac))
    assert ack is not None
    assert kind(ack) == "ack"


def test_endpoint_that_leaves_takes_its_lease_of_an_earlier_life_along() -> None:
    lab = GuestLab()
    number, station = lab.network("front").number, MacAddress.parse(lab.vm.mac)
    grant = Grant(ip("10.0.0.7"), station, b"", None, lab.now + 100 * SECOND)
    assert lab.switch.changes.restore_leases(number, [grant], lab.now) == []
    lab.detach(lab.vm)
    assert lab.turns() == [Ended(grant, End.LEFT)]


def test_offer_is_not_made_to_a_port_that_is_gone() -> None:
    lab = GuestLab()
    lab.send(lab.g, client(lab.g.mac, "discover"))
    gone = lab.g
    lab.detach(gone)
    lab.pass_time(1 * SECOND)
    assert lab.heard(gone) == []
    assert lab.bind(lab.b) == FIRST


def test_lease_that_is_taken_back_is_refused_when_its_station_wants_more_time() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    number = lab.network("front").number
    ended = lab.switch.changes.end_lease(number, ip(FIRST), lab.now)
    assert ended is not None
    assert str(ended.station) == lab.g.mac
    assert lab.switch.changes.end_lease(number, ip(FIRST), lab.now) is None
    assert lab.bind(lab.g, OTHER) == SECOND_ADDRESS


def test_what_a_guest_has_begun_ends_with_its_lease() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    packet = IP(src=FIRST, dst="198.51.100.1") / UDP(sport=5000, dport=7000) / b"out"
    lab.send(lab.g, lab.routed(lab.g, packet))
    assert len(lab.switch.tables.connections) == 1
    lab.send(lab.g, client(lab.g.mac, "release", ciaddr=FIRST, server_id=GATEWAY))
    assert len(lab.switch.tables.connections) == 0


def test_network_that_leases_no_longer_is_silent() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    lab.turns()
    lab.switch.changes.stop_leasing(lab.network("front").number)
    assert lab.ask(lab.g, reboot(lab.g.mac, FIRST)) is None
    assert lab.grants == {}
    assert lab.turns() == []


def test_network_without_a_gateway_can_not_lease() -> None:
    lab = GuestLab()
    lab.switch.changes.set_interface(lab.network("back").number, None, None, lab.now)
    with pytest.raises(ValueError, match="network back has no gateway"):
        lab.switch.changes.lease(
            lab.network("back").number,
            lab.switch.tables.dhcp_servers.by_network[lab.network("front").number].terms,
            lab.inventory,
        )


# Asking without doing


def test_message_that_is_only_asked_about_changes_nothing_and_is_told_the_same() -> None:
    lab = GuestLab()
    lab.bind(lab.g)
    lab.turns()
    for message, words in (
        (client(lab.g.mac, "discover"), f"DHCP DISCOVER of {lab.g.mac}: offered {FIRST}"),
        (client(OTHER, "discover"), f"DHCP DISCOVER of {OTHER}: {SECOND_ADDRESS} is for it"),
        (reboot(lab.g.mac, FIRST), f"DHCP REQUEST of {lab.g.mac}: given {FIRST}"),
        (client(lab.g.mac, "release", ciaddr=FIRST, server_id=GATEWAY), "is given back"),
    ):
        verdict = lab.switch.trace(lab.g.port, bytearray(10) + bytes(message), lab.now)
        assert words in " ".join(map(str, verdict.trail))
        assert verdict.fate is (Fate.ANSWERED if verdict.deliveries else Fate.ABSORBED)
    lab.pass_time(1 * SECOND)
    assert lab.heard(lab.g) == []
    assert lab.turns() == []
    assert lab.grants == {lab.g.mac: FIRST}


# Time


def test_server_that_has_nothing_to_wait_for_is_not_looked_at_as_time_passes() -> None:
    lab = GuestLab()
    servers = lab.switch.tables.dhcp_servers
    assert servers.next_deadline() is None
    lab.bind(lab.g)
    assert servers.next_deadline() is not None
    lab.send(lab.g, client(lab.g.mac, "release", ciaddr=FIRST, server_id=GATEWAY))
    lab.pass_time(2 * LEASE_SECONDS * SECOND)
    assert servers.next_deadline() is None
    assert lab.bind(lab.g) == FIRST
