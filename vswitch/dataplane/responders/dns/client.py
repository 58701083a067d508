"""How a client has asked, and so how it is told: its identifier, its spelling, its flags, its room.

Two clients who ask the same may be told the same records and still other octets. What they differ
in is taken from the query here, and the answer to each begins and ends as it asked for.

Read first: RFC 6840, 5.7 and 5.8 (who hears of AD), RFC 6891 (EDNS), RFC 8914 (why an answer is as
it is).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import NamedTuple

import dns.flags

from vswitch.dataplane.responders.dns.message import (
    LONGEST,
    LONGEST_DATAGRAM,
    OPT,
    OUR_PAYLOAD,
    SMALLEST_LIMIT,
)
from vswitch.dataplane.responders.dns.query import Query

_OPT = struct.Struct("!BHHBBHH")
"""The OPT record up to its options: root, type, payload, high octet of the response code, version,
flags, length (RFC 6891, 6.1.2)."""

_DO = int(dns.flags.DO)
_REPEATED = int(dns.flags.RD | dns.flags.CD)
_ASKS_FOR_AD = int(dns.flags.AD)


class Client(NamedTuple):
    """Somebody who has asked, by its query."""

    identifier: bytes
    question: bytes
    """As it spells it: name, type and class."""
    flags: int
    """RD and CD, which an answer repeats."""
    hears_of_authenticity: bool
    """Whether it has set AD or DO."""
    payload: int | None
    """Octets that it takes in a datagram, as it says; None where it does not speak EDNS."""
    wants_dnssec: bool
    """DO."""
    cookie: bytes = b""
    """The option that answers its own (`cookies`); empty where it has sent none."""

    @classmethod
    def of(cls, query: Query, cookie: bytes = b"") -> Client:
        """Who has sent `query`."""
        opt = query.opt
        wants_dnssec = opt is not None and opt.wants_dnssec
        return cls(
            query.identifier,
            query.question,
            query.flags & _REPEATED,
            wants_dnssec or bool(query.flags & _ASKS_FOR_AD),
            None if opt is None else opt.payload,
            wants_dnssec,
            cookie,
        )

    def room(self, *, by_stream: bool) -> int:
        """Octets that an answer may have: no more than a datagram carries, whatever the client says
        that it takes."""
        if by_stream:
            return LONGEST
        return min(max(SMALLEST_LIMIT, self.payload or 0), LONGEST_DATAGRAM)

    def opt(self, options: Iterable[bytes], *, code: int = 0) -> bytes:
        """The OPT record of an answer with that response code and `options` as they are on the
        wire; none for a client that does not speak EDNS."""
        if self.payload is None:
            return b""
        data = b"".join((self.cookie, *options))
        flags = _DO if self.wants_dnssec else 0
        return _OPT.pack(0, OPT, OUR_PAYLOAD, code >> 4, 0, flags, len(data)) + data
