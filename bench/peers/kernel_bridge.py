"""The kernel's own bridge between two veths."""

from __future__ import annotations

from bench.peers.peer import Path, Peer, Route
from bench.topology import World

NAME = "kernel bridge"


def build(world: World) -> list[Path]:
    bridge, a, b = map(world.namespace, ("bridge", "bridge-a", "bridge-b"))
    world.bridge(bridge)
    for port, namespace, address in (("port-a", a, "10.1.0.2/24"), ("port-b", b, "10.1.0.3/24")):
        world.veth(port, bridge, "eth0", namespace)
        world.run("ip", "-n", bridge, "link", "set", port, "master", "br0")
        world.address(namespace, "eth0", address)
    return [Path(NAME, Route.ENDPOINTS, a, b, "10.1.0.3")]


PEER = Peer("kernel-bridge", (), build)
