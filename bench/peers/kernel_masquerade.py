"""Docker's data path: the kernel's bridge with the gateway's address, routing, nft masquerade."""

from __future__ import annotations

from bench.peers.peer import Path, Peer, Route
from bench.topology import World

NAME = "kernel nft masquerade"

RULES = """\
table ip bench {
  chain postrouting {
    type nat hook postrouting priority srcnat;
    oifname "out0" masquerade
  }
}
"""


def build(world: World) -> list[Path]:
    router, inside, outside = map(world.namespace, ("nft", "nft-in", "nft-out"))
    world.bridge(router)
    world.veth("in0", router, "eth0", inside)
    world.run("ip", "-n", router, "link", "set", "in0", "master", "br0")
    world.address(router, "br0", "10.2.0.1/24")
    world.address(inside, "eth0", "10.2.0.2/24")
    world.run("ip", "-n", inside, "route", "add", "default", "via", "10.2.0.1")
    world.veth("out0", router, "eth0", outside)
    world.address(router, "out0", "203.0.113.1/24")
    world.address(outside, "eth0", "203.0.113.2/24")
    world.set(router, "net/ipv4/ip_forward", "1")
    world.run("nft", "-f", "-", within=router, stdin=RULES)
    return [Path(NAME, Route.NAPT, inside, outside, "203.0.113.2")]


PEER = Peer("nft", ("nft",), build)
