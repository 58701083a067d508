"""All that the switch knows, in one place, for the stages to look things up in."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from vswitch.dataplane.conntrack import ConnectionTable, Timeouts
from vswitch.dataplane.mappings import External, MappingTable
from vswitch.dataplane.publications import PublicationTable
from vswitch.dataplane.topology import Network, Port, Side
from vswitch.wire.buffer import Buffer
from vswitch.wire.values import IpAddress

KeyOf = Callable[[int, Buffer], bytes | None]
"""The fast path's key of a frame that came in by a port."""


class Tables:
    """Networks, ports, connections, mappings, publications. No decision is made here."""

    def __init__(self, random: Random, key_of: KeyOf, timeouts: Timeouts) -> None:
        self.random = random
        self.key_of = key_of
        self.networks: dict[int, Network] = {}
        self.ports: dict[int, Port] = {}
        self.connections = ConnectionTable(timeouts)
        self.publications = PublicationTable()
        self.mappings = MappingTable(self._is_published)

    @property
    def uplink(self) -> Network | None:
        """The network that leads to the outside world, where there is one."""
        for network in self.networks.values():
            if network.side is Side.OUTSIDE:
                return network
        return None

    def owner(self, address: IpAddress) -> Network | None:
        """The network in which the switch itself has `address`."""
        for network in self.networks.values():
            if network.owns(address):
                return network
        return None

    def connected(self, address: IpAddress) -> Network | None:
        """The network whose subnet holds `address`."""
        for network in self.networks.values():
            if network.holds(address):
                return network
        return None

    def _is_published(self, external: External) -> bool:
        return self.publications.find(*external) is not None
