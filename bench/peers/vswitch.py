"""This switch: two endpoints by TAP, two by veth, and an uplink.

Quotas are off, as one endpoint makes the load of all; everything else is as it comes.
"""

from __future__ import annotations

import sys
from pathlib import Path as FilePath

from bench.peers import authority
from bench.peers.peer import Path, Peer, Route
from bench.topology import World

VSWITCH = FilePath(sys.executable).with_name("vswitch")

TAPS = "vswitch, TAP to TAP"
VETHS = "vswitch, veth to veth"
UPLINK = "vswitch, TAP to uplink"
NAMES = "vswitch, 127.0.0.11"
OUTSIDE = "127.0.0.2"
"""A server, in the switch's own namespace."""

CONFIGURATION = """\
name = "bench"
state_directory = "{directory}"

[uplink]
interface = "up0"
address = "198.51.100.2/24"
gateway = "198.51.100.1"

[dns]
upstream = ["{upstream}"]

[networks.front]
subnet = "172.18.0.0/24"

[networks.front.quotas]
mappings = 0
connections = 0

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


def build(world: World) -> list[Path]:
    for namespace in ("vs-out", "tap-a", "tap-b", "veth-a", "veth-b"):
        world.namespace(namespace)
    world.veth("up0", None, "eth0", "vs-out")
    world.address("vs-out", "eth0", "198.51.100.1/24")
    configuration = world.directory / "bench.toml"
    configuration.write_text(CONFIGURATION.format(directory=world.directory, upstream=OUTSIDE))
    authority.start(world, OUTSIDE)
    switch = world.start(str(VSWITCH), "up", "-c", str(configuration))
    return [
        Path(TAPS, Route.ENDPOINTS, "tap-a", "tap-b", "172.18.0.11", switch, is_ours=True),
        Path(VETHS, Route.ENDPOINTS, "veth-a", "veth-b", "172.18.0.13", switch, is_ours=True),
        Path(UPLINK, Route.NAPT, "tap-a", "vs-out", "198.51.100.1", switch, is_ours=True),
        Path(NAMES, Route.NAMES, "tap-a", "tap-a", "127.0.0.11", switch, is_ours=True),
    ]


PEER = Peer("vswitch", (), build)
