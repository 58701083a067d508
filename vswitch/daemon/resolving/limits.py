"""What limits who asks from a network: its list of names, as the dataplane has it at the time.

What speaks DNS is loaded when somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vswitch.dataplane.tables import Tables
from vswitch.network.errors import NetworkError
from vswitch.network.inventory import Inventory
from vswitch.network.model import Network

if TYPE_CHECKING:
    from vswitch.dataplane.responders.dns.bounds import Bounds


class Limits:
    """Those of the networks of one switch."""

    def __init__(
        self, inventory: Inventory, tables: Tables, number: Callable[[Network], int]
    ) -> None:
        """`number` is what the dataplane knows a network by."""
        self._inventory = inventory
        self._tables = tables
        self._number = number

    def on(self, network: str) -> Bounds | None:
        """Those of who asks from the network of that name; None where it has no list, or is gone
        while somebody's query was with servers."""
        from vswitch.dataplane.responders.dns.bounds import Bounds

        try:
            known = self._inventory.network(network)
        except NetworkError:
            return None
        domain = self._tables.networks[self._number(known)]
        return None if domain.allowed is None else Bounds(domain, self._tables.openings)
