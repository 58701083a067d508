"""The brain behind every name server of ours: a query comes in as octets, and what becomes of it?

Theory of operation. A query ends in one of four ways: there is an answer (`Reply`), it is refused
because it cannot be answered (`Refuse`), it is somebody else's to answer (`Forward`), or it is
nothing that deserves an answer (`Silence`). Nothing here opens a socket, asks a server or reads a
clock: whoever does comes back with what a server has said, and is told how that is said to each
client that waits for it (`pass_on`).

`answer` asks in this order: is it a query at all? is the name ours (`local`)? who else may know?

Who may ask for what is `party`'s and `names`'s, what a server's reply is worth is `judging`'s.
Read first: RFC 1034 section 4.3.1 and RFC 1035 section 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset

from vswitch.dataplane.responders.dns import local
from vswitch.dataplane.responders.dns.message import (
    FLAGS,
    HEADER_LENGTH,
    IS_RESPONSE,
    LONGEST,
    SMALLEST_LIMIT,
    cut,
    error,
    question_section,
    respond,
)
from vswitch.dataplane.responders.dns.party import Inquiry, Party
from vswitch.naming import NameSettings
from vswitch.units import Nanoseconds


@dataclass(frozen=True, slots=True)
class Reply:
    """We know. `message` goes back to the client as it is."""

    message: bytes


@dataclass(frozen=True, slots=True)
class Refuse:
    """We cannot take this query. `message` says so to the client."""

    message: bytes


@dataclass(frozen=True, slots=True)
class Forward:
    """Somebody else may know: what is to be asked."""

    inquiry: Inquiry


class Silence(Enum):
    """What gets no answer, because an answer could start a loop or has no address to bear."""

    TOO_SHORT = "it has no whole header, so there is no identifier to answer to"
    RESPONSE = "it is a response, and two responders could answer each other for ever"


_ONE_LABEL = 2
"""Labels of a name that has one, with the root's."""

_ADDRESSES = (dns.rdatatype.A, dns.rdatatype.AAAA)

Answer: TypeAlias = Reply | Refuse | Forward | Silence


class Brain:
    """What all front ends of a switch ask."""

    def __init__(self, settings: NameSettings) -> None:
        self.follow(settings)

    def follow(self, settings: NameSettings) -> None:
        """Do what the user wants from now on."""
        self._settings = settings

    def answer(
        self,
        query: bytes,
        party: Party,
        now: Nanoseconds,  # noqa: ARG002
        *,
        by_stream: bool = False,
    ) -> Answer:
        """What becomes of a query that came in a datagram, or `by_stream`, where an answer may be
        as long as there are any. Never raises for what is in `query`."""
        if len(query) < HEADER_LENGTH:
            return Silence.TOO_SHORT
        if query[FLAGS] & IS_RESPONSE:
            return Silence.RESPONSE
        opcode = dns.opcode.from_flags(int.from_bytes(query[FLAGS : FLAGS + 2], "big"))
        if opcode != dns.opcode.QUERY:
            return Refuse(error(query, dns.rcode.NOTIMP))
        try:
            message = dns.message.from_wire(query, keyring=False)
        except (dns.exception.DNSException, ValueError):
            return Refuse(error(query, dns.rcode.FORMERR))
        if len(message.question) != 1:
            return Refuse(error(query, dns.rcode.FORMERR))
        if message.edns > 0:
            return Refuse(respond(message, [], dns.rcode.BADVERS, SMALLEST_LIMIT))
        records = local.records(message.question[0], party.names())
        if records is None:
            if not _stays(message.question[0], party):
                return Forward(_inquiry(message, party))
            records = []
        limit = LONGEST if by_stream else max(SMALLEST_LIMIT, message.payload)
        return Reply(respond(message, records, dns.rcode.NOERROR, limit))

    def pass_on(self, query: bytes, reply: bytes | None, *, by_stream: bool = False) -> bytes:
        """What a client is told whose query was forwarded: the server's `reply`, or None where no
        server could say. `query` is one that `answer` has said `Forward` to."""
        if reply is None:
            return error(query, dns.rcode.SERVFAIL)
        asked = question_section(query)
        answer = query[:2] + reply[2:HEADER_LENGTH] + asked + reply[HEADER_LENGTH + len(asked) :]
        limit = LONGEST if by_stream else _limit(query)
        return answer if len(answer) <= limit else cut(answer, asked)


def _stays(question: dns.rrset.RRset, party: Party) -> bool:
    """Whether a name that is not ours is nobody else's either, as far as this party is told."""
    is_short = len(question.name) == _ONE_LABEL and question.rdtype in _ADDRESSES
    return is_short and party.keeps_short_names()


def _limit(query: bytes) -> int:
    """Octets that a client takes in a datagram."""
    return max(SMALLEST_LIMIT, dns.message.from_wire(query, keyring=False).payload)


def _inquiry(query: dns.message.Message, party: Party) -> Inquiry:
    question = query.question[0]
    name = question.name.canonicalize().to_wire() or b""
    return Inquiry(
        name,
        int(question.rdtype),
        int(question.rdclass),
        bool(query.ednsflags & dns.flags.DO),
        bool(query.flags & dns.flags.CD),
        party.route(name),
    )
