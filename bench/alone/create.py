"""How long does a network take to make?"""

from __future__ import annotations

import time
from collections.abc import Callable

from bench.figures import Figure
from bench.peers.vswitch import VSWITCH
from bench.topology import World
from vswitch.cli.client import Client
from vswitch.daemon.messages.networks import CreatedNetwork, NetworkBody
from vswitch.daemon.process.rundir import RUN, SOCKET

THERE = 100
"""Networks that are there already: more than people have."""

CREATED = f"network create, beside {THERE} others"

ANY_SUBNET = "0.0.0.0/24"


def measure(world: World, rounds: int, progress: Callable[[str], None]) -> Figure:
    """Milliseconds from the wish, over the control socket, until the network carries frames."""
    configuration = world.directory / "create.toml"
    configuration.write_text(f'name = "create"\nstate_directory = "{configuration.parent}"\n')
    switch = world.start(str(VSWITCH), "up", "-c", str(configuration))
    world.wait_for("vswitch", lambda: world.has_said(switch, "is up"), switch)
    client = Client(RUN / "create" / SOCKET)
    for number in range(THERE):
        _create(client, f"there{number}")
    taken = []
    for number in range(1, rounds + 1):
        begun = time.monotonic()
        _create(client, "one-more")
        taken.append((time.monotonic() - begun) * 1e3)
        client.do("DELETE", "networks/one-more")
        progress(f"round {number}/{rounds}: {CREATED}: {taken[-1]:.1f} ms")
    world.stop(switch)
    return Figure(CREATED, "ms", tuple(taken))


def _create(client: Client, name: str) -> None:
    client.row("POST", "networks", CreatedNetwork, NetworkBody(name=name, subnet=ANY_SUBNET))
