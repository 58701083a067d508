"""Publications: which endpoint does a published port of the uplink lead to?

Theory of operation. A publication maps a run of host ports, on one address of the switch or on all
of them, to a run of an endpoint's ports of the same length. A run of ten thousand ports is one
entry: the table keeps the runs of a protocol sorted by their first port and finds the one that
holds a port by bisection. Runs that could both claim a port are refused where they are made
(`vswitch.network`).
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter

from vswitch.wire.values import IpAddress


@dataclass(frozen=True, slots=True)
class Publication:
    """A run of published ports, and where it leads."""

    protocol: int
    host_address: IpAddress | None
    """The address that it is published on; None: on every address of the switch."""
    host_ports: range
    network: int
    endpoint: IpAddress
    first_endpoint_port: int

    def endpoint_port(self, host_port: int) -> int:
        """The endpoint's port behind one of the host ports."""
        return self.first_endpoint_port + host_port - self.host_ports.start


_FIRST_PORT = attrgetter("host_ports.start")


class PublicationTable:
    """All publications."""

    def __init__(self) -> None:
        self._sorted: dict[tuple[int, IpAddress | None], list[Publication]] = {}
        self._of_endpoint: dict[tuple[int, IpAddress], list[Publication]] = {}

    def add(self, publication: Publication) -> None:
        """Publish."""
        runs = self._sorted.setdefault((publication.protocol, publication.host_address), [])
        insort(runs, publication, key=_FIRST_PORT)
        of_endpoint = publication.network, publication.endpoint
        self._of_endpoint.setdefault(of_endpoint, []).append(publication)

    def remove(self, publication: Publication) -> None:
        """Publish no longer."""
        self._sorted[publication.protocol, publication.host_address].remove(publication)
        of_endpoint = publication.network, publication.endpoint
        self._of_endpoint[of_endpoint].remove(publication)
        if not self._of_endpoint[of_endpoint]:
            del self._of_endpoint[of_endpoint]

    def find(self, protocol: int, address: IpAddress, port: int) -> Publication | None:
        """What `port` of the switch's own `address` leads to."""
        for host_address in (address, None):
            runs = self._sorted.get((protocol, host_address), ())
            before = bisect_right(runs, port, key=_FIRST_PORT)
            if before and port in runs[before - 1].host_ports:
                return runs[before - 1]
        return None

    def opens(self, protocol: int, network: int, endpoint: IpAddress, port: int) -> bool:
        """Whether an endpoint's own `port` is published, by whatever port of the switch."""
        return any(
            each.protocol == protocol
            and 0 <= port - each.first_endpoint_port < len(each.host_ports)
            for each in self._of_endpoint.get((network, endpoint), ())
        )

    def on(self, protocol: int, address: IpAddress) -> Iterator[Publication]:
        """All that is published for a protocol on one of the switch's own addresses."""
        for host_address in (address, None):
            yield from self._sorted.get((protocol, host_address), ())

    def __iter__(self) -> Iterator[Publication]:
        for runs in self._sorted.values():
            yield from runs
