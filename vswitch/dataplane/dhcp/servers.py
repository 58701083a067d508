"""The DHCP servers of a switch, by network, and what they have to tell."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from vswitch.dataplane.dhcp.news import Ended, LeaseNews, Relayed, Rogue
from vswitch.dataplane.dhcp.server import DhcpServer
from vswitch.dataplane.rate import Rate
from vswitch.units import Nanoseconds
from vswitch.wire.values import IpAddress


class DhcpServers:
    """Those that there are, their news, and which addresses nobody has any more."""

    def __init__(self) -> None:
        self.by_network: dict[int, DhcpServer] = {}
        self.news: deque[tuple[int, LeaseNews]] = deque()
        """With the number of the network; nobody has taken note of it."""
        self.vacated: list[tuple[int, IpAddress]] = []
        """Networks and addresses of guests whose leases have ended: what they have begun is to end,
        before somebody else gets the address."""
        self._complaints: dict[tuple[int, type[LeaseNews]], Rate] = {}

    def tell(self, network: int, news: Iterable[LeaseNews]) -> None:
        """Note what has come of the server of a network."""
        server = self.by_network[network]
        for each in news:
            self.news.append((network, each))
            if isinstance(each, Ended) and not server.addresses.is_taken(each.grant.address):
                self.vacated.append((network, each.grant.address))

    def complain(self, network: int, complaint: Rogue | Relayed, now: Nanoseconds) -> None:
        """Note what somebody behind a port may do as often as he likes, once a second."""
        rate = self._complaints.setdefault((complaint.port, type(complaint)), Rate(1))
        if rate.take(now):
            self.news.append((network, complaint))

    def forget_port(self, network: int, port: int) -> None:
        """A port is gone, and who was behind it."""
        for kind in (Rogue, Relayed):
            self._complaints.pop((port, kind), None)
        server = self.by_network.get(network)
        if server is not None:
            self.tell(network, server.forget_port(port))
