"""Connection tracking by itself: the state table, two keys per connection, timeouts."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest

from vswitch.dataplane.conntrack import (
    CACHEABLE,
    RFC_TIMEOUTS,
    TCP_TRANSITIONS,
    Connection,
    ConnectionTable,
    Direction,
    Event,
    FlowTuple,
    Found,
    State,
)
from vswitch.dataplane.mappings import External, Internal, Mapping
from vswitch.units import MINUTE, SECOND, Nanoseconds
from vswitch.wire.tcp import ACK, FIN, PSH, RST, SYN
from vswitch.wire.values import IpAddress, Protocol

CLIENT = IpAddress.parse("10.0.0.2")
SERVER = IpAddress.parse("198.51.100.1")
UPLINK = IpAddress.parse("203.0.113.1")

FLAGS = {Event.SYN: SYN, Event.FIN: FIN | ACK, Event.RST: RST, Event.OTHER: ACK | PSH}
TCP_STATES = [state for state in State if state not in (State.UNANSWERED, State.ANSWERED)]


def never(_key: bytes) -> Nanoseconds:
    return 0


def connection(
    protocol: int = Protocol.TCP, now: Nanoseconds = 0, mapping: Mapping | None = None
) -> Connection:
    original = FlowTuple(1, protocol, CLIENT, 5000, SERVER, 80)
    reply = FlowTuple(2, protocol, SERVER, 80, UPLINK, 6000)
    return Connection.begin(original, reply, now, mapping)


def tracked(protocol: int, state: State) -> tuple[ConnectionTable, Connection]:
    """A table with one connection that was last seen, in `state`, at time 0."""
    table = ConnectionTable(RFC_TIMEOUTS)
    member = connection(protocol)
    member.state = state
    table.add(member)
    return table, member


@pytest.mark.parametrize(
    ("state", "direction", "event"), list(product(TCP_STATES, Direction, Event))
)
def test_segment_leads_where_the_table_says_and_else_nowhere(
    state: State, direction: Direction, event: Event
) -> None:
    table, member = tracked(Protocol.TCP, state)
    table.track(Found(member, direction), FLAGS[event], now=1)
    assert member.state is TCP_TRANSITIONS.get((state, direction, event), state)


def test_every_state_can_be_reached_from_the_first() -> None:
    reached, before = {State.OPENING}, set[State]()
    while reached != before:
        before = set(reached)
        reached |= {after for (state, _, _), after in TCP_TRANSITIONS.items() if state in reached}
    assert reached == set(TCP_STATES)


def test_data_alone_changes_no_state_that_the_fast_path_may_run_in() -> None:
    for state, direction in product(CACHEABLE, Direction):
        assert (state, direction, Event.OTHER) not in TCP_TRANSITIONS


@pytest.mark.parametrize("state", TCP_STATES)
def test_reset_from_either_side_leaves_no_state_that_is_kept_for_hours(state: State) -> None:
    for direction in Direction:
        after = TCP_TRANSITIONS.get((state, direction, Event.RST), state)
        assert RFC_TIMEOUTS.of(Protocol.TCP, after) == RFC_TIMEOUTS.tcp_closing


@pytest.mark.parametrize(
    ("flags", "event"),
    [
        (SYN, Event.SYN),
        (SYN | ACK, Event.SYN),
        (FIN | ACK | PSH, Event.FIN),
        (RST | ACK, Event.RST),
        (ACK, Event.OTHER),
        (PSH | ACK, Event.OTHER),
    ],
)
def test_flags_mean_one_event(flags: int, event: Event) -> None:
    assert Event.of(flags) is event


@pytest.mark.parametrize("protocol", [Protocol.UDP, Protocol.ICMP])
def test_answer_is_noted_and_not_forgotten(protocol: int) -> None:
    table, member = tracked(protocol, State.UNANSWERED)
    table.track(Found(member, Direction.ORIGINAL), None, now=1)
    assert member.state is State.UNANSWERED
    table.track(Found(member, Direction.REPLY), None, now=2)
    assert member.state is State.ANSWERED
    table.track(Found(member, Direction.ORIGINAL), None, now=3)
    assert member.state is State.ANSWERED


LIMITS = [
    (Protocol.UDP, State.UNANSWERED, 300 * SECOND),
    (Protocol.UDP, State.ANSWERED, 300 * SECOND),
    (Protocol.ICMP, State.UNANSWERED, 60 * SECOND),
    (Protocol.ICMP, State.ANSWERED, 60 * SECOND),
    (Protocol.TCP, State.OPENING, 4 * MINUTE),
    (Protocol.TCP, State.ESTABLISHED, 124 * MINUTE),
    (Protocol.TCP, State.ORIGINAL_CLOSED, 124 * MINUTE),
    (Protocol.TCP, State.REPLY_CLOSED, 124 * MINUTE),
    (Protocol.TCP, State.CLOSING, 4 * MINUTE),
    (Protocol.TCP, State.TRANSITORY, 4 * MINUTE),
]


@pytest.mark.parametrize(("protocol", "state", "limit"), LIMITS)
def test_silent_connection_lives_to_its_limit_and_no_longer(
    protocol: int, state: State, limit: Nanoseconds
) -> None:
    table, member = tracked(protocol, state)
    assert table.expire(limit - 1, never) == []
    assert table.find(member.original) is not None
    assert table.expire(limit + 1, never) == [member]
    assert table.find(member.original) is None
    assert table.find(member.reply) is None
    assert len(table) == 0


@pytest.mark.parametrize(("protocol", "state", "limit"), LIMITS)
def test_frame_of_the_fast_path_keeps_a_connection_alive(
    protocol: int, state: State, limit: Nanoseconds
) -> None:
    table, member = tracked(protocol, state)
    member.keys = {b"forth", b"back"}
    used: Callable[[bytes], Nanoseconds] = {b"forth": 5, b"back": limit // 2}.__getitem__
    assert table.expire(limit + 1, used) == []
    assert table.expire(limit // 2 + limit - 1, used) == []
    assert table.expire(limit // 2 + limit + 1, used) == [member]


def test_reset_brings_the_end_of_an_established_connection_forward() -> None:
    table, member = tracked(Protocol.TCP, State.ESTABLISHED)
    table.track(Found(member, Direction.REPLY), RST, now=1 * SECOND)
    assert table.next_deadline() == 4 * MINUTE + 1 * SECOND
    assert table.expire(4 * MINUTE + 2 * SECOND, never) == [member]


def test_each_tuple_finds_the_connection_and_its_direction() -> None:
    table = ConnectionTable(RFC_TIMEOUTS)
    member = connection()
    table.add(member)
    assert table.find(member.original) == (member, Direction.ORIGINAL)
    assert table.find(member.reply) == (member, Direction.REPLY)
    elsewhere = member.original._replace(network=2)
    assert table.find(elsewhere) is None


def test_frames_leave_with_the_other_tuple_turned_round() -> None:
    member = connection()
    out = member.leaving(Direction.ORIGINAL)
    assert out == FlowTuple(2, Protocol.TCP, UPLINK, 6000, SERVER, 80)
    back = member.leaving(Direction.REPLY)
    assert back == FlowTuple(1, Protocol.TCP, SERVER, 80, CLIENT, 5000)


def test_table_is_full_at_its_capacity() -> None:
    table = ConnectionTable(RFC_TIMEOUTS, capacity=1)
    assert not table.full
    member = connection()
    table.add(member)
    assert table.full
    table.close(member)
    assert not table.full


def test_connections_are_numbered_and_no_number_comes_twice() -> None:
    table = ConnectionTable(RFC_TIMEOUTS)
    first = connection()
    assert first.number == 0
    table.add(first)
    table.close(first)
    second = connection()
    table.add(second)
    assert (first.number, second.number) == (1, 2)


def test_closed_connection_has_no_deadline() -> None:
    table, member = tracked(Protocol.UDP, State.ANSWERED)
    table.close(member)
    assert table.next_deadline() is None
    assert table.expire(10**15, never) == []


def test_mapping_counts_its_connections_and_notes_their_use() -> None:
    internal = Internal(1, Protocol.TCP, CLIENT, 5000)
    mapping = Mapping(internal, External(Protocol.TCP, UPLINK, 6000), last_used=0)
    table = ConnectionTable(RFC_TIMEOUTS)
    member = connection(mapping=mapping)
    table.add(member)
    assert mapping.connections == 1
    table.track(Found(member, Direction.ORIGINAL), SYN, now=7)
    assert mapping.last_used == 7
    table.close(member)
    assert mapping.connections == 0


def test_mapping_rests_from_the_end_of_its_last_connection() -> None:
    internal = Internal(1, Protocol.UDP, CLIENT, 5000)
    mapping = Mapping(internal, External(Protocol.UDP, UPLINK, 6000), last_used=0)
    table = ConnectionTable(RFC_TIMEOUTS)
    table.add(connection(Protocol.UDP, mapping=mapping))
    table.expire(301 * SECOND, never)
    assert mapping.last_used == 301 * SECOND


def test_connection_that_resets_and_revives_over_and_over_takes_no_more_memory() -> None:
    table, member = tracked(Protocol.TCP, State.ESTABLISHED)
    for now in range(1000):
        table.track(Found(member, Direction.ORIGINAL), RST, now)
        table.track(Found(member, Direction.REPLY), ACK, now)
    assert len(table._timers._heap) < 10
    assert table.expire(124 * MINUTE + 998, never) == []
    assert table.expire(124 * MINUTE + 999, never) == [member]
