"""Links, addresses and routes: what an endpoint finds inside its namespace.

Theory of operation. All of it is rtnetlink (rtnetlink(7)), spoken by pyroute2 in the namespace that
is asked about: one socket per operation, opened by the throw-away thread of `netns.run`. Calls
block for as long as the kernel takes: about 8 ms to equip an endpoint, and 20 to 35 ms to delete a
link, because the kernel waits there until no packet can be looking at it.

An endpoint is a TAP that was made in its namespace, or one end of a veth pair whose other end
the switch reads. `equip` treats both alike: name, MAC, MTU, address, up, default route. IPv6 stays
as the kernel has it, so the link gets its link-local address by itself.

The host's end of a veth pair belongs to the switch, and the host must not speak on it: it gets no
address, no IPv6, and no ARP (a Linux host otherwise answers ARP on any link for all addresses that
it has). Its offloads stay on, because the switch carries super-frames. So it is with a macvtap,
whose other end is a descriptor of the switch.

This module decides no names and no addresses, and remembers nothing: what was made is written down
in `journal`.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from vswitch.daemon.kernel import netns
from vswitch.daemon.kernel.netlink import IPRoute, NetlinkError
from vswitch.daemon.kernel.netns import Namespace, NamespaceError
from vswitch.devices import tap
from vswitch.wire.values import IpAddress, IpInterface, IpNetwork, MacAddress

ETHERNET_MTU = 1500
"""Octets of IP in a frame where nobody asked for another size (RFC 894)."""

IFF_UP = 1
"""<linux/if.h>: the administrator wants the link up."""

LINK_SCOPE = 253
"""RT_SCOPE_LINK of <linux/rtnetlink.h>: a route to who is on the link itself."""

UNICAST = 1
"""RTN_UNICAST, there too: a route by which frames leave the host."""

_TAKEN_IN = 100
"""The number of a routing table, which means nothing to anybody else in its namespace."""

LOOPBACK_INDEX = 1
"""Of `lo`, in every namespace (LOOPBACK_IFINDEX in the kernel)."""

ARPHRD_ETHER = 1
ARPHRD_LOOPBACK = 772
"""<linux/if_arp.h>: the kinds of link whose frames are Ethernet's."""

IPV6_SETTINGS = Path("/proc/sys/net/ipv6/conf")
"""One directory per link of the reading thread's namespace; absent in a kernel without IPv6."""

Result = TypeVar("Result")


class LinkError(Exception):
    """The kernel refused something. The text is one line: what, where, and the kernel's reason."""


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface as the kernel described it at one moment."""

    index: int
    name: str
    mac: MacAddress | None
    """None where the link is not Ethernet, such as a tunnel of IP in IP."""
    mtu: int
    is_up: bool


@dataclass(frozen=True, slots=True)
class EndpointLink:
    """How an endpoint's link is to look from inside its namespace."""

    name: str
    mac: MacAddress
    address: IpInterface
    gateway: IpAddress | None
    """Where the default route leads, or None for an endpoint that has no way out."""
    mtu: int = ETHERNET_MTU


def find(name: str, namespace: Namespace | None = None) -> Link | None:
    """The link called `name`, or None where there is none. Raises LinkError."""
    return _with_netlink(lambda kernel: kernel.find(name), namespace)


def on_link_subnets(namespace: Namespace | None = None) -> list[IpNetwork]:
    """The IPv4 subnets that the host itself reaches without a router. Raises LinkError."""

    def work(kernel: _Kernel) -> list[IpNetwork]:
        routes = kernel.ask("list the routes", "route", "dump", family=socket.AF_INET)
        return [
            IpNetwork.parse(f"{route.get_attr('RTA_DST')}/{route['dst_len']}")
            for route in routes
            if route["scope"] == LINK_SCOPE and route["type"] == UNICAST and route["dst_len"]
        ]

    return _with_netlink(work, namespace)


def set_up(name: str, namespace: Namespace | None = None) -> None:
    """Set the link up, as an administrator would. Raises LinkError."""

    def work(kernel: _Kernel) -> None:
        kernel.set(kernel.get(name).index, f"{name} up", state="up")

    _with_netlink(work, namespace)


def set_mtu(name: str, mtu: int, namespace: Namespace | None = None) -> None:
    """Set the link's MTU, in octets of IP. Raises LinkError."""

    def work(kernel: _Kernel) -> None:
        kernel.set(kernel.get(name).index, f"{name} to MTU {mtu}", mtu=mtu)

    _with_netlink(work, namespace)


def delete(name: str, namespace: Namespace | None = None) -> None:
    """Delete the link, and its peer where it is a veth. Raises LinkError.

    A link that is gone already is no error: veth ends go by themselves with the other's namespace.
    """

    _with_netlink(lambda kernel: _delete(kernel, name), namespace)


def make_veth(
    name: str,
    namespace: Namespace,
    peer: str,
    *,
    mtu: int = ETHERNET_MTU,
    host: Namespace | None = None,
) -> Link:
    """Make a veth pair: the switch's end `name` in `host`, up and silent, `peer` in `namespace`.

    The peer is down until `equip`. Returns the switch's end. Raises LinkError, and then no end of
    the pair is left.
    """

    def work(kernel: _Kernel) -> Link:
        with namespace.opened() as descriptor:
            peer_end = {"ifname": peer, "net_ns_fd": descriptor, "mtu": mtu}
            what = f"make the veth pair {name} and {peer} of {namespace}"
            kernel.ask(what, "link", "add", ifname=name, kind="veth", mtu=mtu, peer=peer_end)
        return _silenced(kernel, name)

    return _with_netlink(work, host)


def make_macvtap(
    name: str, parent: str, mac: MacAddress, *, namespace: Namespace | None = None
) -> Link:
    """Make the macvtap `name` on `parent` with a MAC of its own, up and silent.

    In mode `bridge`, where several of one parent, and the switch's own endpoints, reach each other.
    Raises LinkError, and then nothing is left of it.
    """

    def work(kernel: _Kernel) -> Link:
        kernel.ask(
            f"make the macvtap {name} on {parent}",
            "link",
            "add",
            ifname=name,
            kind="macvtap",
            link=kernel.get(parent).index,
            macvtap_mode="bridge",
            address=str(mac),
        )
        return _silenced(kernel, name)

    return _with_netlink(work, namespace)


def make_vm_tap(
    name: str, owner: int | None, *, mtu: int = ETHERNET_MTU, host: Namespace | None = None
) -> Link:
    """Make a TAP in `host` that a virtual machine opens by its name: up and silent.

    The user `owner` may open it, without one root alone. Raises OpenError or LinkError, and then
    nothing is left of it.
    """

    def work(kernel: _Kernel) -> Link:
        tap.make_for_another(name, owner)
        return _silenced(kernel, name, mtu)

    return _with_netlink(work, host)


def equip(namespace: Namespace, interface_from: str, link: EndpointLink) -> None:
    """Turn `interface_from`, which is in `namespace` and down, into the endpoint's link.

    It is renamed, gets MAC, MTU and address, goes up together with `lo`, and carries the default
    route where there is a gateway. Raises LinkError at the first step that the kernel refuses; the
    steps before it stay done.
    """

    def work(kernel: _Kernel) -> None:
        name = link.name
        index = kernel.get(interface_from).index
        if interface_from != name:
            kernel.set(index, f"{interface_from} to the name {name}", ifname=name)
        _dress(kernel, index, link)
        kernel.set(LOOPBACK_INDEX, "lo up", state="up")
        kernel.set(index, f"{name} up", state="up")
        if link.gateway is not None:
            _route_all(kernel, "add", index, link)

    _with_netlink(work, namespace)


def is_equipped(namespace: Namespace, link: EndpointLink) -> bool:
    """Whether there is such a link in `namespace`, with its MAC address and its address; whatever
    else is on it is not looked at. Raises LinkError."""

    def work(kernel: _Kernel) -> bool:
        found = kernel.find(link.name)
        if found is None or found.mac != link.mac:
            return False
        addresses = kernel.ask(
            f"list the addresses of {link.name}", "addr", "dump", index=found.index
        )
        wanted = str(link.address.address), link.address.network.prefix_length
        return wanted in [(each.get_attr("IFA_ADDRESS"), each["prefixlen"]) for each in addresses]

    return _with_netlink(work, namespace)


def lead_out(namespace: Namespace, link: EndpointLink) -> None:
    """Let the default route of an endpoint lead by this of its links, in the place of any other.

    Without a gateway there is none then. Raises LinkError.
    """

    def work(kernel: _Kernel) -> None:
        if link.gateway is not None:
            _route_all(kernel, "replace", kernel.get(link.name).index, link)
            return
        what = "take the default route away"
        kernel.ask(what, "route", "del", tolerate=errno.ESRCH, family=socket.AF_INET, dst_len=0)

    _with_netlink(work, namespace)


def equip_host(link: EndpointLink) -> None:
    """The same for an interface that stays the host's own, without a default route: it is down, and
    has its name already. IPv6 is off. Raises LinkError."""

    def work(kernel: _Kernel) -> None:
        index = kernel.get(link.name).index
        _disable_ipv6(link.name)
        _dress(kernel, index, link)
        kernel.set(index, f"{link.name} up", state="up")

    _with_netlink(work, None)


def take_everything_in(name: str) -> Link:
    """Let the calling thread's namespace be the host that all is for which comes in by `name`,
    whatever its destination, and let all that it sends leave by it, silently otherwise.

    For a namespace of that purpose alone. Raises LinkError.
    """

    def work(kernel: _Kernel) -> Link:
        kernel.set(LOOPBACK_INDEX, "lo up", state="up")
        link = _silenced(kernel, name)
        what = f"take in all that comes by {name}"
        kernel.ask(what, "rule", "add", iifname=name, table=_TAKEN_IN)
        to_all: dict[str, Any] = {"family": socket.AF_INET, "dst_len": 0}
        local: dict[str, Any] = {"type": "local", "scope": "host", "table": _TAKEN_IN}
        kernel.ask(what, "route", "add", oif=LOOPBACK_INDEX, **local, **to_all)
        kernel.ask(f"send all by {name}", "route", "add", oif=link.index, scope="link", **to_all)
        return link

    return _with_netlink(work, None)


class _Kernel:
    """One rtnetlink socket, and where it is: what an error says depends on both."""

    def __init__(self, netlink: Any, namespace: Namespace | None) -> None:
        self._netlink = netlink
        self._where = "" if namespace is None else f" in {namespace}"

    def ask(
        self, what: str, subject: str, command: str, *, tolerate: int = 0, **fields: Any
    ) -> list[Any]:
        """The kernel's answers to one request, none where it said `tolerate` (an errno).

        Any other refusal is a LinkError that says `what`, as in "cannot `what`: no such device".
        """
        try:
            return list(getattr(self._netlink, subject)(command, **fields))
        except NetlinkError as error:
            if error.code == tolerate:
                return []
            reason = os.strerror(error.code)
            raise LinkError(f"cannot {what}{self._where}: {reason}") from error

    def find(self, name: str) -> Link | None:
        answers = self.ask(f"look for {name}", "link", "get", tolerate=errno.ENODEV, ifname=name)
        return _described(answers[0]) if answers else None

    def get(self, name: str) -> Link:
        link = self.find(name)
        if link is None:
            raise LinkError(f"there is no link {name}{self._where}")
        return link

    def set(self, index: int, what: str, **fields: Any) -> None:
        """Alter a link. `what` names it and its new state, as in "eth0 up"."""
        self.ask(f"set {what}", "link", "set", index=index, **fields)


def _with_netlink(work: Callable[[_Kernel], Result], namespace: Namespace | None) -> Result:
    def inside() -> Result:
        with IPRoute() as netlink:
            return work(_Kernel(netlink, namespace))

    try:
        return netns.run(inside, namespace)
    except NamespaceError as error:
        raise LinkError(str(error)) from error
    except OSError as error:
        where = "" if namespace is None else f" in {namespace}"
        raise LinkError(f"cannot work on links{where}: {error}") from error


def _dress(kernel: _Kernel, index: int, link: EndpointLink) -> None:
    """Give a link that is down its MAC, MTU and address."""
    name, address = link.name, link.address
    kernel.set(index, f"{name} to MAC {link.mac}", address=str(link.mac))
    kernel.set(index, f"{name} to MTU {link.mtu}", mtu=link.mtu)
    kernel.ask(
        f"give {name} the address {address}",
        "addr",
        "add",
        index=index,
        address=str(address.address),
        prefixlen=address.network.prefix_length,
    )


def _route_all(kernel: _Kernel, command: str, index: int, link: EndpointLink) -> None:
    kernel.ask(
        f"route everything over {link.gateway} at {link.name}",
        "route",
        command,
        family=socket.AF_INET,
        dst_len=0,
        gateway=str(link.gateway),
        oif=index,
    )


def _silenced(kernel: _Kernel, name: str, mtu: int | None = None) -> Link:
    """Set a link up on which the host itself says nothing; where that fails, delete it."""
    try:
        index = kernel.get(name).index
        _disable_ipv6(name)
        if mtu is not None:
            kernel.set(index, f"{name} to MTU {mtu}", mtu=mtu)
        kernel.set(index, f"{name} up without ARP", state="up", arp=False)
        return kernel.get(name)
    except BaseException:
        _delete(kernel, name)
        raise


def _delete(kernel: _Kernel, name: str) -> None:
    link = kernel.find(name)
    if link is not None:
        kernel.ask(f"delete {name}", "link", "del", tolerate=errno.ENODEV, index=link.index)


def _described(answer: Any) -> Link:
    is_ethernet = answer["ifi_type"] in (ARPHRD_ETHER, ARPHRD_LOOPBACK)
    return Link(
        index=answer["index"],
        name=answer.get_attr("IFLA_IFNAME"),
        mac=MacAddress.parse(answer.get_attr("IFLA_ADDRESS")) if is_ethernet else None,
        mtu=answer.get_attr("IFLA_MTU"),
        is_up=bool(answer["flags"] & IFF_UP),
    )


def _disable_ipv6(name: str) -> None:
    """Before the link goes up, so that not even its first neighbour discovery is sent."""
    with suppress(FileNotFoundError):
        (IPV6_SETTINGS / name / "disable_ipv6").write_text("1", encoding="ascii")
