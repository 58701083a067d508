"""Who wakes up while nobody sends anything?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from bench import processes
from bench.figures import Figure
from bench.peers import Path

SWITCH = "idle: vswitch"
WAKE_UPS = "wake-ups/s"

SETTLED = 3.0
"""Seconds after the last load: stations have been asked once more whether they are there."""

LOOK = 5.0
"""Seconds of watching."""


def measure(paths: Sequence[Path], progress: Callable[[str], None]) -> list[Figure]:
    """How often per second each contender's process wakes up, all looked at together."""
    watched = {path.process: path for path in paths if path.process is not None}
    progress(f"idle for {SETTLED + LOOK:g} s")
    time.sleep(SETTLED)
    before = {process: processes.wake_ups(process) for process in watched}
    time.sleep(LOOK)
    return [
        Figure(
            f"idle: {path.contender.split(',', 1)[0]}",
            WAKE_UPS,
            ((processes.wake_ups(process) - before[process]) / LOOK,),
        )
        for process, path in watched.items()
    ]
