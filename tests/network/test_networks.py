from __future__ import annotations

from dataclasses import replace

import pytest

from vswitch.network.errors import ForbiddenError, InvalidRequestError, NetworkError
from vswitch.network.model import (
    DEFAULT_NETWORK,
    AuxiliaryAddress,
    LearntAddress,
    Network,
    NetworkRequest,
    Uplink,
)
from vswitch.network.networks import Resolved, create, overlapping, resolve
from vswitch.wire.values import IpAddress, IpInterface, IpNetwork


def ip(text: str) -> IpAddress:
    return IpAddress.parse(text)


UPLINK = Uplink("up0", IpInterface.parse("198.51.100.2/24"))


def wanted(
    name: str, subnet: str | None = None, gateway: str | None = None, mtu: int = 1500
) -> NetworkRequest:
    return NetworkRequest(
        name,
        None if subnet is None else IpNetwork.parse(subnet),
        None if gateway is None else IpAddress.parse(gateway),
        mtu,
    )


def resolved(*requests: NetworkRequest, with_default: bool = True) -> Resolved:
    return resolve(requests, outside=(UPLINK,), default=DEFAULT_NETWORK if with_default else None)


def subnets(result: Resolved) -> dict[str, str]:
    assert result.refusals == ()
    return {network.name: str(network.subnet) for network in result.networks}


def refusal(result: Resolved) -> tuple[str, tuple[str | int, ...], str]:
    (only,) = result.refusals
    assert only.name not in [network.name for network in result.networks]
    return only.name, only.error.key, only.error.explained


def test_default_network_is_dockers() -> None:
    (bridge,) = resolved().networks
    assert bridge == Network(
        "bridge",
        IpNetwork.parse("172.17.0.0/16"),
        IpAddress.parse("172.17.0.1"),
        mtu=1500,
        predefined=True,
    )


def test_default_network_that_is_configured_is_an_ordinary_one() -> None:
    (bridge,) = resolved(wanted("bridge", "10.9.0.0/24"), with_default=False).networks
    assert (str(bridge.subnet), str(bridge.gateway)) == ("10.9.0.0/24", "10.9.0.1")
    assert not bridge.predefined


def test_subnet_chosen_by_hand_comes_before_one_from_the_pools() -> None:
    result = resolved(wanted("auto"), wanted("hand", "172.18.0.0/16"), wanted("next"))
    assert subnets(result) == {
        "bridge": "172.17.0.0/16",
        "auto": "172.19.0.0/16",
        "hand": "172.18.0.0/16",
        "next": "172.20.0.0/16",
    }


def test_pools_keep_clear_of_the_uplink_and_of_name_servers() -> None:
    result = resolve(
        [wanted("auto")],
        outside=(Uplink("up0", IpInterface.parse("172.18.7.1/24")),),
        default=DEFAULT_NETWORK,
        keep_clear=[IpNetwork.parse("172.19.0.53/32"), IpNetwork.parse("fd00::53/128")],
    )
    assert subnets(result)["auto"] == "172.20.0.0/16"


def test_no_network_is_placed_where_any_uplink_is() -> None:
    others = (
        UPLINK,
        Uplink("up1", IpInterface.parse("172.18.7.1/24"), name="wan"),
        Uplink("up2", LearntAddress.DHCP, name="mobile"),
    )
    result = resolve(
        [wanted("auto"), wanted("hand", "172.18.7.128/25")], outside=others, default=DEFAULT_NETWORK
    )
    assert subnets(Resolved(result.networks, ()))["auto"] == "172.19.0.0/16"
    assert refusal(result)[2].endswith("(172.18.7.0/24 of uplink wan)")


@pytest.mark.parametrize(
    ("subnet", "words"),
    [
        ("192.0.2.0/24", ()),
        ("172.17.9.0/24", ("172.17.0.0/16 of network bridge",)),
        (
            "172.16.0.0/12",
            ("172.17.0.0/16 of network bridge", "172.20.0.0/16 of network front"),
        ),
    ],
)
def test_networks_that_a_learnt_subnet_overlaps_are_told(
    subnet: str, words: tuple[str, ...]
) -> None:
    made = resolved(wanted("front", "172.20.0.0/16"), wanted("back", "10.0.0.0/8")).networks
    assert overlapping(IpNetwork.parse(subnet), made) == words


def test_mtu_and_gateway_are_kept_as_chosen() -> None:
    result = resolved(wanted("front", "10.0.0.0/24", "10.0.0.254", 9000))
    front = result.networks[1]
    assert (str(front.gateway), front.mtu) == ("10.0.0.254", 9000)


@pytest.mark.parametrize(
    ("subnet", "obstacle"),
    [
        ("10.0.1.0/24", "10.0.0.0/16 of network first"),
        ("10.0.0.0/8", "10.0.0.0/16 of network first"),
        ("198.51.100.128/25", "198.51.100.0/24 of the uplink"),
        ("172.16.0.0/12", "172.17.0.0/16 of network bridge, which [networks.bridge] can move"),
    ],
)
def test_later_of_two_overlapping_subnets_is_refused(subnet: str, obstacle: str) -> None:
    result = resolved(wanted("first", "10.0.0.0/16"), wanted("second", subnet))
    text = "invalid pool request: Pool overlaps with other one on this address space"
    assert refusal(result) == ("second", ("subnet",), f"{text} ({obstacle})")


def test_subnet_of_a_refused_network_still_keeps_others_away() -> None:
    result = resolved(wanted("a b", "172.18.0.0/16"), wanted("auto"))
    assert [str(network.subnet) for network in result.networks] == [
        str(DEFAULT_NETWORK.subnet),
        "172.19.0.0/16",
    ]


def test_gateway_must_be_a_host_of_the_subnet() -> None:
    outside = resolved(wanted("front", "10.0.0.0/24", "10.0.1.1"))
    assert refusal(outside) == (
        "front",
        ("gateway",),
        "invalid gateway 10.0.1.1: parent subnet 10.0.0.0/24 doesn't contain this address",
    )
    broadcast = resolved(wanted("front", "10.0.0.0/24", "10.0.0.255"))
    assert refusal(broadcast) == (
        "front",
        ("gateway",),
        "Address already in use (it is the network or broadcast address of 10.0.0.0/24)",
    )


def test_exhausted_pools_refuse_only_who_asked_for_one() -> None:
    result = resolved(
        wanted("all", "172.16.0.0/12"),
        wanted("rest", "192.168.0.0/16"),
        wanted("auto"),
        with_default=False,
    )
    assert refusal(result) == (
        "auto",
        (),
        "all predefined address pools have been fully subnetted",
    )
    assert [network.name for network in result.networks] == ["all", "rest"]


def test_every_mistake_is_told() -> None:
    result = resolved(wanted("a/b", "172.17.1.0/24"), wanted("c" * 64, "10.0.0.0/24"))
    assert [(one.name, one.error.key) for one in result.refusals] == [
        ("a/b", ()),
        ("a/b", ("subnet",)),
        ("c" * 64, ()),
    ]
    assert str(result.refusals[0].error) == (
        "Invalid network name (a/b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )
    assert result.refusals[2].error.hint == "at most 63 characters"


@pytest.mark.parametrize("name", ["host", "none"])
def test_configuration_has_no_network_of_a_predefined_name(name: str) -> None:
    assert refusal(resolved(wanted(name)))[2] == (
        f"operation is not permitted on predefined {name} network "
    )


# One network beside others


def made(
    request: NetworkRequest,
    *beside: Network,
    learnt: tuple[tuple[IpNetwork, str], ...] = (),
    keep_clear: tuple[str, ...] = (),
) -> Network:
    return create(
        request,
        beside=(DEFAULT_NETWORK, *beside),
        outside=(UPLINK,),
        learnt=learnt,
        keep_clear=[IpNetwork.parse(each) for each in keep_clear],
        network_id="f" * 64,
        created=1_700_000_000 * 10**9,
    )


def ranged(ip_range: str, **auxiliary: str) -> NetworkRequest:
    return NetworkRequest(
        "front",
        IpNetwork.parse("172.28.0.0/16"),
        ip_range=IpNetwork.parse(ip_range),
        auxiliary=tuple(
            AuxiliaryAddress(name, IpAddress.parse(text)) for name, text in auxiliary.items()
        ),
    )


def test_network_is_what_its_request_its_id_and_its_time_say() -> None:
    request = replace(
        ranged("172.28.5.0/24", router="172.28.5.7"), options=(("a", "b"),), labels=(("c", ""),)
    )
    network = made(request)
    assert (network.id, network.created) == ("f" * 64, 1_700_000_000 * 10**9)
    assert network.request == replace(request, gateway=IpAddress.parse("172.28.5.0"))
    assert made(network.request) == network


def test_gateway_that_nobody_chose_is_the_lowest_address_of_the_range() -> None:
    assert str(made(ranged("172.28.5.0/24")).gateway) == "172.28.5.0"
    assert str(made(ranged("172.28.0.0/24")).gateway) == "172.28.0.1"
    assert str(made(ranged("172.28.5.0/24", router="172.28.5.0")).gateway) == "172.28.5.1"


def test_default_route_leads_to_the_gateway_or_to_who_is_named_for_it() -> None:
    assert made(ranged("172.28.5.0/24", router="172.28.0.9")).default_route == IpAddress.parse(
        "172.28.5.0"
    )
    other = made(ranged("172.28.5.0/24", DefaultGatewayIPv4="172.28.0.9"))
    assert str(other.default_route) == "172.28.0.9"


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (wanted("bridge"), "operation is not permitted on predefined bridge network "),
        (wanted("host"), "operation is not permitted on predefined host network "),
        (wanted("none"), "operation is not permitted on predefined none network "),
    ],
)
def test_predefined_name_is_forbidden(request_: NetworkRequest, told: str) -> None:
    with pytest.raises(ForbiddenError) as refused:
        made(request_)
    assert str(refused.value) == told


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (wanted("there"), "network with name there already exists"),
        (
            wanted("a/b"),
            "Invalid network name (a/b), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
        ),
        (
            wanted("front", "10.1.2.0/24"),
            "invalid pool request: Pool overlaps with other one on this address space "
            "(10.0.0.0/8 of network there)",
        ),
        (
            wanted("front", "203.0.113.0/25"),
            "invalid pool request: Pool overlaps with other one on this address space "
            "(203.0.113.0/24 of uplink wan)",
        ),
        (
            ranged("172.28.5.0/24", router="172.28.0.0"),
            "failed to allocate secondary ip address (router:172.28.0.0): Address already in use "
            "(it is the network or broadcast address of 172.28.0.0/16)",
        ),
        (
            replace(ranged("172.28.5.0/24", router="172.28.0.9"), gateway=ip("172.28.0.9")),
            "failed to allocate secondary ip address (router:172.28.0.9): Address already in use",
        ),
        (
            wanted("front", "10.0.0.0/32", "10.0.0.0"),
            "invalid pool request: Pool overlaps with other one on this address space "
            "(10.0.0.0/8 of network there)",
        ),
        (replace(wanted("front"), uplink="wlan"), "uplink wlan not found (there is uplink)"),
    ],
)
def test_network_that_cannot_be_is_refused(request_: NetworkRequest, told: str) -> None:
    there = made(wanted("there", "10.0.0.0/8"))
    with pytest.raises(NetworkError) as refused:
        made(request_, there, learnt=((IpNetwork.parse("203.0.113.0/24"), "of uplink wan"),))
    assert refused.value.explained == told


def test_what_makes_no_sense_by_itself_is_told_at_once() -> None:
    with pytest.raises(InvalidRequestError) as refused:
        made(replace(ranged("10.0.0.0/24"), gateway=ip("10.0.0.1")))
    assert str(refused.value) == (
        "invalid network config: "
        "invalid ip-range 10.0.0.0/24: parent subnet 172.28.0.0/16 doesn't contain ip-range; "
        "invalid gateway 10.0.0.1: parent subnet 172.28.0.0/16 doesn't contain this address"
    )


def test_chosen_subnet_is_clear_of_networks_uplinks_and_what_the_host_has() -> None:
    there = made(wanted("there", "172.18.0.0/16"))
    learnt = ((IpNetwork.parse("172.19.7.0/24"), "of uplink wan"),)
    auto = made(
        wanted("auto"), there, learnt=learnt, keep_clear=("172.20.0.53/32", "172.21.0.0/30")
    )
    assert (str(auto.subnet), str(auto.gateway)) == ("172.22.0.0/16", "172.22.0.1")


def test_subnet_of_a_size_is_chosen_like_any() -> None:
    network = made(wanted("small", "0.0.0.0/24"), keep_clear=("172.18.0.7/32",))
    assert (str(network.subnet), str(network.gateway)) == ("172.18.1.0/24", "172.18.1.1")


def test_pools_that_are_all_taken_have_no_subnet_left() -> None:
    with pytest.raises(NetworkError) as refused:
        made(wanted("auto"), keep_clear=("172.16.0.0/12", "192.168.0.0/16"))
    assert str(refused.value) == "all predefined address pools have been fully subnetted"
