"""A host between inside and outside, for those who translate by opening sockets of their own."""

from __future__ import annotations

from dataclasses import dataclass

from bench.topology import World

PINGS = "0 2147483647"
"""Groups that may send pings by sockets: all."""


@dataclass(frozen=True, slots=True)
class Host:
    """Three namespaces: host and outside are connected, the inside has no interface yet."""

    inside: str
    host: str
    outside: str
    server: str
    """The outside's address."""


def build(world: World, name: str, network: str) -> Host:
    """Make the namespaces NAME-in, NAME-host and NAME-out; `network` begins the addresses of the
    outside, as in 10.4.0."""
    inside, host, outside = (world.namespace(f"{name}-{part}") for part in ("in", "host", "out"))
    world.veth("eth0", host, "eth0", outside)
    world.address(host, "eth0", f"{network}.1/24")
    world.address(outside, "eth0", f"{network}.2/24")
    world.run("ip", "-n", host, "route", "add", "default", "via", f"{network}.2")
    world.set(host, "net/ipv4/ping_group_range", PINGS)
    return Host(inside, host, outside, f"{network}.2")
