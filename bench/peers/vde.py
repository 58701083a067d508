"""vde_switch, of the package vde2, with two TAPs of its own."""

from __future__ import annotations

from bench.peers.peer import Path, Peer
from bench.peers.taps import between_taps
from bench.topology import World

NAME = "vde_switch"


def build(world: World) -> list[Path]:
    socket, console = world.directory / "vde", world.directory / "vde.mgmt"
    taps = ("-tap", "vde0", "-tap", "vde1")
    process = world.start(NAME, "-sock", str(socket), "-M", str(console), *taps)
    return [between_taps(world, NAME, process, ("vde0", "vde1"), "10.7.0")]


PEER = Peer("vde", (NAME,), build)
