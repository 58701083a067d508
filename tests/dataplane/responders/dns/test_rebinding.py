"""Names of the outside that lead inside: which addresses those are, and which names may."""

from __future__ import annotations

import dns.rrset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.dataplane.responders.dns.learned.rebinding import Rebinding, addresses_in
from vswitch.naming import Domain, NameSettings, Server
from vswitch.wire import domain
from vswitch.wire.values import IpAddress

OURS = IpAddress.parse("203.0.113.1")
NAME = domain.encode("evil.example")


def rebinding(*, protects: bool = True, but: tuple[str, ...] = ()) -> Rebinding:
    corporate = Domain("corp.example", (Server(IpAddress.parse("192.0.2.53")),))
    settings = NameSettings(
        protects_from_rebinding=protects, protected_but=but, domains=(corporate,)
    )
    return Rebinding(settings, lambda address: address == OURS)


def answer(kind: str, *data: str) -> list[dns.rrset.RRset]:
    return [dns.rrset.from_text("evil.example.", 60, "IN", kind, *data)]


@pytest.mark.parametrize(
    "address",
    [
        *("0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.53", "169.254.169.254", "172.31.255.255"),
        *("192.168.0.1", "255.255.255.255", "203.0.113.1"),
        *("::", "::1", "fc00::1", "fd12::1", "fe80::1", "fec0::1"),
        *("::ffff:10.0.0.1", "::ffff:203.0.113.1", "::127.0.0.1", "64:ff9b::192.168.0.1"),
        "2002:c0a8:1::1",
    ],
)
def test_address_that_only_the_inside_reaches_is_not_told(address: str) -> None:
    kind = "AAAA" if ":" in address else "A"
    assert rebinding().forbidden_in(NAME, answer(kind, address)) == IpAddress.parse(address)


@pytest.mark.parametrize(
    "address",
    [
        *("1.1.1.1", "9.255.255.255", "100.128.0.1", "172.32.0.1", "192.167.0.1", "203.0.113.2"),
        *("2001:db8::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"),
    ],
)
def test_address_of_the_outside_is_told(address: str) -> None:
    kind = "AAAA" if ":" in address else "A"
    assert rebinding().forbidden_in(NAME, answer(kind, address)) is None


def test_one_address_among_others_is_enough() -> None:
    assert rebinding().forbidden_in(NAME, answer("A", "8.8.8.8", "10.0.0.1")) is not None


def test_hint_leads_inside_as_an_address_does() -> None:
    hinted = answer("HTTPS", "1 . alpn=h2 ipv4hint=8.8.8.8,10.0.0.1 ipv6hint=2001:db8::1")
    assert [str(led.address) for led in addresses_in(hinted)] == [
        *("8.8.8.8", "10.0.0.1", "2001:db8::1")
    ]
    assert rebinding().forbidden_in(NAME, hinted) == IpAddress.parse("10.0.0.1")


def test_records_without_addresses_lead_nowhere() -> None:
    texts = (("CNAME", "a.b."), ("MX", "10 a.b."), ("TXT", '"10.0.0.1"'), ("TYPE65280", r"\# 0"))
    for kind, data in texts:
        assert rebinding().forbidden_in(NAME, answer(kind, data)) is None


@pytest.mark.parametrize(
    ("name", "trusted"),
    [
        ("lan.example", True),
        ("nas.lan.example", True),
        ("corp.example", True),
        ("wiki.corp.example", True),
        ("evil-corp.example", False),
        ("example", False),
    ],
)
def test_names_below_what_is_excepted_may_lead_inside(name: str, trusted: bool) -> None:
    """As may those for whose domain there are servers."""
    found = rebinding(but=("lan.example",)).forbidden_in(
        domain.encode(name), answer("A", "10.0.0.1")
    )
    assert (found is None) is trusted


def test_who_wants_no_protection_is_told_everything() -> None:
    assert rebinding(protects=False).forbidden_in(NAME, answer("A", "10.0.0.1")) is None


@given(st.binary(min_size=4, max_size=4))
def test_address_counts_alike_however_it_is_written(octets: bytes) -> None:
    mapped = IpAddress(bytes(10) + b"\xff\xff" + octets)
    is_inside = rebinding().is_inside
    assert is_inside(IpAddress(octets)) == is_inside(mapped)
