"""One question, one answer: UDP one at a time, and TCP with a connection for each.

Sixteen connections are under way at a time; each is made, asks 64 bytes, is answered as many and
closed by the server, and its time is taken from the first SYN to the last FIN.

Ping-pong leaves nothing to the scheduler: where it puts the two ends decides the result more than
anything between them. On one core, the kernel's paths need two switches between processes for an
exchange and those of a process between need four; on two cores, everybody pays for waking another
core. So both placements are measured, each by itself.
"""

from __future__ import annotations

import os
from enum import Enum
from functools import partial

from bench.peers import Path, Route
from bench.tools import COMPILER
from bench.topology import CommandError, World
from bench.workloads.workload import (
    CONNECTIONS,
    EXCHANGES,
    Load,
    Workload,
    figures,
    finish,
    within,
)

ANSWER_PORT = "7002"
_THOUSAND = 1e3


class Placement(Enum):
    """On which cores the two ends of a ping-pong are."""

    APART = "ends on two cores"
    TOGETHER = "ends on one core"


ECHO_PORTS = {Placement.APART: "7001", Placement.TOGETHER: "7004"}


def serve_answers(world: World, namespace: str) -> None:
    _serve(world, namespace, (world.tool("load"), "answer", ANSWER_PORT))


def serve_echoes(placement: Placement, world: World, namespace: str) -> None:
    core = _cores()[-1 if placement is Placement.APART else 0]
    _serve(world, namespace, _on(core, world.tool("load"), "echo", ECHO_PORTS[placement]))


def connect(world: World, path: Path, seconds: float) -> Load:
    words = (world.tool("load"), "connect", path.address, ANSWER_PORT, f"{seconds:g}")
    return read(finish(within(path.client, *words), seconds))


def ping_pong(placement: Placement, world: World, path: Path, seconds: float) -> Load:
    words = ("ping-pong", path.address, ECHO_PORTS[placement], f"{seconds:g}")
    command = _on(_cores()[0], world.tool("load"), *words)
    return read(finish(within(path.client, *command), seconds))


def read(text: str) -> Load:
    """What the load's JSON says. Raises CommandError where nothing was answered."""
    said = figures(text)
    if not said["count"]:
        raise CommandError(f"nothing answered, {said['failed']} failed")
    thousands = said["count"] / _THOUSAND
    details = {"p50 us": said["p50_us"], "p99 us": said["p99_us"], "failed": said["failed"]}
    return Load(thousands / said["seconds"], thousands, details)


def connections_title(route: Route) -> str:
    """What the workload is called."""
    return f"TCP connect, request, close {route.value}"


def ping_pong_title(route: Route, placement: Placement) -> str:
    """What the workload is called."""
    return f"UDP ping-pong {route.value}, {placement.value}"


def _serve(world: World, namespace: str, command: tuple[str, ...]) -> None:
    process = world.start_once(*command, within=namespace)
    ready = partial(world.has_said, process, "ready")
    world.wait_for(f"{' '.join(command)} in {namespace}", ready, process)


def _on(core: int, *command: str) -> tuple[str, ...]:
    return ("taskset", "--cpu-list", str(core), *command)


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0))


def _connections(route: Route) -> Workload:
    return Workload(
        "connections",
        connections_title(route),
        route,
        CONNECTIONS,
        (COMPILER,),
        connect,
        serve_answers,
    )


def _ping_pong(route: Route, placement: Placement) -> Workload:
    return Workload(
        "ping-pong",
        ping_pong_title(route, placement),
        route,
        EXCHANGES,
        (COMPILER, "taskset"),
        partial(ping_pong, placement),
        partial(serve_echoes, placement),
    )


ROUTES = (Route.ENDPOINTS, Route.NAPT)
WORKLOADS = (
    *(_connections(route) for route in ROUTES),
    *(_ping_pong(route, placement) for placement in Placement for route in ROUTES),
)
