"""What a server has said, read once: which records answer, what that is, and for how long it holds.

Theory of operation. A reply is read as a whole, and one that is not sound all through says nothing
(`Unsound`). Of its answer, only what the question leads to is believed: records of the name that
was asked for, or of the names that CNAMEs lead to from there (RFC 2181, 5.4.1). Of the rest, only
what a denial is made of: the SOA of a zone that the name is in, and proofs where they were asked
for. Everything else is cut away; who needs it asks for it.

An answer holds for the least of its TTLs, a denial as its SOA says (RFC 2308, 5), and what says
nothing about its time, or 0, for this question alone.

Read first: RFC 2181 section 5, RFC 2308.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rrset

from vswitch.dataplane.responders.dns.party import Inquiry
from vswitch.naming import CacheSettings
from vswitch.units import SECOND

# Left to itself, dnspython finds out how a type is read when it is seen first, for all classes from
# whichever class that is: a server that has a record of class ANY could have it read none any more.
dns.rdata.load_all_types()  # type: ignore[no-untyped-call]

MOST_LINKS = 16
"""CNAMEs in one chain: BIND's. More, and it is taken for a circle."""

_DENIALS = (dns.rdatatype.NSEC, dns.rdatatype.NSEC3)
_PROOFS = (dns.rdatatype.RRSIG, *_DENIALS)


class What(Enum):
    """What an answer is."""

    ANSWER = "answer"
    NO_DATA = "no such data"
    NO_NAME = "no such name"
    FAILURE = "failure"
    """Nobody could say."""


class Unsound(Exception):
    """A reply that contradicts itself or is no message at all. The text says how."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What is believed of a reply."""

    what: What
    answer: tuple[dns.rrset.RRset, ...] = ()
    authority: tuple[dns.rrset.RRset, ...] = ()
    ttl: int = 0
    """Seconds that all of it holds; 0: for this question alone."""
    is_authentic: bool = False
    """AD."""
    is_cut: bool = False
    """TC: there is more."""
    explained: tuple[dns.edns.EDEOption, ...] = ()


def failed(reason: dns.edns.EDECode, text: str | None = None) -> Statement:
    """That no server could say, and why (RFC 8914, 4)."""
    return Statement(What.FAILURE, explained=(dns.edns.EDEOption(reason, text),))


def believe(reply: bytes, inquiry: Inquiry, settings: CacheSettings) -> Statement:
    """What `reply` says to `inquiry`, with its TTLs within what the settings want.

    Raises Unsound for one that is not to be believed at all.
    """
    message = _parse(reply)
    name, _ = dns.name.from_wire(inquiry.name, 0)
    _require_same_question(message, name, inquiry)
    explained = tuple(each for each in message.options if isinstance(each, dns.edns.EDEOption))
    code = message.rcode()
    if code not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return Statement(What.FAILURE, explained=explained)
    end, chain = _follow(_countable(message.answer, inquiry), name, inquiry)
    answer = tuple(_within(each, settings) for each in chain)
    beside = _countable(message.authority, inquiry)
    proofs = [each for each in beside if each.rdtype in _DENIALS]
    if any(_answers(each, end, inquiry) for each in chain):
        if code == dns.rcode.NXDOMAIN:
            raise Unsound(f"{end} has what was asked for, and does not exist")
        what = What.ANSWER
        authority = tuple(_within(each, settings) for each in _with_signatures(proofs, beside))
        ttl = min(each.ttl for each in (*answer, *authority))
    else:
        what = What.NO_NAME if code == dns.rcode.NXDOMAIN else What.NO_DATA
        zones = _zones(beside, end)
        seconds = _denied_for(zones, settings)
        kept = _with_signatures([*zones, *proofs], beside)
        authority = tuple(_lasting(each, min(each.ttl, seconds)) for each in kept)
        ttl = min((seconds, *(each.ttl for each in answer)))
    is_authentic, is_cut = (bool(message.flags & flag) for flag in (dns.flags.AD, dns.flags.TC))
    return Statement(what, answer, authority, ttl, is_authentic, is_cut, explained)


def _parse(reply: bytes) -> dns.message.Message:
    try:
        return dns.message.from_wire(reply, keyring=False)
    except (dns.exception.DNSException, ValueError) as error:
        raise Unsound(f"it is no message: {error}") from error


def _require_same_question(
    message: dns.message.Message, name: dns.name.Name, inquiry: Inquiry
) -> None:
    wanted = [(name, inquiry.type, inquiry.cls)]
    if [(each.name, each.rdtype, each.rdclass) for each in message.question] != wanted:
        raise Unsound("it answers another question")


def _countable(section: Iterable[dns.rrset.RRset], inquiry: Inquiry) -> list[dns.rrset.RRset]:
    """What of a section may count: all of its class, but proofs only where they were asked for (RFC
    4035, 3.2.1)."""
    wanted = (inquiry.type, dns.rdatatype.ANY)
    return [
        each
        for each in section
        if each.rdclass == inquiry.cls
        and (inquiry.wants_dnssec or each.rdtype not in _PROOFS or each.rdtype in wanted)
    ]


def _follow(
    answer: Sequence[dns.rrset.RRset], name: dns.name.Name, inquiry: Inquiry
) -> tuple[dns.name.Name, list[dns.rrset.RRset]]:
    """The name that the question leads to in the end, and the records on the way and there."""
    chain: list[dns.rrset.RRset] = []
    for _ in range(MOST_LINKS + 1):
        there = [each for each in answer if each.name == name]
        found = [each for each in there if _answers(each, name, inquiry)]
        links = [each for each in there if each.rdtype == dns.rdatatype.CNAME]
        if found or not links:
            return name, chain + _with_signatures(found, there)
        chain += [each for each in _redirections(answer, name) if each not in chain]
        chain += _with_signatures(links, there)
        name = links[0][0].target
    raise Unsound(f"its CNAMEs go in a circle, or on for more than {MOST_LINKS}")


def _answers(rrset: dns.rrset.RRset, name: dns.name.Name, inquiry: Inquiry) -> bool:
    return rrset.name == name and inquiry.type in (rrset.rdtype, dns.rdatatype.ANY)


def _with_signatures(
    wanted: Sequence[dns.rrset.RRset], beside: Iterable[dns.rrset.RRset]
) -> list[dns.rrset.RRset]:
    signed = {(each.name, each.rdtype) for each in wanted}
    signatures = (each for each in beside if each.rdtype == dns.rdatatype.RRSIG)
    return [
        *wanted,
        *(each for each in signatures if (each.name, each.covers) in signed and each not in wanted),
    ]


def _redirections(answer: Sequence[dns.rrset.RRset], name: dns.name.Name) -> list[dns.rrset.RRset]:
    """The DNAME that a CNAME was made of (RFC 6672), with its signatures."""
    above = [each for each in answer if each.name != name and name.is_subdomain(each.name)]
    return _with_signatures([each for each in above if each.rdtype == dns.rdatatype.DNAME], above)


def _zones(authority: Iterable[dns.rrset.RRset], name: dns.name.Name) -> list[dns.rrset.RRset]:
    """The SOA of the zone that denies a name."""
    soas = (each for each in authority if each.rdtype == dns.rdatatype.SOA)
    return [each for each in soas if name.is_subdomain(each.name)]


def _denied_for(zones: Sequence[dns.rrset.RRset], settings: CacheSettings) -> int:
    """Seconds that a denial holds (RFC 2308, 5): without a zone for this question alone."""
    most = settings.most_negative_ttl // SECOND
    return min((min(each.ttl, each[0].minimum, most) for each in zones), default=0)


def _within(rrset: dns.rrset.RRset, settings: CacheSettings) -> dns.rrset.RRset:
    """With a TTL as the settings want it: none stays none."""
    if not rrset.ttl:
        return rrset
    least, most = settings.least_ttl // SECOND, settings.most_ttl // SECOND
    return _lasting(rrset, min(max(rrset.ttl, least), most))


def _lasting(rrset: dns.rrset.RRset, seconds: int) -> dns.rrset.RRset:
    rrset.ttl = seconds
    return rrset
