"""Which name is whose: Docker's search order, what is known by hand, stars, and the host."""

from __future__ import annotations

import dns.rdatatype
import pytest

from tests.dataplane.responders.dns.asking import Asking, data_of, host, is_no_data, is_no_name
from vswitch.dataplane.responders.dns.inside.names import Names, Surroundings
from vswitch.dataplane.responders.dns.inside.neighbourhood import Host, Neighbourhood
from vswitch.naming import NameSettings, Record
from vswitch.units import SECOND
from vswitch.wire.domain import encode
from vswitch.wire.values import IpAddress


def asking(*hosts: object, **around: object) -> Asking:
    return Asking(Names(hosts, NameSettings(), Surroundings(**around)))  # type: ignore[arg-type]


def by_hand(*records: tuple[str, str], hosts: tuple[object, ...] = ()) -> Asking:
    known = tuple(Record(name, (IpAddress.parse(address),)) for name, address in records)
    return Asking(Names(hosts, NameSettings(records=known)))  # type: ignore[arg-type]


# Docker's search order

FRONT_AND_C = (
    host("a", "10.0.0.1", on="b.c"),
    host("a.b", "10.0.0.2", on="c"),
    host("a.b.c", "10.0.0.3", on="d"),
)


@pytest.mark.parametrize(
    ("there", "found"),
    [
        (FRONT_AND_C, "10.0.0.3"),
        (FRONT_AND_C[:2], "10.0.0.2"),
        (FRONT_AND_C[:1], "10.0.0.1"),
    ],
)
def test_whole_name_goes_before_its_beginning_on_the_network_of_its_end(
    there: tuple[object, ...], found: str
) -> None:
    assert asking(*there).data("a.b.c") == [found]


def test_name_is_that_of_the_first_network_and_of_all_who_bear_it_there() -> None:
    asks = asking(
        host("a", "10.0.0.1", "pool"),
        host("b", "10.0.0.2", "pool"),
        host("c", "10.1.0.1", "pool", on="back"),
    )
    assert asks.data("pool") == ["10.0.0.1", "10.0.0.2"]
    assert asks.data("pool.back") == ["10.1.0.1"]


def linked(alias: str, to: Host) -> Neighbourhood:
    return Neighbourhood(to.network, [(encode(alias), to)])


@pytest.mark.parametrize("name", ["db", "DB.front"])
def test_what_a_link_calls_somebody_goes_before_names(name: str) -> None:
    third, blue = host("db", "10.0.0.1"), host("blue", "10.0.0.9")
    links = [linked("db", blue)]
    assert Asking(Names([third, blue], links=links)).data(name) == ["10.0.0.9"]
    assert Asking(Names([third, blue])).data(name) == ["10.0.0.1"]


def test_link_on_a_later_network_goes_before_a_name_on_the_first() -> None:
    third, blue = host("db", "10.0.0.1"), host("blue", "10.1.0.9", on="back")
    asks = Asking(Names([third, blue], links=[linked("db", blue)]))
    assert asks.data("db") == ["10.1.0.9"]
    assert asks.data("db.front") == ["10.0.0.1"]


def test_link_does_not_go_before_a_whole_name() -> None:
    third, blue = host("db.back", "10.0.0.1"), host("blue", "10.1.0.9", on="back")
    assert Asking(Names([third, blue], links=[linked("db", blue)])).data("db.back") == ["10.0.0.1"]


# Known by hand


def test_what_is_known_by_hand_goes_before_an_endpoint_and_has_all_its_addresses() -> None:
    record = Record("db", tuple(map(IpAddress.parse, ("192.0.2.1", "192.0.2.2", "2001:db8::1"))))
    asks = Asking(Names([host("db", "10.0.0.1")], NameSettings(records=(record,))))
    assert asks.data("db") == ["192.0.2.1", "192.0.2.2"]
    assert asks.data("DB", "AAAA") == ["2001:db8::1"]
    assert asks.data("db.front") == ["10.0.0.1"]


def test_record_is_that_name_alone_and_its_address_leads_back() -> None:
    asks = by_hand(("db.example", "192.0.2.1"))
    assert asks.data("1.2.0.192.in-addr.arpa", "PTR") == ["db.example."]
    assert is_no_data(asks.ask("db.example", "MX"), "db.example.")
    assert asks.goes_out("x.db.example")
    assert asks.goes_out("example")


def test_time_to_live_is_the_users() -> None:
    asks = Asking(Names([host("web", "10.0.0.1")], NameSettings(ttl=7 * SECOND)))
    assert asks.ask("web").answer[0].ttl == 7
    assert asks.ask("web", "AAAA").authority[0].ttl == 7


# Stars (RFC 4592)

STARS = (
    ("*.example", "192.0.2.1"),
    ("host1.example", "192.0.2.2"),
    ("a.b.example", "192.0.2.3"),
    ("*.sub.example", "192.0.2.4"),
)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("x.example", "192.0.2.1"),
        ("x.y.example", "192.0.2.1"),
        ("X.EXAMPLE", "192.0.2.1"),
        ("*.example", "192.0.2.1"),
        ("host1.example", "192.0.2.2"),
        ("x.sub.example", "192.0.2.4"),
        ("a.b.example", "192.0.2.3"),
    ],
)
def test_star_has_what_is_below_its_closest_encloser(name: str, found: str) -> None:
    assert by_hand(*STARS).data(name) == [found]


@pytest.mark.parametrize("name", ["x.host1.example", "c.b.example", "d.a.b.example"])
def test_star_has_nothing_below_a_name_that_exists(name: str) -> None:
    assert is_no_name(by_hand(*STARS).ask(name), "example.")


@pytest.mark.parametrize("name", ["b.example", "sub.example"])
def test_name_that_others_are_below_exists_and_has_nothing(name: str) -> None:
    assert is_no_data(by_hand(*STARS).ask(name), "example.")


@pytest.mark.parametrize("name", ["example", "org", "xexample"])
def test_star_is_not_about_the_name_that_it_is_below(name: str) -> None:
    assert by_hand(*STARS).goes_out(name)


def test_star_over_a_networks_name_leaves_its_endpoints_alone() -> None:
    asks = by_hand(("*.front", "192.0.2.1"), hosts=(host("web", "10.0.0.2"),))
    assert asks.data("web.front") == ["10.0.0.2"]
    assert asks.data("other.front") == ["192.0.2.1"]
    assert is_no_data(asks.ask("other.front", "AAAA"), "front.")


def test_network_below_a_star_exists_and_has_its_endpoints_alone() -> None:
    asks = by_hand(("*.lab", "192.0.2.1"), hosts=(host("web", "10.0.0.2", on="c.lab"),))
    assert asks.data("web.c.lab") == ["10.0.0.2"]
    assert is_no_data(asks.ask("c.lab"), "lab.")
    assert is_no_name(asks.ask("other.c.lab"), "lab.")
    assert asks.data("d.lab") == ["192.0.2.1"]


def test_address_that_a_star_has_leads_back_to_nobody() -> None:
    assert by_hand(*STARS).goes_out("1.2.0.192.in-addr.arpa", "PTR")


# The host and the gateway

GATEWAY = IpAddress.parse("172.18.0.1")
HOST, WAY_OUT = "host.docker.internal", "gateway.docker.internal"


def test_host_and_gateway_have_dockers_names_where_they_are_reached() -> None:
    asks = asking(gateway=GATEWAY, host=GATEWAY)
    assert asks.data(HOST) == asks.data(WAY_OUT) == ["172.18.0.1"]
    assert asks.data("1.0.18.172.in-addr.arpa", "PTR") == [f"{HOST}."]


def test_host_that_is_not_on_the_network_has_no_name_and_is_not_looked_for_outside() -> None:
    asks = asking(gateway=GATEWAY)
    assert is_no_name(asks.ask(HOST), "docker.internal.")
    assert asks.data("1.0.18.172.in-addr.arpa", "PTR") == [f"{WAY_OUT}."]
    assert is_no_name(asking().ask(WAY_OUT), "docker.internal.")


# Every type at once, and other orders


def test_all_types_at_once_are_answered_by_one_that_says_so() -> None:
    answer = asking(host("web", "10.0.0.1")).ask("web", "ANY")
    assert data_of(answer.answer) == ['"RFC8482" ""']
    assert answer.answer[0].rdtype == dns.rdatatype.HINFO


def test_name_says_itself_who_says_so() -> None:
    assert asking(host("web", "10.0.0.1")).data("web", "SOA") == [
        "localhost. nobody.invalid. 1 3600 1200 604800 10"
    ]


def test_addresses_come_in_another_order_each_time_and_each_is_the_first_one_once() -> None:
    asks = asking(*(host(f"h{n}", f"10.0.0.{n}", "pool") for n in range(1, 4)))
    orders = [tuple(asks.data("pool")) for _ in range(6)]
    assert [order[0] for order in orders] == [f"10.0.0.{n}" for n in (1, 2, 3, 1, 2, 3)]
    assert {frozenset(order) for order in orders} == {frozenset(orders[0])}
