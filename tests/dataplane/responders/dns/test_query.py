"""Reading queries off their octets, with dnspython as the oracle, and what comes of those that
can not be read."""

from __future__ import annotations

import struct

import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dataplane.responders.dns.asking import NOBODY, NOW, Asking, host, party
from vswitch.dataplane.responders.dns.brain import Brain, Refuse, Silence
from vswitch.dataplane.responders.dns.inside.names import Names
from vswitch.dataplane.responders.dns.query import Query, UnreadableError, read
from vswitch.naming import NameSettings

HEADER = struct.Struct("!6H")
QUESTION = b"\x03web\x05front\x00\x00\x01\x00\x01"
OPT = b"\x00\x00\x29\x04\xd0\x00\x00\x80\x00\x00\x00"
EXAMPLES = (
    QUESTION,
    QUESTION + OPT,
    QUESTION + OPT[:-2] + b"\x00\x0c\x00\x0a\x00\x08clientid",
    QUESTION + b"\xc0\x0c\x00\x01\x00\x01\x00\x00\x00\x00\x00\x04\x0a\x00\x00\x01" + OPT,
)


def framed(octets: bytes, *, questions: int = 1, others: tuple[int, int, int] = (0, 0, 0)) -> bytes:
    return HEADER.pack(0x1234, 0x0120, questions, *others) + octets


@st.composite
def queries(draw: st.DrawFn) -> bytes:
    """Something like a query, whole or damaged."""
    octets = bytearray(draw(st.sampled_from(EXAMPLES)))
    for _ in range(draw(st.integers(0, 4))):
        octets[draw(st.integers(0, len(octets) - 1))] = draw(st.integers(0, 255))
    octets = octets[: draw(st.integers(0, len(octets)))] if draw(st.booleans()) else octets
    octets += draw(st.binary(max_size=3))
    counts = st.integers(0, 2)
    others = draw(counts), draw(counts), draw(counts)
    return framed(bytes(octets), questions=draw(st.sampled_from((1, 1, 1, 0, 2))), others=others)


def as_dnspython_reads(octets: bytes) -> dns.message.Message | None:
    try:
        return dns.message.from_wire(octets, keyring=False)
    except (dns.exception.DNSException, ValueError):
        return None


def as_we_read(octets: bytes) -> Query | None:
    try:
        return read(octets)
    except UnreadableError:
        return None


@settings(max_examples=400)
@given(queries())
def test_query_that_dnspython_can_read_is_read_so(octets: bytes) -> None:
    """But for two: pointers in a question, that could only be into the header, and that in front
    of OPT, which is the root."""
    theirs, ours = as_dnspython_reads(octets), as_we_read(octets)
    if ours is None:
        assert theirs is None or len(theirs.question) > 1 or b"\xc0" in octets
        return
    if theirs is None or not theirs.question:
        return
    (question,) = theirs.question
    assert dns.name.from_wire(ours.name, 0)[0] == question.name
    assert (ours.type, ours.cls) == (question.rdtype, question.rdclass)
    assert (ours.opt is None) == (theirs.edns == -1)
    if ours.opt is not None:
        assert (ours.opt.payload, ours.opt.version) == (theirs.payload, theirs.edns)
        assert ours.opt.wants_dnssec == bool(theirs.ednsflags & 0x8000)


@settings(max_examples=300)
@given(queries() | st.binary(max_size=80), st.booleans())
def test_whatever_comes_is_answered_in_a_message_that_can_be_read_or_not_at_all(
    octets: bytes, by_stream: bool
) -> None:
    names = Names([host("web", "10.0.0.1")])
    outcome = Brain(NameSettings()).answer(octets, party(names), NOW, by_stream=by_stream)
    message = getattr(outcome, "message", None)
    if message is not None:
        answer = dns.message.from_wire(message)
        assert answer.id == int.from_bytes(octets[:2], "big")
        assert answer.flags & 0x8000


def test_question_is_read_in_small_letters_and_kept_as_it_is() -> None:
    query = read(framed(QUESTION.upper()))
    assert (query.name, query.question) == (b"\x03web\x05front\x00", QUESTION.upper())


def said_to(octets: bytes) -> dns.message.Message:
    outcome = Brain(NameSettings()).answer(octets, party(NOBODY), NOW)
    assert isinstance(outcome, Refuse)
    return dns.message.from_wire(outcome.message)


@pytest.mark.parametrize(
    ("octets", "counts"),
    [
        (b"", (1, 0, 0, 0)),
        (QUESTION[:-1], (1, 0, 0, 0)),
        (QUESTION + b"\0", (1, 0, 0, 0)),
        (QUESTION, (1, 1, 0, 0)),
        (QUESTION, (0, 0, 0, 0)),
        (QUESTION + QUESTION, (2, 0, 0, 0)),
        (QUESTION, (65535, 65535, 65535, 65535)),
        (b"\xc0\x0c\x00\x01\x00\x01", (1, 0, 0, 0)),
        (b"\xc0\x00\x00\x01\x00\x01", (1, 0, 0, 0)),
        (b"\x40" + b"a" * 64 + b"\x00\x00\x01\x00\x01", (1, 0, 0, 0)),
        ((b"\x3f" + b"a" * 63) * 4 + b"\x00\x00\x01\x00\x01", (1, 0, 0, 0)),
        (QUESTION + OPT[:-2] + b"\xff\xff", (1, 0, 0, 1)),
        (QUESTION + OPT[:-2] + b"\x00\x04\x00\x0a\x00\x08", (1, 0, 0, 1)),
        (QUESTION + OPT + OPT, (1, 0, 0, 2)),
        (QUESTION + OPT, (1, 1, 0, 0)),
        (QUESTION + b"\x01x" + OPT, (1, 0, 0, 1)),
    ],
    ids=[
        *("no question", "short question", "garbage behind", "missing record", "no count"),
        *("two questions", "counts without end", "looping compression", "compressed question"),
        *("long label", "long name", "options without end", "long option", "two OPT"),
        *("OPT as an answer", "OPT of a name"),
    ],
)
def test_query_that_lies_about_its_contents_is_a_format_error(
    octets: bytes, counts: tuple[int, int, int, int]
) -> None:
    answer = said_to(HEADER.pack(0x1234, 0x0100, *counts) + octets)
    assert (answer.id, answer.rcode()) == (0x1234, dns.rcode.FORMERR)
    assert answer.sections == [[], [], [], []]


@pytest.mark.parametrize("opcode", [1, 2, 3, 4, 5, 6, 15])
def test_other_operation_is_not_implemented_whatever_stands_behind_it(opcode: int) -> None:
    for behind in (QUESTION, b"", b"\xff" * 40):
        answer = said_to(HEADER.pack(7, opcode << 11 | 0x0100, 1, 0, 0, 0) + behind)
        assert (answer.rcode(), answer.opcode(), answer.id) == (dns.rcode.NOTIMP, opcode, 7)


def test_nothing_is_said_to_an_answer_or_to_less_than_a_header() -> None:
    brain = Brain(NameSettings())
    answer = bytearray(framed(QUESTION))
    answer[2] |= 0x80
    assert brain.answer(bytes(answer), party(NOBODY), NOW) is Silence.RESPONSE
    assert brain.answer(framed(b"")[:11], party(NOBODY), NOW) is Silence.TOO_SHORT


def test_other_records_mean_nothing_to_us() -> None:
    query = Asking().query("localhost")
    query.additional.append(dns.rrset.from_text("x.", 0, "IN", "A", "192.0.2.1"))
    answer = Asking().say(query)
    assert answer is not None
    assert answer.rcode() == dns.rcode.NOERROR
