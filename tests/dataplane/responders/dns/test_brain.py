"""The embedded DNS responder, with scapy as the client that asks and reads."""

from __future__ import annotations

import pytest
from scapy.layers.dns import DNS, DNSQR

from vswitch.dataplane.responders.dns.brain import Answer, Brain, Forward, Refuse, Reply
from vswitch.dataplane.responders.dns.inside.names import Host, Names
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
    assert reply.an[0].ttl == 600


def test_each_family_is_answered_with_its_own_addresses() -> None:
    assert data_of(replied(query("web", "AAAA"))) == ["fd00::2"]


@pytest.mark.parametrize("kind", ["AAAA", "MX", "TXT", "HTTPS", "PTR"])
def test_type_that_a_known_name_does_not_have_is_no_data_and_stays_inside(kind: str) -> None:
    reply = replied(query("app", kind))
    assert reply.rcode == NOERROR
    assert reply.ancount == 0


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
