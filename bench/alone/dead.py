"""Does who asks for a local name feel that others wait for a server that is dead?

One endpoint has as many queries waiting as it can, for a server that takes them and says nothing,
each for a name that was not asked for before. Another one asks for a local name now and then: how
much longer does one answer in a hundred take than when it is quiet?
"""

from __future__ import annotations

import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.figures import Figure
from bench.peers.vswitch import VSWITCH
from bench.topology import World
from bench.workloads import dns

QUIET = "local name p99, quiet"
ADDED = "local name p99 added beside queries that wait for a dead server"

WAITING = 10_000
RATE = "500"
"""Local names a second."""

SETTLED = 2.0
"""Seconds until a switch has loaded what it needs when it is up."""

DEAD = "127.0.0.3", 53
RESOLVER = "127.0.0.11"
FLOODING, ASKING = "dead-a", "dead-b"

CONFIGURATION = f"""\
name = "dead"
state_directory = "{{directory}}"

[dns]
upstream = ["{DEAD[0]}"]

[networks.front]

[endpoints.{FLOODING}]
network = "front"
kind = "tap"

[endpoints.{ASKING}]
network = "front"
kind = "tap"
"""

_SAID = re.compile(r"waiting: ([0-9]+)")


def measure(
    world: World, rounds: int, seconds: float, progress: Callable[[str], None]
) -> list[Figure]:
    """Microseconds when it is quiet, and the milliseconds that are added."""
    for namespace in (FLOODING, ASKING):
        world.namespace(namespace)
    configuration = world.directory / "dead.toml"
    configuration.write_text(CONFIGURATION.format(directory=world.directory / "dead"))
    switch = world.start(str(VSWITCH), "up", "-c", str(configuration))
    world.wait_for("vswitch", lambda: world.has_said(switch, "is up"), switch)
    time.sleep(SETTLED)
    quiet, added, waiting = [], [], []
    with _dead_server():
        for number in range(1, rounds + 1):
            quiet.append(_asked(world, seconds))
            with _flood(world) as many:
                waiting.append(many)
                added.append((_asked(world, seconds) - quiet[-1]) / 1e3)
            progress(f"round {number}/{rounds}: {ADDED}: {added[-1]:.1f} ms, {many} wait")
    world.stop(switch)
    note = f"{min(waiting):,} queries"
    return [Figure(QUIET, "us", tuple(quiet)), Figure(ADDED, "ms", tuple(added), note)]


def _asked(world: World, seconds: float) -> float:
    """The 99th percentile, in microseconds."""
    questions = f"{ASKING} A\n"
    load = dns.ask(world, ASKING, RESOLVER, questions, seconds, "-Q", RATE)
    return load.details[dns.P99]


@contextmanager
def _dead_server() -> Iterator[None]:
    """Takes datagrams as long as there is room, and reads none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(DEAD)
        yield


@contextmanager
def _flood(world: World) -> Iterator[int]:
    """How many wait."""
    command = (sys.executable, "-m", "bench.tools.waiting", RESOLVER, str(WAITING))
    flood = world.start(*command, within=FLOODING)
    world.wait_for("the flood", lambda: world.has_said(flood, "waiting: "), flood)
    found = _SAID.search(world.said(flood))
    assert found is not None
    yield int(found[1])
    world.stop(flood)
