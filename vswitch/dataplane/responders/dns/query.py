"""Reading a query off its octets: the question, and what the client can take (RFC 6891).

Theory of operation. A query is a header, one question and, mostly, an OPT record. Other records may
be there (a signature, say) and mean nothing to us, but they have to be whole: a query that is not
as long as it says is not understood, neither where something is missing nor where something is left
over. A name in front of a question can not be compressed, since nothing stands before it that it
could point to, and the names in front of other records are passed over and not followed. So reading
ends, whatever there is to read.

Whether a query that can be read deserves an answer is `refusing`'s business. Read first: RFC 1035
section 4.1; RFC 6891 section 6.1; RFC 7873 section 4; RFC 4343.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import dns.flags

from vswitch.dataplane.responders.dns.cookies import COOKIE
from vswitch.dataplane.responders.dns.message import (
    HEADER_LENGTH,
    LONGEST_LABEL,
    OPT,
    question_section,
)

IS_POINTER = 0xC0
"""Both bits that a length has which is the first octet of a pointer (RFC 1035, 4.1.4)."""

_DO = int(dns.flags.DO)
_CD = int(dns.flags.CD)
_HEADER = struct.Struct("!2s5H")
_TYPE_AND_CLASS = struct.Struct("!HH")
_FIXED = struct.Struct("!HHBBHH")
"""Of a record behind its name, as OPT uses it: type, size, extended code, version, flags, length.
Other records have a class and a time to live there."""
_OPTION = struct.Struct("!HH")


class UnreadableError(ValueError):
    """What came is no query as RFC 1035 has it."""


class Opt(NamedTuple):
    """What a client says of itself in its OPT record."""

    payload: int
    """Octets that it takes in a datagram."""
    version: int
    wants_dnssec: bool
    cookie: bytes | None
    """The first one, whatever it is; None where there is none."""


class Query(NamedTuple):
    """A query that could be read. One without a question has an empty `question`."""

    identifier: bytes
    flags: int
    question: bytes
    """Name, type and class, as they were asked."""
    name: bytes
    """The name in small letters, as in `wire.domain`."""
    type: int
    cls: int
    opt: Opt | None

    @property
    def wants_dnssec(self) -> bool:
        """DO."""
        return self.opt is not None and self.opt.wants_dnssec

    @property
    def checking_disabled(self) -> bool:
        """CD."""
        return bool(self.flags & _CD)

    @property
    def cookie(self) -> bytes | None:
        """What the client has sent as its cookie, be it one or not."""
        return None if self.opt is None else self.opt.cookie


def read(octets: bytes) -> Query:
    """What stands in `octets`, which have a whole header. Raises UnreadableError."""
    identifier, flags, questions, *others = _HEADER.unpack_from(octets)
    try:
        end = HEADER_LENGTH + len(_question(octets, questions))
        opt, whole = _read_others(octets, end, *others) if any(others) else (None, end)
    except (IndexError, ValueError, struct.error) as error:
        raise UnreadableError from error
    if whole != len(octets):
        raise UnreadableError
    question = octets[HEADER_LENGTH:end]
    if not question:
        return Query(identifier, flags, question, b"", 0, 0, opt)
    at = len(question) - _TYPE_AND_CLASS.size
    kind, cls = _TYPE_AND_CLASS.unpack_from(question, at)
    return Query(identifier, flags, question, question[:at].lower(), kind, cls, opt)


def _question(octets: bytes, questions: int) -> bytes:
    """Raises ValueError or IndexError where it is not whole, or not the only one."""
    if questions > 1:
        raise UnreadableError
    return question_section(octets) if questions else b""


def _read_others(
    octets: bytes, at: int, answers: int, authorities: int, additional: int
) -> tuple[Opt | None, int]:
    """The OPT record, and where the last record ends, which may be behind the end."""
    opt = None
    for number in range(answers + authorities + additional):
        name, at = octets[at], _end_of_name(octets, at)
        kind, payload, _, version, flags, length = _FIXED.unpack_from(octets, at)
        at += _FIXED.size
        if kind == OPT:
            if name or opt is not None or number < answers + authorities:
                raise UnreadableError
            cookie = _cookie(octets[at : at + length])
            opt = Opt(payload, version, bool(flags & _DO), cookie)
        at += length
    return opt, at


def _end_of_name(octets: bytes, at: int) -> int:
    """Behind the name at `at`, which may end with a pointer."""
    while length := octets[at]:
        if length >= IS_POINTER:
            return at + 2
        if length > LONGEST_LABEL:
            raise UnreadableError
        at += 1 + length
    return at + 1


def _cookie(options: bytes) -> bytes | None:
    """What the first option of that kind says: further ones do not count (RFC 7873, 5.2)."""
    found, at = None, 0
    while at < len(options):
        kind, length = _OPTION.unpack_from(options, at)
        at += _OPTION.size + length
        if at > len(options):
            raise UnreadableError
        if kind == COOKIE and found is None:
            found = options[at - length : at]
    return found
