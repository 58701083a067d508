"""Networks and ports as the dataplane knows them.

A `Network` is one broadcast domain and, where it has an `Interface`, the switch's own presence in
it. The networks that endpoints are on and the network behind the uplink are the same kind of
thing; what differs is their `Side`: addresses of the inside are hidden from the outside, and
nothing comes in from the outside but what a table lets in. A `Port` is a device's place on a
network.

The host itself may be on a network inside, by a port of its own (`HostPort`). It has the gateway's
address there, and is behind the gateway, not beside the endpoints: its port is none of the
broadcast domain, so nobody but the switch speaks to its station.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from vswitch.dataplane.fdb import ForwardingDatabase
from vswitch.dataplane.neighbours import NeighbourTable
from vswitch.dataplane.openings import AllowedNames
from vswitch.policy import Link, NetworkPolicy, PortPolicy
from vswitch.translation import Outside, Translation
from vswitch.wire.values import IpAddress, IpInterface, MacAddress

if TYPE_CHECKING:
    from vswitch.dataplane.verdict import Onward


_PLAIN = PortPolicy()


class Side(Enum):
    """Which way a network looks."""

    INSIDE = "inside"
    OUTSIDE = "outside"


@dataclass(frozen=True, slots=True)
class Interface:
    """The switch's own presence in a network: the gateway, or the uplink's address."""

    mac: MacAddress
    address: IpInterface
    also: tuple[IpAddress, ...] = ()
    """Further addresses in the same subnet that are the switch's own: NAPT may use them too."""

    is_shared: bool = False
    """Whether the host has this address and station as well: what no table of the switch claims is
    the host's."""

    def __contains__(self, address: IpAddress) -> bool:
        return address == self.address.address or address in self.also


@dataclass(frozen=True, slots=True)
class Port:
    """A device's place on the switch."""

    number: int
    name: str
    network: int
    policy: PortPolicy = _PLAIN


@dataclass(frozen=True, slots=True)
class HostPort:
    """Where the host itself is on a network: the number of its port, and its station there."""

    port: int
    mac: MacAddress


@dataclass(slots=True, eq=False)
class Network:
    """A broadcast domain with its tables."""

    number: int
    name: str
    side: Side
    interface: Interface | None
    next_hop: IpAddress | None
    """Where frames to all other destinations go, on the network that has one."""
    mtu: int
    """The longest IPv4 packet that may be routed into it, in bytes."""
    ports: dict[int, Port] = field(default_factory=dict)
    fdb: ForwardingDatabase = field(default_factory=ForwardingDatabase)
    neighbours: NeighbourTable[Onward] = field(default_factory=NeighbourTable)
    translation: Translation = field(kw_only=True, default=Translation())
    """How connections of its endpoints are translated, on the inside."""
    outside: Outside = field(kw_only=True, default=Outside())
    """What its addresses may be used for, on the outside."""
    uplink: int | None = field(kw_only=True, default=None)
    """The network, by number, that leads its endpoints outside; None: the first there is."""
    policy: NetworkPolicy = field(kw_only=True, default=NetworkPolicy())
    """Whom its endpoints reach, on the inside."""
    allowed: AllowedNames | None = field(kw_only=True, default=None)
    """Names that alone lead its endpoints outside, on the inside; None: any address does."""
    answers_queries: bool = field(kw_only=True, default=True)
    """Whether its gateway answers who asks it for names, on the inside."""
    links: dict[tuple[IpAddress, IpAddress], tuple[Link, ...]] = field(
        kw_only=True, default_factory=dict
    )
    """What opens ports of its endpoints to others of them where `icc` is off, by parent and
    child."""
    bridges_freely: bool = field(kw_only=True, default=True)
    """Whether nothing but stations decides what is bridged here: no policy, no port's, no filter.
    `Tables.settle_bridging` keeps it true to these."""
    host: HostPort | None = field(kw_only=True, default=None)
    """Where the host is, which has the gateway's address: what no table claims there is its own."""

    def owns(self, address: IpAddress) -> bool:
        """Whether the switch itself has `address` here."""
        return self.interface is not None and address in self.interface

    def holds(self, address: IpAddress) -> bool:
        """Whether `address` is in the network's subnet."""
        return self.interface is not None and address in self.interface.address.network

    def is_host(self, port: int) -> bool:
        """Whether a port, by number, is the host's."""
        return self.host is not None and self.host.port == port

    def station(self, address: IpAddress) -> MacAddress | None:
        """The station to send to for an address in the subnet; None where it has to be asked for.
        The host is asked for nothing."""
        if self.host is not None and self.owns(address):
            return self.host.mac
        return self.neighbours.station(address)

    def hop_towards(self, address: IpAddress) -> IpAddress | None:
        """Whose station a packet to `address` goes to; None where nobody leads there."""
        return address if self.holds(address) else self.next_hop
