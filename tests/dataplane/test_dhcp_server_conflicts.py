"""The DHCP server of a network: addresses that somebody has who was not leased them.

RFC 2131, 2.2 and 4.3.1.
"""

from __future__ import annotations

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
)
from tests.harness import ARP
from vswitch.dataplane.dhcp.server.news import (
    End,
    Ended,
    InUse,
)
from vswitch.dataplane.dhcp.server.server import PROBE_WAIT, SPOILT_TIME
from vswitch.units import MILLISECOND, SECOND
from vswitch.wire.values import IpNetwork, MacAddress


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
