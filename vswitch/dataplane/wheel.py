"""Deadlines of very many things: a few bytes each, and nothing per frame.

Theory of operation. Nearly every deadline of a connection is put off before it comes, so an item
stands where it was put first, in a list of all that fall into the same quarter of a second, and is
looked at when that comes: `deadline_of` tells when it is really due. Only the items of the next
such *slot* are kept in order. So an item costs one place in one list, and putting it off costs
nothing; what is handed out is handed out at its exact time.

Bringing a deadline forward gives an item a second place. `standing`, which the item carries, says
when it will be looked at, and so which place counts; any other is void, and so are those of an item
that has ended. Void places stay until their time comes or until they are the majority, when all
lists are cleaned at once.

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
"""Void places that are not worth cleaning up after."""

NOWHERE: Nanoseconds = 1 << 62
"""`standing` of an item that has no place."""


class Timed(Protocol):
    """What can be scheduled. `standing` is the wheel's own, and begins as `NOWHERE`."""

    standing: Nanoseconds


Item = TypeVar("Item", bound=Timed)


class Wheel(Generic[Item]):
    """Items by deadline. `deadline_of` is asked about those alone that have not been forgotten."""

    def __init__(self, deadline_of: Callable[[Item], Nanoseconds]) -> None:
        self._deadline_of = deadline_of
        self._slots: dict[int, tuple[Nanoseconds, list[Item]]] = {}
        """Those that are not open, each with the time at which it begins."""
        self._order: list[int] = []
        self._open: list[tuple[Nanoseconds, int, Item]] = []
        self._open_slot = -1
        self._tickets = count()
        self._places = 0
        self._void = 0

    def schedule(self, item: Item, deadline: Nanoseconds) -> None:
        """See to it that `item` is looked at when `deadline` comes."""
        if deadline >= item.standing:
            return
        self.forget(item)
        self._places += 1
        slot = deadline >> _SLOT_BITS
        if slot <= self._open_slot:
            item.standing = deadline
            heappush(self._open, (deadline, next(self._tickets), item))
            return
        known = self._slots.get(slot)
        if known is None:
            known = self._slots[slot] = slot << _SLOT_BITS, []
            heappush(self._order, slot)
        item.standing = known[0]
        known[1].append(item)

    def forget(self, item: Item) -> None:
        """Look at `item` no more, as it has ended."""
        if item.standing == NOWHERE:
            return
        item.standing = NOWHERE
        self._void += 1
        if self._void > _FEW and 2 * self._void > self._places:
            self._clean()

    def next_deadline(self) -> Nanoseconds | None:
        """When `due` may have something to hand out, or None where nothing is scheduled."""
        while True:
            while self._open and self._open[0][2].standing != self._open[0][0]:
                heappop(self._open)
                self._places -= 1
                self._void -= 1
            if self._open:
                return self._open[0][0]
            if not self._order:
                return None
            self._open_next()

    def due(self, now: Nanoseconds) -> Iterator[Item]:
        """The items whose time has come, each taken out as it is handed out."""
        while (first := self.next_deadline()) is not None and first <= now:
            _, _, item = heappop(self._open)
            self._places -= 1
            item.standing = NOWHERE
            deadline = self._deadline_of(item)
            if deadline > now:
                self.schedule(item, deadline)
            else:
                yield item

    def _open_next(self) -> None:
        """Put the items of the next slot in order, but for those that were put off beyond it."""
        slot = heappop(self._order)
        start, items = self._slots.pop(slot)
        self._open_slot = slot
        for item in items:
            self._places -= 1
            if item.standing != start:
                self._void -= 1
                continue
            item.standing = NOWHERE
            self.schedule(item, self._deadline_of(item))

    def _clean(self) -> None:
        """Leave nothing but one place of each item."""
        for slot, (start, items) in list(self._slots.items()):
            items[:] = dict.fromkeys(item for item in items if item.standing == start)
            if not items:
                del self._slots[slot]
        self._order = sorted(self._slots)
        self._open = [place for place in self._open if place[2].standing == place[0]]
        heapify(self._open)
        self._places = len(self._open) + sum(len(items) for _, items in self._slots.values())
        self._void = 0
