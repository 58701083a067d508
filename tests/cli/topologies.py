"""Topologies for tests of their drawings, made of names."""

from __future__ import annotations

from vswitch.daemon.messages import UplinkRow
from vswitch.daemon.messages.topology import EndpointNode, NetworkNode, TopologyRow


def uplink(name: str = "uplink", address: str = "192.0.2.50/24") -> UplinkRow:
    return UplinkRow(
        name=name,
        interface="eth1",
        device="packet",
        mac="02:00:00:00:00:fe",
        address=address,
        also=(),
        gateway="192.0.2.1",
        ports="1024-65535",
        guard=None,
        why_not=(),
        dhcp=None,
        expires_in_seconds=None,
    )


def network(name: str, number: int, leads_to: str | None = "uplink") -> NetworkNode:
    return NetworkNode(
        name=name,
        subnet=f"172.{number}.0.0/16",
        gateway=f"172.{number}.0.1",
        uplink=leads_to,
    )


def endpoint(name: str, on: str, *published: str, address: str = "172.18.0.2") -> EndpointNode:
    return EndpointNode(
        name=name,
        network=on,
        kind="tap",
        address=address,
        mac="02:00:00:00:00:01",
        aliases=(),
        published=published,
        links=(),
    )


def lab() -> TopologyRow:
    """One network with a way out and two endpoints, one without."""
    return TopologyRow(
        switch="lab",
        uplinks=(uplink(),),
        networks=(network("front", 18), network("back", 19, None)),
        endpoints=(
            endpoint("web", "front", "0.0.0.0:8080->80/tcp"),
            endpoint("app", "front", address="172.18.0.3"),
            endpoint("db", "back", address="172.19.0.2"),
        ),
    )
