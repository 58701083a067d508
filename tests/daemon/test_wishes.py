"""From a body of the interface to a request: what it is called, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vswitch.daemon.attaching import wishes
from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.messages.endpoints import EndpointBody, TapBody
from vswitch.network.errors import NetworkError
from vswitch.network.model import EndpointKind, EndpointRequest
from vswitch.wire.values import IpAddress, MacAddress


def request(**keys: Any) -> EndpointRequest:
    body = EndpointBody(**({"pid": 7} | keys))
    return wishes.of_endpoint(body, Namespace.at(body.namespace_path))


@pytest.mark.parametrize(
    ("place", "name", "namespace"),
    [
        ({"pid": 7}, "run-7", None),
        ({"pid": None, "path": "/run/netns/lab"}, "lab", "lab"),
        ({"pid": None, "path": "/srv/sandboxes/4f"}, "4f", None),
        ({"pid": None, "path": "/proc/7/ns/net"}, "run-7", None),
        ({"pid": None, "path": "/run/netns/lab", "name": "web"}, "web", "lab"),
    ],
)
def test_endpoint_without_a_name_is_called_after_what_it_lives_in(
    place: dict[str, Any], name: str, namespace: str | None
) -> None:
    found = request(**place)
    assert (found.name, found.namespace) == (name, namespace)


def test_every_text_becomes_a_value() -> None:
    found = request(
        kind="veth",
        network="front",
        address="172.18.0.9",
        mac="02:00:00:00:00:09",
        aliases=("www",),
        dns=("192.0.2.53", "[2001:db8::53]:5353", "tls://9.9.9.9#dns.quad9.net"),
        dns_search=("corp.example", "."),
        dns_options=("ndots:1",),
        hostname="inner",
        domainname="corp.example",
    )
    assert found.kind is EndpointKind.VETH
    assert (found.address, found.mac) == (
        IpAddress.parse("172.18.0.9"),
        MacAddress.parse("02:00:00:00:00:09"),
    )
    assert [str(server) for server in found.dns] == [
        "192.0.2.53",
        "[2001:db8::53]:5353",
        "tls://9.9.9.9#dns.quad9.net",
    ]
    assert (found.dns_search, found.dns_options) == (("corp.example", "."), ("ndots:1",))
    assert found.domainname == "corp.example"
    assert (found.network, found.aliases, found.hostname) == ("front", ("www",), "inner")


def test_published_ports_are_exposed_and_exposed_ones_published_where_all_are() -> None:
    found = request(publish=("8080:80",), expose=("80", "90"), publish_all=True)
    assert [str(each) for each in found.exposed] == ["80/tcp", "90/tcp"]
    assert [each.endpoint_ports.first for each in found.publish] == [80, 90]
    assert [each.chooses_host_port for each in found.publish] == [False, True]


def test_tap_is_a_virtual_machines_and_has_an_owner() -> None:
    found = wishes.of_tap(TapBody(name="vm1", network="front", owner=1000))
    assert (found.name, found.kind, found.owner) == ("vm1", EndpointKind.VM, 1000)
    assert found.namespace is None


def test_tap_is_asked_for_with_names_as_any_endpoint() -> None:
    found = wishes.of_tap(TapBody(name="vm1", dns=("192.0.2.53",), hostname="guest"))
    assert ([str(each) for each in found.dns], found.hostname) == (["192.0.2.53"], "guest")


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"address": "172.18.0.256"}, "invalid IPv4 address: 172.18.0.256"),
        ({"address": "fd00::1"}, "invalid IPv4 address: fd00::1"),
        ({"mac": "00:00"}, "00:00 is not a valid mac address"),
        ({"mac": "00:00:00:00:00:00"}, "00:00:00:00:00:00 is not a valid mac address"),
        ({"mac": "ff:ff:ff:ff:ff:ff"}, "ff:ff:ff:ff:ff:ff is not a valid mac address"),
        ({"dns": ("resolver",)}, "resolver is not an ip address"),
        ({"dns_search": ("a_b c",)}, "a_b c is not a valid domain"),
        ({"domainname": "a..b"}, "a..b is not a valid domain"),
        ({"dns_options": ("ndots:x",)}, "invalid number for ndots option: x"),
        ({"hostname": "-x"}, "invalid hostname format: -x"),
        ({"publish": ("80:http",)}, "invalid containerPort: http"),
        ({"expose": ("http",)}, "invalid range format for --expose: http"),
    ],
)
def test_mistake_is_told_in_dockers_words(keys: dict[str, Any], told: str) -> None:
    with pytest.raises(NetworkError) as refusal:
        request(**keys)
    assert str(refusal.value) == told


def test_whoever_writes_a_name_server_wrong_is_told_how_it_is_written() -> None:
    with pytest.raises(NetworkError) as refusal:
        request(dns=("tls://9.9.9.9",))
    how = "a name server is IP, IP:PORT or tls://IP#NAME"
    assert refusal.value.explained == f"tls://9.9.9.9 is not an ip address ({how})"


def test_path_through_a_link_leads_to_the_same_namespace(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert Namespace.at(tmp_path / "link" / "x") == Namespace.at(tmp_path / "real" / "x")
