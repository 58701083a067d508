"""What an answer says, and its octets for one client.

Theory of operation. An answer begins with the question as it was asked, so the case of its letters
is kept, and records come behind. The owner of a record that the question's name ends with is a
pointer into it. What does not fit into what the client takes is left out: additional records
silently, as they are a courtesy; of others all but the first ones, with TC, which tells the client
to come by TCP (RFC 2181, 9). One that can not do that has as many as there is room for, as it has
in Docker. Answers to a client with EDNS end with an OPT record.

Octets that servers outside have chosen are not told so. Read first: RFC 1035, 4.1; RFC 8914 for
the reasons of errors.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import NamedTuple

import dns.edns
import dns.flags
import dns.rcode
import dns.rdataclass

from vswitch.dataplane.responders.dns.client import Client
from vswitch.dataplane.responders.dns.message import HEADER_LENGTH

MOST_NEGATIVE_TTL = 10
"""Seconds for which a client may keep that there is nothing: whoever is not there yet comes."""

_ANSWER = int(dns.flags.QR | dns.flags.RA)
_TRUNCATED = int(dns.flags.TC)
_IN = int(dns.rdataclass.IN)

_HEADER = struct.Struct("!2s5H")
_RECORD = struct.Struct("!HHIH")
"""Type, class, time to live, length of the data."""
_OPTION = struct.Struct("!HHH")
_POINTER = 0xC000
_TYPE_AND_CLASS = 4
"""Octets of a question behind its name."""


class Rrset(NamedTuple):
    """Records of one name and type. Names are as in `wire.domain`, also those within the data."""

    owner: bytes
    type: int
    ttl: int
    """Seconds."""
    data: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """What an answer says, to whomever."""

    code: dns.rcode.Rcode = dns.rcode.NOERROR
    answer: tuple[Rrset, ...] = ()
    authority: tuple[Rrset, ...] = ()
    additional: tuple[Rrset, ...] = ()
    why: tuple[dns.edns.EDECode, str] | None = None
    """For who asks what the code means."""

    @property
    def orders(self) -> int:
        """In how many orders it can be said, with each record of the answer the first one once."""
        return max((len(rrset.data) for rrset in self.answer), default=1)

    def turned(self, turn: int) -> Said:
        """The same, in another of its orders for each turn."""
        if self.orders == 1:
            return self
        return replace(self, answer=tuple(_turned(each, turn) for each in self.answer))


def tell(client: Client, said: Said, *, by_stream: bool) -> bytes:
    """The answer as it goes out."""
    opt = client.opt(_explained(said), code=said.code)
    room = client.room(by_stream=by_stream) - HEADER_LENGTH - len(client.question) - len(opt)
    answer, authority, additional = (
        [record for rrset in section for record in _records(rrset, client.question)]
        for section in (said.answer, said.authority, said.additional)
    )
    flags = _ANSWER | client.flags | (said.code & 0x0F)
    if _length(*answer, *authority, *additional) > room:
        additional = []
    if _length(*answer, *authority) > room:
        answer, authority = _first(answer, room), []
        flags |= _TRUNCATED
    header = _HEADER.pack(
        client.identifier,
        flags,
        1 if client.question else 0,
        len(answer),
        len(authority),
        len(additional) + (1 if opt else 0),
    )
    return b"".join((header, client.question, *answer, *authority, *additional, opt))


def _turned(rrset: Rrset, turn: int) -> Rrset:
    first = turn % len(rrset.data)
    return rrset._replace(data=rrset.data[first:] + rrset.data[:first])


def _explained(said: Said) -> tuple[bytes, ...]:
    if said.why is None:
        return ()
    code, words = said.why
    text = words.encode()
    return (_OPTION.pack(dns.edns.OptionType.EDE, 2 + len(text), code) + text,)


def _records(rrset: Rrset, question: bytes) -> Iterator[bytes]:
    owner, asked = rrset.owner, question[:-_TYPE_AND_CLASS].lower()
    if asked.endswith(owner):
        owner = (_POINTER | HEADER_LENGTH + len(asked) - len(owner)).to_bytes(2, "big")
    for data in rrset.data:
        yield owner + _RECORD.pack(rrset.type, _IN, rrset.ttl, len(data)) + data


def _length(*records: bytes) -> int:
    return sum(map(len, records))


def _first(records: list[bytes], room: int) -> list[bytes]:
    """As many as there is room for."""
    ends = accumulate(map(len, records))
    return [record for record, end in zip(records, ends, strict=True) if end <= room]
