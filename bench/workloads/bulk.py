"""TCP as fast as it goes, by iperf3, as the receiver counts it.

Up is from the inside to the outside, down the other way; between endpoints, which are alike, there
is one direction.
"""

from __future__ import annotations

from functools import partial

from bench import processes
from bench.peers import Path, Route
from bench.topology import CommandError, World
from bench.workloads.workload import GIGABITS, Load, Workload, figures, finish, within

FLOWS = (1, 8)
PORT = 5201
"""iperf3's own."""
_GIGABIT = 1e9


def title(route: Route, direction: str, flows: int) -> str:
    """What the workload is called."""
    towards = f", {direction}" if route is Route.NAPT else ""
    return f"TCP bulk {route.value}{towards}, {flows} flow{'s' if flows > 1 else ''}"


def serve(world: World, namespace: str) -> None:
    server = world.start_once("iperf3", "--server", within=namespace)
    listens = partial(processes.is_listening, server.pid, PORT)
    world.wait_for(f"iperf3 in {namespace}", listens, server)


def run(direction: str, flows: int, _world: World, path: Path, seconds: float) -> Load:
    options = ("--json", "--parallel", str(flows), "--time", f"{seconds:g}")
    reverse = ("--reverse",) if direction == "down" else ()
    command = within(path.client, "iperf3", *options, *reverse, "--client", path.address)
    return read(finish(command, seconds))


def read(text: str) -> Load:
    """What iperf3's JSON says. Raises CommandError."""
    said = figures(text)
    try:
        received = said["end"]["sum_received"]
        gigabits = received["bytes"] * 8 / _GIGABIT
        return Load(gigabits / received["seconds"], gigabits)
    except (KeyError, ZeroDivisionError) as error:
        raise CommandError(f"iperf3: {said.get('error', 'received nothing')}") from error


def _workload(route: Route, direction: str, flows: int) -> Workload:
    return Workload(
        "bulk",
        title(route, direction, flows),
        route,
        GIGABITS,
        ("iperf3",),
        partial(run, direction, flows),
        serve,
    )


WORKLOADS = (
    *(_workload(Route.ENDPOINTS, "up", flows) for flows in FLOWS),
    *(_workload(Route.NAPT, way, flows) for flows in FLOWS for way in ("up", "down")),
)
