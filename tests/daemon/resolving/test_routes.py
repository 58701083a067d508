"""Who is asked for a name that is not ours: nearest first, never ourselves, and nobody made up."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.resolving.asking.routes import NOWHERE, Routes
from vswitch.dataplane.responders.dns.party import Route
from vswitch.naming import Domain, NameSettings, NetworkNames, Server, ServerOrder
from vswitch.network import namewords
from vswitch.network.inventory import Inventory
from vswitch.network.model import DEFAULT_NETWORK, EndpointRequest, Network
from vswitch.policy import NetworkPolicy
from vswitch.wire import domain
from vswitch.wire.values import IpAddress, IpNetwork

FRONT = Network("front", IpNetwork.parse("172.18.0.0/16"), IpAddress.parse("172.18.0.1"))
INNER = Network(
    "inner",
    IpNetwork.parse("172.19.0.0/16"),
    IpAddress.parse("172.19.0.1"),
    policy=NetworkPolicy(internal=True),
)
HOME = Namespace.named("web")
HOST = "127.0.0.53"


def servers(*texts: str) -> tuple[Server, ...]:
    return tuple(map(namewords.server, texts))


class Lab:
    """A switch with an endpoint called web, and its routes."""

    def __init__(
        self,
        settings: NameSettings = NameSettings(),  # noqa: B008
        *,
        networks: tuple[Network, ...] = (FRONT, INNER),
        on: str = "front",
        dns: tuple[str, ...] = (),
    ) -> None:
        self.inventory = Inventory((DEFAULT_NETWORK, *networks), (), Random(1))
        self.inventory.add_endpoint(EndpointRequest("web", on, dns=servers(*dns)))
        self.routes = Routes(self.inventory, settings, servers(HOST))
        self.way = self.routes.of_endpoint("web", HOME)

    def asked(self, name: str = "www.example") -> list[str]:
        return [str(each) for each in self.way(domain.encode(name)).servers]


CORP = Domain("corp.example", servers("10.0.0.53"))
LAB = Domain("lab.corp.example", servers("10.0.1.53"))


def test_nearest_servers_are_asked() -> None:
    settings = NameSettings(upstreams=servers("198.51.100.53"), domains=(CORP,))
    own = replace(FRONT, names=NetworkNames(servers=servers("198.51.100.54")))
    names = ("www.example", "db.corp.example")

    def asked(lab: Lab) -> list[list[str]]:
        return [lab.asked(name) for name in names]

    assert asked(Lab()) == [[HOST], [HOST]]
    assert asked(Lab(settings)) == [["198.51.100.53"], ["10.0.0.53"]]
    assert asked(Lab(settings, networks=(own,))) == [["198.51.100.54"]] * 2
    assert asked(Lab(settings, networks=(own,), dns=("10.1.1.1",))) == [["10.1.1.1"]] * 2


def test_own_servers_are_asked_from_inside_and_all_others_from_the_daemons_namespace() -> None:
    name = domain.encode("www.example")
    assert Lab(dns=("10.1.1.1",)).way(name) == Route(servers("10.1.1.1"), origin=HOME)
    assert Lab().way(name) == Route(servers(HOST), origin=None)
    allowed = NetworkNames(allowed=("*.debian.org",))
    limited = Lab(networks=(replace(FRONT, names=allowed),), dns=("10.1.1.1",))
    assert limited.way(name) == Route(servers("10.1.1.1"), origin=None)
    shut = Lab(networks=(replace(INNER, names=allowed),), on="inner", dns=("10.1.1.1",))
    assert shut.way(name) == Route(servers("10.1.1.1"), origin=HOME)
    machine = Lab(dns=("10.1.1.1",)).routes.of_endpoint("web", None)
    assert machine(name) == Route(servers("10.1.1.1"), origin=None)


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("corp.example", "10.0.0.53"),
        ("DB.Corp.example", "10.0.0.53"),
        ("lab.corp.example", "10.0.1.53"),
        ("a.b.lab.corp.example", "10.0.1.53"),
        ("notcorp.example", HOST),
        ("example", HOST),
    ],
)
def test_longest_domain_that_a_name_is_in_says_who_is_asked(name: str, asked: str) -> None:
    assert Lab(NameSettings(domains=(LAB, CORP))).asked(name) == [asked]


def test_three_servers_at_most_are_asked_in_the_order_that_is_wanted() -> None:
    settings = NameSettings(
        upstreams=servers("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"),
        order=ServerOrder.PARALLEL,
    )
    route = Lab(settings).way(domain.encode("x"))
    assert route == Route(servers("10.0.0.1", "10.0.0.2", "10.0.0.3"), ServerOrder.PARALLEL)


def test_internal_network_asks_nobody_but_whom_an_endpoint_names_itself() -> None:
    settings = NameSettings(upstreams=servers("198.51.100.53"), domains=(CORP,))
    for name in ("www.example", "db.corp.example"):
        assert Lab(settings, on="inner").asked(name) == []
        assert Lab(settings, on="inner", dns=("172.19.0.9",)).asked(name) == ["172.19.0.9"]


def test_nobody_is_asked_where_there_is_nobody() -> None:
    lab = Lab()
    lab.routes.follow_host(())
    assert lab.way(domain.encode("www.example")) is NOWHERE
    assert lab.routes.servers == ()


@pytest.mark.parametrize("us", ["127.0.0.11", "172.18.0.1", "172.19.0.1"])
def test_server_that_is_ourselves_is_passed_over_for_the_next_that_is_not(us: str) -> None:
    assert Lab(dns=(us,)).asked() == [HOST]
    assert Lab(dns=(us, "10.1.1.1")).asked() == ["10.1.1.1"]
    assert Lab(dns=(f"{us}:5353",)).asked() == [f"{us}:5353"]
    assert Lab(NameSettings(upstreams=servers(us, "10.0.0.1"))).asked() == ["10.0.0.1"]
    assert Lab(NameSettings(domains=(CORP._replace(servers=servers(us)),))).asked(
        "db.corp.example"
    ) == [HOST]


def test_gateway_is_the_hosts_own_to_ask_where_the_host_is_on_the_network() -> None:
    settings = NameSettings(upstreams=servers("172.18.0.1"))
    own = replace(FRONT, host=True)
    assert Lab(settings, networks=(own,)).asked() == ["172.18.0.1"]
    assert Lab(networks=(own,), dns=("172.18.0.1",)).asked() == [HOST]


def test_host_that_asks_us_is_not_asked_in_turn() -> None:
    lab = Lab(NameSettings(listen=(IpAddress.parse("127.0.0.53"), 53)))
    assert lab.asked() == []
    lab.routes.follow_host(servers(HOST, "10.0.0.1"))
    assert lab.asked() == ["10.0.0.1"]


def test_what_changes_holds_for_the_next_name() -> None:
    lab = Lab()
    before = lab.way(domain.encode("www.example"))
    assert lab.way(domain.encode("www.example")) is before
    lab.routes.follow_host(servers("10.0.0.1"))
    assert lab.asked() == ["10.0.0.1"]
    lab.routes.follow(NameSettings(upstreams=servers("10.0.0.2")))
    assert lab.asked() == ["10.0.0.2"]
    lab.inventory.change_network(replace(FRONT, names=NetworkNames(servers("10.0.0.3"))))
    assert lab.asked() == ["10.0.0.3"]
    lab.inventory.change_endpoint(EndpointRequest("web", "front", dns=servers("10.0.0.4")))
    assert lab.asked() == ["10.0.0.4"]


def test_stranger_on_a_network_asks_as_its_endpoints_do() -> None:
    lab = Lab(networks=(replace(FRONT, names=NetworkNames(servers("10.0.0.3"))), INNER))
    name = domain.encode("www.example")
    assert lab.routes.of_network("front")(name).servers == servers("10.0.0.3")
    assert lab.routes.of_network("inner")(name) is NOWHERE
