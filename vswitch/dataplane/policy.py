"""Policy: may this packet be routed at all, and from which network into which?

Addresses first (RFC 1812, 5.3.7 and BCP 38): a source must be a host that can be on the network
that it came from, a destination one that a router forwards to, and nobody is both. Options neither
choose the way nor show inside addresses. Then networks: each inside network reaches the outside;
inside networks are isolated from each other; from the outside no connection is begun to an inside
address, as published ports and answers are addressed to the switch.
"""

from __future__ import annotations

from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.topology import Network, Side
from vswitch.wire.ipv4 import HEADER_LENGTH, Ipv4
from vswitch.wire.values import IPV4_LENGTH, IpAddress

_THIS_NETWORK = 0
"""The first octet of 0.0.0.0/8, which is nobody's address (RFC 1122, 3.2.1.3)."""

_LOOPBACK = 127
_LIMITED_BROADCAST = b"\xff\xff\xff\xff"
_GROUPS = range(224, 240)
_NO_HOST = frozenset({_THIS_NETWORK, _LOOPBACK, *_GROUPS})
"""First octets of addresses that no host has on any network (RFC 6890, RFC 5771)."""

_INSIDE, _OUTSIDE = Side.INSIDE, Side.OUTSIDE

_LOOSE_SOURCE_ROUTE = 131
_STRICT_SOURCE_ROUTE = 137
_RECORD_ROUTE = 7
_TIMESTAMP = 68
_RECORDS_FROM = {_RECORD_ROUTE: 3, _TIMESTAMP: 4}
"""Where in an option the addresses of those begin that it has passed (RFC 791, 3.1)."""

_NO_OPERATION = 1
_END_OF_OPTIONS = 0
_SHORTEST_OPTION = 2
"""Bytes of an option that has a length: its type and that (RFC 791, 3.1)."""


def refuse_packet(packet: Ipv4, network: Network, tables: Tables) -> DropReason | None:
    """Why a packet that arrived on `network` may not be looked at further, None where it may."""
    refused = refuse_ends(packet.source, packet.destination, network, tables)
    if refused:
        return refused
    if packet.header_length == HEADER_LENGTH:
        return None
    return _refuse_options(packet.options, network, tables)


def refuse_ends(
    source: IpAddress, destination: IpAddress, network: Network, tables: Tables
) -> DropReason | None:
    """The same for the addresses alone."""
    if source == destination:
        return DropReason.LAND
    home = tables.connected(source)
    if _is_no_host(source) or tables.owner(source) or _is_broadcast(source, home):
        return DropReason.MARTIAN_SOURCE
    if network.side is _INSIDE and not network.holds(source):
        return DropReason.SOURCE_NOT_IN_SUBNET
    if network.side is _OUTSIDE and home is not None and home.side is _INSIDE:
        return DropReason.MARTIAN_SOURCE
    if _is_no_host(destination) or _is_broadcast(destination, tables.connected(destination)):
        return DropReason.MARTIAN_DESTINATION
    return None


def refuse_route(arrived: Network, leaves: Network) -> DropReason | None:
    """Why nothing is routed from one network into the other, None where it is."""
    if arrived.side is _OUTSIDE:
        return DropReason.NOT_PUBLISHED
    if leaves.side is _INSIDE:
        return DropReason.NETWORKS_ISOLATED
    return None


def may_report(packet: Ipv4, network: Network, tables: Tables) -> bool:
    """Whether the sender of a packet that waited may be told what became of it: the outside hears
    nothing about an address that is not the switch's own, or that it is not shown."""
    if network.side is Side.INSIDE or tables.owner(packet.destination) is network:
        return True
    inside = tables.connected(packet.destination)
    return inside is not None and inside.translation.is_untranslated(packet.source)


def _is_no_host(address: IpAddress) -> bool:
    return address[0] in _NO_HOST or address == _LIMITED_BROADCAST


def _is_inside(address: IpAddress, tables: Tables) -> bool:
    network = tables.connected(address)
    return network is not None and network.side is Side.INSIDE


def _is_broadcast(address: IpAddress, home: Network | None) -> bool:
    """Whether an address is all hosts of the subnet that it is in, or that subnet itself, which
    once meant the same (RFC 1122, 3.2.1.3)."""
    if home is None or home.interface is None:
        return False
    subnet = home.interface.address.network
    return subnet.broadcast is not None and address in (subnet.broadcast, subnet.address)


def _refuse_options(options: bytes, network: Network, tables: Tables) -> DropReason | None:
    at = 0
    while at < len(options) and options[at] != _END_OF_OPTIONS:
        kind = options[at]
        if kind == _NO_OPERATION:
            at += 1
            continue
        if kind in (_LOOSE_SOURCE_ROUTE, _STRICT_SOURCE_ROUTE):
            return DropReason.SOURCE_ROUTE
        length = options[at + 1] if at + 1 < len(options) else 0
        if not _SHORTEST_OPTION <= length <= len(options) - at:
            return DropReason.BAD_OPTIONS
        if network.side is Side.INSIDE and kind in _RECORDS_FROM:
            recorded = options[at + _RECORDS_FROM[kind] : at + length]
            if _shows_inside(recorded, tables):
                return DropReason.RECORDED_ROUTE
        at += length
    return None


def _shows_inside(recorded: bytes, tables: Tables) -> bool:
    """Whether an inside address is among those that an option has recorded."""
    starts = range(0, len(recorded) - IPV4_LENGTH + 1, IPV4_LENGTH)
    return any(_is_inside(IpAddress(recorded[at : at + IPV4_LENGTH]), tables) for at in starts)
