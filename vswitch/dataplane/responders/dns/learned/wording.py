"""An answer in octets, made once and said many times: what differs between clients is patched.

Theory of operation. A message is encoded as for somebody who asks in small letters. The question is
where every message has it, and a record of the name that was asked for points to it, so such a
record is spelled as the client spells its question. To say it is to copy it, and to put in
identifier, flags, question and TTLs; the addresses of a name that has several begin with another
one each time. A client that speaks EDNS gets an OPT record of ours at the end. That there is no
such name is kept here as long as it holds, and by clients for seconds, as it may be ours next.

What is too long for a client is cut between two records, and says so (TC). By TCP nothing is cut,
and where servers had no more than that to say, they have failed (RFC 7766, 5).

Read first: RFC 1035, 4.1; RFC 2181, 9 (what TC means, and that what is left may be told).
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from io import BytesIO
from sys import getsizeof
from typing import NamedTuple

import dns.exception
import dns.flags
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from vswitch.dataplane.responders.dns.client import Client
from vswitch.dataplane.responders.dns.learned.believing import Statement, Unsound, What
from vswitch.dataplane.responders.dns.learned.records import Place, end_of_record, places
from vswitch.dataplane.responders.dns.message import COUNTS, FLAGS, HEADER_LENGTH, LONGEST
from vswitch.dataplane.responders.dns.party import Inquiry
from vswitch.dataplane.responders.dns.telling import MOST_NEGATIVE_TTL

_ANSWER = int(dns.flags.QR | dns.flags.RA)
_AUTHENTIC = int(dns.flags.AD)
_TRUNCATED = int(dns.flags.TC)
_NOERROR = int(dns.rcode.NOERROR)
_SERVFAIL = int(dns.rcode.SERVFAIL)
_CODES = {What.NO_NAME: int(dns.rcode.NXDOMAIN), What.FAILURE: _SERVFAIL}
_ADDRESSES = (dns.rdatatype.A, dns.rdatatype.AAAA)

_MOST_TTL = 0x7FFF_FFFF
"""Seconds (RFC 2181, 8)."""

_CODE = 0x0F
"""Of the flags, the response code."""

_ADDITIONAL = COUNTS + 6
"""Offset of the number of additional records."""

_HEADER = struct.Struct("!HHHHHH")
_COUNTED = struct.Struct("!5H")
"""The header behind its identifier."""
_NUMBER = struct.Struct("!H")
_TTL = struct.Struct("!I")
_OPTION = struct.Struct("!HHH")


class _Turning(NamedTuple):
    """Records of one length, one after the other, whose order says nothing."""

    begin: int
    length: int
    members: int


class Wording:
    """What was said to an inquiry, in octets."""

    __slots__ = ("_explained", "_flags", "_octets", "_times", "_turning", "what")

    def __init__(self, statement: Statement, inquiry: Inquiry) -> None:
        """Raises Unsound for what does not fit into a message as we write it."""
        self.what = statement.what
        self._flags, self._octets = _encode(statement, inquiry)
        begin, count = HEADER_LENGTH + len(inquiry.name) + 4, _records_in(self._octets)
        records = tuple(places(self._octets, begin, count))
        self._times = array("H", [place.ttl for place in records])
        self._turning = _turning(records) if inquiry.cls == dns.rdataclass.IN else None
        self._explained = tuple(explain(int(each.code), each.text) for each in statement.explained)

    def say(
        self,
        client: Client,
        *,
        by_stream: bool,
        elapsed: int = 0,
        ttl: int | None = None,
        turn: int = 0,
        why: tuple[bytes, ...] = (),
    ) -> bytes:
        """What `client` is told: with TTLs that are less by `elapsed` seconds, or are all `ttl`.

        Several addresses begin with that at `turn`, counted round and round; `why` is what
        `explain` makes, to be told beside what the server has explained, where there is room.
        """
        octets = bytearray(self._octets)
        flags = self._flags | client.flags
        if by_stream and flags & _TRUNCATED:
            flags = flags & ~(_TRUNCATED | _CODE) | _SERVFAIL
        if not client.hears_of_authenticity:
            flags &= ~_AUTHENTIC
        octets[:FLAGS] = client.identifier
        _NUMBER.pack_into(octets, FLAGS, flags)
        octets[HEADER_LENGTH : HEADER_LENGTH + len(client.question)] = client.question
        most = MOST_NEGATIVE_TTL if self.what is What.NO_NAME else _MOST_TTL
        for at in self._times:
            left = max(0, _TTL.unpack_from(octets, at)[0] - elapsed) if ttl is None else ttl
            _TTL.pack_into(octets, at, min(left, most))
        if self._turning is not None:
            _turn(octets, self._turning, turn)
        room = client.room(by_stream=by_stream)
        opt = client.opt((*self._explained, *why))
        if len(octets) + len(opt) > room:  # explanations are no reason to cut an answer
            opt = client.opt(())
        if len(octets) + len(opt) > room:
            self._cut(octets, HEADER_LENGTH + len(client.question), room - len(opt))
        if opt:
            _NUMBER.pack_into(octets, _ADDITIONAL, 1)
        return bytes(octets + opt)

    def _cut(self, octets: bytearray, begin: int, room: int) -> None:
        """Leave as many of the records, which begin there, as there is room for, and say so."""
        whole = bisect_right(self._times, room, key=lambda ttl: end_of_record(octets, ttl))
        del octets[end_of_record(octets, self._times[whole - 1]) if whole else begin :]
        flags, questions, answers, _, additional = _COUNTED.unpack_from(octets, FLAGS)
        answers = min(answers, whole)
        octets[FLAGS:HEADER_LENGTH] = _COUNTED.pack(
            flags | _TRUNCATED, questions, answers, whole - answers, additional
        )

    @property
    def orders(self) -> int:
        """In how many orders it may be said."""
        return 1 if self._turning is None else self._turning.members

    @property
    def size(self) -> int:
        """Bytes of memory that it takes."""
        parts = (self._octets, self._times, self._explained, *self._explained)
        return (
            getsizeof(self)
            + sum(map(getsizeof, parts))
            + (0 if self._turning is None else getsizeof(self._turning))
        )


def explain(code: int, text: str | None = None) -> bytes:
    """An option of an OPT record that says why an answer is as it is (RFC 8914)."""
    words = (text or "").encode()
    return _OPTION.pack(dns.edns.OptionType.EDE, 2 + len(words), code) + words


def _encode(statement: Statement, inquiry: Inquiry) -> tuple[int, bytes]:
    """Flags and octets. Raises Unsound."""
    output = BytesIO(bytes(HEADER_LENGTH))
    output.seek(HEADER_LENGTH)
    names: dict[dns.name.Name, int] = {}
    name, _ = dns.name.from_wire(inquiry.name, 0)
    name.to_wire(output, names)
    output.write(struct.pack("!HH", inquiry.type, inquiry.cls))
    counts = [
        sum(each.to_wire(output, names, want_shuffle=False) for each in section)
        for section in (statement.answer, statement.authority)
    ]
    flags = _flags(statement)
    output.seek(0)
    output.write(_HEADER.pack(0, flags, 1, *counts, 0))
    octets = output.getvalue()
    if len(octets) > LONGEST:
        raise Unsound("it is longer than a message may be")
    return flags, octets


def _flags(statement: Statement) -> int:
    flags = _ANSWER | _CODES.get(statement.what, _NOERROR)
    if statement.is_authentic:
        flags |= _AUTHENTIC
    if statement.is_cut:
        flags |= _TRUNCATED
    return flags


def _records_in(octets: bytes) -> int:
    counts: tuple[int, ...] = _HEADER.unpack_from(octets)
    return sum(counts[3:5])


def _turning(records: Sequence[Place]) -> _Turning | None:
    """The addresses among them, where there are several of one kind."""
    for kind in _ADDRESSES:
        of_kind = [place for place in records if place.type == kind]
        lengths = {place.end - place.begin for place in of_kind}
        if len(of_kind) > 1 and len(lengths) == 1:
            return _Turning(of_kind[0].begin, lengths.pop(), len(of_kind))
    return None


def _turn(octets: bytearray, turning: _Turning, turn: int) -> None:
    end = turning.begin + turning.length * turning.members
    first = turning.begin + turning.length * (turn % turning.members)
    octets[turning.begin : end] = octets[first:end] + octets[turning.begin : first]
