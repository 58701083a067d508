"""Bounded memory, where what was asked for once goes before what was asked for again.

Theory of operation. What comes is new, and proven when it is asked for again. When memory is short,
the longest unused of the new goes first. The proven have at most a share of the memory, and beyond
that the longest unused of them is new again. So a flood of things that nobody asks for twice pushes
out itself (segmented LRU: Karedla, Love, Wherry, "Caching strategies to improve disk system
performance", 1994).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

PROVEN_SHARE = 0.8
"""Of the memory, at most, for what was asked for again."""


class Sized(Protocol):
    """Something that knows how many bytes it takes, and takes as many for ever."""

    @property
    def size(self) -> int:
        """Bytes."""


K = TypeVar("K")
V = TypeVar("V", bound=Sized)


@dataclass(slots=True)
class _Segment(Generic[K, V]):
    """Entries in the order in which they were used, the longest unused first."""

    entries: OrderedDict[K, V] = field(default_factory=OrderedDict)
    used: int = 0

    def add(self, key: K, value: V) -> None:
        self.entries[key] = value
        self.used += value.size

    def take(self, key: K) -> V | None:
        value = self.entries.pop(key, None)
        if value is not None:
            self.used -= value.size
        return value

    def take_oldest(self) -> tuple[K, V]:
        key, value = self.entries.popitem(last=False)
        self.used -= value.size
        return key, value


class Shelf(Generic[K, V]):
    """So much memory, and what lies in it."""

    def __init__(self, memory: int) -> None:
        """`memory` is in bytes; 0: nothing is kept."""
        self._memory = memory
        self._new: _Segment[K, V] = _Segment()
        self._proven: _Segment[K, V] = _Segment()
        self.evictions = 0
        """What had to go to make room."""

    @property
    def used(self) -> int:
        """Bytes."""
        return self._new.used + self._proven.used

    def __len__(self) -> int:
        return len(self._new.entries) + len(self._proven.entries)

    def resize(self, memory: int) -> None:
        """Have so much from now on."""
        self._memory = memory
        self._make_room()

    def peek(self, key: K) -> V | None:
        """What lies there, without it being asked for."""
        return self._proven.entries.get(key) or self._new.entries.get(key)

    def ask(self, key: K) -> V | None:
        """What lies there, which somebody has asked for."""
        value = self._proven.take(key) or self._new.take(key)
        if value is not None:
            self._proven.add(key, value)
            self._make_room()
        return value

    def put(self, key: K, value: V) -> None:
        """Have it lie there instead of what did. What is larger than all the memory does not."""
        was_proven = self._proven.take(key) is not None
        self._new.take(key)
        if value.size <= self._memory:
            (self._proven if was_proven else self._new).add(key, value)
            self._make_room()

    def remove(self, key: K) -> None:
        """Have nothing lie there."""
        self._proven.take(key)
        self._new.take(key)

    def items(self) -> Iterator[tuple[K, V]]:
        """All, the longest unused first in either part."""
        yield from tuple(self._new.entries.items())
        yield from tuple(self._proven.entries.items())

    def _make_room(self) -> None:
        while self._proven.used > self._memory * PROVEN_SHARE:
            self._new.add(*self._proven.take_oldest())
        while self.used > self._memory:
            self._new.take_oldest()
            self.evictions += 1
