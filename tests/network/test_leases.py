"""Addresses that are leased or reserved, and those of endpoints: nobody gets what somebody has."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vswitch.leasing import Lease, Leasing, Reservation
from vswitch.network.errors import NetworkError
from vswitch.network.inventory import Inventory
from vswitch.network.model import EndpointRequest, Network
from vswitch.wire.values import IpAddress, IpNetwork, MacAddress

PRINTER = MacAddress.parse("52:54:00:12:34:56")
FRONT = Network("front", IpNetwork.parse("10.0.0.0/28"), IpAddress.parse("10.0.0.1"))
LOWEST = IpAddress.parse("10.0.0.2")
NEXT = IpAddress.parse("10.0.0.3")
LEASE = Lease(LOWEST, PRINTER, "printer")


@pytest.fixture
def inventory() -> Inventory:
    return Inventory((FRONT,), (), Random(1))


def reserving(*addresses: IpAddress) -> Network:
    reservations = tuple(Reservation(f"host{i}", each) for i, each in enumerate(addresses))
    return replace(FRONT, leasing=Leasing(reservations=reservations))


def add(inventory: Inventory, name: str, address: IpAddress | None = None) -> IpAddress:
    return inventory.add_endpoint(EndpointRequest(name, "front", address=address)).address


def test_endpoint_is_not_given_a_leased_address(inventory: Inventory) -> None:
    inventory.lease(FRONT, LEASE)
    assert add(inventory, "web") == NEXT


def test_who_asks_for_a_leased_address_is_told_who_has_it(inventory: Inventory) -> None:
    inventory.lease(FRONT, LEASE)
    with pytest.raises(NetworkError) as refused:
        add(inventory, "web", LOWEST)
    assert refused.value.explained == (
        "Address already in use (leased to 52:54:00:12:34:56 (printer))"
    )


def test_address_is_an_endpoints_to_have_when_its_lease_has_ended(inventory: Inventory) -> None:
    inventory.lease(FRONT, LEASE)
    add(inventory, "web")
    inventory.end_lease(FRONT, LOWEST)
    assert add(inventory, "app") == LOWEST


def test_reserved_address_stays_reserved_when_its_lease_ends() -> None:
    network = reserving(LOWEST)
    inventory = Inventory((network,), (), Random(1))
    inventory.lease(network, LEASE)
    inventory.end_lease(network, LOWEST)
    assert add(inventory, "web") == NEXT


def test_endpoint_keeps_its_address_when_that_is_reserved_since(inventory: Inventory) -> None:
    assert add(inventory, "web") == LOWEST
    inventory.change_network(reserving(LOWEST))
    assert inventory.has_own(FRONT, LOWEST)
    inventory.remove_endpoint("web")
    assert add(inventory, "app") == NEXT


def test_address_is_given_again_when_it_is_reserved_no_longer() -> None:
    inventory = Inventory((reserving(LOWEST),), (), Random(1))
    inventory.change_network(FRONT)
    assert add(inventory, "web") == LOWEST


def test_what_is_remembered_of_an_endpoint_gives_way_to_a_lease(inventory: Inventory) -> None:
    before = inventory.add_endpoint(EndpointRequest("web", "front"))
    inventory.remove_endpoint("web")
    inventory.remember([before], {})
    inventory.lease(FRONT, LEASE)
    assert add(inventory, "web") == NEXT


def test_lease_that_says_the_same_again_is_no_change(inventory: Inventory) -> None:
    inventory.lease(FRONT, LEASE)
    revision = inventory.revision
    inventory.lease(FRONT, LEASE)
    assert inventory.revision == revision


def test_network_that_goes_takes_its_leases_along(inventory: Inventory) -> None:
    inventory.lease(FRONT, LEASE)
    inventory.displace_network("front")
    inventory.place_network(FRONT)
    assert inventory.leases_on(FRONT) == ()
    assert add(inventory, "web") == LOWEST


_ADDRESSES = st.integers(2, 14).map(lambda last: IpAddress(bytes((10, 0, 0, last))))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("lease"), _ADDRESSES),
            st.tuples(st.just("end"), _ADDRESSES),
            st.tuples(st.just("ask"), _ADDRESSES),
            st.tuples(st.just("any"), _ADDRESSES),
        ),
        max_size=40,
    )
)
def test_no_address_is_leased_and_an_endpoints_at_once(story: list[tuple[str, IpAddress]]) -> None:
    """Where the server leases only what is nobody's own, as it does."""
    inventory = Inventory((FRONT,), (), Random(1))
    leased: set[IpAddress] = set()
    given: set[IpAddress] = set()
    for number, (what, address) in enumerate(story):
        if what == "lease" and not inventory.has_own(FRONT, address):
            inventory.lease(FRONT, Lease(address, PRINTER, None))
            leased.add(address)
        elif what == "end" and address in leased:
            inventory.end_lease(FRONT, address)
            leased.remove(address)
        elif what in ("ask", "any"):
            wanted = address if what == "ask" else None
            free = (
                len(leased) + len(given) < 13 if wanted is None else address not in leased | given
            )
            try:
                given.add(add(inventory, f"e{number}", wanted))
                assert free
            except NetworkError:
                assert not free
    assert leased.isdisjoint(given)
