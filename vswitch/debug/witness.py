"""What an observer of the switch has seen, frame by frame, for whoever wants to know.

Theory of operation. The switch calls its one observer, a `Witness`, for each frame that comes in (a
hit, or a verdict of the pipeline) and then for each frame that is sent because of it. The witness
turns these calls into `Sight`s and gives them to its sinks: a capture file, the flight recorder, a
replay. A frame that is sent shares fate and flow with the one that it was sent for; one that had to
wait belongs to its own flow and not to the answer that released it.

With no sink there is no observer, and a frame costs one branch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from vswitch.dataplane.observer import Observer
from vswitch.dataplane.verdict import Fate, Verdict
from vswitch.debug.sight import Direction, Sight
from vswitch.units import Nanoseconds
from vswitch.wire.buffer import Buffer
from vswitch.wire.offload import HEADER_LENGTH

Sink = Callable[[Sight], None]


class Observable(Protocol):
    """A switch, or what stands before one and passes on what it is told."""

    def observe(self, observer: Observer | None) -> None:
        """Let `observer` read along; None ends that."""


@dataclass(frozen=True, slots=True)
class Cause:
    """The frame that came in last: what is sent now is sent because of it."""

    fate: Fate
    flow: int
    words: tuple[str, ...]


NO_CAUSE = Cause(Fate.ANSWERED, 0, ("by itself: a timer was due",))
"""The cause of what is sent at a time at which no frame came in."""


class Causes:
    """Which frame is behind what is sent, told of all frames in their order."""

    def __init__(self, present: Cause = NO_CAUSE, since: Nanoseconds = 0) -> None:
        self.present = present
        self._since = since

    def received(self, cause: Cause, now: Nanoseconds) -> None:
        """A frame came in."""
        self.present, self._since = cause, now

    def sent(self, flow: int, now: Nanoseconds) -> None:
        """A frame leaves, which may be for another one than the last."""
        if flow and flow != self.present.flow:
            self.present = Cause(Fate.FORWARDED, flow, ())
        elif not flow and now != self._since:
            self.present = NO_CAUSE


class Witness:
    """The observer of one switch. Implements `dataplane.observer.Observer`."""

    def __init__(self, switch: Observable) -> None:
        self._switch = switch
        self._sinks: dict[Sink, int] = {}
        self._snap_length = 0
        self._causes = Causes()

    def add(self, sink: Sink, snap_length: int) -> None:
        """Give `sink` every sight from now on, with `snap_length` bytes of Ethernet at least."""
        self._sinks[sink] = snap_length
        self._settle()

    def remove(self, sink: Sink) -> None:
        """Give `sink` nothing any more."""
        del self._sinks[sink]
        self._settle()

    def _settle(self) -> None:
        self._snap_length = max(self._sinks.values(), default=0)
        self._switch.observe(self if self._sinks else None)

    # What the switch calls

    def hit(self, port: int, frame: Buffer, flow: int, now: Nanoseconds) -> None:
        """A frame for which the fast path has a program."""
        self._causes.received(Cause(Fate.FORWARDED, flow, ()), now)
        self._tell(port, Direction.RECEIVED, frame, None, now)

    def decided(self, port: int, frame: Buffer, verdict: Verdict, now: Nanoseconds) -> None:
        """A frame that the pipeline has decided about."""
        flow = verdict.connection.number if verdict.connection else 0
        words = tuple(str(finding) for finding in verdict.trail)
        self._causes.received(Cause(verdict.fate, flow, words), now)
        self._tell(port, Direction.RECEIVED, frame, verdict, now)

    def answered(self, about: object, now: Nanoseconds) -> None:
        """A query that had waited for servers is answered."""
        words = (f"{about}, which have answered",)
        self._causes.received(Cause(Fate.ANSWERED, 0, words), now)

    def sent(self, port: int, frame: Buffer, flow: int, now: Nanoseconds) -> None:
        """A frame that leaves."""
        self._causes.sent(flow, now)
        self._tell(port, Direction.SENT, frame, None, now)

    def _tell(
        self,
        port: int,
        direction: Direction,
        frame: Buffer,
        verdict: Verdict | None,
        now: Nanoseconds,
    ) -> None:
        cause = self._causes.present
        sight = Sight(
            when=now,
            port=port,
            direction=direction,
            frame=bytes(frame[: HEADER_LENGTH + self._snap_length]),
            original_length=len(frame) - HEADER_LENGTH,
            flow=cause.flow,
            fate=cause.fate,
            reason=verdict.reason if verdict else None,
            words=cause.words,
        )
        for sink in tuple(self._sinks):
            sink(sight)
