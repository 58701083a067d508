"""Services of endpoints, by RFC 2782's names, which are Docker's."""

from __future__ import annotations

import pytest

from tests.dataplane.responders.dns.asking import Asking, data_of, host, is_no_data, is_no_name
from vswitch.dataplane.responders.dns.inside.names import Names, Service
from vswitch.naming import NameSettings, Record
from vswitch.wire.values import IpAddress, Protocol

WEB = host(
    "web",
    "10.0.0.2",
    "www",
    services=(
        Service(Protocol.TCP, range(80, 81), IpAddress.parse("127.0.0.1"), range(8080, 8081)),
        Service(Protocol.TCP, range(9000, 9100)),
        Service(Protocol.UDP, range(53, 54)),
    ),
)
BARE = host("bare", "10.0.0.3")
BY_HAND = NameSettings(
    records=tuple(Record(name, (IpAddress.parse("192.0.2.1"),)) for name in ("db.example", "known"))
)


def asking(*hosts: object) -> Asking:
    return Asking(Names(hosts or (WEB, BARE), BY_HAND))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "port"),
    [
        ("_http._tcp.web", 80),
        ("_80._tcp.web", 80),
        ("_HTTP._TCP.WWW.Front", 80),
        ("_9042._tcp.web.front", 9042),
        ("_domain._udp.web", 53),
    ],
)
def test_service_says_at_which_port_it_is_and_where_that_is(name: str, port: int) -> None:
    answer = asking().ask(name, "SRV")
    assert data_of(answer.answer) == [f"0 0 {port} web.front."]
    assert [(str(each.name), data_of([each])) for each in answer.additional] == [
        ("web.front.", ["10.0.0.2"])
    ]


def test_text_says_where_it_is_published() -> None:
    assert asking().data("_http._tcp.web", "TXT") == ['"port=80" "published=127.0.0.1:8080"']
    assert asking().data("_9000._tcp.web", "TXT") == ['"port=9000"']


def test_service_of_several_is_that_of_each_who_has_it() -> None:
    serving = (Service(Protocol.TCP, range(80, 81)),)
    asks = asking(
        host("a", "10.0.0.1", "pool", services=serving),
        host("b", "10.0.0.2", "pool", services=serving),
        host("c", "10.0.0.3", "pool"),
    )
    assert sorted(asks.data("_http._tcp.pool", "SRV")) == ["0 0 80 a.front.", "0 0 80 b.front."]
    assert asks.data("_http._tcp.pool", "TXT") == ['"port=80"']


def test_service_is_the_endpoints_also_where_its_name_leads_elsewhere_by_hand() -> None:
    known = host("known", "10.0.0.2", services=(Service(Protocol.TCP, range(80, 81)),))
    assert asking(known).data("known") == ["192.0.2.1"]
    assert asking(known).data("_http._tcp.known", "SRV") == ["0 0 80 known.front."]


@pytest.mark.parametrize(
    "name", ["_81._tcp.web", "_http._udp.web", "_nonsense._tcp.web", "_http._tcp.bare"]
)
def test_service_that_is_not_there_is_no_name_and_is_not_asked_outside(name: str) -> None:
    assert is_no_name(asking().ask(name, "SRV"), name.rpartition(".")[2])


def test_service_has_no_address_and_its_protocol_alone_has_nothing() -> None:
    assert is_no_data(asking().ask("_http._tcp.web"), "web")
    assert is_no_data(asking().ask("_tcp.web", "SRV"), "web")


@pytest.mark.parametrize("name", ["_ldap._tcp.example.org", "_x._tcp.db.example", "_a._b.web"])
def test_name_in_front_of_somebody_elses_is_asked_outside(name: str) -> None:
    assert asking().goes_out(name, "SRV")


def test_addresses_that_do_not_fit_are_left_out_and_nothing_is_cut() -> None:
    serving = (Service(Protocol.TCP, range(80, 81)),)
    asks = asking(*(host(f"h{n}", f"10.0.0.{n}", "p", services=serving) for n in range(1, 13)))
    answer = asks.ask("_80._tcp.p", "SRV")
    assert len(answer.answer[0]) == 12
    assert answer.additional == []
    assert not answer.flags & 0x0200
    assert len(asks.ask("_80._tcp.p", "SRV", edns=0, payload=4096).additional) == 12
