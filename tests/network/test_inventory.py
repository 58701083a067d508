from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vswitch.network import expose, publish
from vswitch.network.errors import ForbiddenError, NetworkError
from vswitch.network.inventory import Inventory
from vswitch.network.model import (
    DEFAULT_NETWORK,
    AuxiliaryAddress,
    Configuration,
    Endpoint,
    EndpointKind,
    EndpointRequest,
    LearntAddress,
    Network,
    NetworkRequest,
    Uplink,
)
from vswitch.network.ports import PublicationRequest
from vswitch.translation import Translation
from vswitch.wire.values import IpAddress, IpInterface, IpNetwork, MacAddress, Protocol

UPLINK = Uplink("up0", IpInterface.parse("198.51.100.2/24"))
SPARE = IpAddress.parse("198.51.100.7")
OTHER = IpAddress.parse("198.51.100.8")
ROOMY = replace(UPLINK, also=(SPARE, OTHER))
FRONT = Network("front", IpNetwork.parse("172.18.0.0/16"), IpAddress.parse("172.18.0.1"))
SMALL = Network("small", IpNetwork.parse("10.0.0.0/29"), IpAddress.parse("10.0.0.1"))


@pytest.fixture
def inventory() -> Inventory:
    return Inventory((DEFAULT_NETWORK, FRONT, SMALL), (UPLINK,), Random(1))


def wanted(
    name: str,
    network: str = "front",
    *specs: str,
    address: str | None = None,
    aliases: tuple[str, ...] = (),
    namespace: str | None = None,
) -> EndpointRequest:
    return EndpointRequest(
        name,
        network,
        address=None if address is None else IpAddress.parse(address),
        aliases=aliases,
        namespace=namespace,
        publish=tuple(publish.parse(spec) for spec in specs),
    )


def reasons(inventory: Inventory, *requests: EndpointRequest) -> list[str]:
    return [str(refusal.error) for refusal in inventory.admit(requests)]


def test_endpoint_gets_all_that_it_left_open(inventory: Inventory) -> None:
    endpoint = inventory.add_endpoint(
        replace(wanted("web", "front", "8080:80", "90"), kind=EndpointKind.VETH, aliases=("www",))
    )
    assert endpoint.address == IpAddress.parse("172.18.0.2")
    assert not endpoint.mac.is_multicast
    assert endpoint.aliases == ("www",)
    assert endpoint.kind is EndpointKind.VETH
    assert [str(publication) for publication in endpoint.publications] == [
        "0.0.0.0:8080->80/tcp",
        "0.0.0.0:49153->90/tcp",
    ]
    assert inventory.endpoints == (endpoint,)
    assert inventory.endpoint("web") is endpoint


def test_publications_stand_in_the_order_of_the_request(inventory: Inventory) -> None:
    endpoint = inventory.add_endpoint(wanted("web", "front", "80", "8080:81", "82-83"))
    assert [publication.endpoint_ports.first for publication in endpoint.publications] == [
        80,
        81,
        82,
        83,
    ]


def test_endpoint_without_a_network_is_on_the_default_one(inventory: Inventory) -> None:
    endpoint = inventory.add_endpoint(EndpointRequest("web"))
    assert (endpoint.network, str(endpoint.address)) == ("bridge", "172.17.0.2")


def test_removed_endpoint_gives_everything_back(inventory: Inventory) -> None:
    request = wanted("web", "front", "8080:80", address="172.18.0.9", namespace="lab")
    first = inventory.add_endpoint(request)
    assert inventory.remove_endpoint("web") is first
    assert inventory.endpoints == ()
    assert inventory.published_host_ports() == frozenset()
    second = inventory.add_endpoint(request)
    (membership,) = second.memberships
    assert replace(second, memberships=(replace(membership, mac=first.mac),)) == first


@pytest.mark.parametrize(
    ("request_", "key", "explained"),
    [
        (
            wanted("db"),
            (),
            "endpoint with name db already exists in network front",
        ),
        (
            wanted("a b"),
            (),
            "Invalid endpoint name (a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        ),
        (
            wanted("web", namespace="../web"),
            ("namespace",),
            "Invalid namespace name (../web), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        ),
        (
            wanted("web", aliases=("www", "_www")),
            ("aliases", 1),
            "Invalid alias name (_www), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        ),
        (
            wanted("web", "fornt"),
            ("network",),
            'network fornt not found (did you mean "front"?)',
        ),
        (
            wanted("web", "x"),
            ("network",),
            "network x not found (there is bridge, front, small)",
        ),
        (
            wanted("web", namespace="lab"),
            ("namespace",),
            "namespace lab already has an endpoint (db)",
        ),
        (
            wanted("web", address="172.18.0.5"),
            ("address",),
            "Address already in use (by endpoint db)",
        ),
        (
            wanted("web", address="172.18.0.1"),
            ("address",),
            "Address already in use (by the gateway of network front)",
        ),
        (
            wanted("web", address="172.18.255.255"),
            ("address",),
            "Address already in use (it is the network or broadcast address of 172.18.0.0/16)",
        ),
        (
            wanted("web", address="172.19.0.1"),
            ("address",),
            "no configured subnet contains IP address 172.19.0.1 "
            "(the network's subnet is 172.18.0.0/16)",
        ),
        (
            wanted("web", "bridge", address="172.17.0.9"),
            ("address",),
            "user-specified IP address is supported on user-defined networks only",
        ),
        (
            wanted("web", "bridge", aliases=("www",)),
            ("aliases",),
            "network-scoped aliases are only supported for user-defined networks",
        ),
        (
            wanted("web", "front", "81:81", "5432:80"),
            ("publish", 1),
            "Bind for 0.0.0.0:5432 failed: port is already allocated (by endpoint db)",
        ),
        (
            wanted("web", "front", "80", "5432-5433:80"),
            ("publish", 1),
            "all ports are allocated (5432-5433/tcp)",
        ),
        (
            wanted("web", "front", "192.0.2.1:80:80"),
            ("publish", 0),
            "failed to bind host port 192.0.2.1:80/tcp: cannot assign requested address "
            "(the uplink's address is 198.51.100.2)",
        ),
    ],
)
def test_refused_endpoint_leaves_nothing_behind(
    inventory: Inventory, request_: EndpointRequest, key: tuple[str | int, ...], explained: str
) -> None:
    db = wanted("db", "front", "5432-5433:5432-5433", address="172.18.0.5", namespace="lab")
    endpoint = inventory.add_endpoint(db)
    before = inventory.published_host_ports()
    with pytest.raises(NetworkError) as refused:
        inventory.add_endpoint(request_)
    assert (refused.value.key, refused.value.explained) == (key, explained)
    assert inventory.endpoints == (endpoint,)
    assert inventory.published_host_ports() == before
    assert inventory.add_endpoint(wanted("next")).address == IpAddress.parse("172.18.0.2")


def test_full_network_refuses_until_somebody_leaves(inventory: Inventory) -> None:
    for number in range(5):
        inventory.add_endpoint(wanted(f"e{number}", "small"))
    with pytest.raises(NetworkError) as refused:
        inventory.add_endpoint(wanted("web", "small"))
    assert refused.value.explained == (
        "no available addresses on this pool (all of 10.0.0.0/29 is in use)"
    )
    left = inventory.remove_endpoint("e3")
    assert inventory.add_endpoint(wanted("web", "small")).address == left.address


def test_namespaces_without_a_name_do_not_collide(inventory: Inventory) -> None:
    inventory.add_endpoint(wanted("one"))
    assert inventory.add_endpoint(wanted("two")).namespace is None


def test_unknown_names_are_reported(inventory: Inventory) -> None:
    with pytest.raises(NetworkError, match=r"^endpoint web not found$"):
        inventory.remove_endpoint("web")
    with pytest.raises(NetworkError, match=r"^endpoint web not found$"):
        inventory.endpoint("web")
    with pytest.raises(NetworkError, match=r"^network web not found$"):
        inventory.network("web")
    assert inventory.network("front") is FRONT


def test_nobody_is_given_what_another_asks_for_in_the_same_call(inventory: Inventory) -> None:
    requests = [
        wanted("open", "front", "80"),
        wanted("named", "front", "49153:80", address="172.18.0.2"),
        wanted("both", "front", "8080-8081:80", address="172.18.0.3"),
        wanted("range", "front", "8080:80"),
    ]
    assert inventory.admit(requests) == []
    assert str(inventory.endpoint("open").address) == "172.18.0.4"
    assert str(inventory.endpoint("open").publications[0]) == "0.0.0.0:49154->80/tcp"
    assert str(inventory.endpoint("both").publications[0]) == "0.0.0.0:8081->80/tcp"


def test_all_conflicts_of_one_call_are_found_and_the_rest_admitted(inventory: Inventory) -> None:
    found = reasons(
        inventory,
        wanted("one", "front", "8080:80", "7:7", address="172.18.0.9", aliases=("a b",)),
        wanted("two", "front", "8080:80", address="172.18.0.9"),
        wanted("three"),
    )
    assert found == [
        "Invalid alias name (a b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        "Address already in use",
        "Bind for 0.0.0.0:8080 failed: port is already allocated",
    ]
    assert [endpoint.name for endpoint in inventory.endpoints] == ["three"]
    assert inventory.published_host_ports() == frozenset()


def test_same_name_twice_in_one_call_keeps_the_first(inventory: Inventory) -> None:
    found = reasons(
        inventory, wanted("web", "front", "80:80"), wanted("web", "small", address="10.0.0.2")
    )
    assert found == ["endpoint with name web already exists in network front"]
    assert inventory.endpoint("web").network == "front"
    assert inventory.published_host_ports() == {(Protocol.TCP, 80)}
    assert str(inventory.add_endpoint(wanted("next", "small")).address) == "10.0.0.2"


def test_configuration_goes_the_same_way() -> None:
    requests = (wanted("app"), wanted("web", address="172.18.0.2"))
    configuration = Configuration("lab", (UPLINK,), (DEFAULT_NETWORK, FRONT), requests)
    inventory = Inventory.of(configuration, Random(1))
    assert inventory.networks == (DEFAULT_NETWORK, FRONT)
    assert [str(endpoint.address) for endpoint in inventory.endpoints] == [
        "172.18.0.3",
        "172.18.0.2",
    ]
    with pytest.raises(NetworkError, match=r"^network gone not found$"):
        Inventory.of(replace(configuration, endpoints=(wanted("web", "gone"),)), Random(1))


def test_no_mac_address_is_used_twice() -> None:
    mac = Inventory((FRONT,), (UPLINK,), Random(1)).allocate_mac("gateway")
    inventory = Inventory((FRONT,), (replace(UPLINK, mac=mac),), Random(1))
    gateway = inventory.allocate_mac("gateway")
    endpoint = inventory.add_endpoint(wanted("web"))
    assert len({mac, gateway, endpoint.mac}) == 3


def test_mac_address_of_who_left_can_be_given_again() -> None:
    class Repeating(Random):
        left = 2

        def randbytes(self, n: int) -> bytes:
            self.left -= 1
            assert self.left >= 0, "the only address is taken"
            return bytes(n)

    inventory = Inventory((FRONT,), (UPLINK,), Repeating())
    first = inventory.add_endpoint(wanted("web"))
    inventory.remove_endpoint("web")
    assert inventory.add_endpoint(wanted("web")).mac == first.mac


names = st.sampled_from([f"e{number}" for number in range(6)])
requests_ = st.builds(
    wanted,
    names,
    st.sampled_from(["front", "small", "gone"]),
    st.sampled_from(["80", "8080:80", "8080-8082:80", "8081-8082:81-82", "80/udp", "53:53/udp"]),
    address=st.sampled_from([None, None, "10.0.0.2", "10.0.0.3", "172.18.0.2"]),
    namespace=st.sampled_from([None, None, "lab"]),
)


@settings(max_examples=100)
@given(steps=st.lists(st.one_of(requests_, names), max_size=30))
def test_nothing_is_ever_held_twice_or_lost(steps: list[EndpointRequest | str]) -> None:
    inventory = Inventory((FRONT, SMALL), (UPLINK,), Random(1))
    for step in steps:
        try:
            if isinstance(step, str):
                inventory.remove_endpoint(step)
            else:
                inventory.add_endpoint(step)
        except NetworkError:
            pass
        assert_nothing_is_shared(inventory.endpoints)
        held = {
            (publication.protocol, port)
            for endpoint in inventory.endpoints
            for publication in endpoint.publications
            for port in publication.host_ports
        }
        assert inventory.published_host_ports() == held
    for endpoint in inventory.endpoints:
        inventory.remove_endpoint(endpoint.name)
    for number in range(5):
        inventory.add_endpoint(wanted(f"e{number}", "small"))


def assert_nothing_is_shared(endpoints: tuple[Endpoint, ...]) -> None:
    held: list[object] = []
    for endpoint in endpoints:
        held += [endpoint.address, endpoint.mac]
        held += [endpoint.namespace] if endpoint.namespace is not None else []
        for publication in endpoint.publications:
            assert len(publication.host_ports) == len(publication.endpoint_ports)
            held += [(publication.protocol, port) for port in publication.host_ports]
    assert len(held) == len(set(held))
    assert all(isinstance(endpoint.mac, MacAddress) for endpoint in endpoints)


CHOSEN = MacAddress.parse("02:00:00:00:00:01")


def test_endpoint_has_the_mac_address_that_was_chosen(inventory: Inventory) -> None:
    request = replace(wanted("web"), mac=CHOSEN)
    assert inventory.add_endpoint(request).mac == CHOSEN
    inventory.remove_endpoint("web")
    assert inventory.add_endpoint(request).mac == CHOSEN


def test_mac_address_that_is_in_use_is_refused_with_its_holder() -> None:
    uplink = replace(UPLINK, mac=MacAddress.parse("02:00:00:00:00:02"))
    front = replace(FRONT, mac=MacAddress.parse("02:00:00:00:00:03"))
    inventory = Inventory((front,), (uplink,), Random(1))
    inventory.add_endpoint(replace(wanted("web"), mac=CHOSEN))
    for last, holder in ((1, "by endpoint web"), (2, "by the switch"), (3, "by the gateway of")):
        mac = MacAddress.parse(f"02:00:00:00:00:0{last}")
        with pytest.raises(NetworkError) as refused:
            inventory.add_endpoint(replace(wanted("db"), mac=mac))
        assert refused.value.key == ("mac",)
        assert refused.value.explained.startswith(f"MAC address {mac} already in use ({holder}")
    assert [endpoint.name for endpoint in inventory.endpoints] == ["web"]


class Repeating(Random):
    """Gives CHOSEN first, and then others."""

    def __init__(self) -> None:
        super().__init__(0)
        self.given = 0

    def randbytes(self, n: int) -> bytes:
        self.given += 1
        return CHOSEN if self.given == 1 else bytes([2, 9, 9, 9, 9, self.given])


def test_mac_address_that_was_chosen_is_never_given_to_another() -> None:
    inventory = Inventory((replace(FRONT, mac=CHOSEN),), (), Repeating())
    assert inventory.allocate_mac("gateway") != CHOSEN
    inventory = Inventory((FRONT,), (), Repeating())
    refused = inventory.admit((wanted("other"), replace(wanted("web"), mac=CHOSEN)))
    assert refused == []
    assert inventory.endpoint("web").mac == CHOSEN
    assert inventory.endpoint("other").mac != CHOSEN


def test_external_address_is_held_as_long_as_its_endpoint_is_there() -> None:
    inventory = Inventory((FRONT,), (ROOMY,), Random(1))
    request = replace(wanted("web"), external=SPARE)
    assert inventory.add_endpoint(request).external == SPARE
    other = replace(wanted("db"), external=SPARE)
    with pytest.raises(NetworkError) as refused:
        inventory.add_endpoint(other)
    assert refused.value.key == ("external",)
    assert refused.value.explained == "Address already in use (by endpoint web)"
    inventory.remove_endpoint("web")
    assert inventory.add_endpoint(other).external == SPARE


@pytest.mark.parametrize("first", ["external", "publish"])
def test_external_address_excludes_ports_on_it_whoever_comes_first(first: str) -> None:
    inventory = Inventory((FRONT,), (ROOMY,), Random(1))
    requests = [
        replace(wanted("web"), external=SPARE),
        wanted("db", "front", f"{SPARE}:80:80"),
    ]
    ordered = requests if first == "external" else requests[::-1]
    (refusal,) = inventory.admit(ordered)
    assert refusal.name == ordered[1].name
    assert [endpoint.name for endpoint in inventory.endpoints] == [ordered[0].name]


def test_external_address_of_a_network_is_no_endpoints() -> None:
    front = replace(FRONT, translation=Translation(external=OTHER))
    inventory = Inventory((front, SMALL), (ROOMY,), Random(1))
    with pytest.raises(NetworkError) as refused:
        inventory.add_endpoint(replace(wanted("web", "small"), external=OTHER))
    assert refused.value.explained == "Address already in use (by network front)"
    assert inventory.endpoints == ()


def test_external_address_is_one_of_the_networks_own_uplink() -> None:
    wan = Uplink("up1", IpInterface.parse("203.0.113.2/24"), name="wan")
    inventory = Inventory((replace(FRONT, uplink="wan"), SMALL), (ROOMY, wan), Random(1))
    with pytest.raises(NetworkError) as refused:
        inventory.add_endpoint(replace(wanted("web"), external=SPARE))
    assert refused.value.explained == (
        "cannot assign requested address (uplink wan has 203.0.113.2)"
    )
    inventory.add_endpoint(replace(wanted("web", "small"), external=SPARE))


@pytest.mark.parametrize(("external", "blocked"), [(None, "198.51.100.2"), (SPARE, "198.51.100.7")])
def test_static_mappings_are_on_the_address_that_the_network_is_translated_to(
    external: IpAddress | None, blocked: str
) -> None:
    front = replace(FRONT, translation=Translation(external=external))
    inventory = Inventory((front,), (ROOMY,), Random(1))
    mapping = publish.parse_mapping("5000:5001/udp")
    endpoint = inventory.add_endpoint(replace(wanted("web"), mappings=(mapping,)))
    assert endpoint.mappings == (mapping,)
    for address in ("198.51.100.2", "198.51.100.7"):
        request = wanted(f"on-{address}", "front", f"{address}:5000:80/udp")
        expected = [f"Bind for {blocked}:5000 failed: port is already allocated"]
        assert reasons(inventory, request) == (expected if address == blocked else [])
    inventory.remove_endpoint("web")
    assert reasons(inventory, wanted("last", "front", f"{blocked}:5000:80/udp")) == []


def test_endpoint_is_not_called_like_an_uplink() -> None:
    wan = Uplink("up1", IpInterface.parse("203.0.113.2/24"), name="wan")
    inventory = Inventory((FRONT,), (UPLINK, wan), Random(1))
    for name, whose in (("uplink", "the uplink"), ("wan", "uplink wan")):
        assert reasons(inventory, wanted(name)) == [
            f"{name} is the name of {whose}'s port: allowed is another one"
        ]
    assert inventory.endpoints == ()


def test_publications_are_judged_by_the_address_that_was_learnt() -> None:
    uplink = replace(UPLINK, address=LearntAddress.HOST)
    inventory = Inventory((FRONT,), (uplink,), Random(1))
    inventory.learn_address("uplink", SPARE)
    assert reasons(inventory, wanted("web", "front", f"{SPARE}:80:80")) == []
    with pytest.raises(NetworkError) as refused:
        inventory.add_endpoint(wanted("db", "front", f"{OTHER}:80:80"))
    assert refused.value.hint == "the uplink's address is 198.51.100.7"


# Networks that come and go


def added(inventory: Inventory, request: NetworkRequest) -> Network:
    return inventory.add_network(request, f"{len(inventory.networks):064x}", 7)


def test_network_that_came_is_there_and_its_gateway_has_a_mac(inventory: Inventory) -> None:
    network = added(inventory, NetworkRequest("late"))
    assert inventory.networks[-1] is network
    assert inventory.network("late") is inventory.network(network.id) is network
    assert str(network.subnet) == "172.19.0.0/16"
    assert network.mac is not None


def test_endpoint_may_name_its_network_by_the_beginning_of_an_id(inventory: Inventory) -> None:
    inventory.add_network(NetworkRequest("late"), "c0ffee" + "0" * 58, 7)
    endpoint = inventory.add_endpoint(wanted("web", "c0f"))
    assert endpoint.network == "late"
    assert inventory.endpoints_on(inventory.network("late")) == (endpoint,)


def test_endpoints_get_addresses_of_the_range_only(inventory: Inventory) -> None:
    request = NetworkRequest(
        "late",
        IpNetwork.parse("10.9.0.0/24"),
        ip_range=IpNetwork.parse("10.9.0.128/30"),
        auxiliary=(AuxiliaryAddress("router", IpAddress.parse("10.9.0.129")),),
    )
    assert str(added(inventory, request).gateway) == "10.9.0.128"
    assert str(inventory.add_endpoint(wanted("a", "late")).address) == "10.9.0.130"
    assert (
        str(inventory.add_endpoint(wanted("b", "late", address="10.9.0.7")).address) == "10.9.0.7"
    )
    with pytest.raises(NetworkError) as refused:
        inventory.add_endpoint(wanted("c", "late", address="10.9.0.129"))
    assert refused.value.explained == (
        "Address already in use (by router of network late, which is no endpoint)"
    )


def test_network_that_is_refused_leaves_nothing_behind(inventory: Inventory) -> None:
    web = inventory.add_endpoint(wanted("web"))
    request = NetworkRequest("late", IpNetwork.parse("10.9.0.0/24"), mac=web.mac)
    with pytest.raises(NetworkError) as refused:
        added(inventory, request)
    assert refused.value.explained == f"MAC address {web.mac} already in use (by endpoint web)"
    assert [each.name for each in inventory.networks] == ["bridge", "front", "small"]
    added(inventory, replace(request, mac=None))


def test_network_that_went_frees_its_name_subnet_and_mac(inventory: Inventory) -> None:
    network = added(inventory, NetworkRequest("late", IpNetwork.parse("10.9.0.0/24")))
    assert inventory.remove_network("late") is network
    with pytest.raises(NetworkError, match=r"^network late not found$"):
        inventory.network("late")
    again = added(inventory, network.request)
    assert (again.subnet, again.mac) == (network.subnet, network.mac)


def test_network_of_the_configuration_can_go(inventory: Inventory) -> None:
    assert inventory.remove_network("front") is FRONT
    assert str(added(inventory, NetworkRequest("late")).subnet) == "172.18.0.0/16"


def test_network_in_use_stays(inventory: Inventory) -> None:
    for name in ("web", "db"):
        inventory.add_endpoint(wanted(name))
    with pytest.raises(ForbiddenError) as refused:
        inventory.remove_network("front")
    assert str(refused.value) == "network front has active endpoints (web, db)"
    assert inventory.network("front") is FRONT


def test_default_network_stays(inventory: Inventory) -> None:
    with pytest.raises(ForbiddenError) as refused:
        inventory.remove_network("bridge")
    assert str(refused.value) == "bridge is a pre-defined network and cannot be removed"


def test_outside_address_of_an_endpoint_is_no_networks() -> None:
    inventory = Inventory((FRONT,), (ROOMY,), Random(1))
    inventory.add_endpoint(replace(wanted("web"), external=SPARE))
    with pytest.raises(NetworkError) as refused:
        added(inventory, NetworkRequest("late", translation=Translation(external=SPARE)))
    assert refused.value.explained == "Address already in use (by endpoint web)"
    added(inventory, NetworkRequest("late", translation=Translation(external=OTHER)))


# Ports for the host alone


@pytest.mark.parametrize("spec", ["127.0.0.1:8080:80", "127.0.0.1::80", "127.0.0.5:80-81:80-81"])
def test_port_at_the_loopback_is_for_a_host_that_is_on_the_network(spec: str) -> None:
    on_it = replace(FRONT, host=True)
    inventory = Inventory((on_it, SMALL), (), Random(1))
    address = IpAddress.parse(spec.split(":")[0])
    web = inventory.add_endpoint(wanted("web", "front", spec))
    assert {each.host_address for each in web.publications} == {address}
    for refuse in (
        lambda: inventory.add_endpoint(wanted("app", "small", spec)),
        lambda: inventory.publish(inventory.add_endpoint(wanted("db", "small")).name, asked(spec)),
    ):
        with pytest.raises(NetworkError) as refused:
            refuse()
        assert str(refused.value).endswith("/tcp: cannot assign requested address")
        assert refused.value.hint == "the host is not on network small"


def test_port_at_the_loopback_is_also_one_of_every_address() -> None:
    inventory = Inventory((replace(FRONT, host=True),), (UPLINK,), Random(1))
    inventory.add_endpoint(wanted("web", "front", "127.0.0.1:8080:80"))
    with pytest.raises(NetworkError, match=r"^Bind for 0\.0\.0\.0:8080 failed"):
        inventory.add_endpoint(wanted("db", "front", "8080:80"))
    inventory.add_endpoint(wanted("app", "front", "198.51.100.2:8080:80"))


# Ports that are published later


def asked(*specs: str) -> list[PublicationRequest]:
    return [publish.parse(spec) for spec in specs]


def test_endpoint_publishes_further_ports(inventory: Inventory) -> None:
    inventory.add_endpoint(wanted("web", "front", "8080:80"))
    made = inventory.publish("web", asked("8443:443", "90"))
    assert [str(each) for each in made] == ["0.0.0.0:8443->443/tcp", "0.0.0.0:49153->90/tcp"]
    assert inventory.endpoint("web").publications[1:] == made
    assert inventory.endpoints == (inventory.endpoint("web"),)


def test_port_of_another_endpoint_is_refused_and_nothing_is_published(inventory: Inventory) -> None:
    inventory.add_endpoint(wanted("db", "front", "5432:5432"))
    web = inventory.add_endpoint(wanted("web"))
    before = inventory.published_host_ports()
    with pytest.raises(NetworkError) as refused:
        inventory.publish("web", asked("8080:80", "5000-6000:5000-6000"))
    text = "Bind for 0.0.0.0:5432 failed: port is already allocated"
    assert refused.value.explained == f"{text} (by endpoint db)"
    assert inventory.endpoint("web") is web
    assert inventory.published_host_ports() == before


def test_withdrawn_port_may_be_another_endpoints(inventory: Inventory) -> None:
    web = inventory.add_endpoint(wanted("web", "front", "8080:80", "81:81"))
    inventory.add_endpoint(wanted("app"))
    inventory.unpublish("web", web.publications[:1])
    assert inventory.endpoint("web").publications == web.publications[1:]
    assert str(inventory.publish("app", asked("8080:80"))[0]) == "0.0.0.0:8080->80/tcp"


def test_removed_endpoint_gives_back_what_it_published_later(inventory: Inventory) -> None:
    inventory.add_endpoint(wanted("web"))
    inventory.publish("web", asked("8080:80"))
    inventory.remove_endpoint("web")
    assert inventory.published_host_ports() == frozenset()


def test_nothing_is_published_for_who_is_not_there(inventory: Inventory) -> None:
    with pytest.raises(NetworkError, match=r"^endpoint web not found$"):
        inventory.publish("web", asked("8080:80"))
    with pytest.raises(NetworkError, match=r"^endpoint web not found$"):
        inventory.unpublish("web", ())


# Names beside the switch, virtual machines


def test_name_of_somebody_beside_the_switch_is_no_endpoints(inventory: Inventory) -> None:
    inventory.reserve_name("beside", "host")
    taken = "endpoint with name beside already exists in network host"
    assert reasons(inventory, wanted("beside")) == [taken]
    with pytest.raises(NetworkError, match=taken):
        inventory.reserve_name("beside", "none")
    assert inventory.endpoints == ()
    inventory.free_name("beside")
    assert reasons(inventory, wanted("beside")) == []


def test_name_of_an_endpoint_is_not_reserved_and_neither_is_what_is_none(
    inventory: Inventory,
) -> None:
    inventory.add_endpoint(wanted("web"))
    with pytest.raises(NetworkError, match="endpoint with name web already exists in network"):
        inventory.reserve_name("web", "host")
    with pytest.raises(NetworkError, match="Invalid endpoint name"):
        inventory.reserve_name("a b", "host")
    inventory.reserve_name("a", "host")


def machine(name: str, **keys: str) -> EndpointRequest:
    return replace(wanted(name, **keys), kind=EndpointKind.VM)  # type: ignore[arg-type]


def test_virtual_machine_is_called_as_its_tap_and_lives_in_no_namespace(
    inventory: Inventory,
) -> None:
    endpoint = inventory.add_endpoint(machine("vm1"))
    assert (endpoint.kind, endpoint.namespace) == (EndpointKind.VM, None)
    assert endpoint.address == IpAddress.parse("172.18.0.2")
    assert reasons(inventory, machine("a-name-too-long-for-a-link")) == [
        "a-name-too-long-for-a-link is no name for a TAP"
    ]
    assert reasons(inventory, machine("vm2", namespace="vm2")) == [
        "not allowed with kind vm: its TAP is in the host's own namespace"
    ]


def test_endpoint_is_all_that_was_asked_for(inventory: Inventory) -> None:
    exposed = (expose.parse("80"),)
    server = IpAddress.parse("192.0.2.53")
    request = replace(wanted("web"), exposed=exposed, dns=(server,), hostname="www", owner=7)
    endpoint = inventory.add_endpoint(request)
    assert (endpoint.exposed, endpoint.dns) == (exposed, (server,))
    assert (endpoint.hostname, endpoint.owner) == ("www", 7)
