"""One query that is said to one server: what a search and the one who carries it know of it."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from vswitch.dataplane.responders.dns.outside.servers import Health
from vswitch.units import Nanoseconds

if TYPE_CHECKING:
    from vswitch.dataplane.responders.dns.outside.searching import Search


class Way(Enum):
    """How a query goes to a server."""

    DATAGRAM = auto()
    STREAM = auto()
    """A connection, in TLS where the server is one that is authenticated."""


class Why(Enum):
    """What an attempt is for."""

    TURN = auto()
    """It is this server's turn."""
    PROBE = auto()
    """To see whether a server is good again, beside another one's turn."""
    CUT = auto()
    """The rest of an answer that was cut short."""
    CASE = auto()
    """To hear by a way that can not be forged what letters a server repeats."""


class Attempt:
    """Who carries it adds the identifier, and comes back with `hear` or `lose`."""

    __slots__ = (
        "_listener",
        "at",
        "health",
        "identifier",
        "is_overdue",
        "is_repeated",
        "octets",
        "question",
        "search",
        "sent",
        "way",
        "why",
        "with_edns",
    )

    def __init__(
        self,
        search: Search,
        health: Health,
        way: Way,
        why: Why,
        sent: Nanoseconds,
        listener: Listener,
    ) -> None:
        self.search = search
        self.health = health
        self.way = way
        self.why = why
        self.sent = sent
        self.question = b""
        """The question section, letters as they went out."""
        self.octets = b""
        """The message behind its identifier."""
        self.with_edns = True
        self.is_overdue = False
        """Whether its answer should have come."""
        self.is_repeated = False
        """Whether it was sent a second time, as a connection was lost."""
        self.identifier = b""
        """Its carrier's choice: unlike those of all that are under way on the same socket."""
        self.at: object = None
        """Its carrier's own: where it waits for its answer."""
        self._listener = listener

    def hear(self, reply: bytes, now: Nanoseconds) -> bool:
        """Something with this identifier came back. True: that was it, and nothing more is
        wanted; False: it was no answer to this, which may still come."""
        return self._listener.hear(self, reply, now)

    def lose(self, why: str, now: Nanoseconds) -> None:
        """It can not be answered any more: its socket or connection has failed."""
        self._listener.lose(self, why, now)


class Listener(Protocol):
    """Who waits for what becomes of attempts."""

    def hear(self, attempt: Attempt, reply: bytes, now: Nanoseconds) -> bool:
        """As `Attempt.hear`."""

    def lose(self, attempt: Attempt, why: str, now: Nanoseconds) -> None:
        """As `Attempt.lose`."""


class Carrier(Protocol):
    """Who brings queries to servers."""

    def send(self, attempt: Attempt) -> str | None:
        """Send it and wait for its answer, or say why that is not possible."""

    def forget(self, attempt: Attempt) -> None:
        """Its answer is not wanted any more. One that is settled or lost is no error."""
