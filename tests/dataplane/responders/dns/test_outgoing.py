"""Queries of our own making, held against dnspython's."""

from __future__ import annotations

from random import Random

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import pytest

from tests.dataplane.responders.dns.outside import inquiry
from vswitch.dataplane.responders.dns.message import OUR_PAYLOAD
from vswitch.dataplane.responders.dns.outside.outgoing import mixed, query, question_of


@pytest.mark.parametrize("checking_disabled", [False, True])
@pytest.mark.parametrize("dnssec", [False, True])
@pytest.mark.parametrize("edns", [False, True])
@pytest.mark.parametrize("kind", ["A", "HTTPS", "CAA"])
def test_query_is_dnspython_s_octet_for_octet(
    kind: str, edns: bool, dnssec: bool, checking_disabled: bool
) -> None:
    number = int(dns.rdatatype.from_text(kind))
    asked = inquiry("www.example.org.", kind=number, dnssec=dnssec)._replace(
        checking_disabled=checking_disabled
    )
    theirs = dns.message.make_query(
        *("www.example.org.", kind),
        id=0,
        use_edns=0 if edns else False,
        want_dnssec=dnssec if edns else False,
        payload=OUR_PAYLOAD,
    )
    if checking_disabled:
        theirs.flags |= dns.flags.CD
    ours = query(asked, question_of(asked), edns=edns, padded=False)
    assert bytes(2) + ours == theirs.to_wire()


@pytest.mark.parametrize("name", [".", "example.org.", f"{'x' * 63}.{'y' * 40}.example."])
def test_padding_is_an_option_that_fills_blocks(name: str) -> None:
    asked = inquiry(name)
    octets = bytes(2) + query(asked, question_of(asked), edns=True, padded=True)
    assert len(octets) % 128 == 0
    (option,) = dns.message.from_wire(octets).options
    assert option.otype == dns.edns.OptionType.PADDING


def test_mixed_letters_change_nothing_but_case() -> None:
    random, seen = Random(1), set()
    kind = int(dns.rdatatype.HTTPS)
    question = question_of(inquiry("a-z{@[`.0123.example.", kind=kind))
    for _ in range(64):
        found = mixed(question, random)
        assert found.lower() == question.lower()
        assert found[-4:] == question[-4:]
        seen.add(found)
    letters = "azexample"
    assert len(seen) > 32
    for position in [index for index, each in enumerate(question[:-4]) if chr(each) in letters]:
        assert len({each[position] for each in seen}) == 2
