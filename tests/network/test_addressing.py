"""What a user says about a network's addresses: read, or refused with all that is wrong."""

from __future__ import annotations

import pytest

from vswitch.network import addressing
from vswitch.network.errors import InvalidRequestError
from vswitch.wire.values import IpAddress, IpNetwork

SUBNET = "172.28.0.0/16"


def mistakes(
    subnet: str | None = SUBNET,
    gateway: str | None = None,
    ip_range: str | None = None,
    **auxiliary: str,
) -> str:
    with pytest.raises(InvalidRequestError) as refused:
        addressing.parse(subnet, gateway, ip_range, auxiliary)
    return refused.value.explained


def test_all_parts_are_read() -> None:
    said = addressing.parse(SUBNET, "172.28.0.9", "172.28.5.0/24", {"router": "172.28.5.7"})
    assert said.subnet == IpNetwork.parse(SUBNET)
    assert said.gateway == IpAddress.parse("172.28.0.9")
    assert said.ip_range == IpNetwork.parse("172.28.5.0/24")
    assert [str(each) for each in said.auxiliary] == ["router:172.28.5.7"]


def test_nothing_said_is_nothing_read() -> None:
    assert addressing.parse(None, None, None, {}) == (None, None, None, ())


def test_any_subnet_of_a_size_may_be_asked_for() -> None:
    assert addressing.parse("0.0.0.0/24", None, None, {}).subnet == IpNetwork.parse("0.0.0.0/24")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"subnet": "172.28.0.1/16"}, "invalid subnet 172.28.0.1/16: it should be 172.28.0.0/16"),
        ({"subnet": "172.28.0.0"}, "invalid subnet 172.28.0.0: invalid CIDR block notation"),
        ({"subnet": "172.28.0.0/33"}, "invalid subnet 172.28.0.0/33: invalid CIDR block notation"),
        (
            {"subnet": "fd00::/64"},
            "invalid subnet fd00::/64: IPv6 is not supported yet: allowed is an IPv4 subnet",
        ),
        (
            {"subnet": "127.0.0.0/8"},
            "invalid subnet 127.0.0.0/8: allowed is a subnet of unicast addresses, "
            "and 127.0.0.0/8 has none",
        ),
        (
            {"ip_range": "172.0.0.0/8"},
            "invalid ip-range 172.0.0.0/8: "
            "CIDR block is bigger than its parent subnet 172.28.0.0/16",
        ),
        (
            {"ip_range": "172.29.0.0/24"},
            "invalid ip-range 172.29.0.0/24: parent subnet 172.28.0.0/16 doesn't contain ip-range",
        ),
        (
            {"ip_range": "172.28.5.1/24"},
            "invalid ip-range 172.28.5.1/24: it should be 172.28.5.0/24",
        ),
        (
            {"gateway": "172.29.0.1"},
            "invalid gateway 172.29.0.1: parent subnet 172.28.0.0/16 doesn't contain this address",
        ),
        ({"gateway": "here"}, "invalid gateway here: invalid address"),
        ({"gateway": "fd00::1"}, "invalid gateway fd00::1: parent subnet is an IPv4 block"),
        (
            {"router": "172.29.0.1"},
            "auxiliary address: (router:172.29.0.1) must belong to the master pool: 172.28.0.0/16",
        ),
        (
            {"DefaultGatewayIPv4": "172.29.0.1"},
            "default gateway ip must be part of the network",
        ),
    ],
)
def test_mistake_is_told_in_dockers_words(said: dict[str, str], told: str) -> None:
    assert mistakes(**said) == f"invalid network config: {told}"


def test_all_mistakes_are_told_at_once() -> None:
    assert mistakes("172.28.0.9/16", "172.29.0.1", "10.0.0.0/8") == (
        "invalid network config: "
        "invalid subnet 172.28.0.9/16: it should be 172.28.0.0/16; "
        "invalid ip-range 10.0.0.0/8: CIDR block is bigger than its parent subnet 172.28.0.0/16; "
        "invalid ip-range 10.0.0.0/8: parent subnet 172.28.0.0/16 doesn't contain ip-range; "
        "invalid gateway 172.29.0.1: parent subnet 172.28.0.0/16 doesn't contain this address"
    )


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ({"gateway": "10.0.0.1"}, "every ip-range or gateway must have a corresponding subnet"),
        ({"ip_range": "10.0.0.0/24"}, "every ip-range or gateway must have a corresponding subnet"),
        ({"router": "10.0.0.1"}, "no matching subnet for aux-address 10.0.0.1"),
    ],
)
def test_without_a_subnet_there_is_nothing_to_fit_into(said: dict[str, str], told: str) -> None:
    assert mistakes(None, **said) == told
