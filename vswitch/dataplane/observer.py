"""Reading along with the whole switch: what the fast path does, and what the pipeline decides."""

from __future__ import annotations

from typing import Protocol

from vswitch.dataplane.verdict import Verdict
from vswitch.fastpath import observer
from vswitch.units import Nanoseconds
from vswitch.wire.buffer import Buffer


class Observer(observer.Observer, Protocol):
    """Sees every frame that comes in, by `hit` or by `decided`, and then what is sent for it."""

    def decided(self, port: int, frame: Buffer, verdict: Verdict, now: Nanoseconds) -> None:
        """A frame came in by `port`, and `verdict` is about to be carried out on it."""
