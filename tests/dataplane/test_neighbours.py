"""The neighbour table by itself: asking, waiting, answers, probing, giving up."""

from __future__ import annotations

import pytest

from vswitch.dataplane import neighbours
from vswitch.dataplane.neighbours import (
    LIFETIME,
    QUEUE,
    REQUESTS,
    RETRANSMIT,
    NeighbourState,
    NeighbourTable,
    Queued,
)
from vswitch.units import SECOND
from vswitch.wire.values import IpAddress, MacAddress

BOB = IpAddress.parse("10.0.0.3")
BOBS_STATION = MacAddress.parse("02:00:00:00:00:03")
OTHER_STATION = MacAddress.parse("02:00:00:00:00:04")


def reachable() -> NeighbourTable[str]:
    table: NeighbourTable[str] = NeighbourTable()
    table.learn(BOB, BOBS_STATION, 0, add=True)
    return table


def test_first_frame_that_waits_asks_and_the_next_do_not() -> None:
    table: NeighbourTable[str] = NeighbourTable()
    assert table.wait(BOB, "first", 0) is Queued.ASK
    assert table.wait(BOB, "second", 0) is Queued.QUEUED
    assert table.station(BOB) is None


def test_queue_takes_its_limit_and_no_frame_more() -> None:
    table: NeighbourTable[str] = NeighbourTable()
    for number in range(QUEUE):
        assert table.wait(BOB, str(number), 0) is not Queued.FULL
    assert table.wait(BOB, "one too many", 0) is Queued.FULL
    assert table.learn(BOB, BOBS_STATION, 1, add=False).released == ("0", "1", "2")


def test_answer_releases_the_queue_in_order_and_once() -> None:
    table: NeighbourTable[str] = NeighbourTable()
    table.wait(BOB, "first", 0)
    table.wait(BOB, "second", 0)
    update = table.learn(BOB, BOBS_STATION, 1, add=False)
    assert update.released == ("first", "second")
    assert not update.moved
    assert table.station(BOB) == BOBS_STATION
    assert table.learn(BOB, BOBS_STATION, 2, add=False).released == ()


def test_address_nobody_asked_for_is_learned_only_where_it_may_be_added() -> None:
    table: NeighbourTable[str] = NeighbourTable()
    table.learn(BOB, BOBS_STATION, 0, add=False)
    assert table.station(BOB) is None
    table.learn(BOB, BOBS_STATION, 0, add=True)
    assert table.station(BOB) == BOBS_STATION


def test_address_that_changes_its_station_has_moved() -> None:
    table = reachable()
    assert not table.learn(BOB, BOBS_STATION, 1, add=False).moved
    assert table.learn(BOB, OTHER_STATION, 2, add=False).moved
    assert table.station(BOB) == OTHER_STATION


def test_silence_is_asked_again_each_second_and_then_given_up() -> None:
    table: NeighbourTable[str] = NeighbourTable()
    table.wait(BOB, "frame", 0)
    for number in range(1, REQUESTS):
        assert table.next_deadline() == number * RETRANSMIT
        assert table.tick(number * RETRANSMIT - 1).ask == ()
        assert table.tick(number * RETRANSMIT).ask == (BOB,)
    end = table.tick(REQUESTS * RETRANSMIT)
    assert end.ask == ()
    assert end.unreachable == ("frame",)
    assert not end.lost
    assert len(table) == 0
    assert table.next_deadline() is None


def test_frame_after_giving_up_asks_anew() -> None:
    table: NeighbourTable[str] = NeighbourTable()
    table.wait(BOB, "frame", 0)
    for second in range(1, REQUESTS + 1):
        table.tick(second * SECOND)
    assert table.wait(BOB, "another", 10 * SECOND) is Queued.ASK


def test_old_address_is_probed_and_stays_in_use_meanwhile() -> None:
    table = reachable()
    assert table.tick(LIFETIME - 1).ask == ()
    assert table.tick(LIFETIME).ask == (BOB,)
    assert next(iter(table)).state is NeighbourState.PROBED
    assert table.station(BOB) == BOBS_STATION
    table.learn(BOB, BOBS_STATION, LIFETIME + 1, add=False)
    assert next(iter(table)).state is NeighbourState.REACHABLE
    assert table.tick(LIFETIME + 10 * SECOND).ask == ()


def test_probed_address_without_an_answer_is_lost() -> None:
    table = reachable()
    ticks = [table.tick(LIFETIME + number * RETRANSMIT) for number in range(REQUESTS + 1)]
    assert [tick.ask for tick in ticks] == [(BOB,)] * REQUESTS + [()]
    assert ticks[-1].lost
    assert table.station(BOB) is None


def test_answer_puts_the_probe_off_by_a_whole_lifetime() -> None:
    table = reachable()
    table.learn(BOB, BOBS_STATION, LIFETIME - 1, add=False)
    assert table.tick(LIFETIME).ask == ()
    assert table.tick(2 * LIFETIME - 2).ask == ()
    assert table.tick(2 * LIFETIME - 1).ask == (BOB,)


def test_forgotten_address_is_not_asked_for_again() -> None:
    table: NeighbourTable[str] = NeighbourTable()
    table.wait(BOB, "frame", 0)
    table.forget(BOB)
    assert table.next_deadline() is None
    assert table.tick(10 * SECOND).unreachable == ()
    table.forget(BOB)


def test_full_table_lets_nothing_wait_for_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "CAPACITY", 1)
    table = reachable()
    stranger = IpAddress.parse("10.0.0.9")
    assert table.wait(stranger, "frame", 0) is Queued.FULL
    table.learn(stranger, OTHER_STATION, 0, add=True)
    assert table.station(stranger) is None
    assert len(table) == 1
