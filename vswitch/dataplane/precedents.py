"""Precedents: what is known about new connections that repeat an older one; see `repetition`.

The table is bounded: where it is full, the oldest precedent makes room.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from vswitch.dataplane.fdb import Station
from vswitch.dataplane.topology import Network, Port
from vswitch.fastpath.routine import Routine

if TYPE_CHECKING:
    from vswitch.dataplane.drops import DropReason
    from vswitch.dataplane.filters import Entry
    from vswitch.dataplane.flow import FlowTuple
    from vswitch.dataplane.nat import Translation
    from vswitch.dataplane.tables import Tables
    from vswitch.dataplane.walk import Walk

Translate: TypeAlias = "Callable[[Walk, Tables, FlowTuple], Translation | DropReason | None]"
"""One of the functions of `nat`."""

CAPACITY = 4096
"""Pairs of a client and a server's port that are remembered: about 2 MiB."""


class Precedent(NamedTuple):
    """What holds for all flows that differ in their source port alone."""

    first: int
    """The number of the connection that it was decided for."""
    network: Network
    port: Port
    """Where the frames come in."""
    sender: Station | None
    """Who sends them, where that is learnt."""
    translate: Translate
    head: bytes
    """What their tuples begin with."""
    answers: bytes
    """What the tuples of the answers begin with: all but the port that stands for the source's."""
    answers_key: bytes
    """The same of the keys of the answers."""
    begun: Routine
    expected: Routine
    """Those of the first connection."""
    rules: tuple[Entry, ...] = ()
    """The filters that match them all."""


class PrecedentTable:
    """All precedents, by the key of the flow without its source port."""

    def __init__(self) -> None:
        self._precedents: dict[bytes, Precedent] = {}

    def find(self, key: bytes) -> Precedent | None:
        """What is known about frames that have this key."""
        return self._precedents.get(key)

    def keep(self, key: bytes, precedent: Precedent) -> None:
        """Let later frames follow it."""
        if key not in self._precedents and len(self._precedents) >= CAPACITY:
            del self._precedents[next(iter(self._precedents))]
        self._precedents[key] = precedent

    def forget(self) -> None:
        """Something that they rest on has changed."""
        self._precedents.clear()

    def __len__(self) -> int:
        return len(self._precedents)
