"""One thing to measure in memory, and how its rounds are run."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench.engine.rig import Timed
from bench.figures import Figure

MICROSECONDS = "us"
_NANOSECONDS = 1e3


@dataclass(frozen=True, slots=True)
class Case:
    """`run` takes a number of items and works on about as many."""

    name: str
    item: str
    run: Callable[[int], Timed]


def alternate(
    planned: Sequence[tuple[Case, int]], rounds: int, progress: Callable[[str], None]
) -> list[Figure]:
    """Run every case with its number of items in every round; microseconds per item."""
    taken: dict[str, list[float]] = {case.name: [] for case, _ in planned}
    for number in range(1, rounds + 1):
        for case, count in planned:
            progress(f"round {number}/{rounds}: {case.name}")
            gc.collect()
            taken[case.name].append(case.run(count).each / _NANOSECONDS)
    return [
        Figure(case.name, f"{MICROSECONDS} per {case.item}", tuple(taken[case.name]))
        for case, _ in planned
    ]
