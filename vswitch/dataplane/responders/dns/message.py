"""Octets of DNS messages: the fixed header, the question, and answers that are nothing else.

Answers carry RA and not AA, as Docker's do: to the client this is its recursive resolver. Read
first: RFC 1035 section 4; RFC 6891 for the size of an answer.
"""

from __future__ import annotations

import dns.rcode

from vswitch.wire.domain import LONGEST_NAME

HEADER_LENGTH = 12
"""Octets of the fixed header (RFC 1035, 4.1.1)."""

FLAGS = 2
"""Offset of the first octet of flags: QR, opcode, AA, TC, RD."""

CODES = 3
"""Offset of the second octet of flags: RA, Z, AD, CD, and the response code in its low half."""

COUNTS = 4
"""Offset of the numbers of questions, answers, authorities and additional records."""

IS_RESPONSE = 0x80
"""QR in the octet at FLAGS."""

IS_TRUNCATED = 0x02
"""TC in the same octet."""

SMALLEST_LIMIT = 512
"""Octets that every client takes in a datagram (RFC 1035, 2.3.4)."""

LONGEST = 65_535
"""Octets of a message by TCP (RFC 1035, 4.2.2)."""

LONGEST_DATAGRAM = 65_507
"""Octets of a message in one datagram of UDP over IPv4."""

LONGEST_LABEL = 63
"""Octets (RFC 1035, 2.3.4). Greater lengths are pointers, or have no meaning."""

OUR_PAYLOAD = 1232
"""Octets that we take in a datagram, told in the OPT record: what fits any path's MTU."""

OPT = 41
"""The type of the record that is none (RFC 6891, 6.1.2)."""

_COPIED_FLAGS = 0x79
"""Of the octet at FLAGS, from query to answer: the operation and RD."""
_IS_RECURSION_AVAILABLE = 0x80
"""RA in the octet at CODES."""


def error(query: bytes, code: dns.rcode.Rcode) -> bytes:
    """An answer that is nothing but its header: for a query of at least HEADER_LENGTH octets of
    which no more can be read."""
    flags = IS_RESPONSE | (query[FLAGS] & _COPIED_FLAGS)
    return query[:FLAGS] + bytes((flags, _IS_RECURSION_AVAILABLE | code)) + bytes(8)


def cut(message: bytes, question: bytes) -> bytes:
    """What of a message a datagram may say that has no room for it: that there is more (TC)."""
    header = bytearray(message[:HEADER_LENGTH])
    header[FLAGS] |= IS_TRUNCATED
    header[COUNTS:] = (1).to_bytes(2, "big") + bytes(6)
    return bytes(header) + question


def question_section(message: bytes) -> bytes:
    """Name, type and class of the first question, as they are.

    Raises ValueError or IndexError where it is not whole, or its name is compressed or too long.
    """
    at = HEADER_LENGTH
    while length := message[at]:
        if length > LONGEST_LABEL:
            raise ValueError("a question's name is not compressed")
        at += 1 + length
    end = at + 1 + 4
    if end > len(message) or at + 1 - HEADER_LENGTH > LONGEST_NAME:
        raise ValueError("a question has a name of so many octets, a type and a class")
    return message[HEADER_LENGTH:end]
