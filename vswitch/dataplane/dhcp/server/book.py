"""What a DHCP server has to know of others, and what others have to know of it.

A *grant* is what a station has been given: it may have an address until then. `Terms` are what the
server of one network gives and tells, and `Addresses` says which addresses are somebody's already,
and keeps what is granted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from vswitch.leasing import Leasing
from vswitch.units import Nanoseconds
from vswitch.wire.values import IpAddress, IpNetwork, MacAddress

if TYPE_CHECKING:
    from vswitch.dataplane.dhcp.server.news import Turn


class Grant(NamedTuple):
    """An address, and who may have it until when."""

    address: IpAddress
    station: MacAddress
    identifier: bytes
    """What the client calls itself (option 61), empty where it does not."""
    hostname: str | None
    """What it says that it is called (option 12), where that can be a name."""
    until: Nanoseconds


@dataclass(frozen=True, slots=True)
class Terms:
    """What the server of one network gives and tells. Its mask, its MTU and the gateway, which is
    the server, the dataplane knows by itself."""

    leasing: Leasing
    pool: IpNetwork
    """Where guests get addresses from, in the network's subnet: `Leasing.leased`, where that is not
    None."""
    domain: str
    """Option 15: `Leasing.domain`, where that is not None."""
    router: IpAddress | None
    """Option 3: the network's default route; None where nothing leads elsewhere."""
    name_servers: tuple[IpAddress, ...] = ()
    """Option 6."""


class Addresses(Protocol):
    """The addresses of one network, as whoever gives them to endpoints knows them. All that is said
    here is asked for each message, so it is to be at hand."""

    def of_port(self, port: int, station: MacAddress) -> IpAddress | None:
        """The address of the endpoint whose port that is, and which that station behind it may be
        leased; None where there is none."""

    def is_taken(self, address: IpAddress) -> bool:
        """Whether somebody has an address who was not leased it: an endpoint (whether it is there
        or not), the gateway, or whoever an auxiliary address is for."""

    def count(self, part: IpNetwork) -> int:
        """How many addresses of a part of the subnet are a guest's to have, or are had by one:
        those that a host can have and that are not taken."""

    def hostname(self, address: IpAddress) -> str | None:
        """What the endpoint that has an address is called (option 12); None where it is called
        nothing, or nobody's."""

    def keep(self, turn: Turn) -> bool:
        """Write down what has become of a grant, before the station is told; False where that can
        not be done, and then it is told nothing."""
