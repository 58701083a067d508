"""Which names an endpoint may ask for: its own view of who is on its networks.

Theory of operation. On a network that somebody has made, everybody is known to all by name, aliases
and hostname. On the default network nobody is known to anybody, as in Docker, but for links: who is
linked to another one knows that by its names there. What a link calls an endpoint is for the linked
one alone, and goes before the name that a third one has. The network that leads out comes first.

What speaks DNS is loaded when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from vswitch.network.inventory import Inventory
from vswitch.network.model import Endpoint, Membership

if TYPE_CHECKING:
    from vswitch.dataplane.responders.dns.names import Host, Names


class View:
    """What the endpoint called `name` may ask for: the same object for as long as that is so."""

    def __init__(self, inventory: Inventory, name: str) -> None:
        self._inventory = inventory
        self._name = name
        self._revision = -1
        self._names: Names

    def __call__(self) -> Names:
        """As of now."""
        if self._revision != self._inventory.revision:
            self._names = view(self._inventory, self._name)
            self._revision = self._inventory.revision
        return self._names


def view(inventory: Inventory, name: str) -> Names:
    """What the endpoint called `name` may ask for now."""
    from vswitch.dataplane.responders.dns.names import Names

    asking = inventory.endpoint(name)
    return Names(
        host for own in asking.memberships for host in _hosts(inventory, asking, own.network)
    )


def _hosts(inventory: Inventory, asking: Endpoint, on: str) -> Iterator[Host]:
    from vswitch.dataplane.responders.dns.names import Host

    network = inventory.network(on)
    called = {link.alias.casefold(): link.name for link in asking.links}
    linked = set(called.values())
    for each in inventory.endpoints_on(network):
        there = each.on(network.name)
        if there is None or (network.predefined and each.name not in linked):
            continue
        names = (*_names_of(each, there), *(alias for to, alias in asking.links if to == each.name))
        own = [one for one in names if called.get(one.casefold(), each.name) == each.name]
        if own:
            yield Host(tuple(dict.fromkeys(own)), network.name, (there.address,))


def _names_of(endpoint: Endpoint, there: Membership) -> tuple[str, ...]:
    """What others may call it on one of its networks: its name, aliases there, and hostname."""
    own = () if endpoint.hostname is None else (endpoint.hostname,)
    return (endpoint.name, *there.aliases, *own)
