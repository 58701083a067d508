"""The engine alone: frames in memory, no kernel, no privileges, the steady figures.

Theory of operation. What is measured is CPU time, so that a process that takes turns with the
benchmark is not counted (one that shares its caches still is), and the rounds of all cases
alternate. Python's garbage collector runs as it does in the daemon.

`rig` is the switch that is measured, `frames` what it is fed with; `hits`, `setup`, `crowds`,
`memory` and `publishing` each answer one question.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from bench.engine import crowds, publishing
from bench.engine.case import alternate
from bench.engine.hits import HIT_CASES
from bench.engine.rig import WrongPathError
from bench.engine.setup import MOST_CONNECTIONS, NEW_CASES
from bench.figures import Figure

__all__ = ["FAMILIES", "Size", "WrongPathError", "measure"]

HITS, SETUP, PUBLISHING, CROWDS = FAMILIES = ("hits", "setup", "publishing", "crowds")
"""What can be measured by itself."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much is done."""

    rounds: int
    frames: int
    """Of known flows, in one round of one case."""
    connections: int
    """That are set up in one round of one case."""
    many: int
    """Connections in the largest crowd."""


def measure(wanted: Collection[str], size: Size, progress: Callable[[str], None]) -> list[Figure]:
    """Measure these families. Raises WrongPathError.

    ValueError for more connections than there are ports.
    """
    if size.connections > MOST_CONNECTIONS:
        raise ValueError(f"at most {MOST_CONNECTIONS} connections have a port of their own")
    planned = [
        *((case, size.frames) for case in HIT_CASES if HITS in wanted),
        *((case, size.connections) for case in NEW_CASES if SETUP in wanted),
    ]
    figures = alternate(planned, size.rounds, progress)
    if PUBLISHING in wanted:
        progress("publishing a range")
        figures.append(publishing.measure(size.rounds))
    if CROWDS in wanted:
        progress(f"{size.many:,} connections, then many stations and publications")
        figures += crowds.measure(size.many, size.rounds, size.frames)
    return figures
