"""What a user may choose about leases of addresses, as values.

Theory of operation. A network with `Leasing` has a DHCP server at its gateway, for virtual machines
and for whatever is behind a TAP. An endpoint has its address from the inventory, and is leased that
very one; a *guest*, which is a station that is no endpoint's own, gets one of the network's that is
free, or its *reservation*, where the network takes guests. Nothing is decided here.

Read first: RFC 2131, RFC 2132.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from vswitch.units import HOUR, Nanoseconds
from vswitch.wire.values import IpAddress, IpNetwork, MacAddress


class Reservation(NamedTuple):
    """The address that one station gets and nobody else: known by its MAC address, or by the
    hostname that it says."""

    station: MacAddress | str
    address: IpAddress


class Lease(NamedTuple):
    """An address that a station has for a while, and what that says that it is called."""

    address: IpAddress
    station: MacAddress
    hostname: str | None

    def __str__(self) -> str:
        called = "" if self.hostname is None else f" ({self.hostname})"
        return f"{self.station}{called}"


class Boot(NamedTuple):
    """Where a station boots from (options 66 and 67)."""

    server: str
    file: str


@dataclass(frozen=True, slots=True)
class Leasing:
    """The DHCP server of one network."""

    takes_guests: bool = True
    """Whether any station is leased an address; else only those endpoints that can not be given one
    in another way, virtual machines."""
    lease_time: Nanoseconds = HOUR
    leased: IpNetwork | None = None
    """The part of the subnet that guests get addresses from; None: that of endpoints."""
    reservations: tuple[Reservation, ...] = ()
    domain: str | None = None
    """Option 15; None: the network's name."""
    search: tuple[str, ...] = ()
    """Option 119 (RFC 3397)."""
    routes: tuple[tuple[IpNetwork, IpAddress], ...] = ()
    """Option 121 (RFC 3442), beside the default route."""
    boot: Boot | None = None
    ntp: tuple[IpAddress, ...] = ()
    """Option 42: servers of time."""


MACHINES_ALONE = Leasing(takes_guests=False)
"""What a network has where nobody says anything: no server but for those who would have no address
without it, so that whoever leases there himself, behind an endpoint, is not disturbed."""
