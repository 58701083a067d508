"""Which names an endpoint may ask for: its own view of who is on its networks.

Theory of operation. On a network that somebody has made, everybody is known to all by name,
aliases, hostname and short id. On the default network nobody is known to anybody, as in Docker, but
for links: who is linked to another one knows that by its names there. The user may have it as any
other. What a link calls an endpoint is for the linked one alone. The network that leads out comes
first.

Where an endpoint asks from is known, too: the host where its network has the host on it, and the
gateway. All networks' subnets are, as nobody outside is asked who is in there, but not who it is.

What speaks DNS is loaded when somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from vswitch.naming import NameSettings
from vswitch.network.ids import SHORT_ID, membership_id
from vswitch.network.inventory import Inventory
from vswitch.network.model import Endpoint, Membership, Network
from vswitch.network.ports import PortRange

if TYPE_CHECKING:
    from vswitch.dataplane.responders.dns.names import Host, Names, Service, Surroundings


class View:
    """What the endpoint called `name` may ask for: the same object for as long as that is so."""

    def __init__(
        self,
        inventory: Inventory,
        name: str,
        settings: Callable[[], NameSettings],
        keeps_single_labels: bool,
    ) -> None:
        """`settings` returns the same object until they change. `keeps_single_labels` where `ndots`
        is set by somebody in its resolv.conf."""
        self._inventory = inventory
        self._name = name
        self._settings = settings
        self._keeps_single_labels = keeps_single_labels
        self._revision = -1
        self._as_set: NameSettings | None = None
        self._names: Names

    def __call__(self) -> Names:
        """As of now."""
        revision, settings = self._inventory.revision, self._settings()
        if self._revision != revision or self._as_set is not settings:
            self._names = view(
                *(self._inventory, self._name, settings),
                keeps_single_labels=self._keeps_single_labels,
            )
            self._revision, self._as_set = revision, settings
        return self._names


def view(
    inventory: Inventory, name: str, settings: NameSettings, *, keeps_single_labels: bool = False
) -> Names:
    """What the endpoint called `name` may ask for now."""
    from vswitch.dataplane.responders.dns.names import Names

    asking = inventory.endpoint(name)
    hosts = (
        host
        for own in asking.memberships
        for host in hosts_on(inventory.network(own.network), inventory, settings, asking)
    )
    leading_out = inventory.network(asking.network)
    around = surroundings(leading_out, inventory, keeps_single_labels=keeps_single_labels)
    return Names(hosts, settings, around)


def surroundings(
    network: Network, inventory: Inventory, *, keeps_single_labels: bool
) -> Surroundings:
    """What is around who asks from `network`."""
    from vswitch.dataplane.responders.dns.names import Surroundings

    return Surroundings(
        subnets=tuple(each.subnet for each in inventory.networks),
        gateway=network.default_route,
        host=network.gateway if network.host else None,
        keeps_single_labels=keeps_single_labels,
    )


def hosts_on(
    network: Network, inventory: Inventory, settings: NameSettings, asking: Endpoint | None = None
) -> Iterator[Host]:
    """Who is known there: to the endpoint `asking`, or to somebody who is no endpoint."""
    from vswitch.dataplane.responders.dns.names import Host

    links = () if asking is None else asking.links
    linked = {link.name for link in links}
    is_silent = network.predefined and not settings.default_network
    for each in inventory.endpoints_on(network):
        there = each.on(network.name)
        if there is None or (is_silent and each.name not in linked):
            continue
        yield Host(
            _names_of(each, there),
            network.name,
            (there.address,),
            tuple(alias for to, alias in links if to == each.name),
            tuple(_services(each, there)),
        )


def _names_of(endpoint: Endpoint, there: Membership) -> tuple[str, ...]:
    """What others may call it on one of its networks. A hostname with a domain is two names."""
    names = [endpoint.name, *there.aliases]
    if endpoint.hostname is not None:
        names += [endpoint.hostname, endpoint.hostname.partition(".")[0]]
    names.append(membership_id(endpoint, there)[:SHORT_ID])
    return tuple(dict.fromkeys(names))


def _services(endpoint: Endpoint, there: Membership) -> Iterator[Service]:
    """What it says that it serves, and what is published: that is known before the rest."""
    from vswitch.dataplane.responders.dns.names import Service

    for published in endpoint.publications_on(there):
        yield Service(
            published.protocol,
            _ports(published.endpoint_ports),
            published.host_address,
            _ports(published.host_ports),
        )
    for exposed in endpoint.exposed:
        yield Service(exposed.protocol, _ports(exposed.ports))


def _ports(found: PortRange) -> range:
    return range(found.first, found.last + 1)
