"""SYNs from outside that lead nowhere: wait before saying so (RFC 5382, REQ-4).

Theory of operation. When both sides open at once, the outside's SYN may come before the inside's
has made a connection. Whoever refuses it at once ends the attempt. So it is held for six seconds:
if the inside opens to the same peer from the same external port meanwhile, it is forgotten, and its
retransmission will be let in; if not, its sender is told that the port is unreachable.

What is held is the SYN itself, to be quoted. A SYN that is repeated does not wait anew. The number
of those held is bounded; one more is dropped, and nothing is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto

from vswitch.dataplane.flow import FlowTuple
from vswitch.dataplane.timers import Timers
from vswitch.units import Nanoseconds


@dataclass(frozen=True, slots=True)
class HeldSyn:
    """A frame that waits to be refused, and the port that it came in by."""

    port: int
    frame: bytes


class Held(Enum):
    """What became of a SYN."""

    HELD = auto()
    AGAIN = auto()
    """It is held already."""
    FULL = auto()


class HeldSyns:
    """Those that wait, by tuple."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held: dict[FlowTuple, HeldSyn] = {}
        self._timers: Timers[FlowTuple] = Timers()

    def hold(self, arriving: FlowTuple, syn: HeldSyn, until: Nanoseconds) -> Held:
        """Keep a SYN to be refused at `until`."""
        if arriving in self._held:
            return Held.AGAIN
        if len(self._held) >= self._capacity:
            return Held.FULL
        self._held[arriving] = syn
        self._timers.schedule(arriving, until)
        return Held.HELD

    def forget(self, arriving: FlowTuple) -> None:
        """The inside has opened to who sent this: there is nothing to refuse any more."""
        if self._held.pop(arriving, None) is not None:
            self._timers.cancel(arriving)

    def forget_port(self, port: int) -> None:
        """A port went away, and whoever is behind it."""
        for arriving in [each for each, held in self._held.items() if held.port == port]:
            self.forget(arriving)

    def next_deadline(self) -> Nanoseconds | None:
        """When `due` may have something to hand out."""
        return self._timers.next_deadline()

    def due(self, now: Nanoseconds) -> list[HeldSyn]:
        """Those that have to be refused now."""
        return [self._held.pop(arriving) for arriving in self._timers.due(now)]

    def __len__(self) -> int:
        return len(self._held)
