"""What the dataplane knows of the brain: a query goes in as octets, and what becomes of it?

The brain speaks DNS by a library that takes long to load, and whoever asks it from a frame must
not wait for that before there is a query. So a `Front` is given to the tables when a switch is put
together, and loads what it needs with the first query; these are the values that pass between.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol, TypeAlias

from vswitch.dataplane.responders.dns.party import Inquiry
from vswitch.units import Nanoseconds
from vswitch.wire.values import IpAddress


class Asker(NamedTuple):
    """Somebody on a network, which the dataplane knows by number, who asks its gateway."""

    network: int
    address: IpAddress


class Answered(NamedTuple):
    """There is an answer, which a datagram carries."""

    message: bytes
    about: object
    """What was asked and who has said what to it, in words by `str()`."""


class Passed(NamedTuple):
    """Servers are to be asked."""

    inquiry: Inquiry
    about: object


class Unsaid(NamedTuple):
    """Nothing is said, as no answer may be."""

    why: str


Heard: TypeAlias = Answered | Passed | Unsaid


class Front(Protocol):
    """Answers queries that came in datagrams."""

    def hear(self, query: bytes, asker: Asker, now: Nanoseconds, *, commit: bool) -> Heard:
        """What becomes of a query; without `commit`, what would. Never raises for what is in
        it."""
