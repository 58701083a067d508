from __future__ import annotations

import ipaddress
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from vswitch.network import ipam
from vswitch.network.errors import NetworkError
from vswitch.wire.values import IpAddress, IpNetwork


def ip(text: str) -> IpAddress:
    return IpAddress.parse(text)


def net(text: str) -> IpNetwork:
    return IpNetwork.parse(text)


def test_lowest_free_address_wins_over_the_one_after_the_last() -> None:
    pool = ipam.AddressPool(net("172.18.0.0/16"))
    given_out = [pool.take_lowest() for _ in range(3)]
    assert given_out == [ip("172.18.0.1"), ip("172.18.0.2"), ip("172.18.0.3")]
    pool.release(ip("172.18.0.2"))
    assert pool.take_lowest() == ip("172.18.0.2")
    assert pool.take_lowest() == ip("172.18.0.4")


def test_address_that_was_asked_for_is_not_given_again() -> None:
    pool = ipam.AddressPool(net("172.18.0.0/16"))
    pool.take(ip("172.18.0.1"))
    assert pool.take_lowest() == ip("172.18.0.2")
    with pytest.raises(NetworkError, match=r"^Address already in use$"):
        pool.take(ip("172.18.0.1"))


@pytest.mark.parametrize("address", ["172.18.0.0", "172.18.255.255"])
def test_network_and_broadcast_addresses_are_kept_back(address: str) -> None:
    pool = ipam.AddressPool(net("172.18.0.0/16"))
    with pytest.raises(NetworkError, match=r"^Address already in use$") as refused:
        pool.take(ip(address))
    assert refused.value.hint == "it is the network or broadcast address of 172.18.0.0/16"


def test_address_outside_is_refused() -> None:
    pool = ipam.AddressPool(net("172.18.0.0/16"))
    for outside in ("172.19.0.1", "fd00::1"):
        with pytest.raises(NetworkError) as refused:
            pool.take(ip(outside))
        assert str(refused.value) == f"no configured subnet contains IP address {outside}"


@pytest.mark.parametrize(
    ("subnet", "first", "last"),
    [
        ("10.0.0.0/30", "10.0.0.1", "10.0.0.2"),
        ("10.0.0.0/31", "10.0.0.0", "10.0.0.1"),
        ("10.0.0.0/32", "10.0.0.0", "10.0.0.0"),
        ("fd00::/126", "fd00::1", "fd00::3"),
        ("fd00::/128", "fd00::", "fd00::"),
    ],
)
def test_pool_gives_every_usable_address_and_then_none(subnet: str, first: str, last: str) -> None:
    pool = ipam.AddressPool(net(subnet))
    lowest, highest = (int.from_bytes(ip(text), "big") for text in (first, last))
    taken = [int.from_bytes(pool.take_lowest(), "big") for _ in range(highest - lowest + 1)]
    assert taken == list(range(lowest, highest + 1))
    with pytest.raises(NetworkError, match=r"^no available addresses on this pool$"):
        pool.take_lowest()
    pool.release(ip(first))
    assert pool.take_lowest() == ip(first)


class PoolAgainstModel(RuleBasedStateMachine):
    """A pool of six addresses against a set and `min`."""

    SUBNET = "192.0.2.8/29"
    HOSTS = tuple(IpAddress(host.packed) for host in ipaddress.IPv4Network(SUBNET).hosts())

    def __init__(self) -> None:
        super().__init__()
        self.pool = ipam.AddressPool(net(self.SUBNET))
        self.free = set(self.HOSTS)

    @rule()
    def take_lowest(self) -> None:
        if self.free:
            lowest = min(self.free)
            assert self.pool.take_lowest() == lowest
            self.free.remove(lowest)
        else:
            with pytest.raises(NetworkError):
                self.pool.take_lowest()

    @rule(address=st.sampled_from(HOSTS))
    def take(self, address: IpAddress) -> None:
        if address in self.free:
            self.pool.take(address)
            self.free.remove(address)
        else:
            with pytest.raises(NetworkError):
                self.pool.take(address)

    @precondition(lambda self: len(self.free) < len(self.HOSTS))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        address = data.draw(st.sampled_from(sorted(set(self.HOSTS) - self.free)))
        self.pool.release(address)
        self.free.add(address)

    @invariant()
    def nobody_has_more_than_there_is(self) -> None:
        assert self.free <= set(self.HOSTS)


TestPoolAgainstModel = PoolAgainstModel.TestCase


def test_pools_are_used_in_dockers_order() -> None:
    taken: list[IpNetwork] = []
    for _ in range(17):
        taken.append(ipam.choose_subnet(taken))
    assert [str(subnet) for subnet in taken] == [
        *(f"172.{second}.0.0/16" for second in range(17, 32)),
        "192.168.0.0/20",
        "192.168.16.0/20",
    ]


def test_pool_is_skipped_where_anything_of_it_is_taken() -> None:
    assert ipam.choose_subnet([net("172.17.9.0/24"), net("172.18.0.0/15")]) == net("172.20.0.0/16")
    assert ipam.choose_subnet([net("172.0.0.0/8"), net("192.168.15.1/32")]) == net(
        "192.168.16.0/20"
    )


def test_exhausted_pools_are_reported() -> None:
    with pytest.raises(NetworkError) as refused:
        ipam.choose_subnet([net("172.16.0.0/12"), net("192.168.0.0/16")])
    assert str(refused.value) == "all predefined address pools have been fully subnetted"


@given(
    address=st.binary(min_size=4, max_size=4), prefix_length=st.integers(0, 32), other=st.integers()
)
def test_usable_addresses_are_those_of_the_standard_library(
    address: bytes, prefix_length: int, other: int
) -> None:
    reference = ipaddress.IPv4Network((address, prefix_length), strict=False)
    subnet = IpNetwork(IpAddress(reference.network_address.packed), prefix_length)
    reserved = prefix_length < 31
    bounds = ipam.usable(subnet)
    assert bounds.first == int(reference.network_address) + reserved
    assert bounds.last == int(reference.broadcast_address) - reserved
    somewhere = IpAddress((other % 2**32).to_bytes(4, "big"))
    assert ipam.is_usable(subnet, somewhere) == (bounds.first <= other % 2**32 <= bounds.last)


@pytest.mark.parametrize(
    ("length", "taken", "chosen"),
    [
        (24, (), "172.17.0.0/24"),
        (24, ("172.17.0.0/16",), "172.18.0.0/24"),
        (24, ("172.17.0.0/25", "172.17.1.7/32"), "172.17.2.0/24"),
        (15, (), "172.20.0.0/15"),
        (15, ("172.21.0.0/16",), "172.22.0.0/15"),
        (14, ("172.21.0.0/16", "172.20.0.0/14"), "172.24.0.0/14"),
        (30, ("172.17.0.0/16", "172.18.0.0/15", "172.20.0.0/14"), "172.24.0.0/30"),
    ],
)
def test_subnet_of_a_size_is_the_first_free_part_of_the_pools(
    length: int, taken: tuple[str, ...], chosen: str
) -> None:
    assert ipam.choose_subnet([net(each) for each in taken], length) == net(chosen)


def test_pools_have_room_for_a_thousand_small_networks() -> None:
    taken = [net("172.17.0.0/16")]
    for _ in range(1000):
        taken.append(ipam.choose_subnet(taken, 24))
    assert all(not a.overlaps(b) for a, b in combinations(taken, 2))
    assert taken[-1] == net("172.21.231.0/24")


def test_no_pool_is_as_large_as_that() -> None:
    with pytest.raises(NetworkError, match="fully subnetted"):
        ipam.choose_subnet([], 13)


def test_addresses_are_given_from_the_range_and_taken_by_name_anywhere() -> None:
    pool = ipam.AddressPool(net("172.28.0.0/16"), net("172.28.5.0/30"))
    assert [str(pool.take_lowest()) for _ in range(2)] == ["172.28.5.0", "172.28.5.1"]
    pool.take(IpAddress.parse("172.28.0.9"))
    pool.release(IpAddress.parse("172.28.0.9"))
    assert [str(pool.take_lowest()) for _ in range(2)] == ["172.28.5.2", "172.28.5.3"]
    with pytest.raises(NetworkError) as refused:
        pool.take_lowest()
    assert refused.value.explained == (
        "no available addresses on this pool (all of 172.28.5.0/30 is in use)"
    )


def test_range_at_the_edge_of_a_subnet_keeps_its_first_and_last_address_back() -> None:
    low = ipam.AddressPool(net("10.0.0.0/24"), net("10.0.0.0/30"))
    high = ipam.AddressPool(net("10.0.0.0/24"), net("10.0.0.252/30"))
    assert [str(low.take_lowest()) for _ in range(3)] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert [str(high.take_lowest()) for _ in range(3)] == ["10.0.0.252", "10.0.0.253", "10.0.0.254"]
    with pytest.raises(NetworkError):
        high.take_lowest()
