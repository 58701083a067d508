"""The wheel by itself: whatever is put off, brought forward or ended, each item is handed out at
exactly its time, and what has ended takes no room for long."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from vswitch.dataplane.wheel import NOWHERE, Wheel
from vswitch.units import HOUR, MILLISECOND, MINUTE, SECOND, Nanoseconds


class Item:
    """Something with a deadline that changes, as a connection has."""

    def __init__(self, name: str, deadline: Nanoseconds) -> None:
        self.name = name
        self.deadline = deadline
        self.standing = NOWHERE

    def __repr__(self) -> str:
        return self.name


def wheel() -> Wheel[Item]:
    return Wheel(lambda item: item.deadline)


def scheduled(made: Wheel[Item], name: str, deadline: Nanoseconds) -> Item:
    item = Item(name, deadline)
    made.schedule(item, deadline)
    return item


def places(made: Wheel[Item]) -> int:
    """In how many lists items stand."""
    return len(made._open) + sum(len(items) for _, items in made._slots.values())


def test_empty_wheel_has_no_deadline() -> None:
    made = wheel()
    assert made.next_deadline() is None
    assert list(made.due(10 * HOUR)) == []


def test_items_are_handed_out_in_the_order_of_their_deadlines() -> None:
    made = wheel()
    late, early, soon = (
        scheduled(made, name, deadline)
        for name, deadline in (("late", 3 * MINUTE), ("early", 1 * SECOND), ("soon", 2 * SECOND))
    )
    assert made.next_deadline() == 1 * SECOND
    assert list(made.due(10 * MINUTE)) == [early, soon, late]
    assert made.next_deadline() is None


def test_item_is_handed_out_at_its_nanosecond_and_not_before() -> None:
    made = wheel()
    item = scheduled(made, "item", 5 * SECOND)
    assert list(made.due(5 * SECOND - 1)) == []
    assert list(made.due(5 * SECOND)) == [item]
    assert list(made.due(5 * SECOND)) == []


def test_deadline_that_was_put_off_is_kept_without_being_scheduled_again() -> None:
    made = wheel()
    item = scheduled(made, "item", 5 * SECOND)
    item.deadline = 5 * MINUTE
    assert list(made.due(5 * MINUTE - 1)) == []
    assert list(made.due(5 * MINUTE)) == [item]


def test_deadline_that_was_put_off_within_its_slot_is_kept_too() -> None:
    made = wheel()
    item = scheduled(made, "item", 5 * SECOND)
    assert made.next_deadline() == 5 * SECOND
    item.deadline = 5 * SECOND + 1 * MILLISECOND
    assert list(made.due(5 * SECOND)) == []
    assert list(made.due(5 * SECOND + 1 * MILLISECOND)) == [item]


def test_deadline_that_is_brought_forward_is_met() -> None:
    made = wheel()
    item = scheduled(made, "item", 2 * HOUR)
    item.deadline = 4 * MINUTE
    made.schedule(item, 4 * MINUTE)
    assert made.next_deadline() == 4 * MINUTE
    assert list(made.due(4 * MINUTE)) == [item]
    assert list(made.due(3 * HOUR)) == []


def test_deadline_that_is_brought_forward_within_the_open_slot_is_met() -> None:
    made = wheel()
    item = scheduled(made, "item", 5 * SECOND)
    assert made.next_deadline() == 5 * SECOND
    item.deadline = 5 * SECOND - 1 * MILLISECOND
    made.schedule(item, item.deadline)
    assert made.next_deadline() == 5 * SECOND - 1 * MILLISECOND
    assert list(made.due(6 * SECOND)) == [item]


def test_item_that_ended_is_never_handed_out() -> None:
    made = wheel()
    ended, other = scheduled(made, "ended", 1 * SECOND), scheduled(made, "other", 2 * SECOND)
    made.forget(ended)
    assert made.next_deadline() == 2 * SECOND
    assert list(made.due(1 * HOUR)) == [other]


def test_item_that_was_handed_out_can_be_scheduled_again() -> None:
    made = wheel()
    item = scheduled(made, "item", 1 * SECOND)
    assert list(made.due(1 * SECOND)) == [item]
    item.deadline = 2 * SECOND
    made.schedule(item, 2 * SECOND)
    assert list(made.due(2 * SECOND)) == [item]


def test_item_that_is_scheduled_again_while_the_due_ones_are_handed_out_comes_at_its_time() -> None:
    made = wheel()
    first, second = scheduled(made, "first", 1 * SECOND), scheduled(made, "second", 2 * SECOND)
    seen = []
    for item in made.due(10 * SECOND):
        seen.append(item)
        if item is first and len(seen) == 1:
            item.deadline = 20 * SECOND
            made.schedule(item, 20 * SECOND)
    assert seen == [first, second]
    assert made.next_deadline() == 20 * SECOND


def test_putting_off_and_bringing_forward_over_and_over_takes_no_more_room() -> None:
    made = wheel()
    item = scheduled(made, "item", 2 * HOUR)
    for _ in range(1000):
        item.deadline = 4 * MINUTE
        made.schedule(item, 4 * MINUTE)
        item.deadline = 2 * HOUR
        made.schedule(item, 2 * HOUR)
    assert places(made) <= 2
    assert list(made.due(2 * HOUR - 1)) == []
    assert list(made.due(2 * HOUR)) == [item]


def test_items_that_end_before_their_time_take_no_room_for_long() -> None:
    made = wheel()
    lasting = [scheduled(made, "lasting", 2 * HOUR + n) for n in range(100)]
    for number in range(20_000):
        item = scheduled(made, "fleeting", 1 * HOUR + number * MILLISECOND)
        made.forget(item)
        assert places(made) < 3000
    assert list(made.due(3 * HOUR)) == lasting


def test_same_deadline_comes_in_the_order_of_scheduling() -> None:
    made = wheel()
    items = [scheduled(made, str(number), 1 * SECOND) for number in range(50)]
    assert list(made.due(1 * SECOND)) == items


spans = st.integers(0, 5) | st.integers(0, 1 * SECOND) | st.integers(0, 20 * MINUTE)


class AnyLife(RuleBasedStateMachine):
    """Against a dictionary of deadlines."""

    def __init__(self) -> None:
        super().__init__()
        self.wheel = wheel()
        self.now: Nanoseconds = 1000 * SECOND
        self.alive: list[Item] = []

    @rule(span=spans)
    def begin(self, span: Nanoseconds) -> None:
        self.alive.append(scheduled(self.wheel, str(len(self.alive)), self.now + span))

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), span=spans)
    def put_off(self, data: st.DataObject, span: Nanoseconds) -> None:
        item = data.draw(st.sampled_from(self.alive))
        item.deadline += span

    @precondition(lambda self: self.alive)
    @rule(data=st.data(), span=spans)
    def change_openly(self, data: st.DataObject, span: Nanoseconds) -> None:
        item = data.draw(st.sampled_from(self.alive))
        item.deadline = self.now + span
        self.wheel.schedule(item, item.deadline)

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(self.alive))
        self.alive.remove(item)
        self.wheel.forget(item)

    @rule(span=spans)
    def pass_time_as_a_daemon_does(self, span: Nanoseconds) -> None:
        end = self.now + span
        while (deadline := self.wheel.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self._expect(self.now)
        self.now = end

    @rule(span=spans)
    def pass_time_at_once(self, span: Nanoseconds) -> None:
        self.now += span
        self._expect(self.now)

    @invariant()
    def next_deadline_is_not_late(self) -> None:
        deadline = self.wheel.next_deadline()
        if self.alive:
            assert deadline is not None
            assert deadline <= min(item.deadline for item in self.alive)
        else:
            assert deadline is None

    def _expect(self, now: Nanoseconds) -> None:
        expected = {item for item in self.alive if item.deadline <= now}
        handed_out = list(self.wheel.due(now))
        assert len(handed_out) == len(set(handed_out))
        assert set(handed_out) == expected
        self.alive = [item for item in self.alive if item not in expected]
        for item in handed_out:
            self.wheel.forget(item)


TestAnyLife = AnyLife.TestCase
TestAnyLife.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
