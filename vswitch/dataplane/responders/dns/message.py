"""Octets of DNS messages: the fixed header, the question, and answers of our own making.

Answers carry RA and not AA, as Docker's do: to the client this is its recursive resolver. Read
first: RFC 1035 section 4; RFC 6891 for the size of an answer.
"""

from __future__ import annotations

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rrset

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

OUR_PAYLOAD = 1232
"""Octets that we take in a datagram, told in the OPT record: what fits any path's MTU."""


def error(query: bytes, code: dns.rcode.Rcode) -> bytes:
    """An answer that is nothing but its header: for a query of at least HEADER_LENGTH octets."""
    response = dns.message.Message(id=int.from_bytes(query[:2], "big"))
    wanted = dns.opcode.from_flags(int.from_bytes(query[FLAGS : FLAGS + 2], "big"))
    response.set_opcode(wanted)
    response.flags |= dns.flags.QR | dns.flags.RA
    response.set_rcode(code)
    return response.to_wire()


def respond(
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


def cut(message: bytes, question: bytes) -> bytes:
    """What of a message a datagram may say that has no room for it: that there is more (TC)."""
    header = bytearray(message[:HEADER_LENGTH])
    header[FLAGS] |= IS_TRUNCATED
    header[COUNTS:] = (1).to_bytes(2, "big") + bytes(6)
    return bytes(header) + question


def question_section(query: bytes) -> bytes:
    """Name, type and class of the first question of a query that was parsed before."""
    _, name_length = dns.name.from_wire(query, HEADER_LENGTH)
    return query[HEADER_LENGTH : HEADER_LENGTH + name_length + 4]
