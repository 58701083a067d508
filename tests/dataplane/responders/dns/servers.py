"""Servers outside and clients inside, as octets made and read by dnspython."""

from __future__ import annotations

from collections.abc import Sequence

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from vswitch.dataplane.responders.dns.brain import Brain, Forward, Reply
from vswitch.dataplane.responders.dns.inside.names import Names
from vswitch.dataplane.responders.dns.learned.cache import Told
from vswitch.dataplane.responders.dns.party import Inquiry, Party, Route
from vswitch.naming import CacheSettings, NameSettings
from vswitch.units import SECOND, Nanoseconds

NOBODY = Names([])
ANYBODY = Party("app", lambda: NOBODY, lambda _: Route())
NAME = "www.example.org."
SOA = "example.org. {ttl} IN SOA ns.example.org. root.example.org. 1 7200 900 1209600 {minimum}"


def records(*lines: str) -> list[dns.rrset.RRset]:
    """RRsets of lines as in a zone file; lines of the same name and type are one."""
    found: dict[tuple[dns.name.Name, object, object], dns.rrset.RRset] = {}
    for line in lines:
        name, ttl, cls, kind, data = line.split(None, 4)
        rrset = dns.rrset.from_text(name, int(ttl), cls, kind, data)
        key = rrset.name, rrset.rdtype, rrset.covers
        found.setdefault(key, rrset).update(rrset)
    return list(found.values())


def soa(ttl: int = 3600, minimum: int = 300) -> str:
    return SOA.format(ttl=ttl, minimum=minimum)


def inquiry(
    name: str = NAME, kind: str = "A", *, dnssec: bool = False, route: Route | None = None
) -> Inquiry:
    wire = dns.name.from_text(name).canonicalize().to_wire()
    assert wire is not None
    number = int(dns.rdatatype.from_text(kind))
    return Inquiry(wire, number, int(dns.rdataclass.IN), dnssec, False, route or Route())


def reply(
    *answer: str,
    about: Inquiry | None = None,
    authority: Sequence[str] = (),
    additional: Sequence[str] = (),
    code: int = dns.rcode.NOERROR,
    flags: int = 0,
    options: Sequence[dns.edns.Option] = (),
) -> bytes:
    """What a server says."""
    about = about or inquiry()
    name, _ = dns.name.from_wire(about.name, 0)
    query = dns.message.make_query(
        name, dns.rdatatype.RdataType.make(about.type), use_edns=0, options=options, id=0x4321
    )
    message = dns.message.make_response(query)
    message.use_edns(0, payload=1232, options=list(options))
    message.flags |= dns.flags.RA | flags
    message.answer = records(*answer)
    message.authority = records(*authority)
    message.additional = records(*additional)
    message.set_rcode(dns.rcode.Rcode.make(code))
    return message.to_wire(max_size=65535, want_shuffle=False)


class Resolving:
    """A brain, a clock, and a client that asks it of names that are not ours."""

    def __init__(self, cache: CacheSettings | None = None, route: Route | None = None) -> None:
        self.brain = Brain(NameSettings(cache=cache or CacheSettings()))
        self.now: Nanoseconds = 0
        self.due: list[Inquiry] = []
        """What was to be asked anew."""
        self.route = route or Route()

    def wait(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)

    def learn(self, octets: bytes | None, about: Inquiry | None = None) -> Told:
        """Servers say something."""
        about = about or inquiry()
        return self.brain.learn(about._replace(route=self.route), octets, self.now)

    def ask(
        self, name: str = NAME, kind: str = "A", *, edns: int | None = 0, **flags: bool
    ) -> dns.message.Message | None:
        """What a client is told at once; None where servers are to be asked."""
        octets = query(name, kind, edns=edns, **flags)
        outcome = self.brain.answer(octets, self._party(), self.now)
        if isinstance(outcome, Forward):
            return None
        assert isinstance(outcome, Reply)
        if outcome.refresh is not None:
            self.due.append(outcome.refresh)
        return understood(octets, outcome.message)

    def _party(self) -> Party:
        return Party("app", lambda: NOBODY, lambda _: self.route)


def query(
    name: str = NAME,
    kind: str = "A",
    *,
    edns: int | None = 0,
    payload: int = 1232,
    dnssec: bool = False,
    ad: bool = False,
    cd: bool = False,
    rd: bool = True,
) -> bytes:
    """What a client asks. `edns` is a version, None for none."""
    asked = dns.message.make_query(
        name,
        kind,
        use_edns=-1 if edns is None else edns,
        want_dnssec=dnssec,
        payload=payload,
        id=0x1234,
    )
    wanted = {dns.flags.AD: ad, dns.flags.CD: cd, dns.flags.RD: rd}
    asked.flags = dns.flags.Flag(sum(flag for flag, is_set in wanted.items() if is_set))
    return asked.to_wire()


def understood(asked: bytes, octets: bytes) -> dns.message.Message:
    """An answer as a client reads it, which is one to its query letter by letter."""
    message, of = dns.message.from_wire(octets), dns.message.from_wire(asked)
    assert of.is_response(message)
    assert message.question[0].name.to_text() == of.question[0].name.to_text()
    return message


def told(message: dns.message.Message | None) -> list[str]:
    """The answer section, a line a record."""
    assert message is not None
    return [line for rrset in message.answer for line in rrset.to_text().splitlines()]


def explanations(message: dns.message.Message | None) -> list[int]:
    """The codes of RFC 8914."""
    assert message is not None
    return [int(each.code) for each in message.options if isinstance(each, dns.edns.EDEOption)]
