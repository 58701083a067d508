"""What has come of a DHCP server, for whoever keeps grants and tells people.

A grant begins with `Granted`, goes on with `Renewed` and is over with `Ended`; each names all that
there is to remember, and is kept (`Addresses.keep`) before the station is told. All else is for
people to read: whoever is on the network may make it happen as often as he likes, so it is told
once in a while.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from vswitch.dataplane.dhcp.server.book import Grant
from vswitch.wire.values import IpAddress, MacAddress


class End(Enum):
    """Why a grant is over; the value says it in words."""

    RELEASED = "the station has given it back"
    EXPIRED = "the station has not renewed it in time"
    DECLINED = "the station says that somebody else has the address"
    REPLACED = "the station has been given another address"
    LEFT = "the endpoint whose address it is is gone"
    TAKEN = "the address is somebody else's now, or none of those that are leased"


@dataclass(frozen=True, slots=True)
class Granted:
    """A station has an address that it did not have."""

    grant: Grant


@dataclass(frozen=True, slots=True)
class Renewed:
    """A station has its address for longer; its hostname may be another one."""

    grant: Grant


@dataclass(frozen=True, slots=True)
class Ended:
    """A station has an address no longer. `grant.until` is when it would have ended by itself."""

    grant: Grant
    reason: End


@dataclass(frozen=True, slots=True)
class InUse:
    """An address that could have been leased is somebody's who was not leased it: `station` has
    answered for it by ARP, or is the one that has found out."""

    address: IpAddress
    station: MacAddress


@dataclass(frozen=True, slots=True)
class Exhausted:
    """There was no address for a station."""

    station: MacAddress


@dataclass(frozen=True, slots=True)
class Crowded:
    """There was no address for a station, as too many behind its port have one."""

    station: MacAddress
    port: int


@dataclass(frozen=True, slots=True)
class Relayed:
    """A relay agent has passed a client's message on, which is not served."""

    agent: IpAddress
    port: int
    """The port that it is behind."""


@dataclass(frozen=True, slots=True)
class Rogue:
    """Somebody behind a port speaks as a DHCP server, and was not let through."""

    station: MacAddress
    port: int


Turn: TypeAlias = Granted | Renewed | Ended
LeaseNews: TypeAlias = Crowded | Exhausted | InUse | Relayed | Rogue
