"""Deadlines of many things: order, bringing forward, putting off, cancelling."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vswitch.dataplane.timers import Timers


def test_items_come_out_when_their_time_has_come_and_not_before() -> None:
    timers: Timers[str] = Timers()
    timers.schedule("late", 20)
    timers.schedule("early", 10)
    assert timers.next_deadline() == 10
    assert list(timers.due(9)) == []
    assert list(timers.due(10)) == ["early"]
    assert list(timers.due(10)) == []
    assert timers.next_deadline() == 20


def test_equal_deadlines_come_in_the_order_in_which_they_were_scheduled() -> None:
    timers: Timers[str] = Timers()
    for name in "cab":
        timers.schedule(name, 5)
    assert list(timers.due(5)) == ["c", "a", "b"]


def test_deadline_brought_forward_hands_out_once() -> None:
    timers: Timers[str] = Timers()
    timers.schedule("x", 100)
    timers.schedule("x", 10)
    assert list(timers.due(50)) == ["x"]
    assert list(timers.due(200)) == []
    assert timers.next_deadline() is None


def test_cancelled_item_is_not_handed_out() -> None:
    timers: Timers[str] = Timers()
    timers.schedule("x", 10)
    timers.cancel("x")
    timers.cancel("never heard of")
    assert timers.next_deadline() is None
    assert list(timers.due(100)) == []


def test_item_may_be_scheduled_again_while_what_is_due_is_handed_out() -> None:
    timers: Timers[str] = Timers()
    timers.schedule("x", 10)
    for item in timers.due(10):
        timers.schedule(item, 30)
    assert timers.next_deadline() == 30


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 50)), max_size=30))
def test_no_item_is_ever_handed_out_late_or_twice(requests: list[tuple[str, int]]) -> None:
    """An owner that keeps the true deadlines, as every owner does, meets each of them."""
    timers: Timers[str] = Timers()
    true = {}
    for item, deadline in requests:
        timers.schedule(item, deadline)
        true[item] = deadline
    ended: dict[str, int] = {}
    for now in range(51):
        for item in timers.due(now):
            if true[item] > now:
                timers.schedule(item, true[item])
            else:
                assert item not in ended
                ended[item] = now
    assert ended == true
