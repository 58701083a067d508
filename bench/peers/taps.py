"""A process that has made two TAPs: each becomes the eth0 of a namespace."""

from __future__ import annotations

import subprocess
from functools import partial

from bench.peers.peer import Path, Route
from bench.topology import World


def between_taps(
    world: World,
    contender: str,
    process: subprocess.Popen[bytes],
    taps: tuple[str, str],
    network: str,
) -> Path:
    """Move the TAPs once they are there; `network` begins their addresses, as in 10.3.0."""
    for number, tap in enumerate(taps):
        world.namespace(f"{tap}-ns")
        world.wait_for(tap, partial(world.has_link, tap), process)
        world.run("ip", "link", "set", tap, "netns", f"{tap}-ns", "name", "eth0")
        world.address(f"{tap}-ns", "eth0", f"{network}.{2 + number}/24")
    client, server = (f"{tap}-ns" for tap in taps)
    return Path(contender, Route.ENDPOINTS, client, server, f"{network}.3", process)
