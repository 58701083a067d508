"""Which names stations have on a network that they were leased an address on: those that they say.

Theory of operation. A station may say any name, so a name that it says is its own only where nobody
else's could be meant by it. It never takes over one of an endpoint's, wherever that is on the
switch, nor one that a station said earlier, as long as that one's lease runs. And it is never one
that programs trust without being asked to.

A virtual machine that is an endpoint has what it says beside the names that the user gave it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from vswitch.network.ids import SHORT_ID, membership_id
from vswitch.network.inventory import Inventory
from vswitch.network.model import Network
from vswitch.wire.values import IpAddress

_NEVER = frozenset({"localhost", "wpad", "isatap"})
"""Loopback (RFC 6761, 6.3), and where programs look for a proxy (CERT VU#598349) and a tunnel (RFC
5214, 8.3.2) by themselves."""


class Guest(NamedTuple):
    """A station that is known by what it says; its address leads back to the first of its names."""

    names: tuple[str, ...]
    address: IpAddress


def known(network: Network, inventory: Inventory) -> Iterator[Guest]:
    """Those on a network."""
    leases = inventory.leases_on(network)
    if not leases:
        return
    theirs = _of_endpoints(inventory) | _NEVER
    domain = network.leasing.domain if network.leasing else None
    for lease in leases:
        name = lease.hostname
        if name is None or name.casefold() in theirs:
            continue
        names = (name,) if domain is None else (name, f"{name}.{domain}")
        own = tuple(each for each in names if each.casefold() not in theirs)
        theirs |= {each.casefold() for each in own}
        yield Guest(own, lease.address)


def _of_endpoints(inventory: Inventory) -> frozenset[str]:
    """What endpoints are called, on whichever network, and what they call each other."""
    names = set(inventory.reserved_names)
    for endpoint in inventory.endpoints:
        names.add(endpoint.name)
        names.update(link.alias for link in endpoint.links)
        for at in endpoint.memberships:
            names.update((*at.aliases, membership_id(endpoint, at)[:SHORT_ID]))
        if endpoint.hostname is not None:
            names.update((endpoint.hostname, endpoint.hostname.partition(".")[0]))
    return frozenset(each.casefold() for each in names)
