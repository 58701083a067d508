"""How a switch hangs together, as `/v1/topology` tells it in one answer."""

from __future__ import annotations

from vswitch.daemon.messages import UplinkRow
from vswitch.daemon.messages.base import Message


class NetworkNode(Message):
    """A network. `uplink` is the name of the one that leads out of it, None where none does."""

    name: str
    subnet: str
    gateway: str
    uplink: str | None


class EndpointNode(Message):
    """An endpoint on one of its networks, and what leads to it from outside there."""

    name: str
    network: str
    kind: str
    address: str
    mac: str
    aliases: tuple[str, ...]
    published: tuple[str, ...]
    links: tuple[str, ...]
    """`name[:alias]` of those that it is linked to, where they are on that network, too."""


class TopologyRow(Message):
    """Everything at one moment. Each endpoint's network and each network's uplink is there.

    An endpoint on several networks is there once for each.
    """

    switch: str
    uplinks: tuple[UplinkRow, ...]
    networks: tuple[NetworkNode, ...]
    endpoints: tuple[EndpointNode, ...]
