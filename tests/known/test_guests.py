"""Stations that say what they are called when they are leased an address, and who finds them."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from vswitch.known.directory import Directory
from vswitch.known.to_endpoints import View
from vswitch.leasing import Lease, Leasing
from vswitch.naming import NameSettings
from vswitch.network.ids import membership_id
from vswitch.network.inventory import Inventory
from vswitch.network.model import (
    DEFAULT_NETWORK,
    Endpoint,
    EndpointKind,
    EndpointRequest,
    MembershipRequest,
    Network,
)
from vswitch.wire.domain import encode
from vswitch.wire.values import IpAddress, IpNetwork, MacAddress

FRONT = Network(
    "front",
    IpNetwork.parse("172.18.0.0/16"),
    IpAddress.parse("172.18.0.1"),
    leasing=Leasing(domain="lab.example"),
)
BACK = Network("back", IpNetwork.parse("172.19.0.0/16"), IpAddress.parse("172.19.0.1"))
ADDRESS = IpAddress.parse("172.18.7.7")
OTHER = IpAddress.parse("172.18.7.8")
STATION = MacAddress.parse("52:54:00:12:34:56")


@pytest.fixture
def inventory() -> Inventory:
    made = Inventory((DEFAULT_NETWORK, FRONT, BACK), (), Random(1))
    add(made, EndpointRequest("web", "front", aliases=("www",), hostname="web.example"))
    return made


def add(inventory: Inventory, request: EndpointRequest) -> Endpoint:
    return inventory.add_endpoint(request)


def lease(
    inventory: Inventory, hostname: str | None, address: IpAddress = ADDRESS, on: Network = FRONT
) -> None:
    inventory.lease(on, Lease(address, STATION, hostname))


def view_of(inventory: Inventory, asking: str = "web") -> View:
    return View(Directory(inventory, NameSettings), asking)


def found(inventory: Inventory, name: str, asking: str = "web") -> list[str]:
    addresses = view_of(inventory, asking)().addresses(encode(name.lower()))
    return [] if addresses is None else [str(each) for each in addresses]


@pytest.mark.parametrize("name", ["printer", "PRINTER", "printer.front", "printer.lab.example"])
def test_station_is_known_by_what_it_says(inventory: Inventory, name: str) -> None:
    lease(inventory, "printer")
    assert found(inventory, name) == ["172.18.7.7"]


def test_its_address_leads_back_to_it(inventory: Inventory) -> None:
    lease(inventory, "printer")
    assert view_of(inventory)().name_of(ADDRESS) == encode("printer.front")


def test_endpoints_are_known_below_the_domain_that_stations_are_told(inventory: Inventory) -> None:
    view = view_of(inventory)
    (web,) = found(inventory, "web")
    assert view().addresses(encode("www.lab.example")) == (IpAddress.parse(web),)
    assert view().name_of(IpAddress.parse(web)) == encode("web.front")
    inventory.change_network(replace(FRONT, leasing=Leasing(domain="other.example")))
    assert view().addresses(encode("www.lab.example")) is None
    assert view().addresses(encode("www.other.example")) == (IpAddress.parse(web),)


def test_view_that_was_looked_at_notices_that_a_lease_begins_and_ends(inventory: Inventory) -> None:
    view, name = view_of(inventory), encode("printer")
    assert view().addresses(name) is None
    lease(inventory, "printer")
    assert view().addresses(name) == (ADDRESS,)
    inventory.end_lease(FRONT, ADDRESS)
    assert view().addresses(name) is None


@pytest.mark.parametrize("name", ["web", "WEB", "www", "web.example", "db", "wpad", "localhost"])
def test_station_takes_over_no_name(inventory: Inventory, name: str) -> None:
    """Not even of an endpoint that is on another network: who is on both could be led astray."""
    both = (MembershipRequest("front"),)
    add(inventory, EndpointRequest("db", "back", also=both))
    add(inventory, EndpointRequest("app", "front", also=(MembershipRequest("back"),)))
    before = found(inventory, name, "app")
    lease(inventory, name)
    assert found(inventory, name, "app") == before


def test_station_does_not_take_over_a_short_id(inventory: Inventory) -> None:
    web = inventory.endpoint("web")
    short_id = membership_id(web, web.memberships[0])[:12]
    lease(inventory, short_id)
    assert found(inventory, short_id) == [str(web.address)]


def test_station_does_not_take_over_a_name_with_a_domain(inventory: Inventory) -> None:
    printer = add(inventory, EndpointRequest("printer.lab.example", "front"))
    lease(inventory, "printer")
    assert found(inventory, "printer") == ["172.18.7.7"]
    assert found(inventory, "printer.lab.example") == [str(printer.address)]


def test_name_is_that_of_the_first_who_says_it_while_its_lease_runs(inventory: Inventory) -> None:
    lease(inventory, "printer")
    lease(inventory, "printer", OTHER)
    assert found(inventory, "printer") == ["172.18.7.7"]
    inventory.end_lease(FRONT, ADDRESS)
    assert found(inventory, "printer") == ["172.18.7.8"]


def test_who_says_another_name_since_does_not_take_over_a_later_ones(inventory: Inventory) -> None:
    lease(inventory, "scanner")
    lease(inventory, "printer", OTHER)
    lease(inventory, "printer")
    assert found(inventory, "printer") == ["172.18.7.8"]
    assert found(inventory, "scanner") == []


def test_name_is_not_known_on_another_network(inventory: Inventory) -> None:
    add(inventory, EndpointRequest("db", "back"))
    lease(inventory, "printer")
    assert found(inventory, "printer", "db") == []


def test_default_network_knows_nobody_by_what_it_says(inventory: Inventory) -> None:
    add(inventory, EndpointRequest("old", "bridge"))
    lease(inventory, "printer", IpAddress.parse("172.17.7.7"), DEFAULT_NETWORK)
    assert found(inventory, "printer", "old") == []


def test_virtual_machine_is_known_by_its_name_and_by_what_it_says(inventory: Inventory) -> None:
    machine = add(inventory, EndpointRequest("vm1", "front", EndpointKind.VM))
    lease(inventory, "debian", machine.address)
    assert found(inventory, "vm1") == found(inventory, "debian") == [str(machine.address)]
    assert view_of(inventory)().name_of(machine.address) == encode("vm1.front")


def test_station_that_says_nothing_has_no_name(inventory: Inventory) -> None:
    lease(inventory, None)
    assert view_of(inventory)().name_of(ADDRESS) is None
