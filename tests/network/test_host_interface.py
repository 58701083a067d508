"""The host's own port on a network: who says so, and what it is called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.network.configuration import config
from vswitch.network.configuration.config import ConfigurationError
from vswitch.network.names import host_interface, is_interface_name, is_name

LAB = """
name = "lab"
[networks.front]
host = {}
[networks.back]
[endpoints.{}]
network = "back"
"""


def mistakes(text: str) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        config.parse(text, "lab.toml")
    return [line.removeprefix("lab.toml: ") for line in refused.value.lines]


def test_host_is_on_the_networks_that_say_so() -> None:
    networks = config.parse(LAB.format("true", "web"), "lab.toml").networks
    assert [network.name for network in networks if network.host] == ["front"]


def test_host_may_be_on_the_default_network() -> None:
    text = 'name = "lab"\n[networks.bridge]\nsubnet = "172.17.0.0/16"\nhost = true'
    (bridge,) = config.parse(text, "lab.toml").networks
    assert bridge.host


def test_whether_it_is_is_a_flag() -> None:
    (told,) = mistakes(LAB.format('"yes"', "web"))
    assert told.endswith('networks.front.host: found "yes": allowed is true or false')


def test_endpoint_is_not_called_like_the_hosts_port() -> None:
    (told,) = mistakes(LAB.format("true", "vs-front"))
    whose = "the host's port on network front"
    assert f"vs-front is the name of {whose}: allowed is another one" in told
    assert config.parse(LAB.format("false", "vs-front"), "lab.toml").endpoints


@pytest.mark.parametrize(
    ("network", "name"),
    [
        ("front", "vs-front"),
        ("a" * 12, "vs-" + "a" * 12),
        ("a" * 13, "vs-aaaaaaa-a689"),
    ],
)
def test_interface_is_called_after_the_network(network: str, name: str) -> None:
    assert host_interface(network) == name


@given(st.from_regex(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}", fullmatch=True))
def test_kernel_takes_the_name_of_every_network(network: str) -> None:
    assert is_name(network)
    assert is_interface_name(host_interface(network))


def test_long_names_that_begin_alike_stay_apart() -> None:
    long = "production-network-"
    assert host_interface(f"{long}1") != host_interface(f"{long}2")
