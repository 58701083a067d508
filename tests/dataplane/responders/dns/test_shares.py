"""Shares: who has much gets no more before who has little."""

from __future__ import annotations

from vswitch.dataplane.responders.dns.outside.shares import Shares


def taken(shares: Shares, who: str, at_most: int = 1 << 20) -> int:
    number = 0
    while number < at_most and shares.take(who):
        number += 1
    return number


def test_one_alone_has_nearly_all_and_leaves_something() -> None:
    shares = Shares(9_000, greed=8, least=2)
    assert taken(shares, "flood") == 8_000
    assert taken(shares, "other", 100) == 100


def test_who_floods_together_has_equal_parts_when_places_are_given_back() -> None:
    shares = Shares(9_000, greed=8, least=2)
    have = {"first": taken(shares, "first"), "second": taken(shares, "second")}
    for _ in range(20_000):
        most = max(have, key=lambda who: have[who])
        shares.give_back(most)
        have[most] -= 1
        for who in have:
            have[who] += taken(shares, who, 1)
    assert abs(have["first"] - have["second"]) < 100
    assert sum(have.values()) < 9_000


def test_somebody_new_finds_a_few_places_however_many_flood() -> None:
    shares = Shares(10_000, greed=8, least=2)
    for number in range(100):
        taken(shares, f"flood {number}")
    assert taken(shares, "new") == 2


def test_no_more_than_there_are_but_for_the_few_of_each() -> None:
    shares = Shares(50, greed=8, least=1)
    assert sum(taken(shares, str(number)) for number in range(50)) <= 50 + 50
    assert taken(shares, "late") == 1
    shares.give_back("late")
    assert shares.take("late")
