"""What each endpoint may ask for: everybody on a network of its own, links on the default one."""

from __future__ import annotations

from random import Random

import dns.name
import pytest

from vswitch.daemon.resolving.views import view
from vswitch.network import linking
from vswitch.network.inventory import Inventory
from vswitch.network.model import DEFAULT_NETWORK, EndpointRequest, Network
from vswitch.wire.values import IpAddress, IpNetwork

FRONT = Network("front", IpNetwork.parse("172.18.0.0/16"), IpAddress.parse("172.18.0.1"))


def inventory(*requests: EndpointRequest) -> Inventory:
    switch = Inventory([DEFAULT_NETWORK, FRONT], [], Random(1))
    for request in requests:
        switch.add_endpoint(request)
    return switch


def on(network: str, name: str, *links: str, hostname: str | None = None) -> EndpointRequest:
    named = tuple(linking.parse(each) for each in links)
    return EndpointRequest(name, network, links=named, hostname=hostname)


def resolved(switch: Inventory, asking: str, name: str) -> list[str]:
    found = view(switch, asking).addresses(dns.name.from_text(name))
    return [] if found is None else [str(each) for each in found]


def test_network_that_was_made_knows_all_names_of_all() -> None:
    switch = inventory(on("front", "web"), on("front", "db", hostname="inner"), on("bridge", "x"))
    for name in ("db", "inner", "DB.front"):
        assert resolved(switch, "web", name) == ["172.18.0.3"]
    assert resolved(switch, "web", "x") == []


def test_default_network_knows_nobody() -> None:
    switch = inventory(on("bridge", "web"), on("bridge", "db"))
    for name in ("db", "web", "db.bridge"):
        assert resolved(switch, "web", name) == []


@pytest.mark.parametrize("network", ["bridge", "front"])
def test_link_gives_the_one_that_says_it_a_name_and_nobody_else(network: str) -> None:
    switch = inventory(
        on(network, "db", hostname="inner"), on(network, "web", "db:database"), on(network, "x")
    )
    first = resolved(switch, "web", "db")
    assert first != []
    for name in ("database", "DataBase", "inner"):
        assert resolved(switch, "web", name) == first
    for asking in ("db", "x"):
        assert resolved(switch, asking, "database") == []


def test_child_that_comes_back_is_known_by_its_new_address() -> None:
    switch = inventory(on("bridge", "db"), on("bridge", "web", "db:database"))
    switch.remove_endpoint("db")
    assert resolved(switch, "web", "database") == []
    for name in ("other", "db"):
        switch.add_endpoint(on("bridge", name))
    assert resolved(switch, "web", "database") == ["172.17.0.4"]


def test_alias_of_a_link_goes_before_the_name_of_a_third() -> None:
    switch = inventory(on("front", "db"), on("front", "blue"), on("front", "web", "blue:DB"))
    assert resolved(switch, "web", "db") == ["172.18.0.3"]
    assert resolved(switch, "blue", "db") == ["172.18.0.2"]


def test_address_leads_back_to_the_name_and_not_to_the_alias() -> None:
    switch = inventory(on("bridge", "db"), on("bridge", "web", "db:database"))
    name = view(switch, "web").name_of(IpAddress.parse("172.17.0.2"))
    assert str(name) == "db.bridge."
