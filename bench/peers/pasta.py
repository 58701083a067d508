"""pasta, of the package passt: it couples a TAP to sockets, without a TCP stack of its own."""

from __future__ import annotations

from bench.peers import host
from bench.peers.peer import Path, Peer, Route
from bench.topology import World

NAME = "pasta"
OPTIONS = (
    "--foreground",
    "--config-net",
    "--ns-ifname=eth0",
    # The address of the gateway is the server's here, and not another name for the host.
    "--no-map-gw",
    # As root it would change to nobody, who may not enter a namespace of root's.
    "--runas=0",
    *("--tcp-ports=none", "--udp-ports=none", "--tcp-ns=none", "--udp-ns=none"),
)


def build(world: World) -> list[Path]:
    place = host.build(world, "pasta", "10.5.0")
    process = world.start(NAME, *OPTIONS, "--netns", place.inside, within=place.host)
    return [Path(NAME, Route.NAPT, place.inside, place.outside, place.server, process)]


PEER = Peer(NAME, (NAME,), build)
