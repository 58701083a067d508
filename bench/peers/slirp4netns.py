"""slirp4netns: user-mode networking of rootless containers; TCP ends in it, and begins anew."""

from __future__ import annotations

from bench.peers import host
from bench.peers.peer import Path, Peer, Route
from bench.topology import World

NAME = "slirp4netns"
MTU = "65520"
"""What rootless Docker and Podman give it, and its fastest."""


def build(world: World) -> list[Path]:
    place = host.build(world, "slirp", "10.4.0")
    options = ("--configure", "--disable-dns", f"--mtu={MTU}", "--netns-type=path")
    namespace = f"/run/netns/{place.inside}"
    process = world.start("slirp4netns", *options, namespace, "eth0", within=place.host)
    return [Path(NAME, Route.NAPT, place.inside, place.outside, place.server, process)]


PEER = Peer(NAME, (NAME,), build)
