"""The DHCP servers of a switch, by network, and what they have to tell."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from vswitch.dataplane.dhcp.server.book import Grant
from vswitch.dataplane.dhcp.server.news import Crowded, LeaseNews, Relayed, Rogue
from vswitch.dataplane.dhcp.server.server import DhcpServer
from vswitch.dataplane.dhcp.server.step import Step
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
        self._busy: dict[int, DhcpServer] = {}
        """Those that time brings something: of a thousand that wait for a client, none is looked at
        as time passes."""
        self._complaints: dict[tuple[int, type[LeaseNews]], Rate] = {}

    def restore(self, network: int, grants: Iterable[Grant], now: Nanoseconds) -> list[Grant]:
        """Let grants of an earlier life stand; returns those that do not."""
        lost = self.by_network[network].restore(grants, now)
        self._look(network)
        return lost

    def grants(self, network: int) -> list[Grant]:
        """What the server of a network has granted; none where it has no server."""
        server = self.by_network.get(network)
        return server.grants if server is not None else []

    def remove(self, network: int) -> None:
        """Let a network have no server, and forget what that has granted."""
        self.by_network.pop(network, None)
        self._busy.pop(network, None)
        self.news = deque(each for each in self.news if each[0] != network)

    def next_deadline(self) -> Nanoseconds | None:
        """When `tick` has something to do; None while nothing can happen by itself."""
        deadlines = [server.next_deadline() for server in self._busy.values()]
        return min((each for each in deadlines if each is not None), default=None)

    def tick(self, now: Nanoseconds) -> list[tuple[int, Step]]:
        """What time brings the servers, with the numbers of their networks."""
        steps = [(n, step) for n, server in self._busy.items() for step in server.tick(now)]
        for network in list(self._busy):
            self._look(network)
        return steps

    def note(self, network: int, step: Step) -> bool:
        """Note what has come of the server of a network; whether that could be kept, so that what
        it has to say may be said."""
        self._look(network)
        self.news += [(network, each) for each in step.news]
        self.vacated += [(network, address) for address in step.vacated]
        addresses, is_kept = self.by_network[network].addresses, True
        for turn in step.turns:
            is_kept = addresses.keep(turn) and is_kept
        return is_kept

    def complain(self, network: int, complaint: Rogue | Relayed, now: Nanoseconds) -> None:
        """Note what somebody behind a port may do as often as he likes, once a second."""
        rate = self._complaints.setdefault((complaint.port, type(complaint)), Rate(1))
        if rate.take(now):
            self.news.append((network, complaint))

    def forget_port(self, network: int, port: int) -> None:
        """A port is gone, and who was behind it."""
        for kind in (Rogue, Relayed):
            self._complaints.pop((port, kind), None)
        self.news = deque(each for each in self.news if not _is_about_port(each[1], port))
        server = self.by_network.get(network)
        if server is not None:
            server.forget_port(port)

    def forget_address(self, network: int, address: IpAddress) -> None:
        """Whoever had an address of a network is gone."""
        server = self.by_network.get(network)
        if server is not None:
            self.note(network, server.forget_address(address))

    def _look(self, network: int) -> None:
        """Something has happened to a server: does it wait for anything?"""
        server = self.by_network[network]
        if server.next_deadline() is None:
            self._busy.pop(network, None)
        else:
            self._busy[network] = server


def _is_about_port(news: LeaseNews, port: int) -> bool:
    return isinstance(news, Crowded | Rogue | Relayed) and news.port == port
