from __future__ import annotations

from random import Random

import pytest

from vswitch.network.macs import MacPool
from vswitch.wire.values import MacAddress


class FewBytes(Random):
    """A random source that repeats itself at once."""

    def __init__(self, *values: bytes) -> None:
        super().__init__(0)
        self.values = list(values)

    def randbytes(self, n: int) -> bytes:
        return self.values.pop(0)


def test_address_is_unicast_and_locally_administered() -> None:
    pool = MacPool(FewBytes(bytes(6), b"\xff" * 6))
    assert pool.allocate() == MacAddress.parse("02:00:00:00:00:00")
    assert pool.allocate() == MacAddress.parse("fe:ff:ff:ff:ff:ff")


def test_address_in_use_is_never_given_again() -> None:
    first, second, third = (bytes([2, 0, 0, 0, 0, last]) for last in (1, 2, 3))
    pool = MacPool(FewBytes(first, first, second, third, first))
    pool.reserve(MacAddress(second))
    assert pool.allocate() == first
    assert pool.allocate() == third
    pool.release(MacAddress(first))
    assert pool.allocate() == first


@pytest.mark.parametrize("seed", range(3))
def test_same_random_source_gives_the_same_addresses(seed: int) -> None:
    one, other = MacPool(Random(seed)), MacPool(Random(seed))
    assert [one.allocate() for _ in range(9)] == [other.allocate() for _ in range(9)]
