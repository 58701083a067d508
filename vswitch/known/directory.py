"""Who is known on each network of a switch: found out once for all who ask.

Theory of operation. On a network that somebody has made, everybody is known to all by name,
aliases, hostname and short id; a hostname with a domain is two names. On the default network
nobody is known to anybody, as in Docker, unless the user has it as any other. Stations that were
leased an address are known by what they say (`network.guests`). As endpoints and leases come and
go, a network is looked through again when somebody asks, and what each endpoint is known by is
worked out anew where it has changed.

What speaks DNS is loaded when somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from vswitch.naming import NameSettings
from vswitch.network import guests
from vswitch.network.ids import SHORT_ID, membership_id
from vswitch.network.inventory import Inventory
from vswitch.network.model import Endpoint, Membership
from vswitch.network.ports import PortRange

if TYPE_CHECKING:
    from vswitch.dataplane.responders.dns.inside.neighbourhood import Host, Neighbourhood, Service

State: TypeAlias = tuple[int, NameSettings]
"""What all that is known rests on: equal for as long as that is the same."""


class _Known(NamedTuple):
    """Who is on a network, as of one revision of the inventory, and what each was made of."""

    revision: int
    domain: str | None
    neighbourhood: Neighbourhood
    hosts: dict[str, tuple[Endpoint, Host]]


class Directory:
    """That of one switch."""

    def __init__(self, inventory: Inventory, settings: Callable[[], NameSettings]) -> None:
        """`settings` are those of the moment."""
        self.inventory = inventory
        self._settings = settings
        self._networks: dict[str, _Known] = {}

    def state(self) -> State:
        """As of now."""
        return self.inventory.revision, self._settings()

    def on(self, network: str) -> Neighbourhood:
        """Those who are on `network`, whether others know them or not."""
        known = self._networks.get(network)
        if known is None:
            self._forget_networks()
        if known is None or known.revision != self.inventory.revision:
            known = self._look(network, known)
            self._networks[network] = known
        return known.neighbourhood

    def _look(self, name: str, before: _Known | None) -> _Known:
        from vswitch.dataplane.responders.dns.inside.neighbourhood import Host, Neighbourhood

        network = self.inventory.network(name)
        domain = network.leasing.domain if network.leasing else None
        kept = before.hosts if before is not None and before.domain == domain else {}
        hosts = {}
        for endpoint in self.inventory.endpoints:
            there = endpoint.on(name)
            if there is not None:
                made_of, host = kept.get(endpoint.name, (None, None))
                if host is None or made_of is not endpoint:
                    host = known_as(endpoint, there, domain)
                hosts[endpoint.name] = endpoint, host
        by_lease = (
            Host(guest.names, name, (guest.address,))
            for guest in guests.known(network, self.inventory)
        )
        known = (*(host for _, host in hosts.values()), *by_lease)
        neighbourhood = Neighbourhood.of(name, known)
        return _Known(self.inventory.revision, domain, neighbourhood, hosts)

    def _forget_networks(self) -> None:
        there = {network.name for network in self.inventory.networks}
        self._networks = {name: each for name, each in self._networks.items() if name in there}


def known_as(endpoint: Endpoint, there: Membership, domain: str | None = None) -> Host:
    """What those on one of its networks know of an endpoint, also below the domain that stations
    there are told to look in."""
    from vswitch.dataplane.responders.dns.inside.neighbourhood import Host

    services = tuple(_services(endpoint, there))
    names = _names_of(endpoint, there)
    if domain is not None:
        names += tuple(f"{each}.{domain}" for each in names)
    return Host(names, there.network, (there.address,), services)


def _names_of(endpoint: Endpoint, there: Membership) -> tuple[str, ...]:
    """What others may call it on one of its networks. A hostname with a domain is two names."""
    names = [endpoint.name, *there.aliases]
    if endpoint.hostname is not None:
        names += [endpoint.hostname, endpoint.hostname.partition(".")[0]]
        if endpoint.domainname is not None:
            names.append(f"{endpoint.hostname}.{endpoint.domainname}")
    names.append(membership_id(endpoint, there)[:SHORT_ID])
    return tuple(dict.fromkeys(names))


def _services(endpoint: Endpoint, there: Membership) -> Iterator[Service]:
    """What it says that it serves, and what is published: that is known before the rest."""
    from vswitch.dataplane.responders.dns.inside.neighbourhood import Service

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
