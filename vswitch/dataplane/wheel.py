"""Deadlines of very many things: a few bytes each, and nothing per frame.

Theory of operation. Nearly every deadline of a connection is put off before it comes, so an item
stands where it was put first, in a list of all that fall into the same quarter of a second, and is
looked at when that comes: `deadline_of` tells when it is really due, or that it has ended. Only the
items of the next such *slot* are kept in order. So an item costs one place in one list, and putting
it off costs nothing; what is handed out is handed out at its exact time.

Bringing a deadline forward puts the item into a second list; `standing`, which the item carries,
says where its earliest place is, so that it never has more than those that lie ahead of each other.
Ended items stay in their lists until these come or until they are the majority, when all lists are
cleaned at once.

`timers` does the same for things that are few and have names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Generic, Protocol, TypeVar

from vswitch.units import Nanoseconds

_SLOT_BITS = 28
"""A slot is 2**28 ns, 0.27 s: of a million connections that live for minutes, some thousands."""

_FEW = 1024
"""Ended items that are not worth cleaning up after."""

NOWHERE = 1 << 62
"""`standing` of an item that was never scheduled."""


class Timed(Protocol):
    """What can be scheduled."""

    standing: int


Item = TypeVar("Item", bound=Timed)


class Wheel(Generic[Item]):
    """Items by deadline. `deadline_of` answers None for an item that has ended."""

    def __init__(self, deadline_of: Callable[[Item], Nanoseconds | None]) -> None:
        self._deadline_of = deadline_of
        self._slots: dict[int, tuple[int, list[Item]]] = {}
        self._order: list[int] = []
        self._open: list[tuple[Nanoseconds, int, Item]] = []
        self._open_slot = -1
        self._tickets = count()
        self._places = 0
        self._ended = 0

    def schedule(self, item: Item, deadline: Nanoseconds) -> None:
        """See to it that `item` is looked at when `deadline` comes."""
        slot = deadline >> _SLOT_BITS
        if slot >= item.standing:
            return
        self._places += 1
        if slot <= self._open_slot:
            item.standing = slot
            heappush(self._open, (deadline, next(self._tickets), item))
            return
        known = self._slots.get(slot)
        if known is None:
            known = self._slots[slot] = slot, []
            heappush(self._order, slot)
        item.standing = known[0]
        known[1].append(item)

    def forget(self) -> None:
        """Note that some item has ended."""
        self._ended += 1
        if self._ended > _FEW and 2 * self._ended > self._places:
            self._clean()

    def next_deadline(self) -> Nanoseconds | None:
        """When `due` may have something to hand out, or None where nothing is scheduled."""
        while True:
            while self._open and self._deadline_of(self._open[0][2]) is None:
                self._leave(heappop(self._open)[2])
            if self._open:
                return self._open[0][0]
            if not self._order:
                return None
            self._open_next()

    def due(self, now: Nanoseconds) -> Iterator[Item]:
        """The items whose time has come, each taken out as it is handed out."""
        while (first := self.next_deadline()) is not None and first <= now:
            _, _, item = heappop(self._open)
            self._leave(item)
            deadline = self._deadline_of(item)
            if deadline is None:
                continue
            if deadline > now:
                self.schedule(item, deadline)
            else:
                yield item

    def _open_next(self) -> None:
        """Put the items of the next slot in order, but for those that were put off beyond it."""
        slot = heappop(self._order)
        _, items = self._slots.pop(slot)
        self._open_slot = slot
        for item in items:
            self._leave(item)
            deadline = self._deadline_of(item)
            if deadline is not None:
                self.schedule(item, deadline)

    def _leave(self, item: Item) -> None:
        self._places -= 1
        item.standing = NOWHERE
        if self._ended and self._deadline_of(item) is None:
            self._ended -= 1

    def _clean(self) -> None:
        is_over = self._deadline_of
        for slot, (_, items) in self._slots.items():
            self._slots[slot][1][:] = [item for item in items if is_over(item) is not None]
        self._open = [place for place in self._open if is_over(place[2]) is not None]
        heapify(self._open)
        self._places = len(self._open) + sum(len(items) for _, items in self._slots.values())
        self._ended = 0
