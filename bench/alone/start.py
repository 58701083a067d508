"""How soon is a switch ready that was just started?"""

from __future__ import annotations

import time
from collections.abc import Callable

from bench.figures import Figure
from bench.peers.vswitch import VSWITCH
from bench.topology import World

READY = "start to ready, one network, four endpoints"

CONFIGURATION = """\
name = "start"
state_directory = "{directory}"

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


def measure(world: World, rounds: int, progress: Callable[[str], None]) -> Figure:
    """Milliseconds from the start of `vswitch up` until it says that it is up."""
    configuration = world.directory / "start.toml"
    configuration.write_text(CONFIGURATION.format(directory=world.directory))
    taken = []
    for number in range(1, rounds + 1):
        begun = time.monotonic()
        switch = world.start(str(VSWITCH), "up", "-c", str(configuration))
        world.wait_for("vswitch", lambda: world.has_said(switch, "is up"), switch)  # noqa: B023
        taken.append((time.monotonic() - begun) * 1e3)
        world.stop(switch)
        progress(f"round {number}/{rounds}: {READY}: {taken[-1]:.0f} ms")
    return Figure(READY, "ms", tuple(taken))
