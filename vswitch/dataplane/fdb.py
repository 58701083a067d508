"""The forwarding database: on which port was a station last seen?

Theory of operation. A bridge learns from source addresses and forwards by destination addresses
(IEEE 802.1Q-2018, 8.7 and 8.8). This table answers one question, `where(station)`, and learns from
one event, `learn(station, port)`. It decides nothing else: whether an unknown station is flooded
and what a move means for cached flows is the bridge's business.

Ageing costs nothing per frame and nothing per entry: two generations are kept, and every
`ageing / 2` the older one is forgotten whole and the younger one takes its place. A station that
is seen again moves to the younger generation. So an entry lives between one half and one whole
ageing time after its last frame. Frames that the fast path forwards do not come by here: before a
turn, the switch reports the stations that it has seen.

A full table evicts from the port that holds most entries, so one port that invents addresses
pushes out its own inventions and nobody else's station.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import NamedTuple

from vswitch.units import SECOND, Nanoseconds
from vswitch.wire.values import MacAddress

AGEING: Nanoseconds = 300 * SECOND
"""802.1Q's default (table 8-6): long enough for a host that speaks only when ARP expires."""

CAPACITY = 8192
"""Stations per network: Open vSwitch's default, about 2 MiB here."""


class Station(NamedTuple):
    """An address in a broadcast domain. The same MAC in two VLANs is two stations."""

    vlan: int
    mac: MacAddress


class Learned(Enum):
    """What `learn` found out."""

    NEW = auto()
    KNOWN = auto()
    MOVED = auto()
    """It was on another port: flows cached towards the old one are wrong from now on."""


@dataclass(frozen=True, slots=True)
class FdbEntry:
    """One row of the table, for people."""

    station: Station
    port: int
    recent: bool
    """Seen in the younger generation."""


class ForwardingDatabase:
    """Stations and their ports. Sans-I/O: the time comes in with every call that needs it."""

    def __init__(self, *, ageing: Nanoseconds = AGEING, capacity: int = CAPACITY) -> None:
        self._half_life = ageing // 2
        self._capacity = capacity
        self._young: dict[Station, int] = {}
        self._old: dict[Station, int] = {}
        self._per_port: dict[int, dict[Station, None]] = {}
        self.turned_at: Nanoseconds = 0

    def where(self, station: Station) -> int | None:
        """The port that `station` was last seen on, or None where it is unknown."""
        port = self._young.get(station)
        return port if port is not None else self._old.get(station)

    def learn(self, station: Station, port: int, now: Nanoseconds) -> Learned:
        """Note that `station` sent a frame into `port` at `now`."""
        if self._young.get(station) == port:
            return Learned.KNOWN
        known = self._forget(station)
        if known is None and len(self) >= self._capacity:
            self._evict_from_greediest_port()
        if not self:
            self.turned_at = now
        self._young[station] = port
        self._per_port.setdefault(port, {})[station] = None
        if known is None:
            return Learned.NEW
        return Learned.KNOWN if known == port else Learned.MOVED

    def forget_port(self, port: int) -> None:
        """Drop every station of a port that went away."""
        for station in list(self._per_port.get(port, ())):
            self._forget(station)

    def next_turn(self) -> Nanoseconds | None:
        """When `turn` is due, or None while there is nothing to forget."""
        return self.turned_at + self._half_life if self else None

    def turn(self, now: Nanoseconds) -> int:
        """Forget the older generation and return its size; the younger becomes the older."""
        forgotten = list(self._old)
        for station in forgotten:
            self._forget(station)
        self._old, self._young = self._young, {}
        self.turned_at = now
        return len(forgotten)

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def __iter__(self) -> Iterator[FdbEntry]:
        for table, recent in ((self._young, True), (self._old, False)):
            for station, port in table.items():
                yield FdbEntry(station, port, recent)

    def _forget(self, station: Station) -> int | None:
        port = self._young.pop(station, None)
        if port is None:
            port = self._old.pop(station, None)
        if port is not None:
            stations = self._per_port[port]
            del stations[station]
            if not stations:
                del self._per_port[port]
        return port

    def _evict_from_greediest_port(self) -> None:
        greediest = max(self._per_port.values(), key=len)
        self._forget(next(iter(greediest)))
