"""Shares of something that there is so much of: who has much gets no more before who has little.

Theory of operation. Whoever wants one more gets it as long as what it has is less than so many
times what is left (the dynamic thresholds of Choudhury and Hahne, 1998, for the memory of a
switch). One alone may have nearly all; the more there are who want much, the less each of them
gets, when what the first ones had is given back. A few may everybody have at any time, also where
that is more than there is. Nobody is asked to give back, and nobody has to be known beforehand.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable


class Shares:
    """Those of `most` things in all. A share is `least` things, or `greed` times what is left."""

    def __init__(self, most: int, greed: int, least: int) -> None:
        self._left = most
        self._greed = greed
        self._least = least
        self._taken: Counter[Hashable] = Counter()

    def take(self, who: Hashable) -> bool:
        """One more for `who`, or False where its share is full."""
        if self._taken[who] >= max(self._least, self._greed * self._left):
            return False
        self._left -= 1
        self._taken[who] += 1
        return True

    def give_back(self, who: Hashable) -> None:
        """One of those that `who` has taken."""
        self._left += 1
        self._taken[who] -= 1
        if not self._taken[who]:
            del self._taken[who]
