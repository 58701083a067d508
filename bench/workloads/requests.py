"""One question, one answer: UDP one at a time, and TCP with a connection for each.

Sixteen connections are under way at a time; each is made, asks 64 bytes, is answered as many and
closed by the server, and its time is taken from the first SYN to the last FIN.
"""

from __future__ import annotations

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

ECHO_PORT = "7001"
ANSWER_PORT = "7002"
_THOUSAND = 1e3


def serve(server: str, port: str, world: World, namespace: str) -> None:
    process = world.start(world.tool("load"), server, port, within=namespace)
    world.wait_for(f"{server} in {namespace}", partial(world.has_said, process, "ready"), process)


def run(client: str, port: str, world: World, path: Path, seconds: float) -> Load:
    command = within(path.client, world.tool("load"), client, path.address, port, f"{seconds:g}")
    return read(finish(command, seconds))


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


def ping_pong_title(route: Route) -> str:
    """What the workload is called."""
    return f"UDP ping-pong {route.value}"


WORKLOADS = tuple(
    Workload(
        family,
        title(route),
        route,
        unit,
        (COMPILER,),
        partial(run, client, port),
        partial(serve, server, port),
    )
    for family, title, unit, client, server, port in (
        ("connections", connections_title, CONNECTIONS, "connect", "answer", ANSWER_PORT),
        ("ping-pong", ping_pong_title, EXCHANGES, "ping-pong", "echo", ECHO_PORT),
    )
    for route in (Route.ENDPOINTS, Route.NAPT)
)
