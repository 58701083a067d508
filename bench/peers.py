"""Who is measured: this switch, the kernel's own way of doing the same, and a bare loop.

Each peer builds its topology, all of them side by side, each in namespaces of its own, and answers
with the paths through it that can be measured. Nobody disturbs anybody: a path without load costs
nothing.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from pathlib import Path

from bench.topology import CommandError, World

VSWITCH = Path(sys.executable).with_name("vswitch")

CONFIGURATION = """\
name = "bench"

[uplink]
interface = "up0"
address = "198.51.100.2/24"
gateway = "198.51.100.1"

[networks.front]
subnet = "172.18.0.0/24"

[endpoints.tap-a]
network = "front"
kind = "tap"
address = "172.18.0.10"

[endpoints.tap-b]
network = "front"
kind = "tap"
address = "172.18.0.11"

[endpoints.veth-a]
network = "front"
kind = "veth"
address = "172.18.0.12"

[endpoints.veth-b]
network = "front"
kind = "veth"
address = "172.18.0.13"
"""

MASQUERADE = """\
table ip bench {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    oifname "out0" masquerade
  }
}
"""


class Workload(Enum):
    """What the load is."""

    ENDPOINTS = "TCP bulk, endpoint to endpoint"
    NAPT_UP = "TCP bulk through NAPT, up"
    NAPT_DOWN = "TCP bulk through NAPT, down"


@dataclass(frozen=True, slots=True)
class PathToMeasure:
    """One way from a client to a server through one contender."""

    workload: Workload
    contender: str
    is_ours: bool
    client: str
    server: str
    address: str
    """Where the client finds the server."""
    process: subprocess.Popen[bytes] | None = None
    """Whose CPU time is counted. The kernel's own is nobody's."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Somebody to measure, and the programs that it takes."""

    name: str
    programs: tuple[str, ...]
    build: Callable[[World], list[PathToMeasure]]


@dataclass(frozen=True, slots=True)
class Missing:
    """A peer that could not take part."""

    name: str
    reason: str


def build_all(world: World) -> tuple[list[PathToMeasure], list[Missing]]:
    """Build every peer that can be built here; paths of one workload are neighbours."""
    paths: list[PathToMeasure] = []
    missing: list[Missing] = []
    for peer in PEERS:
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
    workloads = list(Workload)
    paths.sort(key=lambda path: workloads.index(path.workload))
    return paths, missing


def _vswitch(world: World) -> list[PathToMeasure]:
    world.namespace("vs-out")
    world.veth("up0", None, "eth0", "vs-out")
    world.address("vs-out", "eth0", "198.51.100.1/24")
    configuration = world.directory / "bench.toml"
    configuration.write_text(CONFIGURATION)
    switch = world.start(str(VSWITCH), "up", "-c", str(configuration))
    tap, veth = "vswitch, TAP to TAP", "vswitch, veth to veth"
    napt, outside = "vswitch, TAP to uplink", "198.51.100.1"
    return [
        PathToMeasure(Workload.ENDPOINTS, tap, True, "tap-a", "tap-b", "172.18.0.11", switch),
        PathToMeasure(Workload.ENDPOINTS, veth, True, "veth-a", "veth-b", "172.18.0.13", switch),
        PathToMeasure(Workload.NAPT_UP, napt, True, "tap-a", "vs-out", outside, switch),
        PathToMeasure(Workload.NAPT_DOWN, napt, True, "tap-a", "vs-out", outside, switch),
    ]


def _kernel_bridge(world: World) -> list[PathToMeasure]:
    bridge, a, b = map(world.namespace, ("bridge", "bridge-a", "bridge-b"))
    _make_bridge(world, bridge)
    for port, namespace, address in (("port-a", a, "10.1.0.2/24"), ("port-b", b, "10.1.0.3/24")):
        world.veth(port, bridge, "eth0", namespace)
        world.run("ip", "-n", bridge, "link", "set", port, "master", "br0")
        world.address(namespace, "eth0", address)
    contender = "kernel bridge, veth to veth"
    return [PathToMeasure(Workload.ENDPOINTS, contender, False, a, b, "10.1.0.3")]


def _kernel_masquerade(world: World) -> list[PathToMeasure]:
    """Docker's data path: a bridge with the gateway's address, routing, nft masquerade."""
    router, inside, outside = map(world.namespace, ("nft", "nft-in", "nft-out"))
    _make_bridge(world, router)
    world.veth("in0", router, "eth0", inside)
    world.run("ip", "-n", router, "link", "set", "in0", "master", "br0")
    world.address(router, "br0", "10.2.0.1/24")
    world.address(inside, "eth0", "10.2.0.2/24")
    world.run("ip", "-n", inside, "route", "add", "default", "via", "10.2.0.1")
    world.veth("out0", router, "eth0", outside)
    world.address(router, "out0", "203.0.113.1/24")
    world.address(outside, "eth0", "203.0.113.2/24")
    world.run("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward", within=router)
    world.run("nft", "-f", "-", within=router, stdin=MASQUERADE)
    contender = "kernel bridge, routing, nft masquerade"
    return [
        PathToMeasure(workload, contender, False, inside, outside, "203.0.113.2")
        for workload in (Workload.NAPT_UP, Workload.NAPT_DOWN)
    ]


def _python_loop(world: World) -> list[PathToMeasure]:
    loop = world.start(sys.executable, "-m", "bench.loop", "loop0", "loop1")
    ends = (("loop0", "loop-a", "10.3.0.2/24"), ("loop1", "loop-b", "10.3.0.3/24"))
    for interface, namespace, address in ends:
        world.namespace(namespace)
        world.wait_for(interface, partial(world.has_link, interface), loop)
        world.run("ip", "link", "set", interface, "netns", namespace, "name", "eth0")
        world.address(namespace, "eth0", address)
    contender = "bare Python loop, TAP to TAP"
    path = PathToMeasure(
        Workload.ENDPOINTS, contender, False, "loop-a", "loop-b", "10.3.0.3", process=loop
    )
    return [path]


def _make_bridge(world: World, namespace: str) -> None:
    world.run("ip", "-n", namespace, "link", "add", "br0", "type", "bridge")
    world.run("ip", "-n", namespace, "link", "set", "br0", "up")


PEERS = (
    Peer("vswitch", ("ip", "ping"), _vswitch),
    Peer("kernel bridge", ("ip", "ping"), _kernel_bridge),
    Peer("kernel bridge, routing, nft masquerade", ("ip", "ping", "nft"), _kernel_masquerade),
    Peer("bare Python loop", ("ip", "ping"), _python_loop),
)
