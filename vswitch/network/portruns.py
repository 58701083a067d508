"""Runs of ports, each with its holder: one entry for a run, of one port or of ten thousand.

The runs are kept sorted by their first port and never overlap, so the one that holds a port is
found by bisection.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from operator import attrgetter
from typing import NamedTuple

from vswitch.network.ports import PortRange


class _Run(NamedTuple):
    ports: PortRange
    holder: str


_LAST = attrgetter("ports.last")
"""Runs that do not overlap are in one order by their first and by their last ports."""


class PortRuns:
    """The ports of one protocol on one address that somebody holds."""

    def __init__(self) -> None:
        self._sorted: list[_Run] = []

    def add(self, ports: PortRange, holder: str) -> None:
        """Let `holder` have ports that nobody has."""
        insort(self._sorted, _Run(ports, holder), key=_LAST)

    def remove(self, ports: PortRange) -> None:
        """Take back a run that was added. Raises ValueError where there is none."""
        at = bisect_left(self._sorted, ports.first, key=_LAST)
        if at == len(self._sorted) or self._sorted[at].ports != ports:
            raise ValueError(f"nobody holds {ports}")
        del self._sorted[at]

    def release(self, holder: str) -> None:
        """Take back all that `holder` has."""
        self._sorted = [run for run in self._sorted if run.holder != holder]

    def first_within(self, ports: PortRange) -> tuple[int, str] | None:
        """The lowest of `ports` that somebody holds, and who; None where they are free."""
        at = bisect_left(self._sorted, ports.first, key=_LAST)
        if at == len(self._sorted) or self._sorted[at].ports.first > ports.last:
            return None
        run = self._sorted[at]
        return max(run.ports.first, ports.first), run.holder

    def first_holder(self) -> str | None:
        """Who has the lowest of them; None where nobody has any."""
        return self._sorted[0].holder if self._sorted else None

    def __iter__(self) -> Iterator[PortRange]:
        return (run.ports for run in self._sorted)
