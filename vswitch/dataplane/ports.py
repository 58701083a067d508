"""Which external ports of an address are free, and which of them is given away next?

Theory of operation. A port is drawn at random, uniformly from all that are free (RFC 6056, 3.3.1),
and always found where there is one. So the free ports of each class stand in an array without
gaps, and a second array says where each port stands: drawing, taking and giving back each touch two
elements, whether one port is left or all of them.

A class is a range and a parity: below 1024 or not (RFC 4787, REQ-3a), even or odd (REQ-4). A port
like the inside one is looked for in its own class, then in that of the other parity. A low port may
become a high one where no low one is left; a high one never becomes a low one, which would lend an
ordinary program the looks of a privileged one.

The table knows nothing of who has a port; that is `mappings`' business.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from copy import deepcopy
from functools import lru_cache
from random import Random

PORTS = range(65536)
FIRST_HIGH = 1024
"""The first port that needs no privilege."""


class PortPool:
    """The ports of one protocol and address. `ports` are those that may ever be given away."""

    @classmethod
    def fresh(cls, ports: tuple[range, ...], *, has_classes: bool = True) -> PortPool:
        """The same as a new one, made from a copy: most pools are alike at first."""
        return deepcopy(_pattern(ports, has_classes))

    def __init__(self, ports: Iterable[range], *, has_classes: bool = True) -> None:
        """Identifiers of ICMP have no low and high ones: their pool has `has_classes` false."""
        self.ports = tuple(ports)
        self._first_high = FIRST_HIGH if has_classes else 0
        low, high = (array("H"), array("H")), (array("H"), array("H"))
        self._free = low, high
        """Even and odd ones of each: `_free[is_high][is_odd]`."""
        self._place = array("H", bytes(2 * len(PORTS)))
        self._is_free = bytearray(len(PORTS))
        for some in self.ports:
            self._add(some)

    def __len__(self) -> int:
        """How many are free."""
        return sum(len(free) for classes in self._free for free in classes)

    def __contains__(self, port: int) -> bool:
        return bool(self._is_free[port])

    def draw(self, like: int, random: Random, *, keeps_parity: bool = True) -> int | None:
        """A free port of the class of the port `like`, or None. Nothing is taken yet."""
        for is_high in (True,) if like >= self._first_high else (False, True):
            same, other = self._free[is_high][like & 1], self._free[is_high][~like & 1]
            if keeps_parity and same:
                return random.choice(same)
            if same or other:
                index = random.randrange(len(same) + len(other))
                return same[index] if index < len(same) else other[index - len(same)]
        return None

    def take(self, port: int) -> None:
        """Let a free port be free no longer."""
        free = self._free[port >= self._first_high][port & 1]
        place, last = self._place[port], free.pop()
        if last != port:
            free[place] = last
            self._place[last] = place
        self._is_free[port] = False

    def give(self, port: int) -> None:
        """Take a port back that is not free."""
        free = self._free[port >= self._first_high][port & 1]
        self._place[port] = len(free)
        free.append(port)
        self._is_free[port] = True

    def _add(self, ports: range) -> None:
        """The same for a run of ports that are new, without a step for each."""
        for is_high, is_odd in ((False, 0), (False, 1), (True, 0), (True, 1)):
            free = self._free[is_high][is_odd]
            low = max(ports.start, self._first_high) if is_high else ports.start
            end = ports.stop if is_high else min(ports.stop, self._first_high)
            start = low + (low + is_odd) % 2
            some = range(start, end, 2)
            if not some:
                continue
            self._place[start:end:2] = array("H", range(len(free), len(free) + len(some)))
            self._is_free[start:end:2] = b"\1" * len(some)
            free.extend(some)


@lru_cache(maxsize=16)
def _pattern(ports: tuple[range, ...], has_classes: bool) -> PortPool:
    return PortPool(ports, has_classes=has_classes)
