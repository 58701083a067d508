"""The yardsticks: nothing but read and write between two TAPs, in C and in Python."""

from __future__ import annotations

import sys

from bench.peers.peer import Path, Peer
from bench.peers.taps import between_taps
from bench.tools import COMPILER
from bench.topology import World

IN_C = "bare C loop, TAP to TAP"
IN_PYTHON = "bare Python loop, TAP to TAP"


def build_in_c(world: World) -> list[Path]:
    process = world.start(world.tool("loop"), "cloop0", "cloop1")
    return [between_taps(world, IN_C, process, ("cloop0", "cloop1"), "10.8.0")]


def build_in_python(world: World) -> list[Path]:
    process = world.start(sys.executable, "-m", "bench.tools.loop", "loop0", "loop1")
    return [between_taps(world, IN_PYTHON, process, ("loop0", "loop1"), "10.3.0")]


PEERS = (
    Peer("c-loop", (COMPILER,), build_in_c),
    Peer("python-loop", (), build_in_python),
)
