"""Which addresses and which MAC addresses are whose, on every network of one switch.

Theory of operation. Each network has a pool of addresses, and the switch has one of MAC addresses.
Whoever is given one is written down as its holder, so that a refusal can say who has what was asked
for. Who asks, and what for, is the inventory's business.

An address that is leased, or reserved for a station that may ask for it, is kept back: it is given
to nobody here, and whoever has it keeps it.

What was given out by an earlier switch may be remembered for things of the same names. That is a
preference: what somebody else asks for, or has, is theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from random import Random
from types import MappingProxyType

from vswitch.leasing import Lease
from vswitch.network.errors import NetworkError
from vswitch.network.ipam import AddressPool, usable_part
from vswitch.network.macs import MacPool
from vswitch.network.model import Network, Uplink
from vswitch.wire.values import IpAddress, IpNetwork, MacAddress


class Places:
    """What stations of one switch may have, and have."""

    def __init__(
        self, networks: Iterable[Network], uplinks: Iterable[Uplink], random: Random
    ) -> None:
        """Begin with what networks and uplinks have themselves."""
        self._pools: dict[str, AddressPool] = {}
        self._addresses: dict[tuple[str, IpAddress], str] = {}
        self._reserved: dict[str, dict[IpAddress, str]] = {}
        self._leases: dict[str, dict[IpAddress, Lease]] = {}
        self._macs = MacPool(random)
        self._stations: dict[MacAddress, str] = {}
        self._given: dict[str, MacAddress] = {}
        self._before: dict[str, MacAddress] = {}
        for network in networks:
            self._open_pool(network)
            if network.mac is not None:
                self._macs.reserve(network.mac)
                self._stations[network.mac] = _gateway_of(network)
        for uplink in uplinks:
            if uplink.mac is not None:
                self._macs.reserve(uplink.mac)

    def add_network(self, network: Network) -> None:
        """Give addresses away on one more network, whose gateway has its MAC address already."""
        self._open_pool(network)
        if network.mac is not None:
            self._stations[network.mac] = _gateway_of(network)

    def remove_network(self, network: Network) -> None:
        """Give away none there any more: nobody has one."""
        del self._pools[network.name]
        del self._reserved[network.name]
        self._leases.pop(network.name, None)
        for place in [each for each in self._addresses if each[0] == network.name]:
            del self._addresses[place]
        if network.mac is not None:
            self.release_mac(network.mac)

    def reserve(self, network: Network) -> None:
        """Keep back what is reserved on a network by now, and no more of what was."""
        before = self._reserved.get(network.name, {})
        self._reserved[network.name] = after = dict(_reserved(network))
        for address in {**before, **after}:
            self._keep_back_or_not(network, address)

    def lease(self, network: Network, lease: Lease) -> None:
        """Keep back an address that is leased. One that is leased anew is known since now."""
        leases = self._leases.setdefault(network.name, {})
        leases.pop(lease.address, None)
        leases[lease.address] = lease
        self._keep_back_or_not(network, lease.address)

    def end_lease(self, network: Network, address: IpAddress) -> None:
        """It is leased no longer."""
        del self._leases[network.name][address]
        self._keep_back_or_not(network, address)

    def leases_on(self, network: Network) -> tuple[Lease, ...]:
        """What is leased on a network, the longest known first."""
        return tuple(self._leases.get(network.name, {}).values())

    def has(self, network: Network, address: IpAddress) -> bool:
        """Whether somebody has an address who is no guest: an endpoint, the gateway, or whoever an
        auxiliary address is for."""
        return (network.name, address) in self._addresses

    def count_for_guests(self, network: Network, part: IpNetwork) -> int:
        """How many addresses of a part of its subnet a network can give that nobody has who is no
        guest."""
        first, last = usable_part(network.subnet, part)
        numbers = (
            int.from_bytes(at, "big") for name, at in self._addresses if name == network.name
        )
        return max(0, last - first + 1 - sum(first <= each <= last for each in numbers))

    def take_address(self, network: Network, address: IpAddress, holder: str) -> None:
        """Let `holder` have this very address.

        Raises:
            NetworkError: it is outside the subnet, or it is not free, and who has it.
        """
        try:
            self._pools[network.name].take(address)
        except NetworkError as error:
            hint = error.hint or self._whose(network, address)
            raise NetworkError(str(error), hint=hint, key=("address",)) from None
        self._addresses[network.name, address] = _endpoint(holder)

    def take_lowest_address(self, network: Network, holder: str) -> IpAddress:
        """The lowest free one, for `holder`.

        Raises:
            NetworkError: none is free.
        """
        address = self._pools[network.name].take_lowest()
        self._addresses[network.name, address] = _endpoint(holder)
        return address

    def release_address(self, network: Network, address: IpAddress) -> None:
        """Make it free again."""
        self._pools[network.name].release(address)
        del self._addresses[network.name, address]

    def take_mac(self, mac: MacAddress, holder: str = "") -> None:
        """Let `holder` have this very MAC address; without one it is for the switch itself.

        Raises:
            NetworkError: it is in use, and by whom.
        """
        try:
            self._macs.take(mac)
        except NetworkError as error:
            hint = self._stations.get(mac, "by the switch")
            raise NetworkError(str(error), hint=hint, key=("mac",)) from None
        if holder:
            self._stations[mac] = _endpoint(holder)

    def choose_mac(self, holder: str = "") -> MacAddress:
        """A random one that is free, for `holder` or a gateway to be."""
        mac = self._macs.allocate()
        if holder:
            self._stations[mac] = _endpoint(holder)
        return mac

    def release_mac(self, mac: MacAddress) -> None:
        """Make it free again."""
        self._macs.release(mac)
        self._stations.pop(mac, None)

    def remember(self, macs: Mapping[str, MacAddress]) -> None:
        """Prefer these for what `mac_of` is asked for by the same names."""
        for name, mac in macs.items():
            with suppress(NetworkError):
                self._macs.take(mac)
                self._before[name] = mac

    def mac_of(self, name: str) -> MacAddress:
        """A MAC address for something of the switch's own; asking again gives the same."""
        mac = self._given.get(name) or self._before.get(name) or self._macs.allocate()
        self._given[name] = mac
        return mac

    @property
    def given_macs(self) -> Mapping[str, MacAddress]:
        """What `mac_of` has given."""
        return MappingProxyType(self._given)

    def _open_pool(self, network: Network) -> None:
        """Its addresses, without those that are somebody's from the start."""
        self._pools[network.name] = pool = AddressPool(network.subnet, network.ip_range)
        pool.take(network.gateway)
        self._addresses[network.name, network.gateway] = _gateway_of(network)
        for name, address in network.auxiliary:
            pool.take(address)
            whose = f"by {name} of network {network.name}, which is no endpoint"
            self._addresses[network.name, address] = whose
        self.reserve(network)

    def _keep_back_or_not(self, network: Network, address: IpAddress) -> None:
        pool = self._pools[network.name]
        if address in self._leases.get(network.name, ()) or address in self._reserved[network.name]:
            pool.keep_back(address)
        else:
            pool.let_go(address)

    def _whose(self, network: Network, address: IpAddress) -> str:
        """Who has an address, or is to have it, in words; empty where nobody."""
        lease = self._leases.get(network.name, {}).get(address)
        leased = "" if lease is None else f"leased to {lease}"
        reserved = self._reserved[network.name].get(address, "")
        return self._addresses.get((network.name, address)) or leased or reserved


def _reserved(network: Network) -> Iterator[tuple[IpAddress, str]]:
    """Which addresses a network keeps for certain stations, and for which, in words."""
    for station, address in network.leasing.reservations if network.leasing else ():
        yield address, f"reserved for {station} on network {network.name}"


def _gateway_of(network: Network) -> str:
    return f"by the gateway of network {network.name}"


def _endpoint(name: str) -> str:
    return f"by endpoint {name}"
