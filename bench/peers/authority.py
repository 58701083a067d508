"""The server outside that names are asked of, each contender its own."""

from __future__ import annotations

import sys

from bench.topology import World


def start(world: World, address: str, *, within: str | None = None) -> None:
    """Have it at an address of a namespace, None for the world's own. Raises CommandError."""
    process = world.start(sys.executable, "-m", "bench.tools.authority", address, within=within)
    world.wait_for("the server outside", lambda: world.has_said(process, "ready"), process)
