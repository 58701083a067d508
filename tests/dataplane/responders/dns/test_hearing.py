"""What the brain says, as the dataplane wants it: octets that a datagram carries, and words."""

from __future__ import annotations

import dns.message
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.dataplane.responders.dns.brain import Forward, Refuse, Reply, Silence
from vswitch.dataplane.responders.dns.front import Answered, Passed, Unsaid
from vswitch.dataplane.responders.dns.hearing import Asked, heard
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
