"""What is most frequent, held against a count of everything."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from vswitch.daemon.resolving.showing.frequent import Counted, Frequent

CAPACITY = 4


def test_all_are_counted_where_there_is_room() -> None:
    frequent: Frequent[str] = Frequent(CAPACITY)
    for thing in "abacab":
        frequent.add(thing)
    frequent.add("c", 5)
    assert frequent.most(2) == [Counted("c", 6, 0), Counted("a", 3, 0)]


def test_newcomer_takes_the_place_of_the_least_and_its_count() -> None:
    frequent: Frequent[str] = Frequent(2)
    for thing in "aabbb":
        frequent.add(thing)
    frequent.add("c")
    assert frequent.most(9) == [Counted("b", 3, 0), Counted("c", 3, 2)]


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 5)), max_size=80))
def test_count_is_within_its_bounds_and_what_is_frequent_is_there(
    came: list[tuple[int, int]],
) -> None:
    frequent: Frequent[int] = Frequent(CAPACITY)
    exact: Counter[int] = Counter()
    for thing, times in came:
        frequent.add(thing, times)
        exact[thing] += times
    found = frequent.most(CAPACITY + 1)
    assert len(found) == len(frequent) == min(CAPACITY, len(exact))
    assert sum(each.times for each in found) == exact.total()
    for each in found:
        assert each.times - each.surplus <= exact[each.thing] <= each.times
    known = {each.thing for each in found}
    assert all(n in known for n, times in exact.items() if times > exact.total() / CAPACITY)
