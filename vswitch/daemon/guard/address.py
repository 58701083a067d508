"""The host's own address on an interface: which it is, and when it changes.

Theory of operation. `host_link` asks the kernel what the switch needs to know to share an
interface: the first global IPv4 address (the primary one, which the host itself speaks from), the
MAC, the MTU, and the gateway of the best default route that leaves by it.

`AddressWatch` listens to the kernel's address and route events (rtnetlink(7)), as the route to the
gateway comes after the address. What they say is not read: an event, also one that was lost because
too many came, means that the address is looked at again. The socket listens before the first look,
so no change is missed.

Everything is in the network namespace of the calling thread.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from vswitch.daemon.kernel import linkevents, links, netns
from vswitch.daemon.kernel.links import Link, LinkError
from vswitch.daemon.kernel.netlink import IPRoute, NetlinkError
from vswitch.wire.values import IpAddress, IpInterface, MacAddress

GLOBAL_SCOPE = 0
"""RT_SCOPE_UNIVERSE: not of this link or this host alone."""

MAIN_TABLE = 254
"""RT_TABLE_MAIN, where a host's default routes are."""


@dataclass(frozen=True, slots=True)
class HostLink:
    """An interface of the host, as the switch would share it."""

    interface: str
    index: int
    address: IpInterface
    mac: MacAddress
    mtu: int
    gateway: IpAddress | None
    """Of the default route by this interface with the lowest metric; None where there is none."""


@dataclass(frozen=True, slots=True)
class AddressChange:
    """The interface's address was another one before. None stands for no address."""

    interface: str
    before: IpInterface | None
    after: IpInterface | None

    def __str__(self) -> str:
        return f"the address of {self.interface} changed to {self.after or 'none'}"


def host_link(interface: str) -> HostLink:
    """What the host has on `interface`.

    Raises LinkError where there is no such interface, it is not Ethernet, or it has no global IPv4
    address.
    """
    link = _ethernet_link(interface)
    address = _first_global_address(link)
    if address is None or link.mac is None:
        raise LinkError(f"{interface} has no global IPv4 address")
    gateway = _default_gateway(link)
    return HostLink(interface, link.index, address, link.mac, link.mtu, gateway)


class AddressWatch:
    """Says when the first global IPv4 address of one interface is another one.

    Its descriptor becomes readable when it may be, at a change of any interface's.
    """

    def __init__(self, interface: str) -> None:
        """Raises LinkError where the kernel does not let itself be asked."""
        self.interface = interface
        self._events = linkevents.listen(
            linkevents.IPV4_ADDRESSES | linkevents.IPV4_ROUTES, "address"
        )
        try:
            self._address = _address_of(interface)
        except BaseException:
            self._events.close()
            raise

    @property
    def address(self) -> IpInterface | None:
        """What it was at the last look; None for no address, or no interface."""
        return self._address

    def fileno(self) -> int:
        """The descriptor for the event loop to wait on."""
        return self._events.fileno()

    def changed(self) -> AddressChange | None:
        """The change since the last look, or None where there is none. Raises LinkError."""
        linkevents.drain(self._events)
        before, self._address = self._address, _address_of(self.interface)
        if before == self._address:
            return None
        return AddressChange(self.interface, before, self._address)

    def close(self) -> None:
        """Stop watching."""
        self._events.close()


def _ethernet_link(interface: str) -> Link:
    link = links.find(interface)
    if link is None:
        raise LinkError(f"there is no interface {interface}")
    if link.mac is None:
        raise LinkError(f"{interface} is not Ethernet")
    return link


def _address_of(interface: str) -> IpInterface | None:
    link = links.find(interface)
    return None if link is None else _first_global_address(link)


def _first_global_address(link: Link) -> IpInterface | None:
    """The kernel lists the primary address of each network before its secondary ones."""
    for answer in _ask("addr", index=link.index, family=socket.AF_INET):
        if answer["scope"] == GLOBAL_SCOPE:
            return IpInterface.parse(f"{answer.get_attr('IFA_LOCAL')}/{answer['prefixlen']}")
    return None


def _default_gateway(link: Link) -> IpAddress | None:
    routes = [
        (route.get_attr("RTA_PRIORITY") or 0, gateway)
        for route in _ask("route", family=socket.AF_INET, table=MAIN_TABLE)
        if route["dst_len"] == 0
        for gateway in _gateways_by(link.index, route)
    ]
    return IpAddress.parse(min(routes, key=itemgetter(0))[1]) if routes else None


def _gateways_by(index: int, route: Any) -> Iterator[str]:
    """A route has one next hop, or several in RTA_MULTIPATH."""
    for hop, interface in (
        (route, route.get_attr("RTA_OIF")),
        *((each, each["oif"]) for each in route.get_attr("RTA_MULTIPATH") or ()),
    ):
        gateway = hop.get_attr("RTA_GATEWAY")
        if interface == index and gateway is not None:
            yield gateway


def _ask(subject: str, **fields: Any) -> list[Any]:
    """A dump of what the kernel has of `subject`; nothing where the interface has just gone."""

    def inside() -> list[Any]:
        with IPRoute() as netlink:
            return list(getattr(netlink, subject)("dump", **fields))

    try:
        return netns.run(inside, None)
    except (NetlinkError, OSError) as error:
        raise LinkError(f"cannot look at the host's addresses and routes: {error}") from error
