"""Which subnet a network gets, and which address an endpoint.

Theory of operation. Both are Docker's rules. A subnet that nobody chose is the first of the
predefined pools, or the first part of one that has the wanted size, that overlaps nothing known. In
a subnet the network and broadcast addresses are never given (but both are in a /31 or /32, RFC
3021, and IPv6 keeps back only the first, RFC 4291, 2.6.1), and the lowest free address wins:
whoever is restarted alone gets the address it had. Where only a range of the subnet is to be given
away, an address beside it is for who names it.

This module knows addresses, not who holds them or why.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from vswitch.network.errors import NetworkError
from vswitch.wire.values import IpAddress, IpNetwork


class Pool(NamedTuple):
    """Where subnets come from that nobody chose: parts of `base`, `size` is their prefix length."""

    base: IpNetwork
    size: int


PREDEFINED_POOLS = tuple(
    Pool(IpNetwork.parse(base), size)
    for base, size in (
        ("172.17.0.0/16", 16),
        ("172.18.0.0/16", 16),
        ("172.19.0.0/16", 16),
        ("172.20.0.0/14", 16),
        ("172.24.0.0/14", 16),
        ("172.28.0.0/14", 16),
        ("192.168.0.0/16", 20),
    )
)
"""Docker's default address pools."""


class Usable(NamedTuple):
    """The lowest and the highest address that may be given, as numbers."""

    first: int
    last: int


def usable(subnet: IpNetwork) -> Usable:
    """The bounds of what `subnet` may give away."""
    first, last = _bounds(subnet)
    if last - first < 2:
        return Usable(first, last)
    return Usable(first + 1, last - 1 if subnet.version == 4 else last)


def usable_part(subnet: IpNetwork, part: IpNetwork) -> Usable:
    """The bounds of what `subnet` may give away of a part of it."""
    whole, wanted = usable(subnet), _bounds(part)
    return Usable(max(whole.first, wanted.first), min(whole.last, wanted.last))


def is_usable(subnet: IpNetwork, address: IpAddress) -> bool:
    """Whether `address` is one that `subnet` may give away."""
    bounds = usable(subnet)
    return address in subnet and bounds.first <= int.from_bytes(address, "big") <= bounds.last


def choose_subnet(
    taken: Iterable[IpNetwork],
    prefix_length: int | None = None,
    pools: Iterable[Pool] = PREDEFINED_POOLS,
) -> IpNetwork:
    """The first subnet of `pools`, of that size where one is said, that overlaps none of `taken`.

    Raises:
        NetworkError: all of them do.
    """
    occupied = [_bounds(each) for each in taken if each.version == 4]
    for pool in pools:
        length = pool.size if prefix_length is None else prefix_length
        first = _first_free(pool.base, 1 << (32 - length), occupied)
        if first is not None:
            return IpNetwork(IpAddress(first.to_bytes(4, "big")), length)
    raise NetworkError("all predefined address pools have been fully subnetted")


class AddressPool:
    """The addresses of one subnet, each free, taken, or kept back for who is not given it here."""

    def __init__(self, subnet: IpNetwork, ip_range: IpNetwork | None = None) -> None:
        """`ip_range` is the part of the subnet that `take_lowest` gives away; None for all."""
        self._subnet = subnet
        self._given = ip_range or subnet
        self._bounds = usable_part(subnet, self._given)
        self._taken: set[int] = set()
        self._kept_back: set[int] = set()
        self._lowest_candidate = self._bounds.first

    def take(self, address: IpAddress) -> None:
        """Take this very address.

        Raises:
            NetworkError: it is outside the subnet, or it is not free.
        """
        if address not in self._subnet:
            raise NetworkError(
                f"no configured subnet contains IP address {address}",
                hint=f"the network's subnet is {self._subnet}",
            )
        if not is_usable(self._subnet, address):
            hint = f"it is the network or broadcast address of {self._subnet}"
            raise NetworkError("Address already in use", hint=hint)
        number = int.from_bytes(address, "big")
        if number in self._taken or number in self._kept_back:
            raise NetworkError("Address already in use")
        self._taken.add(number)

    def take_lowest(self) -> IpAddress:
        """Take the lowest free address.

        Raises:
            NetworkError: none is free.
        """
        number = self._lowest_candidate
        while number in self._taken or number in self._kept_back:
            number += 1
        self._lowest_candidate = number
        if number > self._bounds.last:
            hint = f"all of {self._given} is in use"
            raise NetworkError("no available addresses on this pool", hint=hint)
        self._taken.add(number)
        return IpAddress(number.to_bytes(len(self._subnet.address), "big"))

    def release(self, address: IpAddress) -> None:
        """Make a taken address free again."""
        self._taken.remove(int.from_bytes(address, "big"))
        self._may_be_lowest(address)

    def keep_back(self, address: IpAddress) -> None:
        """Give this address of the subnet to nobody from now on. Whoever has it has it still."""
        self._kept_back.add(int.from_bytes(address, "big"))

    def let_go(self, address: IpAddress) -> None:
        """Keep an address back no longer."""
        self._kept_back.discard(int.from_bytes(address, "big"))
        self._may_be_lowest(address)

    def _may_be_lowest(self, address: IpAddress) -> None:
        number = int.from_bytes(address, "big")
        if number >= self._bounds.first:
            self._lowest_candidate = min(self._lowest_candidate, number)


def _bounds(network: IpNetwork) -> Usable:
    """The lowest and the highest address of all, as numbers."""
    first = int.from_bytes(network.address, "big")
    return Usable(first, first + (1 << (len(network.address) * 8 - network.prefix_length)) - 1)


def _first_free(base: IpNetwork, size: int, occupied: Iterable[Usable]) -> int | None:
    """Where the first aligned piece of `size` addresses begins that is in `base` and free.

    What is occupied is passed in rising order, so the work grows with that and not with the base.
    """
    first, last = _bounds(base)
    for other in sorted(occupied):
        if first + size - 1 < other.first:
            break
        if other.last >= first:
            first = -(-(other.last + 1) // size) * size
    return first if first + size - 1 <= last else None
