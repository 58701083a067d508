"""What is most frequent, of more than can be counted one by one.

Theory of operation. So many things are counted, and no more. One that comes when there is no room
takes the place of the least frequent, and goes on from its count, which it may have reached itself
before: so a count is never too low, and too high by no more than was taken over. Whatever makes up
more than one in so many of all is among them ("space-saving").

Which is the least is at the top of a heap whose entries are put right when they come up.

Read first: "Efficient Computation of Frequent and Top-k Elements in Data Streams" (Metwally,
Agrawal, El Abbadi; 2005).
"""

from __future__ import annotations

from heapq import heappop, heappush, heapreplace
from typing import Generic, NamedTuple, Protocol, Self, TypeVar


class _Orderable(Protocol):
    def __lt__(self, other: Self, /) -> bool: ...


T = TypeVar("T", bound=_Orderable)


class Counted(NamedTuple, Generic[T]):
    """A thing, how often it came at the most, and by how much that may be too much."""

    thing: T
    times: int
    surplus: int


class Frequent(Generic[T]):
    """Counts of at most `capacity` things."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._counts: dict[T, int] = {}
        self._surplus: dict[T, int] = {}
        """Of those that have taken somebody's place."""
        self._least: list[tuple[int, T]] = []

    def add(self, thing: T, times: int = 1) -> None:
        """It came so many times more."""
        known = self._counts.get(thing)
        if known is not None:
            self._counts[thing] = known + times
            return
        taken_over = self._give_up_least() if len(self._counts) >= self._capacity else 0
        if taken_over:
            self._surplus[thing] = taken_over
        self._counts[thing] = taken_over + times
        heappush(self._least, (taken_over + times, thing))

    def most(self, number: int) -> list[Counted[T]]:
        """So many of the most frequent ones, the first of all first."""
        in_order = sorted(self._counts.items(), key=lambda each: (-each[1], each[0]))
        return [
            Counted(thing, count, self._surplus.get(thing, 0)) for thing, count in in_order[:number]
        ]

    def _give_up_least(self) -> int:
        """Its count."""
        while True:
            noted, thing = self._least[0]
            count = self._counts[thing]
            if count == noted:
                heappop(self._least)
                del self._counts[thing]
                self._surplus.pop(thing, None)
                return count
            heapreplace(self._least, (count, thing))

    def __len__(self) -> int:
        return len(self._counts)
