"""Which names an endpoint may ask for: its own view of who is on its networks.

Theory of operation. What is known on a network (`directory`) is known to all who are on it; on the
default network it is so where the user wants that. Who is linked to another one knows that by its
names, wherever they are, and by what the link calls it, which goes before the name that a third one
has. The network that leads out comes first.

Where an endpoint asks from is known, too: the host where its network has the host on it, and the
gateway. All networks' subnets are, as nobody outside is asked who is in there, but not who it is.

What speaks DNS is loaded when somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING

from vswitch.known.directory import Directory, State, known_as
from vswitch.naming import NameSettings
from vswitch.network.errors import NetworkError
from vswitch.network.inventory import Inventory
from vswitch.network.model import Endpoint, Network

if TYPE_CHECKING:
    from vswitch.dataplane.responders.dns.inside.names import Names, Surroundings
    from vswitch.dataplane.responders.dns.inside.neighbourhood import Host, Neighbourhood


class View:
    """What the endpoint called `name` may ask for: the same object for as long as that is so."""

    def __init__(self, directory: Directory, name: str) -> None:
        self._directory = directory
        self._name = name
        self._as_of: State | None = None
        self._names: Names

    def __call__(self) -> Names:
        """As of now."""
        state = self._directory.state()
        if self._as_of != state:
            self._names = self._look_around(state[1])
            self._as_of = state
        return self._names

    def _look_around(self, settings: NameSettings) -> Names:
        from vswitch.dataplane.responders.dns.inside.names import Names

        inventory = self._directory.inventory
        asking = inventory.endpoint(self._name)
        networks = [inventory.network(each.network) for each in asking.memberships]
        return Names(
            (self._known_on(each, asking, settings) for each in networks),
            settings,
            surroundings(networks[0], inventory),
            (self._links_on(each, asking) for each in networks),
        )

    def _known_on(
        self, network: Network, asking: Endpoint, settings: NameSettings
    ) -> Neighbourhood:
        from vswitch.dataplane.responders.dns.inside.neighbourhood import Neighbourhood

        if not network.predefined or settings.default_network:
            return self._directory.on(network.name)
        linked = dict.fromkeys(host for _, host in self._linked_on(network, asking))
        return Neighbourhood.of(network.name, linked)

    def _links_on(self, network: Network, asking: Endpoint) -> Neighbourhood:
        from vswitch.dataplane.responders.dns.inside.neighbourhood import Neighbourhood, encode

        linked = self._linked_on(network, asking)
        called = ((encode(alias), host) for alias, host in linked)
        return Neighbourhood(network.name, ((name, host) for name, host in called if name))

    def _linked_on(self, network: Network, asking: Endpoint) -> Iterator[tuple[str, Host]]:
        for to, alias in asking.links:
            with suppress(NetworkError):  # it has gone, and may come back
                endpoint = self._directory.inventory.endpoint(to)
                there = endpoint.on(network.name)
                if there is not None:
                    yield alias, known_as(endpoint, there)


def surroundings(network: Network, inventory: Inventory) -> Surroundings:
    """What is around who asks from `network`."""
    from vswitch.dataplane.responders.dns.inside.names import Surroundings

    return Surroundings(
        subnets=tuple(each.subnet for each in inventory.networks),
        gateway=network.default_route,
        host=network.gateway if network.host else None,
    )
