"""The forwarding database by itself: learning, ageing in two generations, eviction."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vswitch.dataplane.fdb import AGEING, ForwardingDatabase, Learned, Station
from vswitch.units import SECOND
from vswitch.wire.values import MacAddress


def station(number: int, vlan: int = 0) -> Station:
    return Station(vlan, MacAddress(b"\x02" + number.to_bytes(5, "big")))


ALICE = station(1)
BOB = station(2)


def stations() -> st.SearchStrategy[Station]:
    return st.builds(station, st.integers(10, 2**40 - 1), st.integers(0, 4095))


def test_station_is_found_on_the_port_it_was_last_seen_on() -> None:
    fdb = ForwardingDatabase()
    assert fdb.where(ALICE) is None
    assert fdb.learn(ALICE, port=1, now=0) is Learned.NEW
    assert fdb.learn(ALICE, port=1, now=1) is Learned.KNOWN
    assert fdb.where(ALICE) == 1


def test_station_that_moves_is_reported_once() -> None:
    fdb = ForwardingDatabase()
    fdb.learn(ALICE, port=1, now=0)
    assert fdb.learn(ALICE, port=2, now=1 * SECOND) is Learned.MOVED
    assert fdb.learn(ALICE, port=2, now=2 * SECOND) is Learned.KNOWN
    assert fdb.where(ALICE) == 2


def test_station_that_moves_after_half_its_age_is_reported_too() -> None:
    fdb = ForwardingDatabase()
    fdb.learn(ALICE, port=1, now=0)
    fdb.turn(AGEING // 2)
    assert fdb.learn(ALICE, port=2, now=AGEING // 2) is Learned.MOVED
    assert len(fdb) == 1


def test_same_address_in_two_vlans_is_two_stations() -> None:
    fdb = ForwardingDatabase()
    fdb.learn(station(1, vlan=10), port=1, now=0)
    fdb.learn(station(1, vlan=20), port=2, now=0)
    assert fdb.where(station(1, vlan=10)) == 1
    assert fdb.where(station(1, vlan=20)) == 2


def test_silent_station_is_forgotten_at_the_second_turn() -> None:
    fdb = ForwardingDatabase()
    fdb.learn(ALICE, port=1, now=0)
    assert fdb.turn(AGEING // 2) == 0
    assert fdb.where(ALICE) == 1
    assert fdb.turn(AGEING) == 1
    assert fdb.where(ALICE) is None
    assert len(fdb) == 0


def test_station_that_speaks_between_turns_stays() -> None:
    fdb = ForwardingDatabase()
    fdb.learn(ALICE, port=1, now=0)
    fdb.turn(AGEING // 2)
    fdb.learn(ALICE, port=1, now=AGEING // 2 + 1)
    assert fdb.turn(AGEING) == 0
    assert fdb.where(ALICE) == 1


def test_turn_is_due_half_an_ageing_time_after_the_first_station() -> None:
    fdb = ForwardingDatabase(ageing=100 * SECOND)
    assert fdb.next_turn() is None
    fdb.learn(ALICE, port=1, now=7 * SECOND)
    assert fdb.next_turn() == 57 * SECOND
    fdb.turn(57 * SECOND)
    assert fdb.next_turn() == 107 * SECOND


def test_port_that_goes_away_takes_its_stations_along() -> None:
    fdb = ForwardingDatabase()
    fdb.learn(ALICE, port=1, now=0)
    fdb.turn(AGEING // 2)
    fdb.learn(station(3), port=1, now=AGEING // 2)
    fdb.learn(BOB, port=2, now=AGEING // 2)
    fdb.forget_port(1)
    assert [entry.station for entry in fdb] == [BOB]
    fdb.forget_port(99)


def test_rows_say_in_which_half_of_its_age_a_station_is() -> None:
    fdb = ForwardingDatabase()
    fdb.learn(ALICE, port=1, now=0)
    fdb.turn(AGEING // 2)
    fdb.learn(BOB, port=2, now=AGEING // 2)
    assert {(row.station, row.port, row.recent) for row in fdb} == {
        (ALICE, 1, False),
        (BOB, 2, True),
    }


@given(inventions=st.lists(stations(), min_size=70, max_size=120, unique=True))
def test_port_that_invents_addresses_evicts_only_its_own(inventions: list[Station]) -> None:
    fdb = ForwardingDatabase(capacity=64)
    fdb.learn(ALICE, port=1, now=0)
    for invention in inventions:
        fdb.learn(invention, port=2, now=0)
    assert fdb.where(ALICE) == 1
    assert len(fdb) == 64
    assert fdb.where(inventions[-1]) == 2
    assert fdb.where(inventions[0]) is None


def test_full_table_gives_a_newcomer_room_at_the_cost_of_the_greediest_port() -> None:
    fdb = ForwardingDatabase(capacity=4)
    for number in range(10, 14):
        fdb.learn(station(number), port=2, now=0)
    assert fdb.learn(BOB, port=1, now=0) is Learned.NEW
    assert fdb.where(BOB) == 1
    assert fdb.where(station(10)) is None


events = st.lists(
    st.one_of(
        st.tuples(st.just("learn"), st.integers(0, 5), st.integers(1, 3)),
        st.tuples(st.just("turn"), st.just(0), st.just(0)),
        st.tuples(st.just("forget"), st.just(0), st.integers(1, 3)),
    ),
    max_size=60,
)


@given(events=events)
def test_table_agrees_with_a_naive_model(events: list[tuple[str, int, int]]) -> None:
    fdb = ForwardingDatabase()
    model: dict[Station, tuple[int, int]] = {}
    turns = 0
    for event, who, port in events:
        if event == "learn":
            fdb.learn(station(who), port, now=0)
            model[station(who)] = (port, turns)
        elif event == "turn":
            turns += 1
            fdb.turn(0)
            model = {s: (p, seen) for s, (p, seen) in model.items() if turns - seen < 2}
        else:
            fdb.forget_port(port)
            model = {s: (p, seen) for s, (p, seen) in model.items() if p != port}
        assert {row.station: row.port for row in fdb} == {s: p for s, (p, _) in model.items()}
        assert len(fdb) == len(model)
