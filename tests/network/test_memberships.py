"""Endpoints on several networks: what they hold on each, and which one leads out."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vswitch.network import publish
from vswitch.network.errors import ForbiddenError, NetworkError
from vswitch.network.inventory import Inventory
from vswitch.network.model import (
    DEFAULT_NETWORK,
    Endpoint,
    EndpointKind,
    EndpointRequest,
    MembershipRequest,
    Network,
    Uplink,
)
from vswitch.policy import GatewayMode, NetworkPolicy
from vswitch.wire.values import IpAddress, IpInterface, IpNetwork, MacAddress

UPLINK = Uplink("up0", IpInterface.parse("198.51.100.2/24"))
FRONT = Network("front", IpNetwork.parse("172.18.0.0/16"), IpAddress.parse("172.18.0.1"))
BACK = Network("back", IpNetwork.parse("10.0.0.0/29"), IpAddress.parse("10.0.0.1"))
INTERNAL = Network(
    *("quiet", IpNetwork.parse("10.1.0.0/24"), IpAddress.parse("10.1.0.1")),
    policy=NetworkPolicy(internal=True),
)
CHOSEN = MacAddress.parse("02:00:00:00:00:77")


@pytest.fixture
def inventory() -> Inventory:
    networks = (DEFAULT_NETWORK, replace(FRONT, host=True), BACK, INTERNAL)
    return Inventory(networks, (UPLINK,), Random(1))


def added(inventory: Inventory, network: str, *also: str, publishes: str = "") -> Endpoint:
    specs = (publish.parse(publishes),) if publishes else ()
    further = tuple(MembershipRequest(each) for each in also)
    return inventory.add_endpoint(EndpointRequest("web", network, also=further, publish=specs))


def places(endpoint: Endpoint) -> list[tuple[str, str, str]]:
    return [(at.interface, at.network, str(at.address)) for at in endpoint.memberships]


def test_each_network_gives_an_address_and_an_interface_in_the_order_of_the_wish(
    inventory: Inventory,
) -> None:
    web = added(inventory, "front", "quiet", "back")
    assert places(web) == [
        ("eth0", "front", "172.18.0.2"),
        ("eth2", "back", "10.0.0.2"),
        ("eth1", "quiet", "10.1.0.2"),
    ]
    assert len({at.mac for at in web.memberships}) == 3
    assert [web.port_name(at) for at in web.memberships] == ["web", "web@back", "web@quiet"]


def test_network_of_the_highest_priority_leads_out_then_the_first_that_leads_anywhere(
    inventory: Inventory,
) -> None:
    assert added(inventory, "quiet", "back").network == "back"
    inventory.remove_endpoint("web")
    preferred = MembershipRequest("back", gateway_priority=1)
    request = EndpointRequest("web", "front", also=(preferred,))
    assert inventory.add_endpoint(request).network == "back"
    assert inventory.connect("web", MembershipRequest("quiet", gateway_priority=2)).network == (
        "quiet"
    )


def test_network_without_a_gateway_leads_out_only_where_there_is_no_other() -> None:
    policy = NetworkPolicy(internal=True, gateway_mode=GatewayMode.ISOLATED)
    inventory = Inventory((replace(FRONT, policy=policy), BACK), (), Random(1))
    assert added(inventory, "front").network == "front"
    assert inventory.connect("web", MembershipRequest("back")).network == "back"


def test_one_network_more_takes_the_lowest_free_interface(inventory: Inventory) -> None:
    added(inventory, "front", "back")
    inventory.disconnect("web", inventory.network("front"))
    connected = inventory.connect("web", MembershipRequest("quiet"))
    assert places(connected) == [("eth1", "back", "10.0.0.2"), ("eth0", "quiet", "10.1.0.2")]


def test_what_was_asked_for_on_a_further_network_is_there(inventory: Inventory) -> None:
    added(inventory, "front")
    address = IpAddress.parse("10.0.0.5")
    web = inventory.connect("web", MembershipRequest("back", address, CHOSEN, ("api",), -1))
    at = web.on("back")
    assert at is not None
    assert (at.address, at.mac, at.aliases, at.gateway_priority) == (address, CHOSEN, ("api",), -1)
    assert web in inventory.endpoints_on(inventory.network("back"))
    assert web in inventory.endpoints_on(inventory.network("front"))


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (MembershipRequest("front"), "web is already attached to network front"),
        (MembershipRequest("gone"), "network gone not found (there is bridge, front, back, quiet)"),
        (
            MembershipRequest("back", IpAddress.parse("10.0.0.1")),
            "Address already in use (by the gateway of network back)",
        ),
        (
            MembershipRequest("back", IpAddress.parse("10.9.0.1")),
            "no configured subnet contains IP address 10.9.0.1 "
            "(the network's subnet is 10.0.0.0/29)",
        ),
        (
            MembershipRequest("bridge", IpAddress.parse("172.17.0.9")),
            "user-specified IP address is supported on user-defined networks only",
        ),
        (
            MembershipRequest("bridge", aliases=("www",)),
            "network-scoped aliases are only supported for user-defined networks",
        ),
        (
            MembershipRequest("back", aliases=("a b",)),
            "Invalid alias name (a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        ),
    ],
)
def test_refused_network_changes_nothing(
    inventory: Inventory, request_: MembershipRequest, words: str
) -> None:
    web = added(inventory, "front")
    with pytest.raises(NetworkError) as refused:
        inventory.connect("web", request_)
    assert refused.value.explained == words
    assert inventory.endpoint("web") == web
    assert places(inventory.connect("web", MembershipRequest("back")))[1:] == [
        ("eth1", "back", "10.0.0.2")
    ]


def test_mac_address_of_another_endpoint_is_refused(inventory: Inventory) -> None:
    web = added(inventory, "front", "back")
    inventory.add_endpoint(EndpointRequest("app", "front"))
    with pytest.raises(NetworkError, match=r"already in use$") as refused:
        inventory.connect("app", MembershipRequest("back", mac=web.memberships[1].mac))
    assert refused.value.hint == "by endpoint web"


def test_last_network_is_not_left(inventory: Inventory) -> None:
    added(inventory, "front")
    with pytest.raises(ForbiddenError) as refused:
        inventory.disconnect("web", inventory.network("front"))
    assert refused.value.explained == (
        "endpoint web is on no other network (connect it to another one first, or remove the "
        "endpoint)"
    )
    with pytest.raises(NetworkError) as absent:
        inventory.disconnect("web", inventory.network("back"))
    assert str(absent.value) == "endpoint web is not connected to the network back"


def test_network_that_was_left_is_free_of_it(inventory: Inventory) -> None:
    added(inventory, "front", "back")
    back = inventory.network("back")
    inventory.disconnect("web", back)
    assert not inventory.is_in_use(back)
    assert str(inventory.add_endpoint(EndpointRequest("app", "back")).address) == "10.0.0.2"


def test_what_is_published_leads_to_the_network_that_leads_out(inventory: Inventory) -> None:
    web = added(inventory, "front", "back", publishes="8080:80")
    first, second = web.memberships
    assert web.publications_on(first) == web.publications
    assert web.publications_on(second) == ()


def test_what_only_the_host_reaches_stays_where_the_host_is(inventory: Inventory) -> None:
    added(inventory, "front", "back", publishes="127.0.0.1:8080:80")
    with pytest.raises(NetworkError) as refused:
        inventory.disconnect("web", inventory.network("front"))
    assert refused.value.explained == (
        "endpoint web would lead out by network back "
        "(the host is not on it, for what 127.0.0.1:8080->80/tcp publishes)"
    )
    assert inventory.endpoint("web").on("front") is not None


def test_virtual_machine_has_one_network(inventory: Inventory) -> None:
    request = EndpointRequest("vm1", "front", EndpointKind.VM, also=(MembershipRequest("back"),))
    with pytest.raises(NetworkError, match="a TAP is on one network") as refused:
        inventory.add_endpoint(request)
    assert refused.value.key == ("networks",)


def test_who_comes_back_has_what_it_had_on_every_network(inventory: Inventory) -> None:
    web = added(inventory, "front", "back")
    again = Inventory((FRONT, BACK), (UPLINK,), Random(2))
    again.remember((web,), {})
    request = EndpointRequest("web", "front", also=(MembershipRequest("back"),))
    assert again.admit((EndpointRequest("other", "back"), request)) == []
    assert again.endpoint("web").memberships == web.memberships


names = st.sampled_from(["a", "b", "c"])
networks = st.sampled_from(["front", "back", "quiet"])


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["add", "connect", "disconnect", "remove"]), names, networks),
        max_size=40,
    )
)
def test_nothing_is_held_twice_or_lost(steps: list[tuple[str, str, str]]) -> None:
    inventory = Inventory((FRONT, BACK, INTERNAL), (UPLINK,), Random(1))
    for step, name, network in steps:
        try:
            match step:
                case "add":
                    inventory.add_endpoint(EndpointRequest(name, network))
                case "connect":
                    inventory.connect(name, MembershipRequest(network))
                case "disconnect":
                    inventory.disconnect(name, inventory.network(network))
                case "remove":
                    inventory.remove_endpoint(name)
        except NetworkError:
            pass
        held = [at for endpoint in inventory.endpoints for at in endpoint.memberships]
        assert len({(at.network, at.address) for at in held}) == len(held)
        assert len({at.mac for at in held}) == len(held)
    for endpoint in inventory.endpoints:
        inventory.remove_endpoint(endpoint.name)
    for number in range(5):
        inventory.add_endpoint(EndpointRequest(f"e{number}", "back"))
