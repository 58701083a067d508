"""Identifications: seldom the same for one flow, and nothing to learn from other flows."""

from __future__ import annotations

import tracemalloc
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.dataplane import identification
from vswitch.dataplane.identification import Identifications
from vswitch.wire.values import IpAddress

US = IpAddress.parse("192.0.2.1")
SERVER = IpAddress.parse("198.51.100.1")
OTHER = IpAddress.parse("198.51.100.2")
UDP, ICMP = 17, 1

ADDRESSES = st.binary(min_size=4, max_size=4).map(IpAddress)


@given(seed=st.integers(0, 2**32), destination=ADDRESSES, protocol=st.integers(0, 255))
def test_identification_fits_its_field_and_is_not_the_last_one(
    seed: int, destination: IpAddress, protocol: int
) -> None:
    identifications = Identifications(Random(seed))
    first, second = (identifications.next(US, destination, protocol) for _ in range(2))
    assert 0 <= first <= 0xFFFF
    assert 0 <= second <= 0xFFFF
    assert first != second


def test_flow_uses_the_whole_field_before_it_repeats() -> None:
    identifications = Identifications(Random(1))
    used = [identifications.next(US, SERVER, UDP) for _ in range(65537)]
    assert len(set(used[:65536])) == 65536
    assert used[65536] == used[0]


def test_busy_neighbours_do_not_use_up_a_flow_s_identifications() -> None:
    identifications = Identifications(Random(1))
    used = []
    for _ in range(2000):
        used.append(identifications.next(US, SERVER, UDP))
        for other in range(63):
            identifications.next(US, IpAddress(bytes((10, 0, 0, other))), UDP)
    assert len(set(used)) == 2000


def test_switch_counts_from_elsewhere_after_each_start() -> None:
    first = {Identifications(Random(seed)).next(US, SERVER, UDP) for seed in range(100)}
    assert len(first) > 90


def test_what_one_destination_sees_says_nothing_about_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # All flows share one counter, so that nothing but the key keeps them apart.
    monkeypatch.setattr(identification, "BUCKETS", 1)

    def distance(source: IpAddress, destination: IpAddress, protocol: int, seed: int) -> int:
        identifications = Identifications(Random(seed))
        seen = identifications.next(US, SERVER, UDP)
        return (identifications.next(source, destination, protocol) - seen) & 0xFFFF

    for flow in ((US, OTHER, UDP), (OTHER, SERVER, UDP), (US, SERVER, ICMP)):
        assert len({distance(*flow, seed) for seed in range(100)}) > 90


class KnownKey(Random):
    """Random but for the key, of which somebody has got hold."""

    def randbytes(self, n: int) -> bytes:
        return bytes(n) if n == 16 else super().randbytes(n)


def test_who_has_the_key_does_not_have_the_counters() -> None:
    first = {Identifications(KnownKey(seed)).next(US, SERVER, UDP) for seed in range(100)}
    assert len(first) > 90


def test_destinations_are_not_remembered() -> None:
    identifications = Identifications(Random(1))
    identifications.next(US, SERVER, UDP)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        for number in range(5000):
            identifications.next(US, IpAddress(number.to_bytes(4, "big")), UDP)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 4096
