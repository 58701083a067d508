"""Does an endpoint feel what others do to the switch?

The 99th percentile of a ping-pong through NAPT: when it is quiet, while another endpoint sends
small datagrams as fast as it can, and while the control socket is asked for all flows and endpoints
again and again. Its ends are on two cores, which the disturbers share with them and the switch, so
what two cores can not do at once is part of the result. How much that is shows the yardstick: the
same ping-pong past the switch, through the kernel, while the switch is disturbed in the same way.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from bench.figures import Figure, ratios
from bench.peers import Path
from bench.peers.kernel_masquerade import NAME as YARDSTICK
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
    others = by_name[VETHS]
    disturbances = {
        QUIET: nullcontext,
        FLOODED: lambda: _flood(world, others),
        STORMED: lambda: _storm(world),
    }
    watched = [by_name[UPLINK], *(by_name[name] for name in (YARDSTICK,) if name in by_name)]
    for path in watched:
        serve_echoes(Placement.APART, world, path.server)
    taken: dict[tuple[str, Path], list[float]] = {}
    for number in range(1, rounds + 1):
        for name, disturbance in disturbances.items():
            for path in watched:
                with disturbance():
                    load = ping_pong(Placement.APART, world, path, seconds)
                of_path = taken.setdefault((name, path), [])
                of_path.append(load.details["p99 us"])
                said = f"{name}: {path.contender}: {of_path[-1]:.0f} us"
                progress(f"round {number}/{rounds}: {said}")
    return [figure for path in watched for figure in _figures(path, taken)]


def _figures(path: Path, taken: dict[tuple[str, Path], list[float]]) -> Iterator[Figure]:
    whose = "" if path.contender == UPLINK else f", {path.contender}"
    quiet = taken[QUIET, path]
    yield Figure(QUIET + whose, "us", tuple(quiet))
    for name in (FLOODED, STORMED):
        yield Figure(name + whose, TIMES_QUIET, tuple(ratios(taken[name, path], quiet)))


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
