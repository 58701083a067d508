"""The /etc/hosts of a command: its own names, and those that were added."""

from __future__ import annotations

import pytest

from vswitch.cli import hosts
from vswitch.cli.problem import Problem

WEB = hosts.Own("web", "inner.example.org", "172.18.0.2/16", "172.18.0.1")


def names(text: str) -> dict[str, list[str]]:
    """Who has which address; of the loopback's names the IPv6 ones are left out."""
    lines = [line.split() for line in text.splitlines()]
    return {address: called for address, *called in lines if ":" not in address}


def test_command_finds_itself_at_its_own_address_and_the_loopback() -> None:
    text = hosts.render(WEB, ())
    assert names(text) == {
        "127.0.0.1": ["localhost"],
        "172.18.0.2": ["inner.example.org", "inner", "web"],
    }
    assert "::1\tlocalhost ip6-localhost ip6-loopback\n" in text


def test_hostname_that_is_the_name_stands_there_once() -> None:
    assert names(hosts.render(WEB._replace(hostname="web"), ()))["172.18.0.2"] == ["web"]


def test_command_without_an_address_has_the_loopback_alone() -> None:
    beside = WEB._replace(address="")
    assert names(hosts.render(beside, ())) == {"127.0.0.1": ["localhost"]}


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        ("db:192.0.2.7", "192.0.2.7\tdb\n"),
        ("db=192.0.2.7", "192.0.2.7\tdb\n"),
        ("db:2001:db8::7", "2001:db8::7\tdb\n"),
        ("db=[2001:db8::7]", "2001:db8::7\tdb\n"),
        ("me:host-gateway", "172.18.0.1\tme\n"),
    ],
)
def test_added_host_is_a_line_of_its_own(spec: str, line: str) -> None:
    assert line in hosts.render(WEB, [hosts.parse(spec)])


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("db", 'bad format for add-host: "db"'),
        (":192.0.2.7", 'bad format for add-host: ":192.0.2.7"'),
        ("d b:192.0.2.7", 'bad format for add-host: "d b:192.0.2.7"'),
        ("db:", 'invalid IP address in add-host: ""'),
        ("db:192.0.2", 'invalid IP address in add-host: "192.0.2"'),
        ("db:1 evil", 'invalid IP address in add-host: "1 evil"'),
    ],
)
def test_mistake_is_told_in_dockers_words(spec: str, told: str) -> None:
    with pytest.raises(Problem) as refused:
        hosts.parse(spec)
    assert str(refused.value) == told


def test_gateway_that_is_not_there_is_no_address_of_the_host() -> None:
    internal = WEB._replace(gateway="")
    with pytest.raises(Problem, match="endpoint web has no gateway"):
        hosts.render(internal, [hosts.parse("me:host-gateway")])
