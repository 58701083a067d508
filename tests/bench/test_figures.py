from __future__ import annotations

from math import inf

import pytest

from bench.figures import Spread, digits, ratios


def test_a_spread_is_the_median_with_the_extremes() -> None:
    assert Spread.of([9.0, 1.0, 4.0]) == Spread(middle=4.0, low=1.0, high=9.0)
    assert Spread.of([1.0, 4.0]).middle == 2.5
    assert Spread.of([9.0, 1.0, 4.0]).text() == "4.00 (1.00-9.00)"


def test_a_spread_of_one_round_is_one_number() -> None:
    assert Spread.of([4.0]).text() == "4.00"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.01234, "0.0123"), (1.234, "1.23"), (12.34, "12.3"), (12345.6, "12,346")],
)
def test_numbers_have_as_many_digits_as_one_reads(value: float, text: str) -> None:
    assert digits(value) == text


def test_ratios_are_taken_round_by_round() -> None:
    assert ratios([6.0, 8.0, 10.0], [12.0, 8.0, 40.0]) == [0.5, 1.0, 0.25]


def test_whoever_did_nothing_is_beaten_by_anything_but_nothing() -> None:
    assert ratios([6.0, 0.0], [0.0, 0.0]) == [inf, 1.0]


def test_results_with_different_numbers_of_rounds_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="shorter"):
        ratios([1.0, 2.0], [1.0])
