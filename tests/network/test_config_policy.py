"""Policies and filters in a configuration: what they become, and what is said about mistakes."""

from __future__ import annotations

import pytest

from tests.network.test_config import lines
from vswitch.network.configuration import config
from vswitch.network.model import Configuration, Network
from vswitch.policy import Action, Filter, GatewayMode, NetworkPolicy
from vswitch.wire.values import IpNetwork

LAB = """
name = "lab"
ip_forward = false
[uplink]
interface = "up0"
address = "198.51.100.2/24"
[networks.front]
subnet = "172.18.0.0/16"
internal = true
icc = false
gateway_mode = "isolated"
isolated_ports = true
spoof_guard = true
[networks.back]
[[filters]]
action = "return"
source = ["192.0.2.8", "10.0.0.0/8"]
in_network = "uplink"
[[filters]]
action = "drop"
destination = ["172.19.0.0/16"]
protocol = "tcp"
ports = ["80", "8000-8010"]
source_ports = ["1024-65535"]
in_network = "back"
out_network = "back"
[[filters]]
action = "log"
protocol = 47
"""


def parse(text: str) -> Configuration:
    return config.parse(text, "lab.toml")


def network(configuration: Configuration, name: str) -> Network:
    return next(each for each in configuration.networks if each.name == name)


def test_network_has_the_policy_that_its_keys_say() -> None:
    configuration = parse(LAB)
    assert network(configuration, "front").policy == NetworkPolicy(
        internal=True,
        icc=False,
        gateway_mode=GatewayMode.ISOLATED,
        isolated_ports=True,
        spoof_guard=True,
    )
    assert network(configuration, "back").policy == NetworkPolicy()
    assert configuration.ip_forward is False


def test_filters_stand_in_the_order_of_the_file() -> None:
    assert parse(LAB).filters == (
        Filter(
            Action.RETURN,
            source=(IpNetwork.parse("192.0.2.8/32"), IpNetwork.parse("10.0.0.0/8")),
            arrives="uplink",
        ),
        Filter(
            Action.DROP,
            destination=(IpNetwork.parse("172.19.0.0/16"),),
            protocol=6,
            source_ports=(range(1024, 65536),),
            ports=(range(80, 81), range(8000, 8011)),
            arrives="back",
            leaves="back",
        ),
        Filter(Action.LOG, protocol=47),
    )


def test_nothing_is_said_where_nothing_is_written() -> None:
    configuration = parse('name = "lab"')
    assert (configuration.filters, configuration.ip_forward) == ((), True)


@pytest.mark.parametrize(
    ("right", "wrong", "line"),
    [
        (
            "ip_forward = false",
            'ip_forward = "no"',
            'ip_forward: found "no": allowed is true or false',
        ),
        ("icc = false", "icc = 0", "networks.front.icc: found 0: allowed is true or false"),
        (
            '"isolated"',
            '"bridged"',
            'networks.front.gateway_mode: found "bridged": unknown gateway mode bridged: '
            'allowed is "nat" or "nat-unprotected" or "routed" or "isolated"',
        ),
        (
            "internal = true",
            "internal = false",
            "networks.front.gateway_mode: found \"isolated\": gateway mode 'isolated' can only be "
            "used for an internal network",
        ),
        ('action = "log"\n', "", "filters[2].action: missing: allowed is {}"),
        ('"log"', '"deny"', 'filters[2].action: found "deny": allowed is {}'),
        (
            '"192.0.2.8"',
            '"192.0.2.8/24"',
            'filters[0].source[0]: found "192.0.2.8/24": invalid subnet 192.0.2.8/24: it should be '
            "192.0.2.0/24",
        ),
        (
            '"192.0.2.8"',
            '"everybody"',
            'filters[0].source[0]: found "everybody": allowed is an IPv4 subnet or address, like '
            '"192.0.2.0/24" or "192.0.2.8"',
        ),
        (
            "protocol = 47",
            "protocol = 0",
            'filters[2].protocol: found 0: allowed is "tcp" or "udp" or "icmp" or "sctp" or '
            '"dccp", or a number from 1 to 255',
        ),
        (
            "protocol = 47",
            'ports = ["80"]',
            'filters[2].ports: found ["80"]: allowed with a protocol that has ports, like "tcp"',
        ),
        (
            'in_network = "uplink"',
            'in_network = "upling"',
            'filters[0].in_network: found "upling": network upling not found: did you mean '
            '"uplink"?',
        ),
        (
            'out_network = "back"',
            'out_network = "zzz"',
            'filters[1].out_network: found "zzz": network zzz not found: allowed is back or bridge '
            "or front or uplink",
        ),
        (
            'in_network = "uplink"',
            "inn = 1",
            "filters[0].inn: unknown key: allowed is action, source, destination, protocol, "
            "source_ports, ports, in_network, out_network",
        ),
    ],
)
def test_mistake_is_told_in_one_line(right: str, wrong: str, line: str) -> None:
    actions = '"accept" or "return" or "drop" or "reject" or "log"'
    assert right in LAB
    [said] = lines(LAB.replace(right, wrong, 1))
    assert said.startswith(f"lab.toml: {line.format(actions)}")


def test_several_mistakes_are_all_told() -> None:
    text = LAB.replace('action = "log"', "inn = 1").replace('"192.0.2.8"', '"x"')
    said = [line.removeprefix("lab.toml: ").split(": ")[0] for line in lines(text)]
    assert said == ["filters[0].source[0]", "filters[2].inn", "filters[2].action"]


def test_name_that_a_network_and_an_uplink_have_is_no_name_for_a_filter() -> None:
    text = LAB.replace("[networks.back]", "[networks.back]\n[networks.uplink]")
    assert lines(text) == [
        'lab.toml: filters[0].in_network: found "uplink": allowed is a name that is not both a '
        "network's and an uplink's"
    ]


def test_filter_is_not_blamed_for_a_network_that_is_mistaken_itself() -> None:
    text = LAB.replace("[networks.back]", '[networks.back]\nsubnet = "x"')
    assert [line.split(":")[1] for line in lines(text)] == [" networks.back.subnet"]
