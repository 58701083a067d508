"""Links between the endpoints of a running switch, in force while both are on a network.

Theory of operation. What links open on a network follows from who is attached there, and from what
they expose and publish by now (`network/linking`). So whatever has changed, the dataplane is told
all of it anew; it knows what that makes a difference to.
"""

from __future__ import annotations

from vswitch import assembly
from vswitch.daemon.networks import Networks
from vswitch.dataplane.switch import Switch
from vswitch.network.inventory import Inventory


class LinkedEndpoints:
    """The links of one switch."""

    def __init__(self, switch: Switch, inventory: Inventory, networks: Networks) -> None:
        self._switch = switch
        self._inventory = inventory
        self._networks = networks
        self._attached: set[tuple[str, str]] = set()
        """Names of endpoints and of the networks that each has a line on."""

    def come(self, name: str, network: str) -> None:
        """An endpoint has a line on a network: it is linked to others there, and they to it."""
        self._attached.add((name, network))
        self._settle(network)

    def go(self, name: str, network: str) -> None:
        """It has none any more, and nobody there is linked to it."""
        self._attached.discard((name, network))
        self._settle(network)

    def follow(self, name: str) -> None:
        """What it exposes may be something else than before."""
        for membership in self._inventory.endpoint(name).memberships:
            self._settle(membership.network)

    def _settle(self, name: str) -> None:
        network = self._inventory.network(name)
        attached = [
            each
            for each in self._inventory.endpoints_on(network)
            if (each.name, name) in self._attached
        ]
        assembly.link(self._switch, attached, name, self._networks.number(network))
