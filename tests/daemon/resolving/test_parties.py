"""Who asks at a gateway: an endpoint by its address there, and all others of a network together."""

from __future__ import annotations

from random import Random

import pytest

from tests.daemon.resolving.asking import addresses_of, known, parties_of
from tests.harness import Lab
from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.resolving.parties import Parties
from vswitch.dataplane.openings import Openings
from vswitch.dataplane.responders.dns.bounds import Bounds
from vswitch.naming import Server
from vswitch.network.inventory import Inventory
from vswitch.network.model import (
    DEFAULT_NETWORK,
    EndpointKind,
    EndpointRequest,
    MembershipRequest,
    Network,
)
from vswitch.wire.values import IpAddress, IpNetwork

FRONT = Network("front", IpNetwork.parse("172.18.0.0/16"), IpAddress.parse("172.18.0.1"))
BACK = Network("back", IpNetwork.parse("172.19.0.0/16"), IpAddress.parse("172.19.0.1"))
HOSTS_SERVER = Server(IpAddress.parse("192.0.2.53"))
OWN_SERVER = Server(IpAddress.parse("192.0.2.99"))
WEB, WEB_ON_BACK = IpAddress.parse("172.18.0.2"), IpAddress.parse("172.19.0.2")
NOBODY = IpAddress.parse("172.18.0.77")
HOME = Namespace.named("web")


@pytest.fixture
def inventory() -> Inventory:
    inventory = Inventory((DEFAULT_NETWORK, FRONT, BACK), (), Random(1))
    also = (MembershipRequest("back"),)
    inventory.add_endpoint(EndpointRequest("web", "front", dns=(OWN_SERVER,), also=also))
    inventory.add_endpoint(EndpointRequest("vault", "back"))
    return inventory


@pytest.fixture
def parties(inventory: Inventory) -> Parties:
    return parties_of(inventory, HOSTS_SERVER)


def test_endpoint_is_told_the_same_and_by_the_same_wherever_it_asks(parties: Parties) -> None:
    at_home = parties.of("web", HOME)
    at_front, at_back = parties.at_gateway("front", WEB), parties.at_gateway("back", WEB_ON_BACK)
    assert (at_front.network, at_back.network) == ("front", "back")
    for party in (at_home, at_front, at_back):
        assert party.name == "web"
        assert known(party, "web", "vault", "web.back") == ["web", "vault", "web.back"]
        assert party.route(b"\0").servers == (OWN_SERVER,)


def test_endpoint_is_one_party_at_a_gateway_until_it_comes_anew(parties: Parties) -> None:
    parties.of("web", HOME)
    party = parties.at_gateway("front", WEB)
    assert parties.at_gateway("front", WEB) is party
    parties.of("web", HOME)
    assert parties.at_gateway("front", WEB) is not party
    assert not parties.has(party)


@pytest.mark.parametrize(
    ("listed", "limits"),
    [
        ((), {"home": None, "front": None, "back": None}),
        (("front",), {"home": "front", "front": "front", "back": "front"}),
        (("back",), {"home": None, "front": None, "back": "back"}),
        (("front", "back"), {"home": "front", "front": "front", "back": "back"}),
    ],
)
def test_list_of_the_network_whose_gateway_is_asked_goes_first(
    inventory: Inventory, listed: tuple[str, ...], limits: dict[str, str | None]
) -> None:
    network = Lab().network("front")
    bounds = {name: Bounds(network, Openings()) for name in listed}
    parties = parties_of(inventory, HOSTS_SERVER, bounds_on=bounds.get)
    asked = {
        "home": parties.of("web", HOME),
        "front": parties.at_gateway("front", WEB),
        "back": parties.at_gateway("back", WEB_ON_BACK),
    }
    by = {where: party.bounds() for where, party in asked.items()}
    assert by == {where: bounds.get(name or "") for where, name in limits.items()}


def test_address_is_an_endpoints_on_its_own_network_alone(parties: Parties) -> None:
    parties.of("web", HOME)
    assert parties.at_gateway("back", WEB).name == "others on back"


def test_virtual_machine_asks_servers_from_the_daemons_namespace(
    inventory: Inventory, parties: Parties
) -> None:
    request = EndpointRequest("vm", "front", kind=EndpointKind.VM, dns=(OWN_SERVER,))
    address = inventory.add_endpoint(request).address
    parties.of("vm", None)
    party = parties.at_gateway("front", address)
    assert party.name == "vm"
    assert party.route(b"\0").servers == (OWN_SERVER,)
    assert party.route(b"\0").origin is None


def test_whoever_is_no_endpoint_has_the_networks_names_and_servers(parties: Parties) -> None:
    party = parties.at_gateway("front", NOBODY)
    assert parties.at_gateway("front", IpAddress.parse("172.18.0.78")) is party
    assert (party.name, party.network) == ("others on front", "front")
    assert known(party, "web", "web.front", "vault") == ["web", "web.front"]
    assert party.route(b"\0").servers == (HOSTS_SERVER,)
    assert known(parties.at_gateway("back", NOBODY), "vault", "web") == ["vault", "web"]


def test_on_the_default_network_nobody_is_known_to_who_is_no_endpoint(
    inventory: Inventory, parties: Parties
) -> None:
    inventory.add_endpoint(EndpointRequest("first"))
    party = parties.at_gateway("bridge", IpAddress.parse("172.17.0.77"))
    assert known(party, "first", "first.bridge") == []


def test_who_comes_and_goes_is_noticed(inventory: Inventory, parties: Parties) -> None:
    others = parties.at_gateway("front", WEB)
    parties.of("web", HOME)
    party = parties.at_gateway("front", WEB)
    assert party is not others
    assert parties.has(party)
    assert parties.has(others)
    inventory.remove_endpoint("web")
    assert parties.at_gateway("front", WEB) is others
    assert known(others, "web") == []
    assert not parties.has(party)


def test_host_may_ask_for_everybody_and_the_first_network_goes_first(
    inventory: Inventory, parties: Parties
) -> None:
    inventory.add_endpoint(EndpointRequest("first"))
    host = parties.host()
    assert addresses_of(host, "web") == addresses_of(host, "web.front") == (WEB,)
    assert addresses_of(host, "web.back") == (WEB_ON_BACK,)
    assert known(host, "vault", "first.bridge") == ["vault", "first.bridge"]
    assert host.route(b"\0").servers == ()
