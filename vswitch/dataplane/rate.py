"""How often may something be done? A token bucket without a timer."""

from __future__ import annotations

from vswitch.units import SECOND, Nanoseconds


class Rate:
    """At most `per_second`, of which a second's worth may come at once; 0 stands for no limit."""

    __slots__ = ("_credit", "_credited_at", "_per_second")

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._credit = per_second * SECOND
        self._credited_at: Nanoseconds | None = None

    def has_room(self, now: Nanoseconds) -> bool:
        """Whether once more is allowed at `now`."""
        return not self._per_second or self._at(now) >= SECOND

    def take(self, now: Nanoseconds) -> bool:
        """Count once more, where that is allowed."""
        if not self._per_second:
            return True
        credit = self._at(now)
        if credit < SECOND:
            return False
        self._credit, self._credited_at = credit - SECOND, now
        return True

    def _at(self, now: Nanoseconds) -> int:
        """The credit at `now`; one costs as much as a second brings of `per_second`."""
        if self._credited_at is None:
            return self._credit
        gained = max(0, now - self._credited_at) * self._per_second
        return min(self._per_second * SECOND, self._credit + gained)
