"""Links as an endpoint finds them, asked back through iproute2."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether

from vswitch.daemon.kernel import links, netns
from vswitch.daemon.kernel.journal import Journal, Swept
from vswitch.daemon.kernel.links import EndpointLink, LinkError
from vswitch.daemon.kernel.made import MadeLink, Undone
from vswitch.daemon.kernel.netns import Namespace
from vswitch.wire.values import IpAddress, IpInterface, MacAddress

if TYPE_CHECKING:
    from tests.linux.conftest import Namespaces

pytestmark = pytest.mark.linux

MAC = MacAddress.parse("02:00:00:00:00:02")
GATEWAY = IpAddress.parse("172.18.0.1")
ETH0 = EndpointLink("eth0", MAC, IpInterface.parse("172.18.0.2/16"), GATEWAY, mtu=1400)
Show: TypeAlias = Callable[..., list[dict[str, Any]]]

PATIENCE = 0.5
"""Seconds in which a host that would answer has answered."""


@pytest.fixture
def host(namespaces: Namespaces) -> Namespace:
    """Stands for the host's own namespace, which no test touches."""
    return Namespace.named(namespaces.create())


@pytest.fixture
def inside(namespaces: Namespaces) -> Namespace:
    namespace = Namespace.named(namespaces.create())
    namespaces.run(str(namespace.name), "ip", "link", "set", "lo", "down")
    return namespace


@pytest.fixture
def ip(namespaces: Namespaces) -> Show:
    """What `ip -json -details` says in a namespace."""

    def show(namespace: Namespace, *command: str) -> list[dict[str, Any]]:
        done = namespaces.run(str(namespace.name), "ip", "-json", "-details", *command)
        answer: list[dict[str, Any]] = json.loads(done.stdout or "[]")
        return answer

    return show


def test_endpoint_finds_its_link_as_it_was_asked_for(
    host: Namespace, inside: Namespace, ip: Show
) -> None:
    links.make_veth("vsweb", inside, "vspeer", mtu=1400, host=host)
    links.equip(inside, "vspeer", ETH0)
    (link,) = ip(inside, "link", "show", "eth0")
    assert (link["address"], link["mtu"]) == (str(MAC), 1400)
    assert {"UP", "LOWER_UP"} <= set(link["flags"])
    (lo,) = ip(inside, "link", "show", "lo")
    assert "UP" in lo["flags"]
    addresses = {
        (each["family"], each["local"], each["prefixlen"], each["scope"])
        for each in ip(inside, "address", "show", "eth0")[0]["addr_info"]
    }
    assert ("inet", "172.18.0.2", 16, "global") in addresses
    assert ("inet6", "fe80::ff:fe00:2", 64, "link") in addresses
    (default,) = ip(inside, "route", "show", "default")
    assert (default["gateway"], default["dev"]) == (str(GATEWAY), "eth0")


def test_endpoint_of_ipv6_has_its_address_and_its_way_out(
    host: Namespace, inside: Namespace, ip: Show
) -> None:
    links.make_veth("vsweb", inside, "eth0", host=host)
    address, gateway = IpInterface.parse("fd00::2/64"), IpAddress.parse("fd00::1")
    links.equip(inside, "eth0", EndpointLink("eth0", MAC, address, gateway))
    locals_ = [each["local"] for each in ip(inside, "address", "show", "eth0")[0]["addr_info"]]
    assert "fd00::2" in locals_
    (default,) = ip(inside, "-6", "route", "show", "default")
    assert default["gateway"] == "fd00::1"


def test_endpoint_without_gateway_has_no_way_out(
    host: Namespace, inside: Namespace, ip: Show
) -> None:
    links.make_veth("vsweb", inside, "eth0", host=host)
    links.equip(inside, "eth0", EndpointLink("eth0", MAC, ETH0.address, None))
    assert ip(inside, "route", "show", "default") == []


def test_switchs_end_is_up_and_has_no_address_of_any_family(
    host: Namespace, inside: Namespace, ip: Show
) -> None:
    made = links.make_veth("vsweb", inside, "eth0", mtu=1400, host=host)
    peer = links.find("eth0", inside)
    assert peer is not None
    assert (peer.mtu, peer.is_up) == (1400, False)
    links.equip(inside, "eth0", ETH0)
    assert links.find("vsweb", host) == made
    assert (made.name, made.mtu, made.is_up) == ("vsweb", 1400, True)
    (shown,) = ip(host, "address", "show", "vsweb")
    assert shown["addr_info"] == []
    assert shown["address"] == str(made.mac)


def test_host_says_nothing_on_the_switchs_end(host: Namespace, inside: Namespace) -> None:
    """With an address of its own elsewhere, a Linux host would answer for it on any link."""
    links.make_veth("vsother", inside, "spare", host=host)
    links.equip(
        host, "vsother", EndpointLink("other", MAC, IpInterface.parse("172.18.0.9/32"), None)
    )
    heard = netns.run(lambda: ask_for_the_host(host, inside), inside)
    assert [frame for frame in heard if frame[Ether].src != str(MAC)] == []


def ask_for_the_host(host: Namespace, inside: Namespace) -> list[Ether]:
    made = links.make_veth("vsweb", inside, "peer", host=host)
    links.equip(inside, "peer", ETH0)
    header = Ether(src=str(MAC), dst="ff:ff:ff:ff:ff:ff")
    who_has = header / ARP(hwsrc=str(MAC), psrc="172.18.0.2", pdst="172.18.0.9")
    ping = Ether(src=str(MAC), dst=str(made.mac)) / IP(src="172.18.0.2", dst="172.18.0.9") / ICMP()
    heard = []
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as packets:
        packets.bind(("eth0", 3))
        packets.settimeout(PATIENCE)
        packets.send(bytes(who_has))
        packets.send(bytes(ping))
        try:
            while True:
                heard.append(Ether(packets.recv(2048)))
        except TimeoutError:
            return heard


def test_refused_veth_names_the_reason_and_leaves_no_end(
    host: Namespace, inside: Namespace
) -> None:
    links.make_veth("vsweb", inside, "eth0", host=host)
    with pytest.raises(LinkError) as refusal:
        links.make_veth("vsapp", inside, "eth0", host=host)
    assert str(refusal.value) == (
        f"cannot make the veth pair vsapp and eth0 of {inside} in {host}: File exists"
    )
    assert links.find("vsapp", host) is None


def test_mtu_and_state_of_a_link_are_set(host: Namespace, inside: Namespace) -> None:
    links.make_veth("vsweb", inside, "eth0", host=host)
    links.set_mtu("eth0", 9000, inside)
    links.set_up("eth0", inside)
    found = links.find("eth0", inside)
    assert found is not None
    assert (found.mtu, found.is_up) == (9000, True)


def test_deleted_link_takes_its_peer_along_and_may_be_gone_already(
    host: Namespace, inside: Namespace
) -> None:
    links.make_veth("vsweb", inside, "eth0", host=host)
    links.delete("vsweb", host)
    assert links.find("eth0", inside) is None
    links.delete("vsweb", host)


def test_link_that_is_not_ethernet_has_no_mac(inside: Namespace, namespaces: Namespaces) -> None:
    namespaces.run(str(inside.name), "ip", "tuntap", "add", "mode", "tun", "name", "tun9")
    tunnel, loopback = links.find("tun9", inside), links.find("lo", inside)
    assert tunnel is not None
    assert tunnel.mac is None
    assert loopback is not None
    assert loopback.mac == MacAddress(bytes(6))


def test_error_says_what_where_and_why(host: Namespace, inside: Namespace) -> None:
    with pytest.raises(LinkError, match=f"^there is no link eth9 in {inside}$"):
        links.set_up("eth9", inside)
    links.make_veth("vsweb", inside, "eth0", host=host)
    with pytest.raises(LinkError, match=f"^cannot set eth0 to MTU 1 in {inside}: Invalid argument"):
        links.set_mtu("eth0", 1, inside)
    elsewhere = EndpointLink("eth0", MAC, ETH0.address, IpAddress.parse("192.0.2.1"))
    with pytest.raises(LinkError, match=r"route everything over 192\.0\.2\.1 .* unreachable$"):
        links.equip(inside, "eth0", elsewhere)
    with pytest.raises(LinkError, match=r"^namespace missing does not exist$"):
        links.find("eth0", Namespace.named("missing"))


def test_switchs_end_of_a_killed_switch_is_swept(
    host: Namespace, inside: Namespace, tmp_path: Path
) -> None:
    def make_and_leave() -> None:
        with closing(Journal.open("lab", tmp_path)) as journal:
            journal.make_veth("vsweb", inside, "eth0", mtu=1500)

    def sweep() -> tuple[Swept, ...]:
        with closing(Journal.open("lab", tmp_path)) as journal:
            return journal.sweep()

    netns.run(make_and_leave, host)
    assert links.find("vsweb", host) is not None
    assert netns.run(sweep, host) == (Swept(MadeLink("vsweb"), Undone.REMOVED),)
    assert links.find("vsweb", host) is None
    assert links.find("eth0", inside) is None


def test_subnets_on_links_are_those_that_the_host_reaches_without_a_router(
    namespaces: Namespaces, host: Namespace
) -> None:
    name = host.name
    assert links.on_link_subnets(host) == []
    namespaces.join(name, "lan0", namespaces.create(), "lan0")
    for words in (
        ("address", "add", "198.51.100.3/24", "dev", "lan0"),
        ("route", "add", "192.0.2.0/24", "via", "198.51.100.1"),
        ("route", "add", "default", "via", "198.51.100.1"),
        ("route", "add", "10.0.0.0/8", "dev", "lan0"),
    ):
        namespaces.run(name, "ip", *words)
    found = {str(subnet) for subnet in links.on_link_subnets(host)}
    assert found == {"198.51.100.0/24", "10.0.0.0/8"}
