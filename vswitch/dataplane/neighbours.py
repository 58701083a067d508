"""The neighbour table: which station has an address that the switch itself must reach?

Theory of operation. Routed frames need the station of their next hop (RFC 826, RFC 1122 2.3.2).
An unknown address becomes *incomplete*: a request goes out each second, at most three, and
frames wait in a short queue meanwhile. An answer makes it *reachable* and releases the queue;
silence ends the entry and gives the waiting frames back as undeliverable. A reachable entry is
*probed* when its lifetime is over: it stays in use meanwhile, and goes without an answer.

As RFC 826 has it, any ARP message updates an address that is already here, but only one that is
meant for the switch adds an address. What it never does: send. Requests to send and frames to
give up are returned as values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Generic, TypeVar

from vswitch.dataplane.timers import Timers
from vswitch.units import MINUTE, SECOND, Nanoseconds
from vswitch.wire.values import IpAddress, MacAddress

LIFETIME: Nanoseconds = 5 * MINUTE
"""How long an answer is trusted. Moves are noticed before by the gratuitous ARP of who moved."""

RETRANSMIT: Nanoseconds = 1 * SECOND
"""RFC 1122, 2.3.2.1: at most one request per second and destination."""

REQUESTS = 3
"""Requests without an answer before the address counts as unreachable, as on Linux."""

QUEUE = 3
"""Frames that wait per address: RFC 1122, 2.3.2.2, asks for at least one, Linux had three."""

CAPACITY = 4096
"""Addresses per network; a scan of a /16 can not take more memory than this."""

Waiting = TypeVar("Waiting")


class NeighbourState(Enum):
    """Where an entry is in its life."""

    INCOMPLETE = "incomplete"
    REACHABLE = "reachable"
    PROBED = "probed"


class Queued(Enum):
    """What became of a frame that has to wait."""

    ASK = auto()
    """Queued as the first one: a request has to go out now."""
    QUEUED = auto()
    FULL = auto()


@dataclass(slots=True)
class Neighbour(Generic[Waiting]):
    """One entry."""

    address: IpAddress
    mac: MacAddress | None
    state: NeighbourState
    deadline: Nanoseconds
    requests: int = 0
    waiting: list[Waiting] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Update(Generic[Waiting]):
    """What `learn` found out: frames that can go now, and whether cached flows are wrong."""

    released: tuple[Waiting, ...] = ()
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Tick(Generic[Waiting]):
    """What the passing of time asks for."""

    ask: tuple[IpAddress, ...] = ()
    unreachable: tuple[Waiting, ...] = ()
    lost: bool = False
    """An address that flows may be cached towards is gone."""


class NeighbourTable(Generic[Waiting]):
    """Addresses and stations of one network; `Waiting` is whatever the router wants back."""

    def __init__(self) -> None:
        self._entries: dict[IpAddress, Neighbour[Waiting]] = {}
        self._timers: Timers[IpAddress] = Timers()

    def station(self, address: IpAddress) -> MacAddress | None:
        """The station to send to, or None where it has to be asked for."""
        entry = self._entries.get(address)
        return entry.mac if entry else None

    def would_queue(self, address: IpAddress) -> Queued:
        """What `wait` would do with another frame for `address`."""
        entry = self._entries.get(address)
        if entry is None:
            return Queued.FULL if len(self._entries) >= CAPACITY else Queued.ASK
        return Queued.FULL if len(entry.waiting) >= QUEUE else Queued.QUEUED

    def wait(self, address: IpAddress, frame: Waiting, now: Nanoseconds) -> Queued:
        """Keep `frame` until `address` is known."""
        queued = self.would_queue(address)
        if queued is Queued.ASK:
            self._add(address, now + RETRANSMIT).requests = 1
        if queued is not Queued.FULL:
            self._entries[address].waiting.append(frame)
        return queued

    def learn(
        self, address: IpAddress, mac: MacAddress, now: Nanoseconds, *, add: bool
    ) -> Update[Waiting]:
        """`mac` says that it has `address`; without `add` only a known address is updated."""
        entry = self._entries.get(address)
        if entry is None:
            if not add or len(self._entries) >= CAPACITY:
                return Update()
            entry = self._add(address, now + LIFETIME)
        moved = entry.mac is not None and entry.mac != mac
        released, entry.waiting = tuple(entry.waiting), []
        entry.mac, entry.requests = mac, 0
        entry.state, entry.deadline = NeighbourState.REACHABLE, now + LIFETIME
        return Update(released, moved)

    def forget(self, address: IpAddress) -> tuple[Waiting, ...]:
        """Drop an address whose owner is known to be gone; returns the frames that waited."""
        entry = self._entries.pop(address, None)
        self._timers.cancel(address)
        return tuple(entry.waiting) if entry else ()

    def withdraw(self, ended: Callable[[Waiting], bool]) -> tuple[Waiting, ...]:
        """Let no frame wait any longer of which `ended` is true; returns them."""
        withdrawn: list[Waiting] = []
        for entry in self._entries.values():
            withdrawn += filter(ended, entry.waiting)
            entry.waiting = [frame for frame in entry.waiting if not ended(frame)]
        return tuple(withdrawn)

    def next_deadline(self) -> Nanoseconds | None:
        """When `tick` may have something to do."""
        return self._timers.next_deadline()

    def tick(self, now: Nanoseconds) -> Tick[Waiting]:
        """Ask again, probe what is old, and give up what has been asked for often enough."""
        ask: list[IpAddress] = []
        unreachable: list[Waiting] = []
        lost = False
        for address in self._timers.due(now):
            entry = self._entries[address]
            if entry.deadline > now:
                self._timers.schedule(address, entry.deadline)
                continue
            if entry.requests >= REQUESTS:
                del self._entries[address]
                unreachable.extend(entry.waiting)
                lost = lost or entry.mac is not None
                continue
            if entry.state is NeighbourState.REACHABLE:
                entry.state = NeighbourState.PROBED
            entry.requests += 1
            entry.deadline = now + RETRANSMIT
            self._timers.schedule(address, entry.deadline)
            ask.append(address)
        return Tick(tuple(ask), tuple(unreachable), lost)

    def __iter__(self) -> Iterator[Neighbour[Waiting]]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def _add(self, address: IpAddress, deadline: Nanoseconds) -> Neighbour[Waiting]:
        entry: Neighbour[Waiting] = Neighbour(address, None, NeighbourState.INCOMPLETE, deadline)
        self._entries[address] = entry
        self._timers.schedule(address, deadline)
        return entry
