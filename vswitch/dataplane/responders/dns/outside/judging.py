"""What a server's reply is worth: is it an answer to what was asked, and can that server say?

Theory of operation. Whoever can guess an identifier and a port may send a reply of its own making,
so a reply counts only where it repeats identifier, opcode and question (RFC 5452, 9.1), and where
it is a message at all: the rest of it is read by dnspython, and what that can not read is taken for
no reply, as another one may still come. The source is the business of who has the socket.

A name is sent with its letters mixed, so a server that repeats them proves that it has seen the
query. One that repeats the name, but not its letters, may be one that does not keep them, or
somebody who guessed: that is `OTHER_CASE`, and only a way that can not be forged tells which.
"""

from __future__ import annotations

from enum import Enum, auto

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from vswitch.dataplane.responders.dns.message import (
    CODES,
    COUNTS,
    FLAGS,
    HEADER_LENGTH,
    IS_RESPONSE,
    IS_TRUNCATED,
)

_OPCODE = 0x78
"""In the octet at FLAGS; 0 is QUERY."""

_KIND_LENGTH = 4
"""Octets of type and class, some of which look like letters."""


class Judgement(Enum):
    """What a server's reply is worth."""

    ACCEPT = auto()
    """It is the answer, also where it says that the name does not exist."""
    NEXT_SERVER = auto()
    """This server cannot say: another one may."""
    IGNORE = auto()
    """It answers something else, is forged, or is no message: the reply may still come."""
    TRUNCATED = auto()
    """There is more than it says, which is to be asked for by TCP: TC is set."""
    OTHER_CASE = auto()
    """It repeats the name in other letters: ask where nobody can forge."""
    WITHOUT_EDNS = auto()
    """This server does not understand EDNS: ask it again without (RFC 6891, 7)."""


def judge(reply: bytes, identifier: bytes, question: bytes, *, with_edns: bool = True) -> Judgement:
    """Is `reply` the answer to the query that went out with `identifier` and `question`?

    A server that does not understand may leave the question out, so its error counts without it.
    Never raises for what is in `reply`.
    """
    if len(reply) < HEADER_LENGTH or reply[:2] != identifier:
        return Judgement.IGNORE
    if not reply[FLAGS] & IS_RESPONSE or reply[FLAGS] & _OPCODE:
        return Judgement.IGNORE
    code = reply[CODES] & 0x0F
    repeated = reply[HEADER_LENGTH : HEADER_LENGTH + len(question)]
    if int.from_bytes(reply[COUNTS : COUNTS + 2], "big") != 1:
        repeated = b""
    if not repeats_name(repeated, question):
        if len(reply) > HEADER_LENGTH or code in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            return Judgement.IGNORE
        return _of_error(code, has_opt=False, with_edns=with_edns)
    if repeated != question:
        return Judgement.OTHER_CASE
    if reply[FLAGS] & IS_TRUNCATED:
        return Judgement.TRUNCATED
    try:
        message = dns.message.from_wire(reply, keyring=False)
    except (dns.exception.DNSException, ValueError):
        return Judgement.IGNORE
    if message.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return _of_error(message.rcode(), has_opt=message.edns >= 0, with_edns=with_edns)
    return Judgement.NEXT_SERVER if _is_lame(message) else Judgement.ACCEPT


def repeats_name(repeated: bytes, question: bytes) -> bool:
    """Whether two question sections ask for the same, whatever letters the name is written in."""
    same_kind = repeated[-_KIND_LENGTH:] == question[-_KIND_LENGTH:]
    return same_kind and repeated.lower() == question.lower()


def _of_error(code: int, *, has_opt: bool, with_edns: bool) -> Judgement:
    """Who answers with an OPT record understands it, and complains of something else."""
    complains = code in (dns.rcode.FORMERR, dns.rcode.NOTIMP)
    if complains and with_edns and not has_opt:
        return Judgement.WITHOUT_EDNS
    return Judgement.NEXT_SERVER


def _is_lame(message: dns.message.Message) -> bool:
    """Whether it does nothing but point to others, and would not ask them for us."""
    if message.rcode() != dns.rcode.NOERROR or message.answer or message.flags & dns.flags.RA:
        return False
    kinds = {each.rdtype for each in message.authority}
    return dns.rdatatype.NS in kinds and dns.rdatatype.SOA not in kinds
