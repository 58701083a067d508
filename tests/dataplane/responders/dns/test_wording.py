"""What a client is told of what servers said: as it asked, and only what answers it."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.dataplane.responders.dns.servers import (
    ANYBODY,
    NAME,
    Resolving,
    explanations,
    inquiry,
    query,
    records,
    reply,
    soa,
    told,
    understood,
)
from vswitch.dataplane.responders.dns.brain import Brain
from vswitch.dataplane.responders.dns.client import Client
from vswitch.dataplane.responders.dns.learned.believing import MOST_LINKS, Unsound, What, believe
from vswitch.dataplane.responders.dns.query import read as query_of
from vswitch.naming import CacheSettings, NameSettings
from vswitch.units import SECOND

ADDRESS = f"{NAME} 300 IN A 203.0.113.7"
CROWD = [f"{NAME} 300 IN A 203.0.113.{number}" for number in range(90)]


def passed(
    octets: bytes | None, asked: bytes, *, kind: str = "A", by_stream: bool = False
) -> dns.message.Message:
    """What somebody is told who waited for servers."""
    brain = Brain(NameSettings())
    dnssec = dns.message.from_wire(asked).ednsflags & dns.flags.DO
    learned = brain.learn(inquiry(kind=kind, dnssec=bool(dnssec)), octets, 0)
    return understood(asked, brain.pass_on(asked, learned, ANYBODY, 0, by_stream=by_stream))


def test_spelling_of_the_question_is_repeated_where_its_name_is_an_owner() -> None:
    for name in ("wWw.eXAMPLE.org.", "www.example.org."):
        message = passed(reply(ADDRESS), query(name))
        assert told(message) == [f"{name} 300 IN A 203.0.113.7"]


def test_server_whose_letters_are_mixed_leaves_no_trace_of_that() -> None:
    mixed = reply(ADDRESS).replace(b"\3www\7example\3org", b"\3wWW\7ExAmPlE\3oRG")
    assert told(passed(mixed, query())) == [ADDRESS]


@pytest.mark.parametrize("rd", [True, False])
@pytest.mark.parametrize("cd", [True, False])
def test_flags_are_those_of_a_recursive_resolver_and_what_was_asked_with(
    rd: bool, cd: bool
) -> None:
    message = passed(reply(ADDRESS, flags=dns.flags.AA | dns.flags.RD), query(rd=rd, cd=cd))
    wanted = {dns.flags.QR, dns.flags.RA}
    wanted |= {flag for flag, is_set in ((dns.flags.RD, rd), (dns.flags.CD, cd)) if is_set}
    assert message.flags == sum(wanted)


@pytest.mark.parametrize(
    ("asked", "hears"),
    [
        (query(), False),
        (query(edns=None), False),
        (query(ad=True), True),
        (query(dnssec=True), True),
    ],
)
def test_who_asks_about_authenticity_hears_of_it(asked: bytes, hears: bool) -> None:
    message = passed(reply(ADDRESS, flags=dns.flags.AD), asked)
    assert bool(message.flags & dns.flags.AD) is hears
    assert not passed(reply(ADDRESS), asked).flags & dns.flags.AD


def test_opt_record_is_ours_and_only_for_who_has_sent_one() -> None:
    explained = dns.edns.EDEOption(dns.edns.EDECode.FILTERED, "by order")
    cookie = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, bytes(8))
    octets = reply(ADDRESS, options=[cookie, explained])
    message = passed(octets, query(dnssec=True))
    assert (message.edns, message.payload, message.options) == (0, 1232, (explained,))
    assert message.ednsflags & dns.flags.DO
    assert passed(octets, query(edns=None)).opt is None
    assert not passed(octets, query()).ednsflags & dns.flags.DO


def test_only_what_the_question_leads_to_is_told() -> None:
    message = passed(
        reply(
            f"{NAME} 300 IN CNAME a.example.net.",
            "bank.example. 300 IN A 192.0.2.66",
            "a.example.net. 300 IN CNAME b.example.com.",
            "b.example.com. 300 IN A 192.0.2.1",
            "b.example.com. 300 IN TXT no",
            "example.com. 300 IN A 192.0.2.66",
            authority=["example.com. 300 IN NS ns.bank.example."],
            additional=["ns.bank.example. 300 IN A 192.0.2.66"],
        ),
        query(),
    )
    assert told(message) == [
        f"{NAME} 300 IN CNAME a.example.net.",
        "a.example.net. 300 IN CNAME b.example.com.",
        "b.example.com. 300 IN A 192.0.2.1",
    ]
    assert (message.authority, message.additional) == ([], [])


def test_redirection_of_a_whole_domain_is_told_with_what_was_made_of_it() -> None:
    lines = [
        "example.org. 300 IN DNAME example.net.",
        f"{NAME} 300 IN CNAME www.example.net.",
        "www.example.net. 300 IN A 192.0.2.1",
    ]
    assert told(passed(reply(*lines), query())) == lines


def test_answer_is_told_without_the_zone_that_it_is_from() -> None:
    assert passed(reply(ADDRESS, authority=[soa()]), query()).authority == []


def test_proofs_are_told_to_who_asked_for_them() -> None:
    signature = "A 8 3 300 20300101000000 20200101000000 1 example.org. AAAA"
    lines = [ADDRESS, f"{NAME} 300 IN RRSIG {signature}"]
    proof = ["example.org. 300 IN NSEC x.example.org. A", soa()]
    assert told(passed(reply(*lines), query(dnssec=True))) == lines
    assert told(passed(reply(*lines), query())) == lines[:1]
    denial = reply(authority=proof, code=dns.rcode.NXDOMAIN)
    assert len(passed(denial, query(dnssec=True)).authority) == 2
    assert len(passed(denial, query()).authority) == 1


def test_failure_has_the_code_of_one_whatever_the_server_says() -> None:
    for code in (dns.rcode.SERVFAIL, dns.rcode.REFUSED, dns.rcode.YXDOMAIN, dns.rcode.BADVERS):
        message = passed(reply(ADDRESS, code=code), query())
        assert (message.rcode(), message.answer) == (dns.rcode.SERVFAIL, [])
    assert passed(None, query(edns=None)).rcode() == dns.rcode.SERVFAIL


def test_long_answer_is_cut_between_two_records() -> None:
    alias = f"{NAME} 300 IN CNAME crowd.example.org."
    octets = reply(alias, *(line.replace("www", "crowd") for line in CROWD))
    for asked, many in ((query(edns=None), 29), (query(payload=1000), 59)):
        message = passed(octets, asked)
        assert message.flags & dns.flags.TC
        assert told(message)[0] == alias
        assert len(told(message)) == many
        assert message.edns == dns.message.from_wire(asked).edns
        assert len(told(passed(octets, asked, by_stream=True))) == 91
    assert len(told(passed(octets, query(payload=4096)))) == 91


@settings(max_examples=40)
@given(
    st.integers(0, 60), st.integers(0, 30), st.integers(0, 3000), st.integers(0, 80), st.booleans()
)
def test_what_is_cut_is_a_beginning_that_fits(
    addresses: int, proofs: int, payload: int, words: int, is_long: bool
) -> None:
    """Whatever the lengths of records, and of what else the client is told."""
    target = ".".join(["x" * 60] * 3) + ".example." if is_long else "a.example."
    lines = [
        f"{NAME} 300 IN CNAME {target}",
        *(f"{target} 300 IN A 192.0.2.{n}" for n in range(addresses)),
    ]
    beside = [f"y{number}.example.org. 300 IN NSEC z.example.org. A" for number in range(proofs)]
    why = [dns.edns.EDEOption(dns.edns.EDECode.OTHER, "x" * words)]
    asked = query(dnssec=True, payload=payload)
    brain, about = Brain(NameSettings()), inquiry(dnssec=True)
    learned = brain.learn(about, reply(*lines, authority=beside, options=why), 0)
    octets = brain.pass_on(asked, learned, ANYBODY, 0)
    whole, message = (
        understood(asked, each)
        for each in (brain.pass_on(asked, learned, ANYBODY, 0, by_stream=True), octets)
    )
    assert len(octets) <= max(512, payload)
    said, all_said = ([*told(each), *map(str, each.authority)] for each in (message, whole))
    assert {*said} <= {*all_said}
    assert bool(message.flags & dns.flags.TC) is (len(said) < len(all_said))


def test_proof_that_does_not_fit_is_left_out_and_that_is_said() -> None:
    names = [f"x{number:02}.example.org. 300 IN NSEC y.example.org. A" for number in range(40)]
    octets = reply(ADDRESS, authority=names)
    message = passed(octets, query(dnssec=True, payload=512))
    assert message.flags & dns.flags.TC
    assert told(message) == [ADDRESS]
    assert 0 < len(message.authority) < 40


def test_by_stream_what_no_server_could_say_whole_is_a_failure() -> None:
    cut_short = reply(flags=dns.flags.TC)
    assert passed(cut_short, query()).flags & dns.flags.TC
    message = passed(cut_short, query(), by_stream=True)
    assert (message.rcode(), message.flags & dns.flags.TC) == (dns.rcode.SERVFAIL, 0)


def test_explanation_is_left_out_rather_than_an_address() -> None:
    words = dns.edns.EDEOption(dns.edns.EDECode.OTHER, "x" * 1000)
    octets = reply(ADDRESS, options=[words])
    assert explanations(passed(octets, query(payload=512))) == []
    assert told(passed(octets, query(payload=512))) == [ADDRESS]
    assert explanations(passed(octets, query(payload=4096))) == [0]


def test_limit_of_a_client_counts_the_opt_record() -> None:
    words = dns.edns.EDEOption(dns.edns.EDECode.OTHER, "x" * 100)
    for many in range(20, 30):
        octets = reply(*CROWD[:many], options=[words])
        asked = query(payload=512)
        brain = Brain(NameSettings())
        assert len(brain.pass_on(asked, brain.learn(inquiry(), octets, 0), ANYBODY, 0)) <= 512


def test_each_address_of_a_name_is_the_first_in_turn() -> None:
    resolving = Resolving()
    resolving.learn(reply(*CROWD[:3]))
    seen = [told(resolving.ask()) for _ in range(6)]
    assert [each[0] for each in seen[:3]] == [each[0] for each in seen[3:]]
    assert {each[0] for each in seen} == set(CROWD[:3])
    assert all(sorted(each) == CROWD[:3] for each in seen)


def test_records_that_are_no_addresses_keep_their_order() -> None:
    lines = [f'{NAME} 300 IN TXT "{number}"' for number in range(3)]
    resolving = Resolving()
    about = inquiry(kind="TXT")
    resolving.learn(reply(*lines, about=about), about)
    assert {tuple(told(resolving.ask(kind="TXT"))) for _ in range(3)} == {tuple(lines)}


def test_only_addresses_of_the_internet_take_turns() -> None:
    """Those of CHAOS begin with a name, and the second one ends here with what the first has."""
    chaos = inquiry()._replace(cls=3)
    lines = [f"{NAME} 300 CH A {name}.b.example.org. 1" for name in ("ns", "name")]
    asked = dns.message.make_query(NAME, "A", rdclass="CH")
    output = BytesIO()
    (rrset,) = records(*lines)
    rrset.to_wire(output, want_shuffle=False)
    empty = dns.message.make_response(asked).to_wire()
    said = empty[:7] + bytes([len(lines)]) + empty[8:] + output.getvalue()
    learned = Resolving().learn(said, chaos)
    assert learned.orders == 1
    octets = learned.say(Client.of(query_of(asked.to_wire())), 1, by_stream=False)
    assert octets.index(b"\2ns\1b") < octets.index(b"\4name")


@pytest.mark.parametrize(
    ("octets", "why"),
    [
        (reply(ADDRESS)[:20], "no message"),
        (reply(ADDRESS) + b"?", "no message"),
        (reply(ADDRESS, code=dns.rcode.NXDOMAIN), "does not exist"),
        (reply(f"{NAME} 9 IN CNAME a.", f"a. 9 IN CNAME {NAME}"), "circle"),
        (
            reply(
                f"{NAME} 9 IN CNAME x0.",
                *(f"x{link}. 9 IN CNAME x{link + 1}." for link in range(MOST_LINKS)),
            ),
            "more than",
        ),
        (reply(ADDRESS, about=inquiry(kind="AAAA")), "another question"),
        (reply(ADDRESS).replace(b"\3www", b"\3wwx", 1), "another question"),
    ],
    ids=["cut", "longer", "denial", "circle", "chain", "other type", "other name"],
)
def test_reply_that_makes_no_sense_says_nothing(octets: bytes, why: str) -> None:
    with pytest.raises(Unsound, match=why):
        believe(octets, inquiry(), CacheSettings())
    assert passed(octets, query()).rcode() == dns.rcode.SERVFAIL


def test_time_that_is_no_time_is_none() -> None:
    octets = reply(ADDRESS).replace((300).to_bytes(4, "big"), b"\xff" * 4)
    assert believe(octets, inquiry(), CacheSettings()).ttl == 0


STRANGE = """
import struct
import dns.rdata, dns.rdataclass, dns.rdatatype
from vswitch.dataplane.responders.dns.learned.believing import Unsound, believe
from vswitch.dataplane.responders.dns.party import Inquiry, Route
from vswitch.naming import CacheSettings
record = struct.pack("!BHHIH", 0, dns.rdatatype.SRV, dns.rdataclass.ANY, 0, 0)
strange = struct.pack("!6H", 0, 0x8180, 1, 1, 0, 0) + struct.pack("!BHH", 0, 1, 1) + record
believe(strange, Inquiry(bytes(1), 1, 1, False, False, Route()), CacheSettings())
print(dns.rdata.get_rdata_class(dns.rdataclass.IN, dns.rdatatype.SRV).__name__)
"""
"""A process that has seen no record of that type before."""


def test_record_of_a_strange_class_does_not_decide_how_others_of_its_type_are_read() -> None:
    command = [sys.executable, "-c", STRANGE]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout == "SRV\n"


ADDRESSES = st.lists(st.integers(0, 255).map("192.0.2.{}".format), min_size=1, max_size=5)
LABELS = st.text("abcxyz-0", min_size=1, max_size=12)
NAMES = st.lists(LABELS, min_size=1, max_size=4).map(lambda labels: ".".join(labels) + ".")


def in_some_case(name: str, capitals: int) -> str:
    letters = enumerate(name)
    return "".join(each.upper() if capitals >> place & 1 else each for place, each in letters)


@given(
    names=st.lists(NAMES, min_size=1, max_size=4, unique=True),
    addresses=ADDRESSES,
    capitals=st.integers(0, 2**32),
    elapsed=st.integers(0, 100),
    zone=st.booleans(),
)
def test_patched_octets_are_what_dnspython_makes_of_the_same(
    names: list[str], addresses: list[str], capitals: int, elapsed: int, zone: bool
) -> None:
    *links, end = names
    lines = [f"{a} 100 IN CNAME {b}" for a, b in zip(links, names[1:], strict=True)]
    lines += [f"{end} 200 IN A {each}" for each in addresses]
    about = inquiry(names[0])
    octets = reply(*lines, about=about, authority=["x. 300 IN NS y."] if zone else [])
    resolving = Resolving()
    resolving.learn(octets, about)
    resolving.wait(elapsed)
    asked = in_some_case(names[0], capitals)
    message = resolving.ask(asked)
    if message is None:
        assert elapsed == (100 if links else 200)
        return
    said = dns.message.from_wire(octets)
    assert message.answer == said.answer
    assert [each.ttl for each in message.answer] == [each.ttl - elapsed for each in said.answer]
    assert message.answer[0].name.to_text() == asked


@given(st.data())
def test_damaged_reply_is_passed_on_as_a_sound_message_or_not_at_all(data: st.DataObject) -> None:
    sound = reply(
        f"{NAME} 300 IN CNAME a.example.org.",
        "a.example.org. 300 IN A 192.0.2.1",
        "a.example.org. 300 IN A 192.0.2.2",
        authority=[soa()],
        options=[dns.edns.EDEOption(dns.edns.EDECode.OTHER, "words")],
    )
    octets = bytearray(sound)
    for _ in range(data.draw(st.integers(1, 5))):
        octets[data.draw(st.integers(2, len(octets) - 1))] = data.draw(st.integers(0, 255))
    resolving = Resolving()
    asked = query("wWw.example.org.")
    learned = resolving.learn(bytes(octets))
    understood(asked, resolving.brain.pass_on(asked, learned, ANYBODY, 0))
    resolving.wait(1)
    resolving.ask()


@given(st.binary(max_size=120))
def test_no_octets_whatever_of_a_server_raise(octets: bytes) -> None:
    assert explanations(passed(octets, query()))[0] in (24, 22)


def test_what_is_unsound_is_no_better_than_silence() -> None:
    resolving = Resolving()
    resolving.learn(reply(ADDRESS))
    resolving.wait(400)
    assert resolving.learn(b"?").wording.what is What.ANSWER
    assert resolving.now == 400 * SECOND
