"""Publications: which endpoint does a published port of the uplink lead to, and is it open?

Theory of operation. A publication maps a run of host ports, on one address of the switch or on all
of them, to a run of an endpoint's ports of the same length. A run of ten thousand ports is one
entry: the table keeps the runs of a protocol sorted by their first port and finds the one that
holds a port by bisection. Runs that could both claim a port are refused where they are made
(`vswitch.network`).

A publication has terms: who may come in, until when, how often, and whether more than once. What
asks whether a new connection may be let in, `refuse`, changes nothing; `note` counts one that was.
`due` and `has_served` tell what has come to its end by itself, as its time is over or its one
connection has ended, for the caller to withdraw. Connections that are known do not come by here.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass
from operator import attrgetter

from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.rate import Rate
from vswitch.dataplane.timers import Timers
from vswitch.translation import OPEN_TO_ALL, Terms
from vswitch.units import Nanoseconds
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
    terms: Terms = OPEN_TO_ALL

    def endpoint_port(self, host_port: int) -> int:
        """The endpoint's port behind one of the host ports."""
        return self.first_endpoint_port + host_port - self.host_ports.start


_FIRST_PORT = attrgetter("host_ports.start")


@dataclass(slots=True)
class _Opening:
    """How far a publication has come with its terms."""

    closes_at: Nanoseconds | None
    rate: Rate
    has_let_in: bool = False


class PublicationTable:
    """All publications."""

    def __init__(self) -> None:
        self._sorted: dict[tuple[int, IpAddress | None], list[Publication]] = {}
        self._by_endpoint: dict[tuple[int, IpAddress], dict[Publication, None]] = {}
        self._openings: dict[Publication, _Opening] = {}
        """Of those that are not open to all for good."""
        self._timers: Timers[Publication] = Timers()
        self.served: list[Publication] = []
        """Those for one connection that it has come for, and that nobody has taken note of."""

    def add(self, publication: Publication, now: Nanoseconds) -> None:
        """Publish: from `now` on its time runs."""
        runs = self._sorted.setdefault((publication.protocol, publication.host_address), [])
        insort(runs, publication, key=_FIRST_PORT)
        there = publication.network, publication.endpoint
        self._by_endpoint.setdefault(there, {})[publication] = None
        terms = publication.terms
        if terms != OPEN_TO_ALL:
            closes_at = None if terms.lasts is None else now + terms.lasts
            self._openings[publication] = _Opening(closes_at, Rate(terms.per_second))
            if closes_at is not None:
                self._timers.schedule(publication, closes_at)

    def resume(
        self, publication: Publication, closes_at: Nanoseconds | None, *, has_let_in: bool
    ) -> None:
        """Let one that was added just now be as far as it was in another table."""
        opening = self._openings.get(publication)
        if opening is None:
            return
        opening.closes_at, opening.has_let_in = closes_at, has_let_in
        if closes_at is not None:
            self._timers.schedule(publication, closes_at)

    def remove(self, publication: Publication) -> None:
        """Publish no longer. Raises ValueError where it is not published."""
        runs = self._sorted.get((publication.protocol, publication.host_address), [])
        at = bisect_right(runs, publication.host_ports.start, key=_FIRST_PORT) - 1
        if at < 0 or runs[at] != publication:
            raise ValueError(f"{publication} is not published")
        del runs[at]
        there = publication.network, publication.endpoint
        del self._by_endpoint[there][publication]
        if not self._by_endpoint[there]:
            del self._by_endpoint[there]
        self._openings.pop(publication, None)
        self._timers.cancel(publication)

    def find(self, protocol: int, address: IpAddress, port: int) -> Publication | None:
        """What `port` of the switch's own `address` leads to."""
        for host_address in (address, None):
            runs = self._sorted.get((protocol, host_address), ())
            before = bisect_right(runs, port, key=_FIRST_PORT)
            if before and port in runs[before - 1].host_ports:
                return runs[before - 1]
        return None

    def opens(self, protocol: int, network: int, endpoint: IpAddress, port: int) -> bool:
        """Whether an endpoint's own `port` is published, by whatever port of the switch; what is
        published at a loopback address is so for the host alone."""
        return any(
            each.protocol == protocol
            and not (each.host_address is not None and each.host_address.is_loopback)
            and 0 <= port - each.first_endpoint_port < len(each.host_ports)
            for each in self._by_endpoint.get((network, endpoint), ())
        )

    def on(self, protocol: int, address: IpAddress) -> Iterator[Publication]:
        """All that is published for a protocol on one of the switch's own addresses."""
        for host_address in (address, None):
            yield from self._sorted.get((protocol, host_address), ())

    def of(self, network: int, endpoint: IpAddress) -> list[Publication]:
        """All that leads to one endpoint."""
        return list(self._by_endpoint.get((network, endpoint), ()))

    # Terms

    def refuse(
        self, publication: Publication, source: IpAddress, now: Nanoseconds
    ) -> DropReason | None:
        """Why a new connection of `source` may not come in by it, None where it may."""
        opening = self._openings.get(publication)
        if opening is None:
            return None
        if not publication.terms.let_in(source):
            return DropReason.SOURCE_NOT_ALLOWED
        if opening.closes_at is not None and now >= opening.closes_at:
            return DropReason.PUBLICATION_EXPIRED
        if publication.terms.is_for_one and opening.has_let_in:
            return DropReason.PUBLICATION_USED_UP
        return None if opening.rate.has_room(now) else DropReason.PUBLICATION_RATE

    def note(self, publication: Publication, now: Nanoseconds) -> None:
        """A connection has begun by it."""
        opening = self._openings.get(publication)
        if opening is not None:
            if publication.terms.is_for_one and not opening.has_let_in:
                self.served.append(publication)
            opening.has_let_in = True
            opening.rate.take(now)

    def has_served(self, publication: Publication) -> bool:
        """Whether a publication that is still here is for one connection, and that has been."""
        opening = self._openings.get(publication)
        return opening is not None and publication.terms.is_for_one and opening.has_let_in

    def closes_at(self, publication: Publication) -> Nanoseconds | None:
        """When it comes to its end by itself; None where it does not."""
        opening = self._openings.get(publication)
        return opening.closes_at if opening else None

    def next_deadline(self) -> Nanoseconds | None:
        """When `due` has something to hand out."""
        return self._timers.next_deadline()

    def due(self, now: Nanoseconds) -> list[Publication]:
        """Those whose time is over; the caller withdraws them."""
        return list(self._timers.due(now))

    def __iter__(self) -> Iterator[Publication]:
        for runs in self._sorted.values():
            yield from runs

    def __len__(self) -> int:
        return sum(map(len, self._sorted.values()))
