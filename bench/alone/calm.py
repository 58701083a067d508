"""Does an endpoint feel what others do to the switch?

The 99th percentile of a ping-pong through NAPT: when it is quiet, while another endpoint sends
small datagrams as fast as it can, and while the control socket is asked for all flows and endpoints
again and again. Its ends are on two cores, which the disturbers share with them and the switch, so
what two cores can not do at once is part of the result; the switch's part is what changes between
two versions of it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from bench.figures import Figure, ratios
from bench.peers import Path
from bench.peers.vswitch import UPLINK, VETHS
from bench.topology import World
from bench.workloads.requests import Placement, ping_pong, serve_echoes

QUIET = "ping-pong p99, quiet"
FLOODED = "ping-pong p99 beside another endpoint's flood"
STORMED = "ping-pong p99 in a storm on the control socket"
TIMES_QUIET = "x quiet"

PORT = "7005"
BEGINNING = 0.2
"""Seconds until a disturber is at work."""

FOR_EVER = "600"
"""Seconds: longer than anybody is disturbed."""


def measure(
    world: World,
    paths: list[Path],
    rounds: int,
    seconds: float,
    progress: Callable[[str], None],
) -> list[Figure]:
    """Microseconds when it is quiet, and how many times as long it takes otherwise."""
    by_name = {path.contender: path for path in paths}
    path, others = by_name[UPLINK], by_name[VETHS]
    serve_echoes(Placement.APART, world, path.server)
    disturbances = {
        QUIET: nullcontext,
        FLOODED: lambda: _flood(world, others),
        STORMED: lambda: _storm(world),
    }
    taken: dict[str, list[float]] = {name: [] for name in disturbances}
    for number in range(1, rounds + 1):
        for name, disturbance in disturbances.items():
            with disturbance():
                load = ping_pong(Placement.APART, world, path, seconds)
            taken[name].append(load.details["p99 us"])
            progress(f"round {number}/{rounds}: {name}: {taken[name][-1]:.0f} us")
    return [
        Figure(QUIET, "us", tuple(taken[QUIET])),
        *(
            Figure(name, TIMES_QUIET, tuple(ratios(taken[name], taken[QUIET])))
            for name in (FLOODED, STORMED)
        ),
    ]


@contextmanager
def _flood(world: World, path: Path) -> Iterator[None]:
    load = world.tool("load")
    sink = world.start(load, "sink", PORT, within=path.server)
    flood = world.start(load, "flood", path.address, PORT, FOR_EVER, "0", within=path.client)
    time.sleep(BEGINNING)
    yield
    world.stop(flood)
    world.stop(sink)


@contextmanager
def _storm(world: World) -> Iterator[None]:
    storm = world.start(sys.executable, "-m", "bench.tools.storm")
    world.wait_for("the storm", lambda: world.has_said(storm, "begun"), storm)
    yield
    world.stop(storm)
