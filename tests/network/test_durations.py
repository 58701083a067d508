"""Lengths of time as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.network import durations
from vswitch.units import DAY, HOUR, MINUTE, SECOND


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("0s", 0),
        ("120", 120 * SECOND),
        ("30s", 30 * SECOND),
        ("2m", 2 * MINUTE),
        ("2h4m", 124 * MINUTE),
        ("1d1h1m1s", DAY + HOUR + MINUTE + SECOND),
        ("90m", 90 * MINUTE),
    ],
)
def test_duration_is_read_in_its_units(text: str, duration: int) -> None:
    assert durations.parse(text) == duration


@pytest.mark.parametrize("text", ["", "s", "-1s", "1.5s", "4m2h", "2 m", "2M", "2m2m", "٣s", "1w"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration: allowed is a time like"):
        durations.parse(text)


@pytest.mark.parametrize(
    ("duration", "text"),
    [(0, "0s"), (90 * SECOND, "1m30s"), (124 * MINUTE, "2h4m"), (5 * DAY, "5d")],
)
def test_duration_is_told_in_the_largest_units(duration: int, text: str) -> None:
    assert durations.text(duration) == text


@given(seconds=st.integers(0, 10**9))
def test_what_is_told_is_read_back(seconds: int) -> None:
    assert durations.parse(durations.text(seconds * SECOND)) == seconds * SECOND
