"""Queries in frames that wait for servers, and how they are answered.

Theory of operation. What the brain can not say by itself is asked of servers, which is not the
dataplane's to do. Such a query waits here with all that its answer needs. Whoever runs the switch
takes it (`take`) and comes back with what is to be said (`Switch.answer_query`): that leaves by the
port that the query came in by, as long as it is there, for the station that has sent it. Of each
port so many wait at a time, so that one that asks without end takes no room from the others.
Nothing here knows for how long: who takes a query answers it, or ends it, in its own time.

How a query gets here is `dns_stage`'s.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from vswitch.dataplane.responders.dns.front import Asker, Front, Passed
from vswitch.dataplane.responders.dns.party import Inquiry
from vswitch.dataplane.verdict import Delivery
from vswitch.fastpath.program import Output, Program
from vswitch.naming import PORT
from vswitch.wire import ethernet, ipv4, udp
from vswitch.wire.values import EtherType, IpAddress, MacAddress, Protocol

MOST_WAITING = 256
"""Queries of one port. Who asks servers for them has limits of its own, by who it is that asks.
This one is about memory, and behind a port may be many who ask."""


class Way(NamedTuple):
    """How an answer gets to who has asked."""

    port: int
    station: MacAddress
    own_station: MacAddress
    own_address: IpAddress
    client_port: int
    mtu: int


class Query(NamedTuple):
    """One that waits."""

    number: int
    message: bytes
    asker: Asker
    inquiry: Inquiry
    way: Way
    about: object
    """As in `front.Passed`."""


class Queries:
    """Those of one switch."""

    def __init__(self) -> None:
        self.front: Front | None = None
        """Who is asked; None where nobody answers at all."""
        self._waiting: dict[int, Query] = {}
        self._of_port: Counter[int] = Counter()
        self._fresh: list[Query] = []
        self._last = 0

    @property
    def has_fresh(self) -> bool:
        """Whether `take` has something."""
        return bool(self._fresh)

    def may_wait(self, port: int) -> bool:
        """Whether there is room for one more of a port, by number."""
        return self._of_port[port] < MOST_WAITING

    def wait(self, message: bytes, asker: Asker, passed: Passed, way: Way) -> None:
        """Let one wait for which there is room."""
        self._last += 1
        query = Query(self._last, message, asker, passed.inquiry, way, passed.about)
        self._waiting[query.number] = query
        self._of_port[way.port] += 1
        self._fresh.append(query)

    def take(self) -> list[Query]:
        """Those that have begun to wait since the last call, and still do. Each of them is for the
        caller to `end`."""
        fresh, self._fresh = self._fresh, []
        return [each for each in fresh if each.number in self._waiting]

    def end(self, query: Query) -> bool:
        """Let one wait no longer; False where its port is gone and nobody waits any more."""
        if self._waiting.pop(query.number, None) is None:
            return False
        self._of_port[query.way.port] -= 1
        return True

    def forget_port(self, number: int) -> None:
        """A port went away, and with it who has asked."""
        if self._of_port.pop(number, 0):
            gone = [each for each in self._waiting.values() if each.way.port == number]
            for query in gone:
                del self._waiting[query.number]

    def __len__(self) -> int:
        return len(self._waiting)


def said(way: Way, to: IpAddress, message: bytes) -> Delivery:
    """An answer on its way to `to`; it leaves in fragments where it is too long for the network."""
    datagram = udp.build(way.own_address, to, PORT, way.client_port, message)
    is_atomic = ipv4.HEADER_LENGTH + len(datagram) <= way.mtu
    packet = ipv4.build(*(way.own_address, to, Protocol.UDP, datagram), dont_fragment=is_atomic)
    frame = ethernet.build(way.station, way.own_station, EtherType.IPV4, packet)
    return Delivery.by(Program((Output(way.port),)), frame, cut=way.mtu)
