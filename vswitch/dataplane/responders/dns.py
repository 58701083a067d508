"""The embedded DNS responder: is this name one of ours, and what is its answer?

Theory of operation. A query comes in as octets and ends in one of four ways: we answer it because
the name is an endpoint's (`Reply`), we refuse it because it cannot be answered (`Refuse`), it is
somebody else's to answer (`Forward`), or it is nothing that deserves an answer (`Silence`). Nothing
here opens a socket or asks a server; `judge` says what a server's reply is worth.

What an endpoint can ask for is `Names`, its own view: the names and aliases of the endpoints that
it shares a network with, alone or followed by the network's name, and their addresses backwards.
Names are compared without regard to case, and an answer repeats the question as it was asked
(RFC 4343). A name that is ours never leaves the house: it has the types that it has, and for every
other type the answer is that there is nothing (NODATA, RFC 2308), because a server outside would
say that the name does not exist and the client would believe that.

Answers carry RA and not AA, as Docker's do: to the client this is its recursive resolver. Read
first: RFC 1034 section 4.3.1 and RFC 1035 section 4; RFC 6891 for the size of an answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto
from typing import TypeAlias

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.reversename
import dns.rrset

from vswitch.wire.values import IpAddress

TTL_SECONDS = 600
"""Docker's: an endpoint keeps its address for as long as it is attached."""

HEADER_LENGTH = 12
"""Octets of the fixed header (RFC 1035, 4.1.1)."""

FLAGS = 2
"""Offset of the first octet of flags: QR, opcode, AA, TC, RD."""

CODES = 3
"""Offset of the second octet of flags: RA, Z, AD, CD, and the response code in its low half."""

IS_RESPONSE = 0x80
"""QR in the octet at FLAGS."""

IS_TRUNCATED = 0x02
"""TC in the same octet."""

SMALLEST_LIMIT = 512
"""Octets that every client takes in a datagram (RFC 1035, 2.3.4)."""

LONGEST = 65_535
"""Octets of a message by TCP (RFC 1035, 4.2.2)."""

OUR_PAYLOAD = 1232
"""Octets that we take in a datagram, told in the OPT record: what fits any path's MTU."""


@dataclass(frozen=True, slots=True)
class Host:
    """An endpoint, as those on its network may ask for it."""

    names: tuple[str, ...]
    """Name and aliases. The first is the one that its addresses lead back to."""
    network: str
    addresses: tuple[IpAddress, ...]


class Names:
    """What one endpoint may ask for. A value: another view is another object."""

    def __init__(self, hosts: Iterable[Host]) -> None:
        """The networks of `hosts` are asked one after the other, in the order in which they come:
        a name is that of the first network that has it, and all who bear it there have it.

        A name that DNS cannot carry (a label over 63 octets) is not there.
        """
        self._addresses: dict[dns.name.Name, list[IpAddress]] = {}
        self._networks: dict[dns.name.Name, str] = {}
        self._names: dict[IpAddress, dns.name.Name] = {}
        for host in hosts:
            self._add(host)

    def addresses(self, name: dns.name.Name) -> tuple[IpAddress, ...] | None:
        """The addresses of both families that `name` has, or None where it is no name of ours."""
        found = self._addresses.get(name)
        return None if found is None else tuple(found)

    def name_of(self, address: IpAddress) -> dns.name.Name | None:
        """The name and network, as one name, of the endpoint that has `address`."""
        return self._names.get(address)

    def _add(self, host: Host) -> None:
        for name in host.names:
            for spelling in (name, f"{name}.{host.network}"):
                absolute = _absolute(spelling)
                if absolute is not None and self._is_of(absolute, host.network):
                    known = self._addresses.setdefault(absolute, [])
                    known.extend(address for address in host.addresses if address not in known)
        canonical = _absolute(f"{host.names[0]}.{host.network}")
        if canonical is not None:
            for address in host.addresses:
                self._names.setdefault(address, canonical)

    def _is_of(self, name: dns.name.Name, network: str) -> bool:
        return self._networks.setdefault(name, network) == network


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
    """Somebody else may know. `question` is the section that a reply has to repeat, as octets."""

    question: bytes


class Silence(Enum):
    """What gets no answer, because an answer could start a loop or has no address to bear."""

    TOO_SHORT = "it has no whole header, so there is no identifier to answer to"
    RESPONSE = "it is a response, and two responders could answer each other for ever"


Answer: TypeAlias = Reply | Refuse | Forward | Silence


class Judgement(Enum):
    """What a server's reply is worth."""

    ACCEPT = auto()
    """It is the answer, also where it says that the name does not exist."""
    NEXT_SERVER = auto()
    """This server cannot say: another one may."""
    IGNORE = auto()
    """It answers something else, or is forged: the reply may still come."""


def answer(query: bytes, names: Names, *, by_stream: bool = False) -> Answer:
    """What becomes of a query that came in a datagram, or `by_stream`, where an answer may be as
    long as there are any. Never raises for what is in `query`."""
    if len(query) < HEADER_LENGTH:
        return Silence.TOO_SHORT
    if query[FLAGS] & IS_RESPONSE:
        return Silence.RESPONSE
    if dns.opcode.from_flags(int.from_bytes(query[FLAGS : FLAGS + 2], "big")) != dns.opcode.QUERY:
        return Refuse(error(query, dns.rcode.NOTIMP))
    try:
        message = dns.message.from_wire(query, keyring=False)
    except (dns.exception.DNSException, ValueError):
        return Refuse(error(query, dns.rcode.FORMERR))
    if len(message.question) != 1:
        return Refuse(error(query, dns.rcode.FORMERR))
    if message.edns > 0:
        return Refuse(_respond(message, [], dns.rcode.BADVERS, SMALLEST_LIMIT))
    records = _records(message.question[0], names)
    if records is None:
        return Forward(_question_section(query))
    limit = LONGEST if by_stream else max(SMALLEST_LIMIT, message.payload)
    return Reply(_respond(message, records, dns.rcode.NOERROR, limit))


def error(query: bytes, code: dns.rcode.Rcode) -> bytes:
    """An answer that is nothing but its header: for a query of at least HEADER_LENGTH octets."""
    response = dns.message.Message(id=int.from_bytes(query[:2], "big"))
    wanted = dns.opcode.from_flags(int.from_bytes(query[FLAGS : FLAGS + 2], "big"))
    response.set_opcode(wanted)
    response.flags |= dns.flags.QR | dns.flags.RA
    response.set_rcode(code)
    return response.to_wire()


def is_truncated(reply: bytes) -> bool:
    """Whether there is more than a reply says, which is to be asked for by TCP: TC is set."""
    return bool(reply[FLAGS] & IS_TRUNCATED)


def judge(reply: bytes, identifier: bytes, question: bytes) -> Judgement:
    """Is `reply` the answer to the query that went out with `identifier` and `question`?

    A server that does not understand may leave the question out, so its error counts without it.
    """
    if len(reply) < HEADER_LENGTH or not reply[FLAGS] & IS_RESPONSE or reply[:2] != identifier:
        return Judgement.IGNORE
    section = reply[HEADER_LENGTH : HEADER_LENGTH + len(question)]
    repeats_question = section.lower() == question.lower()
    code = reply[CODES] & 0x0F
    if code in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return Judgement.ACCEPT if repeats_question else Judgement.IGNORE
    if repeats_question or len(reply) == HEADER_LENGTH:
        return Judgement.NEXT_SERVER
    return Judgement.IGNORE


def _records(question: dns.rrset.RRset, names: Names) -> list[dns.rrset.RRset] | None:
    """The records that answer, none for NODATA, or None where the name is not ours."""
    addresses = names.addresses(question.name)
    if addresses is not None:
        held = {
            dns.rdatatype.A: [str(address) for address in addresses if address.version == 4],
            dns.rdatatype.AAAA: [str(address) for address in addresses if address.version == 6],
        }
    else:
        pointed_at = _address_in(question.name)
        name = None if pointed_at is None else names.name_of(pointed_at)
        if name is None:
            return None
        held = {dns.rdatatype.PTR: [name.to_text()]}
    if question.rdclass != dns.rdataclass.IN:
        return []
    return [
        dns.rrset.from_text_list(question.name, TTL_SECONDS, dns.rdataclass.IN, kind, texts)
        for kind, texts in held.items()
        if texts and question.rdtype in (kind, dns.rdatatype.ANY)
    ]


def _respond(
    query: dns.message.Message, records: list[dns.rrset.RRset], code: dns.rcode.Rcode, limit: int
) -> bytes:
    """The answer, cut and marked with TC where it would be longer than `limit` octets.

    Addresses keep their order: dnspython would shuffle them, and the same query would be answered
    with other octets each time.
    """
    response = dns.message.make_response(query, recursion_available=True, our_payload=OUR_PAYLOAD)
    response.set_rcode(code)
    response.answer.extend(records)
    return response.to_wire(max_size=limit, prefer_truncation=True, want_shuffle=False)


def _question_section(query: bytes) -> bytes:
    """Name, type and class of the first question of a query that was parsed before."""
    _, name_length = dns.name.from_wire(query, HEADER_LENGTH)
    return query[HEADER_LENGTH : HEADER_LENGTH + name_length + 4]


def _address_in(name: dns.name.Name) -> IpAddress | None:
    """The address that a name under in-addr.arpa or ip6.arpa spells."""
    try:
        return IpAddress.parse(dns.reversename.to_address(name))
    except (dns.exception.DNSException, ValueError):
        return None


def _absolute(name: str) -> dns.name.Name | None:
    try:
        return dns.name.from_text(name)
    except dns.exception.DNSException:
        return None
