"""How soon does a command that was just started reach its network?"""

from __future__ import annotations

import time
from collections.abc import Callable

from bench.figures import Figure
from bench.peers.vswitch import VSWITCH
from bench.topology import World

ANSWERED = "run to first ping"

GATEWAY = "172.18.0.1"

CONFIGURATION = f"""\
name = "run"
state_directory = "{{directory}}"

[networks.front]
subnet = "172.18.0.0/24"
gateway = "{GATEWAY}"
"""

SETTLED = 2.0
"""Seconds until a switch has loaded what it needs when it is up."""


def measure(world: World, rounds: int, progress: Callable[[str], None]) -> Figure:
    """Milliseconds from the start of `vswitch run ping` until the gateway has answered it."""
    configuration = world.directory / "run.toml"
    configuration.write_text(CONFIGURATION.format(directory=world.directory / "run"))
    switch = world.start(str(VSWITCH), "up", "-c", str(configuration))
    world.wait_for("vswitch", lambda: world.has_said(switch, "is up"), switch)
    time.sleep(SETTLED)
    taken = []
    for number in range(1, rounds + 1):
        begun = time.monotonic()
        ping = "ping", "-c", "1", "-W", "5", GATEWAY
        world.run(str(VSWITCH), "run", "--switch", "run", "--network", "front", "--", *ping)
        taken.append((time.monotonic() - begun) * 1e3)
        progress(f"round {number}/{rounds}: {ANSWERED}: {taken[-1]:.0f} ms")
    world.stop(switch)
    return Figure(ANSWERED, "ms", tuple(taken))
