"""What a server's reply is worth: is it an answer to what was asked, and can that server say?

Whoever can guess an identifier and a port may send a reply of its own making, so one counts only
where it repeats both identifier and question (RFC 5452, 9.1).
"""

from __future__ import annotations

from enum import Enum, auto

import dns.rcode

from vswitch.dataplane.responders.dns.message import (
    CODES,
    FLAGS,
    HEADER_LENGTH,
    IS_RESPONSE,
    IS_TRUNCATED,
)


class Judgement(Enum):
    """What a server's reply is worth."""

    ACCEPT = auto()
    """It is the answer, also where it says that the name does not exist."""
    NEXT_SERVER = auto()
    """This server cannot say: another one may."""
    IGNORE = auto()
    """It answers something else, or is forged: the reply may still come."""


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
