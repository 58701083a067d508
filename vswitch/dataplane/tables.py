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
        self._owners: dict[IpAddress, Network] = {}
        self._by_subnet: dict[int, dict[int, Network]] = {}
        self.ports: dict[int, Port] = {}
        self.connections = ConnectionTable(timeouts)
        self.publications = PublicationTable()
        self.mappings = MappingTable(self._is_published)

        self.uplink: Network | None = None
        """The network that leads to the outside world, where there is one."""

    def add_network(self, network: Network) -> None:
        """Begin a broadcast domain, whose subnet overlaps no other's."""
        self.networks[network.number] = network
        if network.side is Side.OUTSIDE:
            self.uplink = network
        if network.interface is not None:
            address, subnet = network.interface.address.address, network.interface.address.network
            self._owners[address] = network
            host_bits = 8 * len(address) - subnet.prefix_length
            prefix = int.from_bytes(address, "big") >> host_bits
            self._by_subnet.setdefault(host_bits, {})[prefix] = network

    def owner(self, address: IpAddress) -> Network | None:
        """The network in which the switch itself has `address`."""
        return self._owners.get(address)

    def connected(self, address: IpAddress) -> Network | None:
        """The network whose subnet holds `address`."""
        number = int.from_bytes(address, "big")
        for host_bits, networks in self._by_subnet.items():
            network = networks.get(number >> host_bits)
            if network is not None and network.holds(address):
                return network
        return None

    def _is_published(self, external: External) -> bool:
        return self.publications.find(*external) is not None
