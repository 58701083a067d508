"""What the brain says, as the dataplane wants it: octets that a datagram carries, and words."""

from __future__ import annotations

import dns.flags
import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.dataplane.responders.dns.brain import Forward, Refuse, Reply, Silence
from vswitch.dataplane.responders.dns.front import LONGEST_DATAGRAM, Answered, Passed, Unsaid
from vswitch.dataplane.responders.dns.hearing import Asked, fitted, heard
from vswitch.dataplane.responders.dns.party import Inquiry, Route

QUERY = dns.message.make_query("Web.front", "AAAA", id=7).to_wire()
INQUIRY = Inquiry(b"\3web\5front\0", 28, 1, False, False, Route())


def test_each_answer_is_told_with_what_was_asked() -> None:
    found = heard(QUERY, Reply(b"reply"))
    assert isinstance(found, Answered)
    assert found.message == b"reply"
    assert str(found.about) == "a query for Web.front AAAA, answered from names"
    refused = heard(QUERY, Refuse(b"no"))
    assert isinstance(refused, Answered)
    assert (
        str(refused.about) == "a query for Web.front AAAA, refused: it is none that we can answer"
    )
    passed = heard(QUERY, Forward(INQUIRY))
    assert isinstance(passed, Passed)
    assert (passed.inquiry, str(passed.about)) == (
        INQUIRY,
        "a query for Web.front AAAA, asked of servers",
    )


@pytest.mark.parametrize("silence", Silence)
def test_why_nothing_is_said_is_told(silence: Silence) -> None:
    assert heard(b"", silence) == Unsaid(silence.value)


@given(st.binary(max_size=60))
def test_whatever_came_can_be_put_into_words(query: bytes) -> None:
    assert str(Asked(query, "refused")).isprintable()


def test_answer_that_no_datagram_carries_is_cut_and_says_so() -> None:
    long = QUERY[:2] + b"\x80\x00" + bytes(LONGEST_DATAGRAM)
    message = dns.message.from_wire(fitted(QUERY, long))
    assert message.id == 7
    assert message.flags & dns.flags.TC
    assert str(message.question[0].name) == "Web.front."
    assert fitted(QUERY, long[:LONGEST_DATAGRAM]) == long[:LONGEST_DATAGRAM]
