"""The host's own address on an interface, asked of the kernel."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from vswitch.daemon.guard.address import AddressChange, AddressWatch, HostLink, host_link
from vswitch.daemon.guard.ports import HostPorts, free_ranges, host_ports
from vswitch.daemon.kernel.links import LinkError
from vswitch.wire.values import IpAddress, IpInterface, MacAddress

if TYPE_CHECKING:
    from tests.linux.conftest import Namespaces

pytestmark = pytest.mark.linux

MAC = "02:00:00:00:00:02"
PATIENCE = 5.0


class Host:
    """A namespace with an interface `up0` that has no address yet."""

    def __init__(self, namespaces: Namespaces) -> None:
        self._namespaces = namespaces
        self.name = namespaces.create()
        namespaces.join(self.name, "up0", namespaces.create(), "eth0")
        self.ip("link", "set", "up0", "address", MAC)

    def ip(self, *command: str) -> None:
        self._namespaces.run(self.name, "ip", *command)

    def link(self, interface: str = "up0") -> HostLink:
        return self._namespaces.call(self.name, lambda: host_link(interface))

    def ports(self) -> HostPorts:
        return self._namespaces.call(self.name, host_ports)

    def watch(self) -> AddressWatch:
        return self._namespaces.call(self.name, lambda: AddressWatch("up0"))

    def changed(self, watch: AddressWatch) -> AddressChange | None:
        return self._namespaces.call(self.name, watch.changed)

    def socket(self, kind: int, family: int = socket.AF_INET) -> socket.socket:
        return self._namespaces.call(self.name, lambda: socket.socket(family, kind))

    def set(self, setting: str) -> None:
        self._namespaces.run(self.name, "sysctl", "-qw", setting)


@pytest.fixture
def host(namespaces: Namespaces) -> Host:
    return Host(namespaces)


@pytest.fixture
def watch(host: Host) -> Iterator[AddressWatch]:
    host.ip("address", "add", "198.51.100.3/24", "dev", "up0")
    with closing(host.watch()) as watch:
        yield watch


def test_host_tells_all_that_sharing_takes(host: Host) -> None:
    host.ip("address", "add", "198.51.100.3/24", "dev", "up0")
    host.ip("link", "set", "up0", "mtu", "1400")
    host.ip("route", "add", "default", "via", "198.51.100.1")
    link = host.link()
    assert link == HostLink(
        "up0",
        link.index,
        IpInterface.parse("198.51.100.3/24"),
        MacAddress.parse(MAC),
        1400,
        IpAddress.parse("198.51.100.1"),
    )


def test_first_global_address_counts(host: Host) -> None:
    for address, scope in (
        ("169.254.7.7/16", "link"),
        ("198.51.100.3/24", "global"),
        ("198.51.100.4/24", "global"),
        ("192.0.2.3/24", "global"),
    ):
        host.ip("address", "add", address, "scope", scope, "dev", "up0")
    assert str(host.link().address) == "198.51.100.3/24"


def test_own_end_of_a_peer_address_is_the_hosts(host: Host) -> None:
    host.ip("address", "add", "192.0.2.1", "peer", "192.0.2.2/32", "dev", "up0")
    assert str(host.link().address.address) == "192.0.2.1"


def test_gateway_is_that_of_the_best_default_route_by_this_interface(host: Host) -> None:
    host.ip("address", "add", "198.51.100.3/24", "dev", "up0")
    assert host.link().gateway is None
    host.ip("link", "add", "dum0", "type", "veth", "peer", "name", "dum1")
    host.ip("address", "add", "192.0.2.3/24", "dev", "dum0")
    host.ip("link", "set", "dum0", "up")
    host.ip("link", "set", "dum1", "up")
    host.ip("route", "add", "default", "via", "192.0.2.1", "metric", "1")
    host.ip("route", "add", "default", "via", "198.51.100.9", "metric", "200")
    host.ip("route", "add", "203.0.113.0/24", "via", "198.51.100.8", "metric", "2")
    assert str(host.link().gateway) == "198.51.100.9"
    several = ("nexthop", "via", "192.0.2.2", "nexthop", "via", "198.51.100.7")
    host.ip("route", "add", "default", "metric", "100", *several)
    assert str(host.link().gateway) == "198.51.100.7"
    host.ip("route", "add", "default", "via", "198.51.100.5", "metric", "50", "table", "77")
    assert str(host.link().gateway) == "198.51.100.7"


def test_what_cannot_be_shared_is_told_in_a_line(host: Host) -> None:
    with pytest.raises(LinkError, match=r"^there is no interface nowhere0$"):
        host.link("nowhere0")
    with pytest.raises(LinkError, match=r"^up0 has no global IPv4 address$"):
        host.link()
    host.ip("tuntap", "add", "mode", "tun", "name", "tun9")
    with pytest.raises(LinkError, match=r"^tun9 is not Ethernet$"):
        host.link("tun9")


def test_change_of_the_address_is_told_once(host: Host, watch: AddressWatch) -> None:
    before = IpInterface.parse("198.51.100.3/24")
    after = IpInterface.parse("192.0.2.3/24")
    assert watch.address == before
    assert not is_readable(watch, 0)
    host.ip("address", "del", "198.51.100.3/24", "dev", "up0")
    assert is_readable(watch, PATIENCE)
    change = host.changed(watch)
    assert change == AddressChange("up0", before, None)
    assert str(change) == "the address of up0 changed to none"
    assert host.changed(watch) is None
    assert not is_readable(watch, 0)
    host.ip("address", "add", "192.0.2.3/24", "dev", "up0")
    assert is_readable(watch, PATIENCE)
    change = host.changed(watch)
    assert change == AddressChange("up0", None, after)
    assert str(change) == "the address of up0 changed to 192.0.2.3/24"
    assert watch.address == after


def test_second_address_is_no_change(host: Host, watch: AddressWatch) -> None:
    host.ip("address", "add", "192.0.2.3/24", "dev", "up0")
    host.ip("address", "add", "192.0.2.4/24", "dev", "lo")
    assert is_readable(watch, PATIENCE)
    assert host.changed(watch) is None


def test_deleted_interface_has_no_address(host: Host, watch: AddressWatch) -> None:
    host.ip("link", "delete", "up0")
    assert is_readable(watch, PATIENCE)
    change = host.changed(watch)
    assert change is not None
    assert change.after is None


def test_more_events_than_the_queue_holds_are_a_reason_to_look(
    host: Host, watch: AddressWatch
) -> None:
    watching = socket.socket(fileno=watch.fileno())
    watching.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    watching.detach()
    for number in range(40):
        host.ip("address", "add", f"192.0.2.{number + 1}/32", "dev", "lo")
    host.ip("address", "del", "198.51.100.3/24", "dev", "up0")
    change = host.changed(watch)
    assert change is not None
    assert change.after is None


def is_readable(watch: AddressWatch, patience: float) -> bool:
    return bool(select.select([watch.fileno()], [], [], patience)[0])


def test_ports_of_the_host_are_those_of_its_namespace(host: Host) -> None:
    assert host.ports() == HostPorts(range(32768, 61000), frozenset(), frozenset())
    host.set("net.ipv4.ip_local_port_range=20000 59999")
    host.set("net.ipv4.ip_local_reserved_ports=60000,60002-60003")
    with (
        host.socket(socket.SOCK_STREAM) as tcp,
        host.socket(socket.SOCK_DGRAM) as udp,
        host.socket(socket.SOCK_STREAM, socket.AF_INET6) as tcp6,
        host.socket(socket.SOCK_DGRAM, socket.AF_INET6) as udp6,
    ):
        for number, each in enumerate((tcp, udp, tcp6, udp6)):
            each.bind(("", 60010 + number))
        tcp.listen()
        tcp6.listen()
        found = host.ports()
    assert found.ephemeral == range(20000, 60000)
    assert found.reserved == {60000, 60002, 60003}
    assert found.in_use == {60010, 60011, 60012, 60013}
    assert free_ranges(found.ephemeral, found.reserved, found.in_use) == (range(1024, 20000),)
