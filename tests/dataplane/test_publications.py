"""Published ports: runs, addresses, and the same answers as a naive model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.dataplane.publications import Publication, PublicationTable
from vswitch.wire.values import IpAddress, Protocol

HOST = IpAddress.parse("203.0.113.1")
OTHER_HOST = IpAddress.parse("203.0.113.2")
WEB = IpAddress.parse("10.0.0.2")


def publication(
    first: int,
    count: int = 1,
    *,
    protocol: int = Protocol.TCP,
    address: IpAddress | None = None,
    to: int = 80,
) -> Publication:
    return Publication(protocol, address, range(first, first + count), 1, WEB, to)


def test_run_of_ports_leads_to_a_run_of_the_same_length() -> None:
    table = PublicationTable()
    run = publication(8000, count=10, to=100)
    table.add(run, now=0)
    assert table.find(Protocol.TCP, HOST, 8000) is run
    assert table.find(Protocol.TCP, HOST, 8009) is run
    assert run.endpoint_port(8000) == 100
    assert run.endpoint_port(8009) == 109


def test_ports_beside_a_run_lead_nowhere() -> None:
    table = PublicationTable()
    table.add(publication(8000, count=10), now=0)
    assert table.find(Protocol.TCP, HOST, 7999) is None
    assert table.find(Protocol.TCP, HOST, 8010) is None


def test_protocols_are_published_apart() -> None:
    table = PublicationTable()
    table.add(publication(53, protocol=Protocol.UDP), now=0)
    assert table.find(Protocol.TCP, HOST, 53) is None
    assert table.find(Protocol.UDP, HOST, 53) is not None


def test_port_published_on_one_address_is_closed_on_another() -> None:
    table = PublicationTable()
    table.add(publication(80, address=HOST), now=0)
    assert table.find(Protocol.TCP, HOST, 80) is not None
    assert table.find(Protocol.TCP, OTHER_HOST, 80) is None


def test_publication_on_the_address_itself_goes_before_one_on_all_addresses() -> None:
    table = PublicationTable()
    everywhere, here = publication(80), publication(80, address=HOST, to=81)
    table.add(everywhere, now=0)
    table.add(here, now=0)
    assert table.find(Protocol.TCP, HOST, 80) is here
    assert table.find(Protocol.TCP, OTHER_HOST, 80) is everywhere


def test_removed_publication_leads_nowhere_and_leaves_the_others() -> None:
    table = PublicationTable()
    first, second = publication(80), publication(81)
    table.add(first, now=0)
    table.add(second, now=0)
    table.remove(first)
    assert list(table) == [second]
    assert table.find(Protocol.TCP, HOST, 80) is None


@st.composite
def disjoint_runs(draw: st.DrawFn) -> list[Publication]:
    """Publications whose runs share no port, in any order."""
    bounds = sorted(draw(st.sets(st.integers(1, 200), max_size=16)))
    pairs = zip(bounds[::2], bounds[1::2], strict=False)
    runs = [publication(low, high - low) for low, high in pairs]
    return draw(st.permutations(runs))


@given(runs=disjoint_runs(), removed=st.sets(st.integers(0, 7)))
def test_bisection_finds_what_looking_at_every_run_finds(
    runs: list[Publication], removed: set[int]
) -> None:
    table = PublicationTable()
    for run in runs:
        table.add(run, now=0)
    kept = [run for index, run in enumerate(runs) if index not in removed]
    for run in runs:
        if run not in kept:
            table.remove(run)
    for port in range(205):
        naive = next((run for run in kept if port in run.host_ports), None)
        assert table.find(Protocol.TCP, HOST, port) == naive


def test_all_that_leads_to_an_endpoint_is_found_until_it_is_withdrawn() -> None:
    table = PublicationTable()
    first, second = publication(8000), publication(9000, count=10, protocol=Protocol.UDP)
    table.add(first, now=0)
    table.add(second, now=0)
    assert table.of(1, WEB) == [first, second]
    assert table.of(2, WEB) == []
    table.remove(first)
    assert table.of(1, WEB) == [second]
    table.remove(second)
    assert table.of(1, WEB) == []


def test_what_is_not_published_can_not_be_withdrawn() -> None:
    table = PublicationTable()
    table.add(publication(8000, count=10), now=0)
    for other in (publication(8000), publication(8001), publication(7000)):
        with pytest.raises(ValueError, match="is not published"):
            table.remove(other)
    assert table.find(Protocol.TCP, HOST, 8000) is not None
