"""Parties of an inventory, as a daemon has them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from vswitch.daemon.resolving.asking.routes import Routes
from vswitch.daemon.resolving.parties import Parties
from vswitch.dataplane.responders.dns.bounds import Bounds
from vswitch.dataplane.responders.dns.party import Party
from vswitch.naming import NameSettings, Server
from vswitch.network.inventory import Inventory
from vswitch.wire.domain import encode
from vswitch.wire.values import IpAddress

if TYPE_CHECKING:
    from vswitch.daemon.resolving.files.resolvconffiles import ResolvConfFiles


class NoFiles:
    """In which nobody has set anything."""

    def sets_ndots(self, name: str) -> bool:
        return False


def parties_of(
    inventory: Inventory,
    *servers: Server,
    bounds_on: Callable[[str], Bounds | None] = lambda _: None,
) -> Parties:
    """Those who have no servers of their own ask `servers`."""
    settings = NameSettings(upstreams=servers)
    routes, files = Routes(inventory, settings), cast("ResolvConfFiles", NoFiles())
    return Parties(inventory, routes, files, lambda: settings, bounds_on)


def addresses_of(party: Party, name: str) -> tuple[IpAddress, ...]:
    """What a party is told that `name` has; nothing where that is no name that it may ask for."""
    return party.names().addresses(encode(name)) or ()


def known(party: Party, *names: str) -> list[str]:
    """Those of `names` that a party may ask for."""
    return [name for name in names if addresses_of(party, name)]
