"""Names that stay inside whoever asks, and addresses backwards that are nobody else's to know."""

from __future__ import annotations

import pytest

from tests.dataplane.responders.dns.asking import Asking, host, is_no_data, is_no_name
from vswitch.dataplane.responders.dns.inside.names import Names, Surroundings
from vswitch.naming import NameSettings
from vswitch.wire.values import IpNetwork

SUBNETS = tuple(
    map(IpNetwork.parse, ("172.18.0.0/16", "10.9.16.0/20", "192.0.2.8/29", "fd00::/64"))
)


@pytest.fixture
def asks() -> Asking:
    around = Surroundings(SUBNETS)
    return Asking(Names([host("web", "172.18.0.2")], NameSettings(), around))


@pytest.mark.parametrize("name", ["localhost", "LocalHost", "a.b.localhost"])
def test_localhost_is_who_asks(asks: Asking, name: str) -> None:
    assert asks.data(name) == ["127.0.0.1"]
    assert asks.data(name, "AAAA") == ["::1"]
    assert is_no_data(asks.ask(name, "MX"), "localhost.")


@pytest.mark.parametrize("zone", ["invalid", "onion", "docker.internal"])
def test_name_that_is_nowhere_is_not_asked_for(asks: Asking, zone: str) -> None:
    assert is_no_name(asks.ask(zone), zone)
    assert is_no_name(asks.ask(f"x.y.{zone}"), zone)


def test_servers_outside_say_nothing_of_themselves_to_clients_of_ours(asks: Asking) -> None:
    assert is_no_data(asks.ask("_dns.resolver.arpa", "SVCB"), "resolver.arpa.")


@pytest.mark.parametrize(
    "name",
    [
        *("x", "printer.local", "host.test", "router.home.arpa", "ipv4only.arpa", "arpa"),
        *("use-application-dns.net", "notlocalhost", "localhost.example", "internal"),
    ],
)
def test_other_names_that_somebody_has_a_use_for_are_asked_outside(asks: Asking, name: str) -> None:
    assert asks.goes_out(name)


@pytest.mark.parametrize(
    ("name", "kind", "stays"),
    [
        ("printer", "A", True),
        ("PRINTER", "AAAA", True),
        ("printer", "TXT", False),
        ("printer.lan", "A", False),
        (".", "A", False),
    ],
)
def test_label_alone_stays_inside_for_whom_dots_are_counted(
    name: str, kind: str, stays: bool
) -> None:
    asks = Asking(keeps_short_names=True)
    assert asks.goes_out(name, kind) is not stays
    if stays:
        assert is_no_data(asks.ask(name, kind), f"{name}.")


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("9.0.18.172.in-addr.arpa", "18.172.in-addr.arpa."),
        ("x.9.0.18.172.in-addr.arpa", "18.172.in-addr.arpa."),
        ("300.0.18.172.in-addr.arpa", "18.172.in-addr.arpa."),
        ("lb._dns-sd._udp.0.0.18.172.in-addr.arpa", "18.172.in-addr.arpa."),
        ("1.31.9.10.in-addr.arpa", "31.9.10.in-addr.arpa."),
        ("15.2.0.192.in-addr.arpa", "15.2.0.192.in-addr.arpa."),
        ("9." + "0." * 29 + "d.f.ip6.arpa", "0." * 14 + "d.f.ip6.arpa."),
        ("2.0.0.127.in-addr.arpa", "127.in-addr.arpa."),
        ("1.1.254.169.in-addr.arpa", "254.169.in-addr.arpa."),
        ("0.0.0.0.in-addr.arpa", "0.in-addr.arpa."),
        ("1." + "0." * 28 + "8.e.f.ip6.arpa", "8.e.f.ip6.arpa."),
    ],
)
def test_address_inside_that_nobody_has_is_no_name(asks: Asking, name: str, zone: str) -> None:
    assert is_no_name(asks.ask(name, "PTR"), zone)


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("18.172.in-addr.arpa", "18.172.in-addr.arpa."),
        ("0.18.172.in-addr.arpa", "18.172.in-addr.arpa."),
        ("127.in-addr.arpa", "127.in-addr.arpa."),
    ],
)
def test_beginning_of_an_address_inside_has_nothing(asks: Asking, name: str, zone: str) -> None:
    assert is_no_data(asks.ask(name, "PTR"), zone)


@pytest.mark.parametrize(
    "name",
    [
        "1.0.19.172.in-addr.arpa",
        "172.in-addr.arpa",
        "1.32.9.10.in-addr.arpa",
        "16.2.0.192.in-addr.arpa",
        "2.0.192.in-addr.arpa",
        "1.0.0.10.in-addr.arpa",
        "in-addr.arpa",
        "ip6.arpa",
        "8.8.8.8.in-addr.arpa.example",
    ],
)
def test_address_outside_is_asked_outside(asks: Asking, name: str) -> None:
    assert asks.goes_out(name, "PTR")


def test_loopback_leads_back_to_localhost(asks: Asking) -> None:
    assert asks.data("1.0.0.127.in-addr.arpa", "PTR") == ["localhost."]
    assert asks.data("1." + "0." * 31 + "ip6.arpa", "PTR") == ["localhost."]


def test_address_that_somebody_has_has_a_name_and_nothing_else(asks: Asking) -> None:
    assert asks.data("2.0.18.172.in-addr.arpa", "PTR") == ["web.front."]
    assert is_no_data(asks.ask("2.0.18.172.in-addr.arpa", "A"), "2.0.18.172.in-addr.arpa.")
