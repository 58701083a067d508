"""The pool of external ports by itself: uniform, by class and parity, exact to the last port."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.dataplane.ports import FIRST_HIGH, PORTS, PortPool

ALL = (range(1, 65536),)


def contents(pool: PortPool) -> set[int]:
    return {port for port in PORTS if port in pool}


def drawn_to_the_end(pool: PortPool, like: int, random: Random) -> list[int]:
    """Draw and take until there is none left."""
    ports = []
    while (port := pool.draw(like, random)) is not None:
        assert port in pool
        pool.take(port)
        ports.append(port)
    return ports


def test_pool_begins_with_what_may_be_given_away() -> None:
    pool = PortPool((range(10, 13), range(2000, 2001)))
    assert contents(pool) == {10, 11, 12, 2000}
    assert len(pool) == 4


@pytest.mark.parametrize("like", [21, 80, 1022, 1023, 1024, 5000, 5001, 65535])
def test_port_is_of_the_class_and_parity_of_the_one_that_it_is_like(like: int) -> None:
    pool, random = PortPool(ALL), Random(1)
    for _ in range(200):
        port = pool.draw(like, random)
        assert port is not None
        assert port % 2 == like % 2
        assert (port < FIRST_HIGH) == (like < FIRST_HIGH)


def test_drawing_takes_nothing() -> None:
    pool, random = PortPool(ALL), Random(1)
    for _ in range(10):
        pool.draw(5000, random)
    assert len(pool) == 65535


def test_low_port_goes_to_the_other_parity_and_then_to_a_high_one() -> None:
    pool = PortPool((range(7, 9), range(5000, 5002)))
    assert drawn_to_the_end(pool, 80, Random(1)) == [8, 7, 5000, 5001]


def test_high_port_never_becomes_a_low_one() -> None:
    pool = PortPool((range(7, 9), range(5000, 5002)))
    assert drawn_to_the_end(pool, 6000, Random(1)) == [5000, 5001]
    assert contents(pool) == {7, 8}


def test_without_parity_both_are_drawn_from_alike() -> None:
    pool, random = PortPool((range(2000, 2010),)), Random(1)
    drawn = Counter(pool.draw(5000, random, keeps_parity=False) for _ in range(1000))
    assert set(drawn) == set(range(2000, 2010))


def test_pool_without_classes_knows_no_low_ports() -> None:
    pool = PortPool((range(65536),), has_classes=False)
    drawn = {pool.draw(6, Random(seed)) for seed in range(300)}
    assert any(port is not None and port >= FIRST_HIGH for port in drawn)
    small = PortPool((range(10),), has_classes=False)
    assert sorted(drawn_to_the_end(small, 40000, Random(1))) == list(range(10))


@pytest.mark.parametrize(("like", "ports"), [(5000, range(1024, 65536)), (80, range(1, 65536))])
def test_every_port_is_found_before_there_is_none(like: int, ports: range) -> None:
    pool = PortPool(ALL)
    taken = drawn_to_the_end(pool, like, Random(1))
    assert len(taken) == len(ports)
    assert set(taken) == set(ports)


def test_draws_are_uniform() -> None:
    """RFC 6056, 3.3.1: each of a hundred free ports, some given back in between, a hundredth."""
    pool, random = PortPool((range(2000, 2200),)), Random(1)
    for port in range(2000, 2200, 2):
        pool.take(port)
        pool.give(port)
    draws = 20_000
    counts = Counter(pool.draw(5000, random) for _ in range(draws))
    assert set(counts) == set(range(2000, 2200, 2))
    expected = draws / 100
    # The deviation of each count is the root of 200: five of those are passed in one of a million.
    assert max(abs(count - expected) for count in counts.values()) < 5 * expected**0.5


def test_draws_follow_no_progression() -> None:
    pool, random = PortPool(ALL), Random(1)
    ports = []
    for _ in range(1000):
        port = pool.draw(5000, random)
        assert port is not None
        pool.take(port)
        ports.append(port)
    steps = Counter(later - earlier for earlier, later in pairwise(ports))
    assert steps.most_common(1)[0][1] <= 3
    assert len({port // 4096 for port in ports[:200]}) == 16


def test_same_seed_draws_the_same_ports() -> None:
    def draws(seed: int) -> list[int | None]:
        pool, random = PortPool(ALL), Random(seed)
        return [pool.draw(5000, random) for _ in range(20)]

    assert draws(1) == draws(1) != draws(2)


runs = st.lists(st.integers(0, 40), max_size=8, unique=True).map(sorted)
moves = st.lists(st.tuples(st.booleans(), st.integers(0, 60)), max_size=80)


@given(bounds=runs, moves=moves, high=st.booleans(), seed=st.integers(0, 5))
def test_pool_is_a_set_that_can_be_drawn_from(
    bounds: list[int], moves: list[tuple[bool, int]], high: bool, seed: int
) -> None:
    """Whatever is taken and given back in whatever order, on both sides of the class border."""
    first = FIRST_HIGH - 20 if high else 0
    pairs = zip(bounds[::2], bounds[1::2], strict=False)
    ranges = tuple(range(first + low, first + end) for low, end in pairs)
    pool, random = PortPool(ranges), Random(seed)
    model = {port for some in ranges for port in some}
    for takes, number in moves:
        port = first + number
        if takes and model:
            some = pool.draw(port, random)
            candidates = {each for each in model if port < FIRST_HIGH or each >= FIRST_HIGH}
            assert (some is None) == (not candidates)
            if some is not None:
                assert some in candidates
                pool.take(some)
                model.remove(some)
        elif not takes and port not in model:
            pool.give(port)
            model.add(port)
        assert len(pool) == len(model)
        assert {port for port in range(first, first + 61) if port in pool} == model
    assert contents(pool) == model
