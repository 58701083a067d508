"""Who is measured: this switch, the kernel's own way of doing the same, others, and yardsticks.

Each peer builds its topology, all of them side by side, each in namespaces of its own, and answers
with the paths through it that can be measured. Nobody disturbs anybody: a path without load costs
next to nothing. There is one file per peer.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection

from bench.peers import (
    dnsmasq,
    kernel_bridge,
    kernel_masquerade,
    loops,
    open_vswitch,
    pasta,
    slirp4netns,
    vde,
    vswitch,
)
from bench.peers.peer import Missing, Path, Peer, Route
from bench.topology import CommandError, World

__all__ = ["PEERS", "Missing", "Path", "Peer", "Route", "build_all"]

PEERS = (
    vswitch.PEER,
    kernel_bridge.PEER,
    kernel_masquerade.PEER,
    slirp4netns.PEER,
    pasta.PEER,
    open_vswitch.PEER,
    vde.PEER,
    *loops.PEERS,
    dnsmasq.PEER,
)


def build_all(world: World, wanted: Collection[str]) -> tuple[list[Path], list[Missing]]:
    """Build this switch and the peers with these names, as far as they can be built here."""
    paths: list[Path] = []
    missing: list[Missing] = []
    for peer in PEERS:
        if peer is not vswitch.PEER and peer.name not in wanted:
            continue
        absent = [program for program in peer.programs if shutil.which(program) is None]
        if absent:
            missing.append(Missing(peer.name, f"not installed: {', '.join(absent)}"))
            continue
        try:
            built = peer.build(world)
            for path in built:
                world.wait_until_reachable(path.client, path.address, path.process)
        except CommandError as error:
            missing.append(Missing(peer.name, str(error)))
        else:
            paths += built
    return paths, missing
