"""The DHCP server of a network: what it grants, refuses and takes back.

RFC 2131, 4.3.2 to 4.3.5.
"""

from __future__ import annotations

import pytest

from tests.dataplane.dhcp_guests import (
    BOOTP,
    FIRST,
    GATEWAY,
    IP,
    LEASE_SECONDS,
    NOBODY,
    OTHER,
    GuestLab,
    client,
    kind,
    options,
    reboot,
    renewal,
    select,
)
from vswitch.dataplane.dhcp.server.news import (
    End,
    Ended,
    Renewed,
)
from vswitch.dataplane.dhcp.server.server import OFFER_TIME
from vswitch.units import SECOND
from vswitch.wire.values import IpNetwork

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


def test_station_gives_back_nothing_in_the_name_of_one_behind_another_port() -> None:
    lab = GuestLab()
    address = lab.bind(lab.g)
    said = {"server_id": GATEWAY, "source": lab.b.mac}
    lab.send(lab.b, client(lab.g.mac, "release", ciaddr=address, **said))
    lab.send(lab.b, client(lab.g.mac, "decline", requested_addr=address, **said))
    assert lab.grants == {lab.g.mac: address}
    lab.send(lab.g, client(lab.g.mac, "release", ciaddr=address, server_id=GATEWAY))
    assert lab.grants == {}
