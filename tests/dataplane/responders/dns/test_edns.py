"""What RFC 8906 asks of a name server, section 8, and what RFC 6891, 7873 and 8914 do."""

from __future__ import annotations

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from tests.dataplane.responders.dns.asking import NOW, Asking, host, is_no_data, party
from vswitch.dataplane.responders.dns.brain import Forward, Reply
from vswitch.dataplane.responders.dns.inside.names import Host, Names
from vswitch.dataplane.responders.dns.telling import Said
from vswitch.units import SECOND
from vswitch.wire.values import IpAddress

WEB = host("web", "172.18.0.2")
CROWD = tuple(host(f"h{n}", f"10.0.0.{n}", "crowd") for n in range(1, 100))
CLIENT = b"clientid"


def cookie(octets: bytes) -> dns.edns.GenericOption:
    return dns.edns.GenericOption(dns.edns.OptionType.COOKIE, octets)


def option(kind: int, octets: bytes = b"") -> dns.edns.GenericOption:
    return dns.edns.GenericOption(kind, octets)


SUBNET = option(8, b"\x00\x01\x00\x00")
NSID, EXPIRE = option(3), option(9)


@pytest.fixture
def asks() -> Asking:
    return Asking(Names([WEB, *CROWD]), secret=b"secret")


def said(asks: Asking, query: dns.message.Message, **more: bool) -> dns.message.Message:
    answer = asks.say(query, **more)
    assert answer is not None
    assert query.is_response(answer)
    return answer


def octets_of(asks: Asking, query: dns.message.Message, *, by_stream: bool = False) -> bytes:
    """What is said to a query that is ours to answer, as it is."""
    answer = asks.brain.answer(query.to_wire(), party(asks.names), NOW, by_stream=by_stream)
    assert isinstance(answer, Reply)
    return answer.message


# RFC 8906, 8.1: without EDNS


def test_unknown_type_of_a_known_name_is_no_data(asks: Asking) -> None:
    assert is_no_data(asks.ask("web", "TYPE1000"), "web.")


@pytest.mark.parametrize("flag", [0x0040, dns.flags.CD, dns.flags.AD, dns.flags.AA, dns.flags.TC])
def test_flag_of_a_query_changes_nothing_and_the_one_without_a_meaning_is_not_repeated(
    asks: Asking, flag: int
) -> None:
    query = asks.query("web")
    query.flags |= flag
    answer = said(asks, query)
    assert answer.rcode() == dns.rcode.NOERROR
    assert len(answer.answer) == 1
    repeated = flag & dns.flags.CD
    assert answer.flags == dns.flags.QR | dns.flags.RD | dns.flags.RA | repeated


def test_recursion_that_is_not_desired_is_said_to_be_so(asks: Asking) -> None:
    query = asks.query("web")
    query.flags = 0
    assert said(asks, query).flags == dns.flags.QR | dns.flags.RA


def test_question_is_repeated_in_the_letters_that_it_was_asked_in(asks: Asking) -> None:
    answer = asks.ask("wEb.FrONt")
    assert answer.question[0].name.to_text() == "wEb.FrONt."
    assert answer.answer[0].name.to_text() == "wEb.FrONt."


# RFC 8906, 8.2: with EDNS


@pytest.mark.parametrize(
    ("options", "edns", "flags", "code"),
    [
        ((), 0, 0, dns.rcode.NOERROR),
        ((), 1, 0, dns.rcode.BADVERS),
        ((option(100),), 0, 0, dns.rcode.NOERROR),
        ((), 0, 0x0040, dns.rcode.NOERROR),
        ((), 1, 0x0040, dns.rcode.BADVERS),
        ((option(100),), 1, 0, dns.rcode.BADVERS),
        ((), 0, dns.flags.DO, dns.rcode.NOERROR),
        ((), 1, dns.flags.DO, dns.rcode.BADVERS),
        ((NSID, cookie(CLIENT), EXPIRE, SUBNET), 0, 0, dns.rcode.NOERROR),
    ],
    ids=[
        *("minimal", "version 1", "unknown option", "unknown flag", "version 1 and unknown flag"),
        *("version 1 and unknown option", "DO", "version 1 and DO", "several known options"),
    ],
)
def test_client_with_edns_is_answered_with_edns_of_version_0(
    asks: Asking, options: tuple[dns.edns.Option, ...], edns: int, flags: int, code: int
) -> None:
    answer = said(asks, asks.query("web", options=options, edns=edns, ednsflags=flags))
    assert answer.rcode() == code
    assert len(answer.answer) == (code == dns.rcode.NOERROR)
    assert (answer.edns, answer.payload) == (0, 1232)
    assert answer.ednsflags & 0xFFFF == flags & dns.flags.DO
    assert {each.otype for each in answer.options} <= {dns.edns.OptionType.COOKIE}


def test_client_without_edns_is_answered_without(asks: Asking) -> None:
    for name, kind in (("web", "A"), ("web", "MX"), ("x.invalid", "A"), ("web", "AXFR")):
        assert asks.ask(name, kind).edns == -1


@pytest.mark.parametrize(
    ("payload", "told"), [(0, 29), (511, 29), (512, 29), (513, 29), (514, 30), (1600, 97)]
)
def test_answer_that_is_too_long_is_as_much_as_fits_and_that_there_is_more(
    asks: Asking, payload: int, told: int
) -> None:
    query = asks.query("crowd", edns=0, payload=payload)
    assert len(octets_of(asks, query)) <= max(512, payload)
    answer = said(asks, query)
    assert answer.flags & dns.flags.TC
    assert [len(rrset) for rrset in answer.answer] == [told]
    assert answer.edns == 0


def test_answer_that_fits_is_not_cut(asks: Asking) -> None:
    answer = said(asks, asks.query("crowd", edns=0, payload=1700))
    assert not answer.flags & dns.flags.TC
    assert len(answer.answer[0]) == 99


@pytest.mark.parametrize("by_stream", [False, True])
def test_answer_is_no_longer_than_its_carrier_takes(by_stream: bool) -> None:
    """65,507 octets by UDP over IPv4, of which the client says that it takes more."""
    crowd = Host(("crowd",), "front", tuple(IpAddress(n.to_bytes(4, "big")) for n in range(4093)))
    asks = Asking(Names([crowd]))
    octets = octets_of(asks, asks.query("crowd", edns=0, payload=65535), by_stream=by_stream)
    answer = dns.message.from_wire(octets)
    assert len(octets) <= (65535 if by_stream else 65507)
    assert bool(answer.flags & dns.flags.TC) is not by_stream
    assert len(answer.answer[0]) == (4093 if by_stream else 4092)


def test_answer_by_stream_is_whole_whatever_the_client_takes_in_a_datagram(asks: Asking) -> None:
    answer = said(asks, asks.query("crowd"), by_stream=True)
    assert len(answer.answer[0]) == 99
    assert not answer.flags & dns.flags.TC


@pytest.mark.parametrize(("by_stream", "orders"), [(False, 8), (True, 0)])
def test_answer_is_worked_out_in_several_orders_only_where_it_may_be_told_again(
    asks: Asking, by_stream: bool, orders: int
) -> None:
    query = asks.query("crowd").to_wire()
    answer = asks.brain.answer(query, party(asks.names), NOW, by_stream=by_stream)
    assert isinstance(answer, Reply)
    assert len(answer.orders) == orders


# Refused for what is asked


@pytest.mark.parametrize(
    ("name", "kind", "cls", "code"),
    [
        ("version.bind", "TXT", "CH", dns.rcode.REFUSED),
        ("id.server", "TXT", "CH", dns.rcode.REFUSED),
        ("web", "A", "CH", dns.rcode.REFUSED),
        ("example.org", "A", "HS", dns.rcode.REFUSED),
        ("web", "A", "ANY", dns.rcode.REFUSED),
        ("web", "AXFR", "IN", dns.rcode.REFUSED),
        ("example.org", "IXFR", "IN", dns.rcode.REFUSED),
        ("web", "MAILB", "IN", dns.rcode.NOTIMP),
        ("web", "OPT", "IN", dns.rcode.FORMERR),
        ("web", "TSIG", "IN", dns.rcode.FORMERR),
        ("web", "NXNAME", "IN", dns.rcode.FORMERR),
        ("example.org", "NXNAME", "IN", dns.rcode.FORMERR),
    ],
)
def test_question_that_nobody_is_answered_is_refused(
    asks: Asking, name: str, kind: str, cls: str, code: int
) -> None:
    answer = asks.ask(name, kind, cls=cls, edns=0)
    assert (answer.rcode(), answer.answer, answer.edns) == (code, [], 0)


def test_person_who_asks_is_told_why(asks: Asking) -> None:
    (told,) = asks.ask("web", "A", cls="CH", edns=0).extended_errors()
    assert (told.code, told.text) == (dns.edns.EDECode.NOT_SUPPORTED, "there is class IN alone")
    query = asks.query("example.org", options=[cookie(CLIENT)]).to_wire()
    why = Said(dns.rcode.SERVFAIL, why=(dns.edns.EDECode.NETWORK_ERROR, "no route"))
    failed = dns.message.from_wire(asks.brain.fail(query, why, party(asks.names), NOW))
    assert failed.rcode() == dns.rcode.SERVFAIL
    assert {each.otype for each in failed.options} == {10, 15}


# Cookies (RFC 7873)


def cookie_of(answer: dns.message.Message) -> bytes:
    (found,) = (each for each in answer.options if isinstance(each, dns.edns.CookieOption))
    assert found.client == CLIENT
    return found.server


def test_cookie_comes_back_with_one_that_nobody_else_can_make(asks: Asking) -> None:
    query = asks.query("web", options=[cookie(CLIENT)])
    ours = cookie_of(said(asks, query))
    assert ours[:8] == b"\1\0\0\0" + (NOW // SECOND).to_bytes(4, "big")
    assert len(ours) == 16
    assert cookie_of(said(asks, query)) == ours
    assert cookie_of(said(asks, query, by="other")) != ours
    stranger = Asking(asks.names, secret=b"another secret")
    assert cookie_of(said(stranger, query)) != ours


def test_cookie_that_we_have_made_is_answered_by_a_new_one_and_so_is_any(asks: Asking) -> None:
    for old in (b"x" * 8, b"x" * 16, b"x" * 32):
        assert len(cookie_of(said(asks, asks.query("web", options=[cookie(CLIENT + old)])))) == 16


@pytest.mark.parametrize("length", [0, 1, 7, 9, 15, 41])
def test_cookie_of_another_length_is_a_format_error(asks: Asking, length: int) -> None:
    answer = said(asks, asks.query("web", options=[option(10, b"x" * length)]))
    assert (answer.rcode(), answer.answer, answer.edns) == (dns.rcode.FORMERR, [], 0)
    assert answer.options == ()


def test_first_of_several_cookies_counts(asks: Asking) -> None:
    query = asks.query("web", options=[cookie(CLIENT), option(10, b"x")])
    assert len(cookie_of(said(asks, query))) == 16


def test_cookie_alone_is_given_to_who_asks_nothing_else(asks: Asking) -> None:
    query = dns.message.Message(id=1)
    query.use_edns(0, options=[cookie(CLIENT)])
    answer = asks.say(query)
    assert answer is not None
    assert (answer.rcode(), answer.question) == (dns.rcode.NOERROR, [])
    assert len(cookie_of(answer)) == 16
    query.use_edns(0)
    refused = asks.say(query)
    assert refused is not None
    assert refused.rcode() == dns.rcode.FORMERR


# What may be said again


def test_answer_with_a_cookie_is_said_once_and_any_other_in_so_many_orders(asks: Asking) -> None:
    def orders(name: str, **more: object) -> tuple[bytes, ...]:
        query = asks.query(name, **more).to_wire()  # type: ignore[arg-type]
        outcome = asks.brain.answer(query, party(asks.names), NOW)
        assert isinstance(outcome, Reply)
        assert outcome.orders in ((), (outcome.message, *outcome.orders[1:]))
        return outcome.orders

    assert len(orders("web")) == 1
    assert len(set(orders("crowd", payload=4096, edns=0))) == 8
    assert orders("web", options=[cookie(CLIENT)]) == ()


def test_question_outside_is_the_same_whatever_the_client_takes_and_however_it_spells_it(
    asks: Asking,
) -> None:
    def inquiry(name: str, **more: object) -> object:
        query = asks.query(name, **more).to_wire()  # type: ignore[arg-type]
        outcome = asks.brain.answer(query, party(asks.names), NOW)
        assert isinstance(outcome, Forward)
        return outcome.inquiry

    plain = inquiry("example.org")
    assert inquiry("EXAMPLE.org", edns=0, payload=4096, options=[cookie(CLIENT)]) == plain
    assert inquiry("example.org", edns=0, ednsflags=dns.flags.DO) != plain
