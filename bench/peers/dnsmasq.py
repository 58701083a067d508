"""dnsmasq, which was told one name, and keeps what a server outside has said."""

from __future__ import annotations

from bench.peers import authority
from bench.peers.peer import Path, Peer, Route
from bench.topology import World

NAME = "dnsmasq"
ADDRESS = "127.0.0.1"
OUTSIDE = "127.0.0.2"
OPTIONS = (
    "--keep-in-foreground",
    "--conf-file=/dev/null",
    "--pid-file",
    "--no-resolv",
    "--no-hosts",
    "--user=root",
    f"--listen-address={ADDRESS}",
    "--bind-interfaces",
    f"--server={OUTSIDE}",
    "--host-record=tap-b,172.18.0.11",
)


def build(world: World) -> list[Path]:
    namespace = world.namespace(NAME)
    authority.start(world, OUTSIDE, within=namespace)
    process = world.start(NAME, *OPTIONS, within=namespace)
    return [Path(NAME, Route.NAMES, namespace, namespace, ADDRESS, process)]


PEER = Peer(NAME, (NAME,), build)
