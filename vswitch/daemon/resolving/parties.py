"""Who asks: the parties of one switch, and what limits them.

An endpoint is one party, wherever it asks: at 127.0.0.11 in its namespace, or at the gateway of one
of its networks, where it is known by its address there. What its foreign names are asked of, and
its share of that, is the same. What limits it is the list of the network whose gateway it asks,
where that has one, so that nobody gets around it who speaks in the name of a neighbour with another
way out, and what is told there opens there; else the list of the network that leads it out. Whoever
else is on a network is one party with all others of whom that is so: names known to all there, and
the network's servers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.resolving.asking.routes import Routes
from vswitch.daemon.resolving.files.resolvconffiles import ResolvConfFiles
from vswitch.dataplane.responders.dns.party import Party, Route
from vswitch.known.directory import Directory
from vswitch.known.to_endpoints import View
from vswitch.known.to_others import Overview
from vswitch.naming import NameSettings
from vswitch.network.errors import NetworkError
from vswitch.network.inventory import Inventory
from vswitch.wire.values import IpAddress

if TYPE_CHECKING:
    from vswitch.dataplane.responders.dns.bounds import Bounds

_NOT_ASKED = Route(origin="the host")
"""Unlike the route of those who have nobody to ask: that nobody could say is not told to the host,
which others can tell."""


class Parties:
    """Makes them of what the inventory knows."""

    def __init__(
        self,
        inventory: Inventory,
        routes: Routes,
        resolv_confs: ResolvConfFiles,
        settings: Callable[[], NameSettings],
        bounds_on: Callable[[str], Bounds | None] = lambda _: None,
    ) -> None:
        """`settings` are those of the moment, `bounds_on` tells those of who asks from the network
        of a name."""
        self._inventory = inventory
        self._directory = Directory(inventory, settings)
        self._routes = routes
        self._resolv_confs = resolv_confs
        self._bounds_on = bounds_on
        self._endpoints: dict[str, Party] = {}
        """Those who are attached, by name."""
        self._at_gateways: dict[tuple[str, str], Party] = {}
        """The same where they ask at gateways, by name and network."""
        self._others: dict[str, Party] = {}
        """By the names of networks."""
        self._revision = -1
        self._there: dict[tuple[str, IpAddress], str] = {}
        """Whose each address on a network is, as of that revision."""

    def of(self, name: str, namespace: Namespace | None) -> Party:
        """The endpoint called `name`, which lives in `namespace`; a virtual machine lives in none.
        It is that party from now on."""
        endpoint = self._inventory.endpoint(name)
        party = self._endpoints[name] = Party(
            name,
            View(self._directory, name),
            self._routes.of_endpoint(name, namespace),
            endpoint.network,
            lambda: self._resolv_confs.sets_ndots(name),
            partial(self._bounds, name),
        )
        for network in [at for of, at in self._at_gateways if of == name]:
            del self._at_gateways[name, network]
        return party

    def at_gateway(self, network: str, address: IpAddress) -> Party:
        """Who asks the gateway of `network` from there: the same object while nothing changes."""
        if self._revision != self._inventory.revision:
            self._revision = self._inventory.revision
            self._there = {
                (at.network, at.address): endpoint.name
                for endpoint in self._inventory.endpoints
                for at in endpoint.memberships
            }
            self._forget_who_is_gone()
        name = self._there.get((network, address), "")
        party = self._endpoints.get(name)
        return self._other(network) if party is None else self._at_gateway(party, network)

    def host(self) -> Party:
        """The host itself, and whoever asks where it does. It is asked nothing that is foreign."""
        return Party("the host", Overview.of_all(self._directory), lambda _: _NOT_ASKED)

    def has(self, party: Party) -> bool:
        """Whether it is one of those who ask at gateways at present."""
        return any(each is party for each in (*self._at_gateways.values(), *self._others.values()))

    def _forget_who_is_gone(self) -> None:
        endpoints = {each.name for each in self._inventory.endpoints}
        networks = {each.name for each in self._inventory.networks}
        self._endpoints = {name: at for name, at in self._endpoints.items() if name in endpoints}
        self._others = {name: at for name, at in self._others.items() if name in networks}
        there = {(name, network) for (network, _), name in self._there.items()}
        self._at_gateways = {at: each for at, each in self._at_gateways.items() if at in there}

    def _at_gateway(self, party: Party, network: str) -> Party:
        known = self._at_gateways.get((party.name, network))
        if known is None:
            bounds = partial(self._bounds_at, party.name, network)
            known = replace(party, network=network, bounds=bounds)
            self._at_gateways[party.name, network] = known
        return known

    def _other(self, network: str) -> Party:
        party = self._others.get(network)
        if party is None:
            names = Overview.of_network(self._directory, network)
            party = Party(
                f"others on {network}",
                names,
                self._routes.of_network(network),
                network,
                bounds=partial(self._bounds_on, network),
            )
            self._others[network] = party
        return party

    def _bounds_at(self, name: str, network: str) -> Bounds | None:
        """Those of an endpoint that asks the gateway of a network."""
        return self._bounds_on(network) or self._bounds(name)

    def _bounds(self, name: str) -> Bounds | None:
        """Those of the network that leads an endpoint out, as it is by now; none of one that is
        gone."""
        try:
            endpoint = self._inventory.endpoint(name)
        except NetworkError:
            return None
        return self._bounds_on(endpoint.network)
