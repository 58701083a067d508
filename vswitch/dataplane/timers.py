"""Deadlines of many things, cheap to move into the future.

Theory of operation. Most deadlines in a switch are put off again and again (every frame refreshes
its connection) and few are ever reached. So a thing stands in the heap under the deadline that it
had when it was put there; putting it off costs nothing here, neither time nor room. When that
moment comes, `due` hands the thing out and its owner looks at the true deadline: the end, or
`schedule` once more. Bringing a deadline forward makes the place in the heap that it had before
void.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from heapq import heappop, heappush
from itertools import count
from typing import Generic, TypeVar

from vswitch.units import Nanoseconds

Item = TypeVar("Item", bound=Hashable)


class Timers(Generic[Item]):
    """Items by deadline; equal deadlines come in the order in which they were scheduled."""

    def __init__(self) -> None:
        self._heap: list[tuple[Nanoseconds, int, Item]] = []
        self._current: dict[Item, tuple[Nanoseconds, int]] = {}
        self._tickets = count()

    def schedule(self, item: Item, deadline: Nanoseconds) -> None:
        """Hand `item` out at `deadline`, or before where an earlier request still stands."""
        standing = self._current.get(item)
        if standing is not None and standing[0] <= deadline:
            return
        ticket = next(self._tickets)
        self._current[item] = deadline, ticket
        heappush(self._heap, (deadline, ticket, item))

    def cancel(self, item: Item) -> None:
        """Do not hand `item` out."""
        self._current.pop(item, None)

    def next_deadline(self) -> Nanoseconds | None:
        """The earliest deadline, or None where nothing is scheduled."""
        self._drop_void()
        return self._heap[0][0] if self._heap else None

    def due(self, now: Nanoseconds) -> Iterator[Item]:
        """The items whose time has come, each taken out as it is handed out."""
        while True:
            self._drop_void()
            if not self._heap or self._heap[0][0] > now:
                return
            _, _, item = heappop(self._heap)
            del self._current[item]
            yield item

    def _drop_void(self) -> None:
        heap, current = self._heap, self._current
        while heap and current.get(heap[0][2]) != heap[0][:2]:
            heappop(heap)
