"""Open vSwitch with its userspace datapath, between two veths.

Database and switch are started by hand, with all that they write in the run's own directory.
"""

from __future__ import annotations

import subprocess
from functools import partial

from bench.peers.peer import Path, Peer, Route
from bench.topology import World

NAME = "Open vSwitch, userspace"
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
PROGRAMS = ("ethtool", "ovs-vsctl", "ovs-vswitchd", "ovsdb-server", "ovsdb-tool")


def build(world: World) -> list[Path]:
    switch, a, b = map(world.namespace, ("ovs", "ovs-a", "ovs-b"))
    for port, namespace, address in (("port-a", a, "10.6.0.2/24"), ("port-b", b, "10.6.0.3/24")):
        world.veth(port, switch, "eth0", namespace)
        world.address(namespace, "eth0", address)
        # It does not finish the checksums that a veth leaves to others.
        world.run("ethtool", "--offload", "eth0", "tx", "off", within=namespace)
    process = _start(world, switch)
    return [Path(NAME, Route.ENDPOINTS, a, b, "10.6.0.3", process)]


def _start(world: World, namespace: str) -> subprocess.Popen[bytes]:
    directory = world.directory / "ovs"
    directory.mkdir()
    database, socket = str(directory / "conf.db"), directory / "db.sock"
    world.run("ovsdb-tool", "create", database, SCHEMA)
    # What is not named here is placed by these.
    places = ("env", f"OVS_RUNDIR={directory}", f"OVS_DBDIR={directory}", f"OVS_LOGDIR={directory}")
    server = world.start(*places, "ovsdb-server", f"--remote=punix:{socket}", database)
    world.wait_for("ovsdb-server", socket.exists, server)
    ask = partial(world.run, *places, "ovs-vsctl", f"--db=unix:{socket}", "--timeout=10")
    ask("--no-wait", "init")
    switch = world.start(*places, "ovs-vswitchd", f"unix:{socket}", within=namespace)
    ask("add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev")
    ask("add-port", "br0", "port-a", "--", "add-port", "br0", "port-b")
    return switch


PEER = Peer("ovs", PROGRAMS, build)
