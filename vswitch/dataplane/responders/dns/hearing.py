"""From the brain's words to the dataplane's: what becomes of a query that came in a frame.

What was asked, and what became of it, is put into words for traces and captures, when somebody
reads them.
"""

from __future__ import annotations

from typing import NamedTuple

import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype
from dns.edns import EDECode

from vswitch.dataplane.responders.dns.brain import Answer, Forward, Refuse, Reply
from vswitch.dataplane.responders.dns.front import Answered, Heard, Passed, Unsaid
from vswitch.dataplane.responders.dns.telling import Said

NO_SERVER = Said(dns.rcode.SERVFAIL, why=(EDECode.NO_REACHABLE_AUTHORITY, "there are no servers"))
"""What a client is told of a name that somebody else may know, where there is nobody to ask."""


class Asked(NamedTuple):
    """A query as it came, and what became of it, by `str()` in words."""

    query: bytes
    became: str

    def __str__(self) -> str:
        try:
            message = dns.message.from_wire(self.query, question_only=True, ignore_trailing=True)
            question = message.question[0]
        except (dns.exception.DNSException, ValueError, IndexError):
            return f"a query that can not be read, {self.became}"
        name = question.name.to_text(omit_final_dot=True)
        return f"a query for {name} {dns.rdatatype.to_text(question.rdtype)}, {self.became}"


def heard(query: bytes, answer: Answer) -> Heard:
    """What the brain says to a query that came in a datagram, as the dataplane wants it."""
    match answer:
        case Reply(message):
            whence = "what servers have said" if answer.is_cached else "names"
            return Answered(message, Asked(query, f"answered from {whence}"))
        case Refuse(message, why):
            return Answered(message, Asked(query, f"refused: {why.value}"))
        case Forward(inquiry):
            return Passed(inquiry, Asked(query, "asked of servers"))
        case silence:
            return Unsaid(silence.value)
