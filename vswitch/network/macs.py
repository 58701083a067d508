"""MAC addresses for what the switch makes: random, locally administered, never the same twice."""

from __future__ import annotations

from random import Random

from vswitch.network.errors import NetworkError
from vswitch.wire.values import MacAddress

_GROUP = 0x01
_LOCALLY_ADMINISTERED = 0x02


class MacPool:
    """MAC addresses in use on one switch. The random source comes in, so a replay repeats them."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._taken: set[MacAddress] = set()

    def reserve(self, mac: MacAddress) -> None:
        """Never give `mac` away: somebody chose it."""
        self._taken.add(mac)

    def take(self, mac: MacAddress) -> None:
        """Reserve a chosen address.

        Raises:
            NetworkError: it is in use.
        """
        if mac in self._taken:
            raise NetworkError(f"MAC address {mac} already in use")
        self.reserve(mac)

    def allocate(self) -> MacAddress:
        """A unicast, locally administered address (IEEE 802, 8.4) that is not in use."""
        mac = self._invent()
        while mac in self._taken:
            mac = self._invent()
        self._taken.add(mac)
        return mac

    def release(self, mac: MacAddress) -> None:
        """Make an address free again."""
        self._taken.remove(mac)

    def _invent(self) -> MacAddress:
        octets = bytearray(self._random.randbytes(6))
        octets[0] = octets[0] & ~_GROUP | _LOCALLY_ADMINISTERED
        return MacAddress(octets)
