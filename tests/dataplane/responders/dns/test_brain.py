"""The embedded DNS responder, with scapy as the client that asks and reads."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR, DNSRROPT

from vswitch.dataplane.responders.dns.brain import Answer, Brain, Forward, Refuse, Reply, Silence
from vswitch.dataplane.responders.dns.judging import Judgement, judge
from vswitch.dataplane.responders.dns.local import TTL_SECONDS
from vswitch.dataplane.responders.dns.names import Host, Names
from vswitch.dataplane.responders.dns.party import Party, Route
from vswitch.naming import NameSettings
from vswitch.wire.values import IpAddress

WEB = Host(("web", "www"), "front", (IpAddress.parse("172.18.0.2"), IpAddress.parse("fd00::2")))
APP = Host(("app",), "front", (IpAddress.parse("172.18.0.3"),))
NAMES = Names([WEB, APP])
CROWD = Host(("crowd",), "front", tuple(IpAddress(bytes([10, 0, 0, n])) for n in range(99)))

NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)


def answer(message: bytes, names: Names = NAMES) -> Answer:
    """What becomes of a query of somebody who may ask for `names`."""
    return Brain(NameSettings()).answer(
        message, Party("app", lambda: names, lambda _: Route()), now=0
    )


def query(name: str, kind: str = "A", **header: object) -> bytes:
    return bytes(DNS(id=0x1234, rd=1, qd=DNSQR(qname=name, qtype=kind), **header))


def replied(message: bytes, names: Names = NAMES) -> DNS:
    outcome = answer(message, names)
    assert isinstance(outcome, Reply)
    return DNS(outcome.message)


def refused(message: bytes) -> DNS:
    outcome = answer(message, NAMES)
    assert isinstance(outcome, Refuse)
    return DNS(outcome.message)


def data_of(reply: DNS) -> list[str]:
    """Addresses, or names with their final dot, as text."""
    texts = (record.rdata for record in reply.an)
    return [text.decode() if isinstance(text, bytes) else text for text in texts]


@pytest.mark.parametrize("name", ["web", "www", "web.front", "WEB", "wWw.FRONT", "web."])
def test_endpoint_is_found_by_each_of_its_names_in_any_case(name: str) -> None:
    assert data_of(replied(query(name))) == ["172.18.0.2"]


def test_answer_is_that_of_a_recursive_resolver_and_repeats_the_question_as_asked() -> None:
    reply = replied(query("wEb"))
    assert (reply.id, reply.qr, reply.ra, reply.aa, reply.rd) == (0x1234, 1, 1, 0, 1)
    assert reply.rcode == NOERROR
    assert reply.qd[0].qname == b"wEb."
    assert reply.an[0].rrname == b"wEb."
    assert reply.an[0].ttl == TTL_SECONDS


def test_each_family_is_answered_with_its_own_addresses() -> None:
    assert data_of(replied(query("web", "AAAA"))) == ["fd00::2"]
    assert sorted(data_of(replied(query("web", "ALL")))) == ["172.18.0.2", "fd00::2"]


@pytest.mark.parametrize("kind", ["AAAA", "MX", "TXT", "HTTPS", "PTR"])
def test_type_that_a_known_name_does_not_have_is_no_data_and_stays_inside(kind: str) -> None:
    reply = replied(query("app", kind))
    assert reply.rcode == NOERROR
    assert reply.ancount == 0


def test_known_name_asked_in_another_class_stays_inside() -> None:
    message = bytes(DNS(id=1, qd=DNSQR(qname="web", qtype="A", qclass="CH")))
    assert replied(message).ancount == 0


@pytest.mark.parametrize(
    ("backwards", "name"),
    [
        ("2.0.18.172.in-addr.arpa", "web.front."),
        ("3.0.18.172.IN-ADDR.arpa", "app.front."),
        ("2." + "0." * 28 + "0.d.f.ip6.arpa", "web.front."),
    ],
)
def test_address_leads_back_to_its_endpoints_first_name(backwards: str, name: str) -> None:
    assert data_of(replied(query(backwards, "PTR"))) == [name]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("example.org", "A"),
        ("web.example.org", "A"),
        ("web.back", "A"),
        ("9.0.18.172.in-addr.arpa", "PTR"),
        ("18.172.in-addr.arpa", "PTR"),
        (".", "NS"),
    ],
)
def test_what_is_not_ours_is_forwarded_with_its_question(name: str, kind: str) -> None:
    message = query(name, kind)
    outcome = answer(message, NAMES)
    assert isinstance(outcome, Forward)


@pytest.mark.parametrize(
    ("name", "kind", "stays"),
    [
        ("intranet", "A", True),
        ("intranet", "AAAA", True),
        ("intranet", "MX", False),
        ("www.example", "A", False),
        (".", "A", False),
    ],
)
def test_short_name_that_is_not_ours_stays_where_ndots_was_set(
    name: str, kind: str, stays: bool
) -> None:
    party = Party("app", lambda: NAMES, lambda _: Route(), keeps_short_names=lambda: True)
    found = Brain(NameSettings()).answer(query(name, kind), party, now=0)
    assert isinstance(found, Reply if stays else Forward)
    if isinstance(found, Reply):
        reply = DNS(found.message)
        assert (reply.rcode, reply.ancount) == (NOERROR, 0)


def test_question_is_the_same_whatever_size_of_answer_the_client_takes() -> None:
    plain = query("example.org")
    with_edns = query("example.org", ar=[DNSRROPT(rclass=1232, z=0)])
    assert answer(with_edns, NAMES) == answer(plain, NAMES)


def test_name_shared_by_two_endpoints_has_the_addresses_of_both() -> None:
    first = Host(("a", "pool"), "front", (IpAddress.parse("172.18.0.4"),))
    second = Host(("b", "pool"), "front", (IpAddress.parse("172.18.0.5"),))
    assert data_of(replied(query("pool"), Names([first, second]))) == ["172.18.0.4", "172.18.0.5"]


def test_name_on_two_networks_is_that_of_the_first_and_each_is_found_by_its_network() -> None:
    front, back = (
        Host(("pool",), network, (IpAddress.parse(address),))
        for network, address in (("front", "172.18.0.4"), ("back", "172.19.0.4"))
    )
    names = Names([front, back])
    assert data_of(replied(query("pool"), names)) == ["172.18.0.4"]
    assert data_of(replied(query("pool.back"), names)) == ["172.19.0.4"]


def test_name_that_dns_cannot_carry_is_not_there_and_its_alias_is() -> None:
    names = Names([Host(("x" * 64, "short"), "front", (IpAddress.parse("172.18.0.6"),))])
    assert data_of(replied(query("short"), names)) == ["172.18.0.6"]


def test_long_answer_is_cut_for_a_client_of_512_octets_and_whole_for_one_that_takes_more() -> None:
    cut = answer(query("crowd"), Names([CROWD]))
    assert isinstance(cut, Reply)
    assert len(cut.message) <= 512
    assert DNS(cut.message).tc == 1
    whole = replied(query("crowd", ar=[DNSRROPT(rclass=4096)]), Names([CROWD]))
    assert whole.tc == 0
    assert data_of(whole) == [str(address) for address in CROWD.addresses]


def test_client_with_edns_is_answered_with_edns() -> None:
    reply = replied(query("web", ar=[DNSRROPT(rclass=1232, z=0)]))
    assert [record.type for record in reply.ar] == [41]


def test_unknown_version_of_edns_is_refused_as_such() -> None:
    reply = refused(query("web", ar=[DNSRROPT(rclass=1232, version=1)]))
    assert reply.ar[0].extrcode == 1


def test_query_that_lies_about_its_contents_is_a_format_error() -> None:
    for message in (query("web")[:-3], query("web") + b"?", query("web", qdcount=2)):
        reply = refused(message)
        assert (reply.id, reply.qr, reply.rcode) == (0x1234, 1, FORMERR)


def test_query_without_a_question_or_with_two_is_a_format_error() -> None:
    two = bytes(DNS(qd=[DNSQR(qname="web"), DNSQR(qname="app")]))
    for message in (two, bytes(DNS(qd=[]))):
        assert refused(message).rcode == FORMERR


def test_operation_other_than_a_query_is_not_implemented() -> None:
    reply = refused(query("web", opcode=4))
    assert (reply.rcode, reply.opcode) == (NOTIMP, 4)


def test_nothing_is_said_to_a_response_or_to_less_than_a_header() -> None:
    assert answer(query("web", qr=1), NAMES) is Silence.RESPONSE
    assert answer(query("web")[:11], NAMES) is Silence.TOO_SHORT


@given(st.binary(max_size=80))
def test_no_octets_whatever_raise(octets: bytes) -> None:
    answer(octets, NAMES)


@given(st.data())
def test_no_damaged_query_raises(data: st.DataObject) -> None:
    octets = bytearray(query("web.front", ar=[DNSRROPT(rclass=1232, z=0)]))
    for _ in range(data.draw(st.integers(1, 4))):
        octets[data.draw(st.integers(2, len(octets) - 1))] = data.draw(st.integers(0, 255))
    answer(bytes(octets), NAMES)


def upstream_reply(code: int, question: bytes, identifier: int = 0x1234) -> bytes:
    count = 1 if question else 0
    return struct.pack("!HBBHHHH", identifier, 0x81, 0x80 | code, count, 0, 0, 0) + question


QUESTION = query("example.org")[12:]


@pytest.mark.parametrize(
    ("reply", "judgement"),
    [
        (upstream_reply(NOERROR, QUESTION), Judgement.ACCEPT),
        (upstream_reply(NXDOMAIN, QUESTION), Judgement.ACCEPT),
        (upstream_reply(NOERROR, QUESTION.upper()), Judgement.ACCEPT),
        (upstream_reply(SERVFAIL, QUESTION), Judgement.NEXT_SERVER),
        (upstream_reply(REFUSED, QUESTION), Judgement.NEXT_SERVER),
        (upstream_reply(FORMERR, b""), Judgement.NEXT_SERVER),
        (upstream_reply(NOERROR, b""), Judgement.IGNORE),
        (upstream_reply(NOERROR, QUESTION, identifier=0x1235), Judgement.IGNORE),
        (upstream_reply(NOERROR, query("example.com")[12:]), Judgement.IGNORE),
        (upstream_reply(SERVFAIL, query("example.com")[12:]), Judgement.IGNORE),
        (query("example.org"), Judgement.IGNORE),
        (b"\x12\x34\x81", Judgement.IGNORE),
    ],
)
def test_reply_of_a_server_counts_only_for_the_question_that_was_sent(
    reply: bytes, judgement: Judgement
) -> None:
    assert judge(reply, b"\x12\x34", QUESTION) is judgement
