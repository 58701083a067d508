"""What is asked of this switch alone: how soon it is ready, and how still it is when idle."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from bench import processes
from bench.figures import Figure
from bench.peers import Path
from bench.peers.vswitch import VSWITCH
from bench.topology import World

READY = "start to ready, one network, four endpoints"
IDLE_SWITCH = "idle: vswitch"
WAKE_UPS = "wake-ups/s"
SETTLED = 3.0
"""Seconds after the last load: stations have been asked once more whether they are there."""

LOOK = 5.0
"""Seconds of watching who wakes up."""

CONFIGURATION = """\
name = "start"

[networks.front]

[endpoints.start-a]
network = "front"

[endpoints.start-b]
network = "front"

[endpoints.start-c]
network = "front"

[endpoints.start-d]
network = "front"
"""


def start_to_ready(world: World, rounds: int, progress: Callable[[str], None]) -> Figure:
    """Milliseconds from the start of `vswitch up` until it says that it is up."""
    configuration = world.directory / "start.toml"
    configuration.write_text(CONFIGURATION)
    taken = []
    for number in range(1, rounds + 1):
        begun = time.monotonic()
        switch = world.start(str(VSWITCH), "up", "-c", str(configuration))
        world.wait_for("vswitch", lambda: world.has_said(switch, "is up"), switch)  # noqa: B023
        taken.append((time.monotonic() - begun) * 1e3)
        world.stop(switch)
        progress(f"round {number}/{rounds}: {READY}: {taken[-1]:.0f} ms")
    return Figure(READY, "ms", tuple(taken))


def idle(paths: Sequence[Path], progress: Callable[[str], None]) -> list[Figure]:
    """How often per second each contender's process wakes up while nobody sends anything."""
    watched = {path.process: path for path in reversed(paths) if path.process is not None}
    progress(f"idle for {SETTLED + LOOK:g} s")
    time.sleep(SETTLED)
    before = {process: processes.wake_ups(process) for process in watched}
    time.sleep(LOOK)
    return [
        Figure(
            f"idle: {_process_name(path)}",
            WAKE_UPS,
            ((processes.wake_ups(process) - before[process]) / LOOK,),
        )
        for process, path in reversed(watched.items())
    ]


def _process_name(path: Path) -> str:
    return path.contender.split(",", 1)[0]
