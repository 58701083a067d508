"""What somebody may ask for: names of endpoints and what is known by hand, and addresses backwards.

Theory of operation. A party is on some networks, and of those who are known there (`neighbourhood`)
it may ask for all. Two who bear the same name are told apart by an order, Docker's: what is asked
for is a whole name on each network, the networks one after the other; then what stands in front of
the last label on the network of that label, and so on with longer names of networks. Each time,
what a link calls an endpoint goes before what it is called itself. All who bear a name on one
network have it together.

What the user knows `byhand` goes before all that, and names for the host and for the gateway come
last. Nothing of that is the party's own but links and where it is, so what many parties know is
made once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from vswitch.dataplane.responders.dns.inside.byhand import by_hand
from vswitch.dataplane.responders.dns.inside.held import Held
from vswitch.dataplane.responders.dns.inside.neighbourhood import Host as Host
from vswitch.dataplane.responders.dns.inside.neighbourhood import Neighbourhood
from vswitch.dataplane.responders.dns.inside.neighbourhood import Service as Service
from vswitch.naming import NameSettings
from vswitch.units import SECOND
from vswitch.wire.domain import encode
from vswitch.wire.values import IpAddress, IpNetwork

HOST = encode("host.docker.internal")
"""Docker's name for the machine that a container is on."""

GATEWAY = encode("gateway.docker.internal")
"""Docker's name for where its way out begins."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where somebody asks from."""

    subnets: tuple[IpNetwork, ...] = ()
    """All inside ones: nobody outside is asked who is there."""
    gateway: IpAddress | None = None
    """Of the network that leads out; None where none does."""
    host: IpAddress | None = None
    """Where the host is reached; None where it is not."""


NOWHERE = Surroundings()
_SETTINGS = NameSettings()


class Names:
    """What one party may ask for. A value: another view is another object."""

    def __init__(
        self,
        known: Iterable[Host | Neighbourhood],
        settings: NameSettings = _SETTINGS,
        surroundings: Surroundings = NOWHERE,
        links: Iterable[Neighbourhood] = (),
    ) -> None:
        """Networks are asked in the order in which they come in `known`: as what others know of
        them, too, or host by host. `links` are for this party alone."""
        self.ttl = settings.ttl // SECOND
        """Seconds."""
        self.surroundings = surroundings
        self._by_hand = by_hand(settings.records)
        self._neighbourhoods = tuple(_neighbourhoods(known))
        self._links = tuple(links)
        self._labels = sorted({each.labels for each in self._neighbourhoods})
        places = (HOST, surroundings.host), (GATEWAY, surroundings.gateway)
        self._places = {name: address for name, address in places if address is not None}

    def addresses(self, name: bytes) -> tuple[IpAddress, ...] | None:
        """The addresses of both families that `name` has, or None where it is no name of ours."""
        found = self._by_hand.addresses(name)
        if found is not None:
            return found
        bearers = self.bearers(name)
        if bearers:
            return tuple(dict.fromkeys(each for host in bearers for each in host.addresses))
        place = self._places.get(name)
        return None if place is None else (place,)

    def bearers(self, name: bytes) -> Sequence[Host]:
        """The endpoints that have `name` first, in Docker's order."""
        for each in (*self._links, *self._neighbourhoods):
            bearers = each.bearers(name)
            if bearers:
                return bearers
        for labels in self._labels:
            for each in (*self._links, *self._neighbourhoods):
                bearers = each.bearers_here(name) if each.labels == labels else ()
                if bearers:
                    return bearers
        return ()

    def name_of(self, address: IpAddress) -> bytes | None:
        """The name of whoever has `address`: an endpoint's with that of its network."""
        for each in self._neighbourhoods:
            name = each.name_of(address)
            if name is not None:
                return name
        places = (name for name, place in self._places.items() if place == address)
        return self._by_hand.name_of(address) or next(places, None)

    def below_star(self, name: bytes) -> Held | None:
        """What there is to say about a name that nobody bears; None where it is below no star."""
        return self._by_hand.below_star(name, self._has)

    def _has(self, name: bytes) -> bool:
        return any(each.has(name) for each in (*self._neighbourhoods, *self._links))


def _neighbourhoods(known: Iterable[Host | Neighbourhood]) -> Iterator[Neighbourhood]:
    hosts: dict[str, list[Host]] = {}
    for each in known:
        if isinstance(each, Neighbourhood):
            yield each
        else:
            hosts.setdefault(each.network, []).append(each)
    for network, there in hosts.items():
        yield Neighbourhood.of(network, there)
