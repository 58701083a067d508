"""What each endpoint may ask for: everybody on a network of its own, links on the default one."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest

from vswitch.dataplane.responders.dns.inside.names import Names
from vswitch.known.directory import Directory
from vswitch.known.to_endpoints import View
from vswitch.naming import NameSettings
from vswitch.network import linking
from vswitch.network.ids import membership_id
from vswitch.network.inventory import Inventory
from vswitch.network.model import (
    DEFAULT_NETWORK,
    EndpointRequest,
    MembershipRequest,
    Network,
    Uplink,
)
from vswitch.network.ports import ExposedPorts, PortRange, PublicationRequest
from vswitch.policy import NetworkPolicy
from vswitch.units import SECOND
from vswitch.wire.domain import encode
from vswitch.wire.values import IpAddress, IpInterface, IpNetwork, Protocol

FRONT = Network("front", IpNetwork.parse("172.18.0.0/16"), IpAddress.parse("172.18.0.1"))
BACK = Network("back", IpNetwork.parse("172.19.0.0/16"), IpAddress.parse("172.19.0.1"))
UPLINK = Uplink("eth9", IpInterface.parse("203.0.113.2/24"))


def inventory(*requests: EndpointRequest) -> Inventory:
    switch = Inventory([DEFAULT_NETWORK, FRONT], [], Random(1))
    for request in requests:
        switch.add_endpoint(request)
    return switch


def on(network: str, name: str, *links: str, hostname: str | None = None) -> EndpointRequest:
    named = tuple(linking.parse(each) for each in links)
    return EndpointRequest(name, network, links=named, hostname=hostname)


def names_of(switch: Inventory, asking: str, **settings: Any) -> Names:
    directory = Directory(switch, lambda: NameSettings(**settings))
    return View(directory, asking)()


def resolved(switch: Inventory, asking: str, name: str, **settings: Any) -> list[str]:
    found = names_of(switch, asking, **settings).addresses(encode(name))
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


def test_link_leads_nowhere_where_the_other_one_is_on_no_network_of_ours() -> None:
    switch = Inventory([DEFAULT_NETWORK, FRONT, BACK], [], Random(1))
    for request in (on("back", "db"), on("front", "web", "db:database")):
        switch.add_endpoint(request)
    assert resolved(switch, "web", "database") == []
    switch.connect("web", MembershipRequest("back"))
    assert resolved(switch, "web", "database") == ["172.19.0.2"]


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
    name = names_of(switch, "web").name_of(IpAddress.parse("172.17.0.2"))
    assert name == encode("db.bridge")


def test_default_network_knows_everybody_where_the_user_has_it_so() -> None:
    switch = inventory(on("bridge", "web"), on("bridge", "db"))
    assert resolved(switch, "web", "db.bridge", default_network=True) == ["172.17.0.3"]


def test_hostname_with_a_domain_is_two_names() -> None:
    switch = inventory(on("front", "web", hostname="www.example.org"))
    for name in ("web", "www", "www.example.org", "www.front", "www.example.org.front"):
        assert resolved(switch, "web", name) == ["172.18.0.2"]
    assert resolved(switch, "web", "www.example") == []


def test_hostname_is_known_with_the_domain_that_is_said_apart() -> None:
    asked = EndpointRequest("web", "front", hostname="www", domainname="example.org")
    switch = inventory(asked)
    for name in ("www", "www.example.org"):
        assert resolved(switch, "web", name) == ["172.18.0.2"]
    assert resolved(switch, "web", "example.org") == []


def test_beginning_of_an_id_is_a_name_on_that_network() -> None:
    switch = inventory(on("front", "web"))
    web = switch.endpoint("web")
    short = membership_id(web, web.memberships[0])[:12]
    assert resolved(switch, "web", short) == resolved(switch, "web", "web") != []


def test_network_that_leads_out_is_asked_first_and_no_other_is_known() -> None:
    switch = Inventory([DEFAULT_NETWORK, FRONT, BACK], [], Random(1))
    for request in (on("front", "web"), on("back", "web2"), on("front", "app")):
        switch.add_endpoint(request)
    assert resolved(switch, "app", "web2") == []
    assert names_of(switch, "app").name_of(IpAddress.parse("172.19.0.2")) is None
    switch.connect("app", MembershipRequest("back", aliases=("web",)))
    assert resolved(switch, "app", "web") == ["172.18.0.2"]
    assert resolved(switch, "app", "web.back") == ["172.19.0.3"]


def test_what_is_exposed_and_published_is_a_service_where_it_leads() -> None:
    publish = PublicationRequest(Protocol.TCP, None, PortRange(8080, 8081), PortRange(80, 81))
    exposed = ExposedPorts(Protocol.UDP, PortRange(53, 53))
    switch = Inventory([DEFAULT_NETWORK, FRONT, BACK], [UPLINK], Random(1))
    switch.add_endpoint(
        EndpointRequest(
            "web",
            "front",
            publish=(publish,),
            exposed=(exposed,),
            gateway_priority=1,
            also=(MembershipRequest("back"),),
        )
    )
    (first,) = names_of(switch, "web").bearers(encode("web.front"))
    (second,) = names_of(switch, "web").bearers(encode("web.back"))
    assert [(each.ports, each.published_as(each.ports[-1])) for each in first.services] == [
        (range(80, 82), "0.0.0.0:8081"),
        (range(53, 54), None),
    ]
    assert [each.ports for each in second.services] == [range(53, 54)]


@pytest.mark.parametrize(
    ("changes", "host", "gateway"),
    [
        ({}, None, "172.18.0.1"),
        ({"host": True}, "172.18.0.1", "172.18.0.1"),
        ({"policy": NetworkPolicy(internal=True)}, None, None),
        ({"host": True, "policy": NetworkPolicy(internal=True)}, "172.18.0.1", None),
    ],
)
def test_host_is_where_its_network_has_it_and_the_gateway_where_it_leads_out(
    changes: dict[str, Any], host: str | None, gateway: str | None
) -> None:
    switch = Inventory([DEFAULT_NETWORK, replace(FRONT, **changes)], [], Random(1))
    switch.add_endpoint(on("front", "web"))
    around = names_of(switch, "web").surroundings
    assert around.host == (None if host is None else IpAddress.parse(host))
    assert around.gateway == (None if gateway is None else IpAddress.parse(gateway))
    assert around.subnets == (DEFAULT_NETWORK.subnet, FRONT.subnet)


def test_view_is_the_same_until_somebody_comes_or_the_user_wants_something_else() -> None:
    switch, settings = inventory(on("front", "web")), [NameSettings()]
    seen = View(Directory(switch, lambda: settings[0]), "web")
    first = seen()
    assert seen() is first
    switch.add_endpoint(on("front", "db"))
    second = seen()
    settings[0] = NameSettings(ttl=SECOND)
    assert len({first, second, seen(), seen()}) == 3
    assert seen().ttl == 1


def test_network_that_has_gone_is_forgotten() -> None:
    switch = Inventory([DEFAULT_NETWORK, FRONT, BACK], [], Random(1))
    directory = Directory(switch, NameSettings)
    directory.on("back")
    switch.displace_network("back")
    directory.on("front")
    assert set(directory._networks) == {"front"}
