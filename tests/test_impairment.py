"""The words of an impairment: what is understood, what comes back, and what is refused how."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.impairment import QUEUE, Impairment, ImpairmentError, Impairments
from vswitch.units import MICROSECOND, MILLISECOND, SECOND

ALL = "delay=20ms jitter=5ms loss=1% duplicate=0.1% reorder=2% corrupt=0.01% rate=10mbit queue=1000"

KEYS = (
    "delay, jitter, loss, duplicate, reorder, corrupt, rate, queue as KEY=VALUE, "
    "like delay=20ms loss=1%"
)
TIME = "allowed is a time from 0s to 60s in ns, us, ms or s, like 20ms"
SHARE = "allowed is a share from 0% to 100% in steps of 0.0001%, like 1%"
RATE = "allowed is a rate from 1kbit to 100gbit in bit, kbit, mbit or gbit per second, like 10mbit"
FRAMES = "allowed is a number of frames from 1 to 10000, like 100"

millionths = st.integers(0, 1_000_000)
times = st.integers(0, 60 * SECOND)


@st.composite
def impairments(draw: st.DrawFn) -> Impairment:
    """Every value that a text can say."""
    delay = draw(times)
    rate = draw(st.just(0) | st.integers(10**3, 10**11))
    return Impairment(
        delay=delay,
        jitter=draw(times),
        loss=draw(millionths),
        duplicate=draw(millionths),
        reorder=draw(millionths) if delay else 0,
        corrupt=draw(millionths),
        rate=rate,
        queue=draw(st.integers(1, 10_000)) if rate else QUEUE,
    )


def test_every_word_is_understood() -> None:
    assert Impairment.parse(ALL) == Impairment(
        delay=20 * MILLISECOND,
        jitter=5 * MILLISECOND,
        loss=10_000,
        duplicate=1_000,
        reorder=20_000,
        corrupt=100,
        rate=10_000_000,
        queue=1000,
    )


@pytest.mark.parametrize(
    "text",
    ["none", "delay=1.5ms", "loss=100%", "delay=999ns", "rate=2.5gbit queue=1", "jitter=60s", ALL],
)
def test_text_comes_back_as_it_was(text: str) -> None:
    assert str(Impairment.parse(text)) == text


@given(impairments())
def test_whatever_is_said_is_understood_as_it_was_meant(impairment: Impairment) -> None:
    assert Impairment.parse(str(impairment)) == impairment


@pytest.mark.parametrize(
    ("text", "again"),
    [
        ("loss=1% delay=20ms", "delay=20ms loss=1%"),
        ("  delay=0.02s\tjitter=0ms ", "delay=20ms"),
        ("delay=1500us", "delay=1.5ms"),
        ("loss=01.50%", "loss=1.5%"),
        ("rate=1000kbit", "rate=1mbit queue=100"),
        ("delay=0s loss=0%", "none"),
    ],
)
def test_other_spellings_come_back_in_the_usual_one(text: str, again: str) -> None:
    assert str(Impairment.parse(text)) == again


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", f"nothing is said: allowed is none, or some of {KEYS}"),
        ("los=1%", f"los=1%: allowed is none alone, or some of {KEYS}"),
        ("loss", f"loss: allowed is none alone, or some of {KEYS}"),
        ("delay=20ms none", f"none: allowed is none alone, or some of {KEYS}"),
        ("loss=1", f"loss=1: {SHARE}"),
        ("loss=", f"loss=: {SHARE}"),
        ("loss=100.0001%", f"loss=100.0001%: {SHARE}"),
        ("loss=-1%", f"loss=-1%: {SHARE}"),
        ("loss=0.00001%", f"loss=0.00001%: {SHARE}"),
        ("loss=\u0661%", f"loss=\u0661%: {SHARE}"),
        ("loss = 1%", f"loss: allowed is none alone, or some of {KEYS}"),
        ("delay=20", f"delay=20: {TIME}"),
        ("delay=20m", f"delay=20m: {TIME}"),
        ("delay=0.5ns", f"delay=0.5ns: {TIME}"),
        ("jitter=61s", f"jitter=61s: {TIME}"),
        ("delay=1e3ms", f"delay=1e3ms: {TIME}"),
        ("rate=10Mbit", f"rate=10Mbit: {RATE}"),
        ("rate=0bit", f"rate=0bit: {RATE}"),
        ("rate=101gbit", f"rate=101gbit: {RATE}"),
        ("rate=1mbit queue=0", f"queue=0: {FRAMES}"),
        ("rate=1mbit queue=1.5", f"queue=1.5: {FRAMES}"),
        ("rate=1mbit queue=10001", f"queue=10001: {FRAMES}"),
        ("loss=1% loss=2%", "loss=2%: loss is said twice"),
        (
            "reorder=2%",
            "reorder=2%: allowed only with delay: a frame overtakes others by not being delayed",
        ),
        (
            "reorder=2% delay=0s",
            "reorder=2%: allowed only with delay: a frame overtakes others by not being delayed",
        ),
        (
            "queue=5 delay=1s",
            "queue=5: allowed only with rate: it holds the frames that wait for the rate",
        ),
        (f"loss={'9' * 80}", f"loss={'9' * 52}...: {SHARE}"),
        ("loss=\x1b[2J", f"loss=\\x1b[2J: {SHARE}"),
    ],
)
def test_mistake_is_told_with_what_is_allowed(text: str, told: str) -> None:
    with pytest.raises(ImpairmentError) as refused:
        Impairment.parse(text)
    assert str(refused.value) == told
    assert told.isprintable()


@given(st.text().filter(lambda text: "=" not in text))
def test_no_text_is_worse_than_a_mistake(text: str) -> None:
    with suppress(ImpairmentError):
        assert Impairment.parse(text) == Impairment()


def test_both_directions_are_told_with_their_seed() -> None:
    both = Impairments(Impairment.parse("loss=1%"), seed=7)
    assert str(both) == "in loss=1%, out none, seed 7"
    assert not both.is_none
    assert Impairments(seed=7).is_none


def test_delay_in_microseconds_is_exact() -> None:
    assert Impairment.parse("delay=0.1us").delay == MICROSECOND // 10
