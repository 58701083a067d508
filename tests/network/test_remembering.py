"""An inventory that remembers what an earlier one gave out."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from vswitch.network import publish
from vswitch.network.inventory import Inventory
from vswitch.network.model import DEFAULT_NETWORK, Endpoint, EndpointRequest, Network, Uplink
from vswitch.wire.values import IpAddress, IpInterface, IpNetwork

UPLINK = Uplink("up0", IpInterface.parse("198.51.100.2/24"))
FRONT = Network("front", IpNetwork.parse("172.18.0.0/16"), IpAddress.parse("172.18.0.1"))
BACK = Network("back", IpNetwork.parse("172.19.0.0/16"), IpAddress.parse("172.19.0.1"))


def fresh(seed: int, *before: Endpoint) -> Inventory:
    inventory = Inventory((DEFAULT_NETWORK, FRONT, BACK), (UPLINK,), Random(seed))
    inventory.remember(before, {})
    return inventory


def wanted(name: str, *specs: str, network: str = "front") -> EndpointRequest:
    return EndpointRequest(name, network, publish=tuple(publish.parse(each) for each in specs))


def admitted(inventory: Inventory, *requests: EndpointRequest) -> list[Endpoint]:
    assert inventory.admit(requests) == []
    return list(inventory.endpoints)


def test_who_comes_back_has_what_it_had_whoever_else_comes_and_in_which_order() -> None:
    web, app, db = (
        wanted("web", "80", "443"),
        wanted("app", "53/udp", "9000-9001"),
        wanted("db", network="bridge"),
    )
    before = admitted(fresh(1), web, app, db)
    after = admitted(fresh(2, *before), wanted("new", "80"), db, app, web)
    assert set(before) < set(after)


def test_what_somebody_else_asks_for_is_theirs() -> None:
    (web,) = admitted(fresh(1), wanted("web", "80"))
    (published,) = web.publications
    other = replace(wanted("other", f"{published.host_ports}:80"), address=web.address, mac=web.mac)
    again, theirs = sorted(
        admitted(fresh(2, web), wanted("web", "80"), other), key=lambda e: e.name
    )[::-1]
    assert (theirs.address, theirs.mac) == (web.address, web.mac)
    assert again.address != web.address
    assert again.mac != web.mac
    assert again.publications[0].host_ports != published.host_ports


def test_what_is_asked_for_comes_before_what_was() -> None:
    (web,) = admitted(fresh(1), wanted("web", "80"))
    address = IpAddress.parse("172.18.0.9")
    (again,) = admitted(fresh(2, web), replace(wanted("web", "8080:80"), address=address))
    assert again.address == address
    assert again.publications[0].host_ports.first == 8080
    assert again.mac == web.mac


def test_address_of_another_network_and_port_outside_the_range_are_not_kept() -> None:
    (web,) = admitted(fresh(1), wanted("web", "80"))
    (again,) = admitted(fresh(2, web), wanted("web", "9000-9009:80", network="back"))
    assert str(again.address) == "172.19.0.2"
    assert again.publications[0].host_ports.first == 9000


def test_port_that_is_published_twice_keeps_both_host_ports() -> None:
    (web,) = admitted(fresh(1), wanted("web", "80", "80"))
    fillers = [wanted("other", "1", "2", "3")]
    assert web in admitted(fresh(2, web), *fillers, wanted("web", "80", "80"))


def test_all_is_free_again_when_who_came_back_leaves() -> None:
    (web,) = admitted(fresh(1), wanted("web", "80"))
    inventory = fresh(2, web)
    admitted(inventory, wanted("web", "80"))
    inventory.remove_endpoint("web")
    named = f"{web.publications[0].host_ports}:80"
    (other,) = admitted(
        inventory, replace(wanted("other", named), address=web.address, mac=web.mac)
    )
    assert other.address == web.address


def test_gateways_and_uplinks_have_the_mac_addresses_that_they_had() -> None:
    first = fresh(1)
    given = {name: first.allocate_mac(name) for name in ("gateway of front", "the uplink")}
    assert dict(first.given_macs) == given
    second = Inventory((FRONT,), (UPLINK,), Random(2))
    second.remember((), {**given, "gateway of gone": first.allocate_mac("gateway of gone")})
    assert second.allocate_mac("the uplink") == given["the uplink"]
    assert second.allocate_mac("gateway of back") not in given.values()
    assert second.allocate_mac("gateway of front") == given["gateway of front"]
    assert "gateway of gone" not in second.given_macs
