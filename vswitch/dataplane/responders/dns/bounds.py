"""The bounds of a party: names that alone it may ask of the outside, and that lead it there.

Theory of operation. An endpoint of a network with a list of names is answered what is ours as
anybody is. A name of the outside that is not on the list is asked of nobody. What is told for one
that is, by servers or because the user has put it down by hand, opens the addresses that it leads
to, at the end of whatever chain (`openings`): those in the very message that goes to the client, so
that it reaches all it was told of and nothing else. What a server says opens nothing inside where
its name is not to be believed that (`learned.rebinding`).

A name that is not allowed does not exist (NXDOMAIN), with the reason for those who read it. REFUSED
would be more to the point, but says to a stub resolver that this server can not tell: glibc asks
again, and musl waits until its time is over. There is no SOA in the answer, so nobody keeps it when
the list is another one (RFC 2308, 5).

Read first: RFC 8914, 4.16.
"""

from __future__ import annotations

from collections.abc import Iterable

from vswitch.dataplane.openings import Openings
from vswitch.dataplane.responders.dns.learned.rebinding import Led
from vswitch.dataplane.topology import Network
from vswitch.units import SECOND, Nanoseconds


class Bounds:
    """Those of the endpoints of one network, as its list is at the time."""

    def __init__(self, network: Network, openings: Openings) -> None:
        """`network` is one that has a list."""
        self._network = network
        self._openings = openings

    def allow(self, name: bytes) -> bool:
        """Whether a name, as in `Inquiry`, may be asked of the outside."""
        allowed = self._network.allowed
        return allowed is None or allowed.allows(name)

    def open(self, name: bytes, told: Iterable[Led], now: Nanoseconds) -> None:
        """Let the network reach what an endpoint is told that a name leads to, but nothing where
        that is none of the list by now: servers may have been asked by another one."""
        if not self.allow(name):
            return
        for address, ttl in told:
            self._openings.open(self._network.number, address, name, ttl * SECOND, now)
