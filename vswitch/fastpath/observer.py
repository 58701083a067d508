"""Reading along with the fast path: the seam for captures, recorders and replays.

An observer is told of every frame and never changes one. Without an observer a frame costs one
branch more. What it is given is valid only during the call: who wants to keep a frame copies it.
"""

from __future__ import annotations

from typing import Protocol

from vswitch.units import Nanoseconds
from vswitch.wire.buffer import Buffer


class Observer(Protocol):
    """Sees what the fast path does. `flow` is the number that a program was kept with."""

    def hit(self, port: int, frame: Buffer, flow: int, now: Nanoseconds) -> None:
        """A frame came in by `port` and a program is about to run on it."""

    def sent(self, port: int, frame: Buffer, flow: int, now: Nanoseconds) -> None:
        """A frame, as it leaves the switch, goes out by `port`: not yet made to fit its device."""
