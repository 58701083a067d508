"""Servers outside, in memory and with a clock that is turned: what each says, and when."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from heapq import heappop, heappush
from itertools import count
from random import Random
from typing import TypeAlias

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset

from vswitch.dataplane.responders.dns.outside.attempt import Attempt, Way
from vswitch.dataplane.responders.dns.outside.searching import Found, Searches
from vswitch.dataplane.responders.dns.outside.servers import Health, Place, Servers, ServerState
from vswitch.dataplane.responders.dns.party import Inquiry, Route
from vswitch.naming import TLS_PORT, Server, ServerOrder
from vswitch.units import MILLISECOND, SECOND, Nanoseconds
from vswitch.wire.values import IpAddress

QUICK: Nanoseconds = 10 * MILLISECOND
FIRST, SECOND_ONE, THIRD = (Server(IpAddress(bytes([192, 0, 2, n]))) for n in (1, 2, 3))
PRIVATE = Server(IpAddress.parse("192.0.2.4"), TLS_PORT, "dns.example")

Saying: TypeAlias = Iterator[tuple[Nanoseconds, dns.message.Message | bytes]]
Behaviour: TypeAlias = Callable[[dns.message.Message, Attempt], Saying]
"""What a server says to a query that reached it, each after so long."""


def inquiry(
    name: str = "www.example.org.",
    *servers: Server,
    order: ServerOrder = ServerOrder.IN_ORDER,
    kind: int = 1,
    dnssec: bool = False,
    origin: Hashable = None,
) -> Inquiry:
    wire = dns.name.from_text(name).to_wire()
    assert wire is not None
    return Inquiry(wire, kind, 1, dnssec, False, Route(servers or (FIRST,), order, origin))


class Outside:
    """A carrier, with servers behind it."""

    def __init__(self, *, patience: Nanoseconds = 4 * SECOND) -> None:
        self.now: Nanoseconds = 0
        self.behaviours: dict[Server, Behaviour] = {}
        self.sent: list[tuple[Nanoseconds, Server, Attempt]] = []
        self.concluded: list[tuple[Nanoseconds, dns.message.Message | None]] = []
        self.noticed: list[tuple[Server, bool]] = []
        """Who went down (True) and who was good again."""
        self.waiting: set[Attempt] = set()
        self.no_way_to: dict[tuple[Server, Way], str] = {}
        """What the kernel says at once."""
        self._identifiers = count(1)
        self._events: list[tuple[Nanoseconds, int, Attempt, bytes]] = []
        self._tickets = count()
        self._servers = Servers(self._notice)
        self.searches = Searches(
            *(self._servers, self, Random(1), patience),
            conclude=self._conclude,
            wake=lambda _: None,
        )

    # What a test does

    def ask(self, what: Inquiry) -> None:
        self.searches.begin(what, self.now)

    def resolve(self, what: Inquiry) -> dns.message.Message | None:
        """The answer, when there is one."""
        before = len(self.concluded)
        self.ask(what)
        while len(self.concluded) == before:
            assert self._turn(), "nothing is to come, and nothing was concluded"
        return self.concluded[-1][1]

    def wait(self, long: Nanoseconds) -> None:
        """Let that much time go by."""
        end = self.now + long
        while self._turn(end):
            pass
        self.now = end

    def state(self, server: Server) -> ServerState:
        (found,) = (each for each in self._servers.states() if each.place == Place(server))
        return found

    @property
    def asked(self) -> list[Server]:
        """Whom, in their order."""
        return [server for _, server, _ in self.sent]

    # As Carrier

    def send(self, attempt: Attempt) -> str | None:
        server = attempt.health.place.server
        trouble = self.no_way_to.get((server, attempt.way))
        if trouble is not None:
            return trouble
        attempt.identifier = next(self._identifiers).to_bytes(2, "big")
        self.sent.append((self.now, server, attempt))
        self.waiting.add(attempt)
        query = dns.message.from_wire(attempt.identifier + attempt.octets)
        for delay, said in self.behaviours.get(server, silent)(query, attempt):
            octets = said if isinstance(said, bytes) else said.to_wire()
            heappush(self._events, (self.now + delay, next(self._tickets), attempt, octets))
        return None

    def forget(self, attempt: Attempt) -> None:
        self.waiting.discard(attempt)

    # How time goes by

    def _turn(self, end: Nanoseconds = 1 << 61) -> bool:
        """What comes next, if that is before `end`."""
        deadline = self.searches.next_deadline()
        event = self._events[0][0] if self._events else None
        times = [each for each in (deadline, event) if each is not None and each <= end]
        if not times:
            return False
        self.now = max(self.now, min(times))
        if event is not None and event <= self.now:
            _, _, attempt, octets = heappop(self._events)
            if attempt in self.waiting and attempt.hear(octets, self.now):
                self.waiting.discard(attempt)
        else:
            self.searches.due(self.now, 1)
        return True

    def _conclude(self, _: Inquiry, found: Found | None) -> None:
        message = None if found is None else dns.message.from_wire(found.reply)
        self.concluded.append((self.now, message))

    def _notice(self, health: Health) -> None:
        self.noticed.append((health.place.server, health.is_down))


def silent(query: dns.message.Message, attempt: Attempt) -> Saying:
    return iter(())


def knows(address: str = "203.0.113.7", *, after: Nanoseconds = QUICK) -> Behaviour:
    def says(query: dns.message.Message, attempt: Attempt) -> Saying:
        yield after, answered(query, address)

    return says


def refuses(code: dns.rcode.Rcode, *, after: Nanoseconds = QUICK) -> Behaviour:
    def says(query: dns.message.Message, attempt: Attempt) -> Saying:
        reply = dns.message.make_response(query, recursion_available=True)
        reply.set_rcode(code)
        yield after, reply

    return says


def answered(query: dns.message.Message, address: str = "203.0.113.7") -> dns.message.Message:
    reply = dns.message.make_response(query, recursion_available=True)
    reply.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", address))
    return reply


def spelt_small(reply: dns.message.Message) -> bytes:
    """As a server says it that does not keep letters."""
    octets = reply.to_wire()
    name = reply.question[0].name.to_wire()
    assert name is not None
    return octets[:12] + name.lower() + octets[12 + len(name) :]


def addresses(reply: dns.message.Message | None) -> list[str]:
    assert reply is not None
    return [record.to_text() for rrset in reply.answer for record in rrset]
