"""Docker's driver options: honoured, accepted where they change nothing, or refused in words."""

from __future__ import annotations

import pytest

from vswitch.leasing import MACHINES_ALONE, Leasing
from vswitch.naming import NetworkNames, Server
from vswitch.network.errors import InvalidRequestError
from vswitch.network.options import Understood, understand
from vswitch.policy import GatewayMode
from vswitch.wire.values import IpAddress

MTU = "com.docker.network.driver.mtu"
BRIDGE = "com.docker.network.bridge"
NOTHING_SAID = Understood(
    1500, None, True, GatewayMode.NAT, False, NetworkNames(), MACHINES_ALONE, ()
)


def test_no_option_leaves_everything_as_it_is() -> None:
    assert understand({}) == NOTHING_SAID


@pytest.mark.parametrize(("text", "mtu"), [("9000", 9000), ("0", 1500), ("68", 68)])
def test_mtu_is_honoured(text: str, mtu: int) -> None:
    assert understand({MTU: text}).mtu == mtu


def test_outside_address_is_honoured() -> None:
    understood = understand({"com.docker.network.host_ipv4": "198.51.100.7"})
    assert understood.external == IpAddress.parse("198.51.100.7")


@pytest.mark.parametrize(("text", "host"), [("true", True), ("0", False)])
def test_host_is_on_the_network_where_that_is_said(text: str, host: bool) -> None:
    assert understand({"vswitch.host": text}).host is host


def test_names_are_as_in_the_table_of_a_network() -> None:
    said = {
        "vswitch.dns": "10.0.0.53,tls://9.9.9.9#dns.quad9.net",
        "vswitch.dns_at_gateway": "false",
        "vswitch.allow": "*.debian.org, registry.example",
    }
    assert understand(said).names == NetworkNames(
        (
            Server(IpAddress.parse("10.0.0.53")),
            Server(IpAddress.parse("9.9.9.9"), 853, "dns.quad9.net"),
        ),
        at_gateway=False,
        allowed=("*.debian.org", "registry.example"),
    )
    assert understand({"vswitch.allow": ""}).names == NetworkNames(allowed=())


@pytest.mark.parametrize(("text", "leasing"), [("true", Leasing()), ("0", None)])
def test_network_leases_to_all_or_to_nobody_where_that_is_said(
    text: str, leasing: Leasing | None
) -> None:
    assert understand({"vswitch.dhcp": text}).leasing == leasing


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (f"{BRIDGE}.enable_ip_masquerade", "TRUE"),
        (f"{BRIDGE}.enable_icc", "1"),
        (f"{BRIDGE}.host_binding_ipv4", "0.0.0.0"),
        (f"{BRIDGE}.gateway_mode_ipv4", "nat"),
        (f"{BRIDGE}.inhibit_ipv4", "f"),
        ("com.docker.network.container_iface_prefix", "eth"),
    ],
)
def test_option_that_says_what_is_so_anyway_is_accepted(key: str, text: str) -> None:
    assert understand({key: text}) == NOTHING_SAID


@pytest.mark.parametrize(
    ("key", "text", "told"),
    [
        (MTU, "-1", "invalid MTU number: -1"),
        (
            "vswitch.allow",
            "*",
            "failed to parse vswitch.allow value: * (* is no domain name)",
        ),
        (MTU, "67", "invalid MTU number: 67 (allowed is 68 to 65521)"),
        (
            MTU,
            "big",
            f'failed to parse {MTU} value: big (strconv.Atoi: parsing "big": invalid syntax)',
        ),
        (
            f"{BRIDGE}.enable_icc",
            "yes",
            f"failed to parse {BRIDGE}.enable_icc value: yes "
            '(strconv.ParseBool: parsing "yes": invalid syntax)',
        ),
        (
            f"{BRIDGE}.enable_ip_masquerade",
            "false",
            f"option {BRIDGE}.enable_ip_masquerade=false is not supported yet: allowed is true",
        ),
        (f"{BRIDGE}.gateway_mode_ipv4", "open", "unknown gateway mode open"),
        (
            f"{BRIDGE}.gateway_mode_ipv6",
            "routed",
            f"option {BRIDGE}.gateway_mode_ipv6=routed is not supported yet: allowed is nat",
        ),
        ("com.docker.network.enable_ipv4", "false", "IPv4 or IPv6 must be enabled"),
    ],
)
def test_option_that_cannot_be_honoured_is_refused(key: str, text: str, told: str) -> None:
    with pytest.raises(InvalidRequestError) as refused:
        understand({key: text})
    assert refused.value.explained == told


@pytest.mark.parametrize("mode", list(GatewayMode))
def test_options_become_the_policy_of_the_network(mode: GatewayMode) -> None:
    said = {f"{BRIDGE}.enable_icc": "false", f"{BRIDGE}.gateway_mode_ipv4": mode.value}
    understood = understand(said)
    assert (understood.icc, understood.gateway_mode) == (False, mode)
    assert understood.warnings == ()


def test_option_without_effect_is_told() -> None:
    understood = understand({f"{BRIDGE}.name": "br0", "com.docker.network.driver.mut": "9000"})
    assert understood.warnings == (
        f"option {BRIDGE}.name has no effect: the switch makes no bridge",
        f'option com.docker.network.driver.mut is unknown: did you mean "{MTU}"?',
    )
