"""The few words of `model` that commands need, without all that a configuration is made of."""

from __future__ import annotations

from enum import Enum

DEFAULT_NETWORK_NAME = "bridge"
"""Docker's: where an endpoint goes whose network is not named."""

DEFAULT_UPLINK = "uplink"
"""The name of the uplink that networks have which name none, and of its table, `[uplink]`."""

LARGEST_PRIORITY = 2**31 - 1
"""Of a gateway, and as far below zero."""


class EndpointKind(Enum):
    """What carries an endpoint's frames out of its namespace."""

    TAP = "tap"
    """A TAP device of ours, moved into the namespace."""

    VETH = "veth"
    """A veth pair, whose outer end is read with AF_PACKET."""

    VM = "vm"
    """A TAP in the host's own namespace that a virtual machine opens by the endpoint's name."""
