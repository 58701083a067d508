"""What a DHCP server has to know of others, and what others have to know of it.

A *grant* is what a station has been given: it may have an address until then. `Addresses` says
which addresses are somebody's already.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from vswitch.units import Nanoseconds
from vswitch.wire.values import IpAddress, MacAddress


class Grant(NamedTuple):
    """An address, and who may have it until when."""

    address: IpAddress
    station: MacAddress
    identifier: bytes
    """What the client calls itself (option 61), empty where it does not."""
    hostname: str | None
    """What it says that it is called (option 12), where that can be a name."""
    until: Nanoseconds


class Addresses(Protocol):
    """The addresses of one network, as whoever gives them to endpoints knows them."""

    def of_port(self, port: int) -> IpAddress | None:
        """The address of the endpoint whose port that is; None where it is no endpoint's."""

    def is_taken(self, address: IpAddress) -> bool:
        """Whether somebody has an address who was not leased it."""
