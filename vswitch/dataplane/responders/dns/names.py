"""What somebody may ask for: names of endpoints, and their addresses backwards.

Names are compared without regard to case (RFC 4343). An endpoint is found by each of its names,
alone or followed by the name of its network, and an address leads back to one name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import dns.exception
import dns.name

from vswitch.wire.values import IpAddress


@dataclass(frozen=True, slots=True)
class Host:
    """An endpoint, as those on its network may ask for it."""

    names: tuple[str, ...]
    """Name and aliases. The first is the one that its addresses lead back to."""
    network: str
    addresses: tuple[IpAddress, ...]


class Names:
    """What one endpoint may ask for. A value: another view is another object."""

    def __init__(self, hosts: Iterable[Host]) -> None:
        """The networks of `hosts` are asked one after the other, in the order in which they come:
        a name is that of the first network that has it, and all who bear it there have it.

        A name that DNS cannot carry (a label over 63 octets) is not there.
        """
        self._addresses: dict[dns.name.Name, list[IpAddress]] = {}
        self._networks: dict[dns.name.Name, str] = {}
        self._names: dict[IpAddress, dns.name.Name] = {}
        for host in hosts:
            self._add(host)

    def addresses(self, name: dns.name.Name) -> tuple[IpAddress, ...] | None:
        """The addresses of both families that `name` has, or None where it is no name of ours."""
        found = self._addresses.get(name)
        return None if found is None else tuple(found)

    def name_of(self, address: IpAddress) -> dns.name.Name | None:
        """The name and network, as one name, of the endpoint that has `address`."""
        return self._names.get(address)

    def _add(self, host: Host) -> None:
        for name in host.names:
            for spelling in (name, f"{name}.{host.network}"):
                absolute = _absolute(spelling)
                if absolute is not None and self._is_of(absolute, host.network):
                    known = self._addresses.setdefault(absolute, [])
                    known.extend(address for address in host.addresses if address not in known)
        canonical = _absolute(f"{host.names[0]}.{host.network}")
        if canonical is not None:
            for address in host.addresses:
                self._names.setdefault(address, canonical)

    def _is_of(self, name: dns.name.Name, network: str) -> bool:
        return self._networks.setdefault(name, network) == network


def _absolute(name: str) -> dns.name.Name | None:
    try:
        return dns.name.from_text(name)
    except dns.exception.DNSException:
        return None
