"""The token bucket by itself."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vswitch.dataplane.rate import Rate
from vswitch.units import MILLISECOND, SECOND, Nanoseconds


def test_a_seconds_worth_may_come_at_once_and_no_more() -> None:
    rate = Rate(5)
    assert [rate.take(0) for _ in range(6)] == [True] * 5 + [False]


def test_credit_comes_back_evenly() -> None:
    rate = Rate(5)
    for _ in range(5):
        rate.take(0)
    assert not rate.take(199 * MILLISECOND)
    assert rate.take(200 * MILLISECOND)
    assert not rate.take(399 * MILLISECOND)
    assert rate.take(400 * MILLISECOND)


def test_silence_brings_no_more_than_a_seconds_worth() -> None:
    rate = Rate(3)
    rate.take(0)
    assert [rate.take(3600 * SECOND) for _ in range(4)] == [True, True, True, False]


def test_asking_takes_nothing() -> None:
    rate = Rate(1)
    assert [rate.has_room(0) for _ in range(3)] == [True] * 3
    rate.take(0)
    assert not rate.has_room(SECOND - 1)
    assert rate.has_room(SECOND)


def test_zero_stands_for_no_limit() -> None:
    rate = Rate(0)
    assert all(rate.take(0) for _ in range(10_000))
    assert rate.has_room(0)


def test_clock_whose_first_time_is_late_brings_no_credit() -> None:
    rate = Rate(2)
    assert [rate.take(10**15) for _ in range(3)] == [True, True, False]


@given(
    per_second=st.integers(1, 50),
    steps=st.lists(st.integers(0, SECOND), max_size=100),
)
def test_no_stretch_of_time_has_more_than_the_rate_and_one_seconds_worth(
    per_second: int, steps: list[Nanoseconds]
) -> None:
    rate, now = Rate(per_second), 0
    taken: list[Nanoseconds] = []
    for step in steps:
        now += step
        allowed = rate.has_room(now)
        assert rate.take(now) is allowed
        if allowed:
            taken.append(now)
    for index, start in enumerate(taken):
        for number, end in enumerate(taken[index:], start=1):
            assert number * SECOND <= per_second * (end - start) + per_second * SECOND
