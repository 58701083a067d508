"""Links: their grammar, whom one may be linked to, and what that opens."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from tests.network.test_config import lines
from vswitch.network import linking
from vswitch.network.configuration import config
from vswitch.network.errors import NetworkError
from vswitch.network.inventory import Inventory
from vswitch.network.model import EndpointRequest, MembershipRequest, NamedLink
from vswitch.policy import Link, PortRole
from vswitch.wire.values import IpAddress, Protocol

LAB = """
name = "lab"
[uplink]
interface = "up0"
address = "198.51.100.2/24"
[networks.front]
subnet = "172.18.0.0/16"
icc = false
[networks.apart]
subnet = "172.20.0.0/16"
isolated_ports = true
[endpoints.web]
network = "front"
links = ["db:database", "cache"]
[endpoints.db]
network = "front"
expose = ["5432", "5432/udp"]
publish = ["15000-15001:5000-5001"]
links = ["web"]
[endpoints.cache]
network = "front"
"""


@pytest.mark.parametrize(
    ("spec", "name", "alias"), [("db", "db", "db"), ("db:database", "db", "database")]
)
def test_link_is_a_name_and_perhaps_another_one(spec: str, name: str, alias: str) -> None:
    assert linking.parse(spec) == NamedLink(name, alias)
    assert str(linking.parse(spec)) == spec


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("", "empty string specified for links"),
        ("db:a:b", "bad format for links: db:a:b"),
        ("d b", "Invalid endpoint name (d b), only"),
        (":database", "Invalid endpoint name (), only"),
        ("db:", "Invalid alias name (), only"),
    ],
)
def test_mistake_in_a_link_is_told_in_dockers_words(spec: str, told: str) -> None:
    with pytest.raises(NetworkError) as refused:
        linking.parse(spec)
    assert str(refused.value).startswith(told)


def inventory(text: str = LAB) -> Inventory:
    return Inventory.of(config.parse(text, "lab.toml"), Random(1))


# What it opens


def opened(switch: Inventory, network: str = "front") -> list[str]:
    return sorted(map(str, linking.opened(switch.endpoints, network)))


def test_link_opens_what_the_child_exposes_and_publishes_and_cycles_are_fine() -> None:
    assert opened(inventory()) == [
        "172.18.0.2 > 172.18.0.3 tcp port 5000-5001",
        "172.18.0.2 > 172.18.0.3 tcp port 5432",
        "172.18.0.2 > 172.18.0.3 udp port 5432",
    ]


def test_link_is_there_again_when_its_child_is() -> None:
    switch = inventory()
    cache = switch.remove_endpoint("cache")
    db = switch.remove_endpoint("db")
    assert opened(switch) == []
    switch.add_endpoint(EndpointRequest("other", "front"))
    switch.add_endpoint(EndpointRequest("db", "front", exposed=db.exposed))
    assert opened(switch)[0] == "172.18.0.2 > 172.18.0.4 tcp port 5432"
    assert cache.links == ()


def test_child_that_is_back_on_another_network_is_not_linked() -> None:
    switch = inventory()
    db = switch.remove_endpoint("db")
    switch.add_endpoint(EndpointRequest("db", "apart", exposed=db.exposed))
    assert opened(switch) == opened(switch, "apart") == []


def test_two_names_for_one_child_open_its_ports_once() -> None:
    switch = inventory(LAB.replace('"cache"]', '"db:again"]'))
    assert len(opened(switch)) == len(set(opened(switch))) == 3


def test_link_holds_on_every_network_that_both_are_on() -> None:
    both = "[endpoints.db.networks.back]\n[endpoints.web.networks.back]\n"
    switch = inventory(f'{LAB}{both}[networks.back]\nsubnet = "172.21.0.0/16"\n')
    assert opened(switch)[1] == "172.18.0.2 > 172.18.0.3 tcp port 5432"
    assert opened(switch, "back")[1] == "172.21.0.2 > 172.21.0.3 tcp port 5432"
    assert opened(switch, "apart") == []


def test_opened_run_of_ports_is_that_of_the_parent_towards_the_child() -> None:
    first = next(iter(linking.opened(inventory().endpoints, "front")))
    web, db = IpAddress.parse("172.18.0.2"), IpAddress.parse("172.18.0.3")
    assert first == Link(web, db, Protocol.TCP, range(5432, 5433))


# Whom one may be linked to


def request(*links: str, network: str = "front", role: str = "community") -> EndpointRequest:
    named = tuple(linking.parse(each) for each in links)
    return EndpointRequest("app", network, links=named, role=PortRole(role))


@pytest.mark.parametrize(
    ("wish", "told"),
    [
        (request("gone"), "could not get container for gone: endpoint gone not found"),
        (request("app"), "cannot link to app, as that is the endpoint itself"),
        (
            request("db", network="bridge"),
            "cannot link to db, as it does not belong to the default network",
        ),
        (
            request("db", network="apart"),
            "cannot link to db, as it does not belong to network apart",
        ),
        (request("db:x", "cache:x"), "alias x is given to both db and cache"),
        (
            request("db", role="isolated"),
            "cannot link to db, as isolated ports do not reach each other",
        ),
    ],
)
def test_link_that_can_lead_nowhere_is_refused(wish: EndpointRequest, told: str) -> None:
    with pytest.raises(NetworkError) as refused:
        linking.require(wish, inventory())
    assert str(refused.value) == told
    assert refused.value.key == ("links", len(wish.links) - 1)


def test_link_to_who_is_there_is_not_refused() -> None:
    linking.require(request("db", "cache:c", "db:again"), inventory())


def test_one_network_that_both_are_on_is_enough() -> None:
    wish = request("db", network="apart")
    linking.require(replace(wish, also=(MembershipRequest("front"),)), inventory())


def test_network_of_isolated_ports_has_links_with_promiscuous_ones_alone() -> None:
    switch = inventory()
    switch.add_endpoint(EndpointRequest("one", "apart"))
    with pytest.raises(NetworkError, match="isolated ports do not reach each other"):
        linking.require(request("one", network="apart"), switch)
    linking.require(request("one", network="apart", role="promiscuous"), switch)
    switch.add_endpoint(EndpointRequest("all", "apart", role=PortRole.PROMISCUOUS))
    linking.require(request("all", network="apart"), switch)


def test_configuration_tells_every_mistake_about_links() -> None:
    found = lines(
        LAB.replace('links = ["web"]', 'links = ["wbe", "db", 7, "a:b:c"]').replace(
            'network = "front"\nexpose', 'network = "front"\nrole = "lonely"\nexpose'
        )
    )
    assert sorted(found) == [
        'lab.toml: endpoints.db.links[2]: found 7: allowed is "name[:alias]", like "db:database"',
        'lab.toml: endpoints.db.links[3]: found "a:b:c": bad format for links: a:b:c',
        'lab.toml: endpoints.db.role: found "lonely": allowed is '
        '"community" or "isolated" or "promiscuous"',
    ]
    found = lines(
        LAB.replace('links = ["web"]', 'links = ["wbe", "db"]').replace(
            '[endpoints.cache]\nnetwork = "front"', '[endpoints.cache]\nnetwork = "apart"'
        )
    )
    assert found == [
        'lab.toml: endpoints.web.links[1]: found "cache": cannot link to cache, '
        "as it does not belong to network front",
        'lab.toml: endpoints.db.links[0]: found "wbe": could not get container for wbe: '
        "endpoint wbe not found",
        'lab.toml: endpoints.db.links[1]: found "db": cannot link to db, '
        "as that is the endpoint itself",
    ]


def test_roles_and_exposed_ports_are_as_the_configuration_says() -> None:
    text = LAB + '[endpoints.nas]\nnetwork = "apart"\nrole = "promiscuous"\n'
    switch = inventory(text)
    assert switch.endpoint("nas").role is PortRole.PROMISCUOUS
    assert switch.endpoint("web").role is PortRole.COMMUNITY
    assert [str(each) for each in switch.endpoint("db").exposed] == ["5432/tcp", "5432/udp"]
    assert list(map(str, switch.endpoint("web").links)) == ["db:database", "cache"]
