"""Who is known on one network, and by which names: the same for all who ask there.

Theory of operation. Names are as in `wire.domain`, in small letters, and looked up as they are
(RFC 4343). An endpoint has several, and several may bear one; each is asked for alone or followed
by the name of the network. Names that DNS can not carry (a label over 63 octets) are not there.

Which of several networks a name is looked for on, and in which order, is `names`'s to say.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

from vswitch.wire import domain
from vswitch.wire.domain import ROOT, above
from vswitch.wire.values import IpAddress, Protocol


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
    services: tuple[Service, ...] = ()
    encoded: tuple[bytes, ...] = field(init=False, repr=False, compare=False)
    """Its names alone, as they are asked for."""
    canonical: bytes | None = field(init=False, repr=False, compare=False)
    """Name and network as one name; None where DNS can not carry it."""

    def __post_init__(self) -> None:
        encoded = (encode(name) for name in self.names)
        object.__setattr__(self, "encoded", tuple(name for name in encoded if name is not None))
        object.__setattr__(self, "canonical", encode(f"{self.names[0]}.{self.network}"))


class Neighbourhood:
    """Those on one network. A value."""

    def __init__(self, network: str, known: Iterable[tuple[bytes, Host]]) -> None:
        """`known` are names alone, and who bears each."""
        self.network = network
        self.labels = network.count(".") + 1
        """Of the network's name."""
        self._suffix = encode(network)
        self._bearers: dict[bytes, list[Host]] = {}
        self._names: dict[IpAddress, bytes] = {}
        for name, host in known:
            self._bearers.setdefault(name, []).append(host)
            if host.canonical is not None:
                for address in host.addresses:
                    self._names.setdefault(address, host.canonical)

    @classmethod
    def of(cls, network: str, hosts: Iterable[Host]) -> Neighbourhood:
        """One where each is known by all of its names."""
        return cls(network, ((name, host) for host in hosts for name in host.encoded))

    def bearers(self, name: bytes) -> Sequence[Host]:
        """Who bears `name`, which is a whole one."""
        return self._bearers.get(name, ())

    def bearers_here(self, name: bytes) -> Sequence[Host]:
        """Who bears what stands in `name` in front of the network's."""
        if self._suffix is None or not name.endswith(self._suffix):
            return ()
        return self._bearers.get(name.removesuffix(self._suffix) + ROOT, ())

    def name_of(self, address: IpAddress) -> bytes | None:
        """The name of whoever has `address`, with that of the network."""
        return self._names.get(address)

    def has(self, name: bytes) -> bool:
        """Whether `name` is somebody's, or what somebody's is below."""
        return name in self._existing

    @cached_property
    def _existing(self) -> frozenset[bytes]:
        here = () if self._suffix is None else (self._suffix,)
        spelt = {name[: -len(ROOT)] + end for name in self._bearers for end in (ROOT, *here)}
        return frozenset(each for name in spelt for each in (name, *above(name)))


def encode(name: str) -> bytes | None:
    """As in `wire.domain`; None where DNS can not carry it."""
    try:
        return domain.encode(name)
    except ValueError:
        return None
