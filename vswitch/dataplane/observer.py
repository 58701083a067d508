"""Reading along with the switch: what the fast path does, and what the pipeline decides."""

from __future__ import annotations

from typing import Protocol

from vswitch.dataplane.verdict import Verdict
from vswitch.fastpath import observer
from vswitch.units import Nanoseconds
from vswitch.wire.buffer import Buffer


class DecisionObserver(Protocol):
    """Sees the frames that the fast path knew nothing of."""

    def decided(self, port: int, frame: Buffer, verdict: Verdict, now: Nanoseconds) -> None:
        """A frame came in by `port`, and `verdict` is about to be carried out on it."""


class Observer(observer.Observer, DecisionObserver, Protocol):
    """Sees every frame that comes in, by `hit` or by `decided`, and then what is sent for it."""

    def answered(self, about: object, now: Nanoseconds) -> None:
        """What is sent next is said to a query that had waited: by `str()`, what became of it."""
