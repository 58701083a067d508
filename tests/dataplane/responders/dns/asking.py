"""A client of the brain that speaks by dnspython."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import dns.edns
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from vswitch.dataplane.responders.dns.brain import Brain, Forward, Refuse, Reply
from vswitch.dataplane.responders.dns.inside.names import Host, Names
from vswitch.dataplane.responders.dns.party import Party, Route
from vswitch.naming import NameSettings
from vswitch.units import SECOND, Nanoseconds
from vswitch.wire.values import IpAddress

NOBODY = Names([])
NOW: Nanoseconds = 1_000 * SECOND


def host(name: str, address: str, *aliases: str, on: str = "front", **more: Any) -> Host:
    """An endpoint with one address."""
    return Host((name, *aliases), on, (IpAddress.parse(address),), **more)


def party(names: Names, name: str = "app", *, keeps_short_names: bool = False) -> Party:
    """Who asks for these names."""
    return Party(
        name, lambda: names, lambda _: Route(), keeps_short_names=lambda: keeps_short_names
    )


class Asking:
    """Somebody who asks one brain."""

    def __init__(
        self, names: Names = NOBODY, secret: bytes = b"", *, keeps_short_names: bool = False
    ) -> None:
        self.names = names
        self._keeps_short_names = keeps_short_names
        self.brain = Brain(NameSettings(), secret)

    def query(
        self,
        name: str,
        kind: str = "A",
        *,
        cls: str = "IN",
        options: Sequence[dns.edns.Option] = (),
        edns: int | None = None,
        payload: int = 1232,
        **header: Any,
    ) -> dns.message.Message:
        """One, with EDNS where `edns` or `options` says so."""
        made = dns.message.make_query(name, kind, cls, id=header.pop("id", 0x1234))
        if edns is not None or options:
            made.use_edns(edns or 0, payload=payload, options=list(options), **header)
        return made

    def say(
        self, query: dns.message.Message | bytes, *, by: str = "app", by_stream: bool = False
    ) -> dns.message.Message | None:
        """What comes back, read strictly; None where it is for servers outside."""
        octets = query if isinstance(query, bytes) else query.to_wire()
        asking = party(self.names, by, keeps_short_names=self._keeps_short_names)
        outcome = self.brain.answer(octets, asking, NOW, by_stream=by_stream)
        if isinstance(outcome, Forward):
            return None
        assert isinstance(outcome, Reply | Refuse)
        return dns.message.from_wire(outcome.message)

    def ask(self, name: str, kind: str = "A", **more: Any) -> dns.message.Message:
        """The answer to a question that is ours to answer."""
        query = self.query(name, kind, **more)
        answer = self.say(query)
        assert answer is not None, f"{name} {kind} is asked outside"
        assert query.is_response(answer)
        return answer

    def data(self, name: str, kind: str = "A", **more: Any) -> list[str]:
        """What the records say that come back."""
        return data_of(self.ask(name, kind, **more).answer)

    def goes_out(self, name: str, kind: str = "A") -> bool:
        """Whether servers outside are asked."""
        return self.say(self.query(name, kind)) is None


def data_of(section: Iterable[Any]) -> list[str]:
    """Data of records, as text."""
    return [record.to_text() for rrset in section for record in rrset]


def is_no_data(answer: dns.message.Message, zone: str) -> bool:
    """RFC 2308, 2.2, said by `zone`."""
    return answer.rcode() == dns.rcode.NOERROR and _is_negative(answer, zone)


def is_no_name(answer: dns.message.Message, zone: str) -> bool:
    """RFC 2308, 2.1, said by `zone`."""
    return answer.rcode() == dns.rcode.NXDOMAIN and _is_negative(answer, zone)


def _is_negative(answer: dns.message.Message, zone: str) -> bool:
    authority = [(each.name, each.rdtype) for each in answer.authority]
    return answer.answer == [] and authority == [(dns.name.from_text(zone), dns.rdatatype.SOA)]
