"""The engine alone: frames in memory, no kernel, no privileges, the steady figures.

Theory of operation. What is measured is CPU time, so that a process that takes turns with the
benchmark is not counted (one that shares its caches still is), and the rounds of all cases
alternate. Python's garbage collector runs as it does in the daemon.

`rig` is the switch that is measured, `frames` what it is fed with; `hits`, `setup`, `crowds`,
`memory` and `publishing` each answer one question.
"""

from __future__ import annotations

from collections.abc import Callable

from bench.engine import crowds, publishing
from bench.engine.case import alternate
from bench.engine.hits import HIT_CASES
from bench.engine.rig import WrongPathError
from bench.engine.setup import MOST_CONNECTIONS, NEW_CASES
from bench.figures import Figure

__all__ = ["WrongPathError", "measure"]


def measure(
    rounds: int, frames: int, connections: int, many: int, progress: Callable[[str], None]
) -> list[Figure]:
    """Everything, in so many rounds of so many frames and new connections; crowds have `many`.

    ValueError for more connections than there are ports. Raises WrongPathError.
    """
    if connections > MOST_CONNECTIONS:
        raise ValueError(f"at most {MOST_CONNECTIONS} connections have a port of their own")
    planned = [
        *((case, frames) for case in HIT_CASES),
        *((case, connections) for case in NEW_CASES),
    ]
    figures = alternate(planned, rounds, progress)
    progress("publishing a range")
    figures.append(publishing.measure(rounds))
    progress(f"{many:,} connections, then many stations and publications")
    return figures + crowds.measure(many, rounds, frames)
