"""What was measured, as values: figures, their spread, and ratios pair by pair.

Figures of a noisy machine say little, and ratios of medians say not much more, as the noise of one
minute may lie in one of them and not in the other. So a ratio is taken within each round, between
two results that were made within seconds of each other, and the median of these is shown with the
lowest and the highest.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that is measured of one contender alone, round by round."""

    name: str
    unit: str
    values: tuple[float, ...]
    note: str = ""
    """How many there were, where the name says that there were many."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with its extremes."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        return cls(median(values), min(values), max(values))

    def text(self) -> str:
        """With as many digits as one reads."""
        if self.low == self.high:
            return digits(self.middle)
        return f"{digits(self.middle)} ({digits(self.low)}-{digits(self.high)})"


def digits(value: float) -> str:
    """Three significant digits where there are as many, without an exponent."""
    size = abs(value)
    places = 0 if size >= 100 or not size else 1 if size >= 10 else 2 if size >= 0.1 else 4
    return f"{value:,.{places}f}"


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours by theirs, round by round; infinite where they did nothing and we did something.

    Both have as many rounds; ValueError where they do not.
    """
    return [_ratio(our, their) for our, their in zip(ours, theirs, strict=True)]


def _ratio(our: float, their: float) -> float:
    if their:
        return our / their
    return inf if our else 1.0
