"""When the flight recorder is written out by itself: something happens more often than it should.

Theory of operation. A `Trigger` names something that is counted (frames dropped, for any reason or
for one; TCP resets; failures to resolve a name) and how often it may happen. `Watch` is told the
counts from time to time and answers which triggers fire: those whose rate since the last time has
come to their limit. One that has fired is silent until its rate has been below the limit again, and
for `QUIET` at least, so an attack that lasts a day makes one dump and not a thousand.

Counts and the time come in; nothing is read, written or decided here but that. `compile_all` is
where the names of drop reasons in a configuration are checked, as the room of the configuration
does not know them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vswitch.dataplane.drops import DropReason, Reason
from vswitch.network import names
from vswitch.network.model import TriggerEvent, TriggerRequest
from vswitch.units import MINUTE, SECOND, Nanoseconds
from vswitch.wire.malformed import Malformed

QUIET: Nanoseconds = 1 * MINUTE
"""Between two dumps of one trigger: a ring holds seconds, and an incident lasts minutes."""

_REASONS: dict[str, Reason] = {reason.name.lower(): reason for reason in (*DropReason, *Malformed)}


class UnknownReasonError(ValueError):
    """A trigger names a drop reason that there is not. The text is one line for the user."""


@dataclass(frozen=True, slots=True)
class Counts:
    """Running totals since the switch began."""

    drops: Mapping[Reason, int]
    resets: int
    unresolved: int


@dataclass(frozen=True, slots=True)
class Trigger:
    """What may happen less than `per_second` times a second. `reason` None is every drop."""

    event: TriggerEvent
    reason: Reason | None
    per_second: float

    def __str__(self) -> str:
        reason = f" {self.reason.name.lower()}" if self.reason else ""
        return f"{self.event.value}{reason} {self.per_second:g}/s"

    @property
    def slug(self) -> str:
        """What it is about, for a file name."""
        return self.reason.name.lower() if self.reason else self.event.value

    def count(self, counts: Counts) -> int:
        """How often it has happened."""
        match self.event:
            case TriggerEvent.RESETS:
                return counts.resets
            case TriggerEvent.UNRESOLVED:
                return counts.unresolved
            case TriggerEvent.DROPPED if self.reason is not None:
                return counts.drops.get(self.reason, 0)
        return sum(counts.drops.values())


@dataclass(frozen=True, slots=True)
class Fired:
    """A trigger that fires, and the rate that made it."""

    trigger: Trigger
    per_second: float


@dataclass(slots=True)
class _Watched:
    trigger: Trigger
    count: int
    is_over: bool = False
    quiet_until: Nanoseconds | None = None


class Watch:
    """Triggers, and what was counted when they were last looked at."""

    def __init__(self, triggers: Sequence[Trigger], counts: Counts, now: Nanoseconds) -> None:
        self._watched = [_Watched(trigger, trigger.count(counts)) for trigger in triggers]
        self._looked_at = now

    def look(self, counts: Counts, now: Nanoseconds) -> list[Fired]:
        """Which triggers fire by what was counted since the last look."""
        elapsed = now - self._looked_at
        if elapsed <= 0:
            return []
        self._looked_at = now
        looked = (self._look_at(each, counts, elapsed, now) for each in self._watched)
        return [fired for fired in looked if fired is not None]

    @staticmethod
    def _look_at(
        watched: _Watched, counts: Counts, elapsed: Nanoseconds, now: Nanoseconds
    ) -> Fired | None:
        trigger = watched.trigger
        count = trigger.count(counts)
        per_second = (count - watched.count) * SECOND / elapsed
        watched.count = count
        was_over, watched.is_over = watched.is_over, per_second >= trigger.per_second
        is_quiet = watched.quiet_until is not None and now < watched.quiet_until
        if not watched.is_over or was_over or is_quiet:
            return None
        watched.quiet_until = now + QUIET
        return Fired(trigger, per_second)


def compile_all(requests: Sequence[TriggerRequest]) -> list[Trigger]:
    """The triggers that a configuration asks for. Raises `UnknownReasonError`."""
    return [_compile(request) for request in requests]


def _compile(request: TriggerRequest) -> Trigger:
    if request.reason is None:
        return Trigger(request.event, None, request.per_second)
    reason = _REASONS.get(request.reason)
    if reason is None:
        guess = names.did_you_mean(request.reason, _REASONS)
        hint = f" ({guess})" if guess else ""
        raise UnknownReasonError(f"no frame is dropped for the reason {request.reason!r}{hint}")
    return Trigger(request.event, reason, request.per_second)
