"""What a server's reply is worth, with scapy as the server that says it."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR, DNSRR, DNSRROPT, DNSRRSOA

from vswitch.dataplane.responders.dns.outside.judging import Judgement, judge

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
IDENTIFIER = 0x1234
HTTPS = 65
"""A type whose number is a letter's."""


def question(name: str = "wWw.eXample.org", kind: int = 1) -> bytes:
    return bytes(DNS(qd=DNSQR(qname=name, qtype=kind)))[12:]


QUESTION = question()


def reply(code: int = NOERROR, asked: bytes = QUESTION, **fields: object) -> bytes:
    """Header and question, and the sections that are given."""
    header = {"id": IDENTIFIER, "qr": 1, "rd": 1, "ra": 1, "rcode": code, **fields}
    message = bytes(DNS(**header, qd=[]))
    count = struct.pack("!H", 1 if asked else 0)
    return message[:4] + count + message[6:12] + asked + message[12:]


def judged(octets: bytes, asked: bytes = QUESTION, *, with_edns: bool = True) -> Judgement:
    return judge(octets, IDENTIFIER.to_bytes(2, "big"), asked, with_edns=with_edns)


@pytest.mark.parametrize(
    ("octets", "judgement"),
    [
        (reply(an=DNSRR(rrname="www.example.org", rdata="203.0.113.7")), Judgement.ACCEPT),
        (reply(), Judgement.ACCEPT),
        (reply(NXDOMAIN), Judgement.ACCEPT),
        (reply(asked=QUESTION.lower()), Judgement.OTHER_CASE),
        (reply(SERVFAIL, asked=QUESTION.lower()), Judgement.OTHER_CASE),
        (reply(tc=1), Judgement.TRUNCATED),
        (reply(SERVFAIL), Judgement.NEXT_SERVER),
        (reply(REFUSED), Judgement.NEXT_SERVER),
        (reply(SERVFAIL, b""), Judgement.NEXT_SERVER),
        (reply(FORMERR), Judgement.WITHOUT_EDNS),
        (reply(NOTIMP), Judgement.WITHOUT_EDNS),
        (reply(FORMERR, b""), Judgement.WITHOUT_EDNS),
        (reply(FORMERR, ar=DNSRROPT()), Judgement.NEXT_SERVER),
        (reply(ra=0, ns=DNSRR(rrname="org", type="NS", rdata="ns.org")), Judgement.NEXT_SERVER),
        (reply(ra=1, ns=DNSRR(rrname="org", type="NS", rdata="ns.org")), Judgement.ACCEPT),
        (reply(ra=0, ns=DNSRRSOA(rrname="org", mname="a", rname="b")), Judgement.ACCEPT),
        (
            reply(NXDOMAIN, ra=0, ns=DNSRR(rrname="org", type="NS", rdata="ns.org")),
            Judgement.ACCEPT,
        ),
        (reply(NOERROR, b""), Judgement.IGNORE),
        (reply(id=IDENTIFIER + 1), Judgement.IGNORE),
        (reply(asked=question("www.example.com")), Judgement.IGNORE),
        (reply(SERVFAIL, asked=question("www.example.com")), Judgement.IGNORE),
        (reply(asked=question(kind=28)), Judgement.IGNORE),
        (reply(qr=0), Judgement.IGNORE),
        (reply(opcode=4), Judgement.IGNORE),
        (reply(an=DNSRR(rrname="www.example.org", rdata="203.0.113.7"))[:-1], Judgement.IGNORE),
        (reply() + b"\0", Judgement.IGNORE),
        (b"\x12\x34\x81", Judgement.IGNORE),
        (b"", Judgement.IGNORE),
    ],
)
def test_reply_counts_only_for_what_was_asked_and_where_it_is_a_message(
    octets: bytes, judgement: Judgement
) -> None:
    assert judged(octets) is judgement


def test_number_of_a_type_is_no_letter() -> None:
    asked = question(kind=HTTPS)
    assert judged(reply(asked=question(kind=HTTPS + 32)), asked) is Judgement.IGNORE
    assert judged(reply(asked=asked), asked) is Judgement.ACCEPT


def test_who_complains_without_having_seen_edns_is_asked_no_more() -> None:
    assert judged(reply(FORMERR), with_edns=False) is Judgement.NEXT_SERVER


@given(st.binary(max_size=80))
def test_no_octets_whatever_raise(octets: bytes) -> None:
    judged(octets)
    judged(reply()[: -len(QUESTION)] + octets)


@given(st.data())
def test_no_damaged_reply_is_accepted_as_another_question_s(data: st.DataObject) -> None:
    octets = bytearray(reply(an=DNSRR(rrname="www.example.org", rdata="203.0.113.7")))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(0, len(octets) - 1))] = data.draw(st.integers(0, 255))
    if judged(bytes(octets)) is Judgement.ACCEPT:
        assert octets[12 : 12 + len(QUESTION)] == QUESTION
        DNS(bytes(octets))
