"""What somebody may ask for: names of endpoints and what is known by hand, and addresses backwards.

Theory of operation. Names are as in `wire.domain`, in small letters, and looked up as they are
(RFC 4343). An endpoint has several names, each alone or followed by that of its network. Two who
bear the same one are told apart by an order, Docker's: what is asked for is a whole name on each
network, the networks one after the other; then what stands in front of the last label on the
network of that label, and so on with longer names of networks. Each time, what a link calls an
endpoint goes before what it is called itself. All who bear a name alike have it together.

What the user knows by hand (`naming.Record`) goes before all that, and names for the host and for
the gateway come last. `wildcards` knows of names that begin with a star.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from vswitch.dataplane.responders.dns.wildcards import Wildcards
from vswitch.naming import NameSettings
from vswitch.units import SECOND
from vswitch.wire import domain
from vswitch.wire.values import IpAddress, IpNetwork, Protocol

HOST = "host.docker.internal"
"""Docker's name for the machine that a container is on."""

GATEWAY = "gateway.docker.internal"
"""Docker's name for where its way out begins."""


class Service(NamedTuple):
    """Ports that an endpoint says it serves, published or not."""

    protocol: Protocol
    ports: range
    host_address: IpAddress | None = None
    """None: each one outside."""
    host_ports: range | None = None
    """As many as `ports`; None where they are not published."""

    def published_as(self, port: int) -> str | None:
        """Where `port` is reached from outside."""
        if self.host_ports is None:
            return None
        host = "0.0.0.0" if self.host_address is None else str(self.host_address)
        host = f"[{host}]" if ":" in host else host
        return f"{host}:{self.host_ports[self.ports.index(port)]}"


@dataclass(frozen=True, slots=True)
class Host:
    """An endpoint, as those on its network may ask for it."""

    names: tuple[str, ...]
    """Name and aliases. The first is the one that its addresses lead back to."""
    network: str
    addresses: tuple[IpAddress, ...]
    links: tuple[str, ...] = ()
    """What who asks calls it."""
    services: tuple[Service, ...] = ()

    @property
    def canonical(self) -> bytes | None:
        """Name and network as one name; None where DNS can not carry it."""
        return _encoded(f"{self.names[0]}.{self.network}")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where somebody asks from."""

    subnets: tuple[IpNetwork, ...] = ()
    """All inside ones: nobody outside is asked who is there."""
    gateway: IpAddress | None = None
    """Of the network that leads out; None where none does."""
    host: IpAddress | None = None
    """Where the host is reached; None where it is not."""
    keeps_single_labels: bool = False
    """Whether a name without a dot is never asked outside."""


NOWHERE = Surroundings()
_SETTINGS = NameSettings()

_Claim: TypeAlias = tuple[int, bool, str]
"""By what a name is somebody's: labels of the network in it, by its own name, on which network."""


@dataclass(slots=True)
class _Known:
    """Who bears a name. One that is known by hand is borne by nobody, and nor is the gateway's."""

    claim: _Claim | None
    addresses: list[IpAddress]
    bearers: list[Host] = field(default_factory=list)


class Names:
    """What one party may ask for. A value: another view is another object."""

    def __init__(
        self,
        hosts: Iterable[Host],
        settings: NameSettings = _SETTINGS,
        surroundings: Surroundings = NOWHERE,
    ) -> None:
        """The networks of `hosts` are asked in the order in which they come.

        A name that DNS cannot carry (a label over 63 octets) is not there.
        """
        self.ttl = settings.ttl // SECOND
        """Seconds."""
        self.surroundings = surroundings
        self._known: dict[bytes, _Known] = {}
        self._names: dict[IpAddress, bytes] = {}
        for record in settings.records:
            self._know(record.name, record.addresses)
        for host in (there := tuple(hosts)):
            self._lead_back(host.addresses, host.canonical)
        for claim, name, host in _claims(there):
            self._claim(claim, name, host)
        for record in settings.records:
            self._lead_back(record.addresses, _encoded(record.name))
        for name, address in ((HOST, surroundings.host), (GATEWAY, surroundings.gateway)):
            if address is not None:
                self._know(name, (address,))
                self._lead_back((address,), _encoded(name))
        self.wildcards = Wildcards(
            {name: tuple(each.addresses) for name, each in self._known.items()}
        )

    def addresses(self, name: bytes) -> tuple[IpAddress, ...] | None:
        """The addresses of both families that `name` has, or None where it is no name of ours."""
        found = self._known.get(name)
        return None if found is None else tuple(found.addresses)

    def bearers(self, name: bytes) -> tuple[Host, ...]:
        """The endpoints that have `name`."""
        found = self._known.get(name)
        return () if found is None else tuple(found.bearers)

    def name_of(self, address: IpAddress) -> bytes | None:
        """The name of whoever has `address`: an endpoint's with that of its network."""
        return self._names.get(address)

    def _know(self, name: str, addresses: tuple[IpAddress, ...]) -> None:
        encoded = _encoded(name)
        if encoded is not None:
            self._known.setdefault(encoded, _Known(None, list(addresses)))

    def _claim(self, claim: _Claim, name: str, host: Host) -> None:
        encoded = _encoded(name)
        if encoded is None:
            return
        known = self._known.setdefault(encoded, _Known(claim, []))
        if known.claim == claim:
            known.addresses.extend(each for each in host.addresses if each not in known.addresses)
            known.bearers.append(host)

    def _lead_back(self, addresses: Iterable[IpAddress], name: bytes | None) -> None:
        if name is not None:
            for address in addresses:
                self._names.setdefault(address, name)


def _claims(hosts: tuple[Host, ...]) -> Iterator[tuple[_Claim, str, Host]]:
    """Each name of each one, in the order in which they are asked for."""
    for labels in sorted({0, *(_labels_of(host.network) for host in hosts)}):
        for is_own in (False, True):
            for host in hosts:
                if labels not in (0, _labels_of(host.network)):
                    continue
                for name in host.names if is_own else host.links:
                    spelt = f"{name}.{host.network}" if labels else name
                    yield (labels, is_own, host.network), spelt, host


def _labels_of(network: str) -> int:
    return network.count(".") + 1


def _encoded(name: str) -> bytes | None:
    try:
        return domain.encode(name)
    except ValueError:
        return None
