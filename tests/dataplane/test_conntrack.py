"""Connection tracking by itself: states, two keys per connection, lifetimes, refreshing."""

from __future__ import annotations

from itertools import product

import pytest

from vswitch.dataplane.accounts import Account
from vswitch.dataplane.conntrack import FLEETING, Connection, ConnectionTable, Found, lifetime
from vswitch.dataplane.flow import FlowTuple
from vswitch.dataplane.mappings import External, Internal, Mapping
from vswitch.fastpath.states import TCP_TRANSITIONS, Direction, Event, State
from vswitch.translation import PROFILES, Refresh, Timeouts, Translation
from vswitch.units import HOUR, MINUTE, SECOND, Nanoseconds
from vswitch.wire.tcp import ACK, FIN, PSH, RST, SYN
from vswitch.wire.values import IpAddress, Protocol

CLIENT, SERVER = IpAddress.parse("10.0.0.2"), IpAddress.parse("198.51.100.1")
UPLINK = IpAddress.parse("203.0.113.1")

FLAGS = {Event.SYN: SYN, Event.FIN: FIN | ACK, Event.RST: RST, Event.OTHER: ACK | PSH}
NOT_TCP = (State.UNANSWERED, State.ANSWERED)
TCP_STATES = [state for state in State if state not in NOT_TCP]
ORIGINAL, REPLY = Direction.ORIGINAL, Direction.REPLY


class Uses(dict[bytes, Nanoseconds]):
    """When the fast path last used its entries, by key."""

    def __call__(self, key: bytes) -> Nanoseconds:
        return self.get(key, 0)


def account(translation: Translation | None = None) -> Account:
    return Account(1, CLIENT, translation or Translation())


def connection(
    protocol: int = Protocol.TCP,
    *,
    now: Nanoseconds = 0,
    mapping: Mapping | None = None,
    target: Mapping | None = None,
    translation: Translation | None = None,
    dport: int = 80,
) -> Connection:
    original = FlowTuple(1, protocol, CLIENT, 5000, SERVER, dport)
    reply = FlowTuple(2, protocol, SERVER, dport, UPLINK, 6000)
    owner = account(translation)
    return Connection(original, reply, owner, now, mapping=mapping, target=target)


def table(capacity: int = 10, uses: Uses | None = None) -> ConnectionTable:
    return ConnectionTable(capacity, Uses() if uses is None else uses)


def tracked(
    state: State, protocol: int = Protocol.TCP, *, uses: Uses | None = None, **kind: object
) -> tuple[ConnectionTable, Connection]:
    """A table with one connection that has come into a state at time 0."""
    made, member = table(uses=uses), connection(protocol, **kind)
    made.add(member)
    made._change_state(member, state)
    return made, member


def ended(made: ConnectionTable, now: Nanoseconds) -> list[Connection]:
    """What is due, closed as it is handed out."""
    due = []
    for member in made.due(now):
        made.close(member)
        due.append(member)
    return due


# States


@pytest.mark.parametrize(
    ("state", "direction", "event"), list(product(TCP_STATES, Direction, Event))
)
def test_segment_leads_where_the_table_says_and_else_nowhere(
    state: State, direction: Direction, event: Event
) -> None:
    made, member = tracked(state)
    found = Found(member, direction)
    after = TCP_TRANSITIONS.get((state, direction, event), state)
    assert found.state_after(FLAGS[event]) is after
    assert member.state is state
    made.track(found, FLAGS[event], now=1)
    assert member.state is after


def test_every_state_can_be_reached_from_the_first() -> None:
    reached, before = {State.OPENING}, set[State]()
    while reached != before:
        before = set(reached)
        reached |= {after for (state, _, _), after in TCP_TRANSITIONS.items() if state in reached}
    assert reached == set(TCP_STATES)


@pytest.mark.parametrize("state", TCP_STATES)
def test_reset_from_either_side_leaves_no_state_that_is_kept_for_hours(state: State) -> None:
    for direction in Direction:
        after = TCP_TRANSITIONS.get((state, direction, Event.RST), state)
        assert lifetime(Protocol.TCP, after, 80, Timeouts()) == 4 * MINUTE


def test_no_fleeting_state_is_one_that_data_flows_in() -> None:
    """What may go to make room is what nobody has answered, or what is over."""
    assert {State.UNANSWERED, State.OPENING, State.CLOSING, State.TRANSITORY} == FLEETING


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


@pytest.mark.parametrize("protocol", [Protocol.UDP, Protocol.ICMP, Protocol.GRE, Protocol.SCTP])
def test_answer_is_noted_and_not_forgotten(protocol: int) -> None:
    made, member = tracked(State.UNANSWERED, protocol)
    for direction, state in (
        (ORIGINAL, State.UNANSWERED),
        (REPLY, State.ANSWERED),
        (ORIGINAL, State.ANSWERED),
    ):
        made.track(Found(member, direction), None, now=1)
        assert member.state is state


def test_connection_begins_in_its_protocols_first_state() -> None:
    assert connection(Protocol.TCP).state is State.OPENING
    assert connection(Protocol.UDP).state is State.UNANSWERED


# Lifetimes

RFC, LINUX, OVS = (PROFILES[name] for name in ("rfc", "linux", "ovs"))
LIFETIMES = [
    (Protocol.UDP, State.UNANSWERED, 300, 30, 60),
    (Protocol.UDP, State.ANSWERED, 300, 120, 30),
    (Protocol.UDP_LITE, State.ANSWERED, 300, 120, 30),
    (Protocol.ICMP, State.UNANSWERED, 60, 30, 60),
    (Protocol.ICMP, State.ANSWERED, 60, 30, 60),
    (Protocol.TCP, State.OPENING, 240, 120, 30),
    (Protocol.TCP, State.ESTABLISHED, 7440, 432_000, 86_400),
    (Protocol.TCP, State.ORIGINAL_CLOSED, 7440, 120, 900),
    (Protocol.TCP, State.REPLY_CLOSED, 7440, 120, 900),
    (Protocol.TCP, State.CLOSING, 240, 120, 45),
    (Protocol.TCP, State.TRANSITORY, 240, 10, 30),
    (Protocol.SCTP, State.UNANSWERED, 240, 120, 30),
    (Protocol.SCTP, State.ANSWERED, 7440, 432_000, 86_400),
    (Protocol.DCCP, State.ANSWERED, 7440, 432_000, 86_400),
    (Protocol.GRE, State.UNANSWERED, 600, 600, 60),
    (Protocol.ESP, State.ANSWERED, 600, 600, 60),
]
"""Protocol, state, and seconds by profile."""


@pytest.mark.parametrize(("protocol", "state", "rfc", "linux", "ovs"), LIFETIMES)
def test_lifetime_is_the_profiles(
    protocol: int, state: State, rfc: int, linux: int, ovs: int
) -> None:
    seconds = [lifetime(protocol, state, 80, each) // SECOND for each in (RFC, LINUX, OVS)]
    assert seconds == [rfc, linux, ovs]


def test_every_state_of_tcp_has_a_lifetime_of_its_own_choice() -> None:
    chosen = Timeouts(
        tcp_opening=1, tcp_established=2, tcp_half_closed=3, tcp_closing=4, tcp_reset=5
    )
    lifetimes = [lifetime(Protocol.TCP, state, 80, chosen) for state in TCP_STATES]
    assert lifetimes == [1, 2, 3, 3, 4, 5]


@pytest.mark.parametrize("port", [53, 123])
def test_short_ports_of_udp_have_a_lifetime_of_their_own(port: int) -> None:
    chosen = Timeouts(udp_short=7)
    for state in NOT_TCP:
        assert lifetime(Protocol.UDP, state, port, chosen) == 7
        assert lifetime(Protocol.UDP, state, port + 1, chosen) == 300 * SECOND


@pytest.mark.parametrize(("protocol", "state", "seconds", "_linux", "_ovs"), LIFETIMES)
def test_silent_connection_lives_to_its_limit_and_no_longer(
    protocol: int, state: State, seconds: int, _linux: int, _ovs: int
) -> None:
    made, member = tracked(state, protocol)
    limit = seconds * SECOND
    assert ended(made, limit - 1) == []
    assert made.find(member.original) is not None
    assert ended(made, limit) == [member]
    assert made.find(member.original) is None
    assert made.find(member.reply) is None
    assert len(made) == 0


@pytest.mark.parametrize(("protocol", "state", "seconds", "_linux", "_ovs"), LIFETIMES)
def test_frame_of_the_fast_path_keeps_a_connection_alive(
    protocol: int, state: State, seconds: int, _linux: int, _ovs: int
) -> None:
    limit = seconds * SECOND
    made, member = tracked(state, protocol, uses=Uses({b"forth": 5, b"back": limit // 2}))
    member.keys = (b"forth", b"back")
    assert ended(made, limit // 2 + limit - 1) == []
    assert ended(made, limit // 2 + limit) == [member]


def test_reset_brings_the_end_of_an_established_connection_forward() -> None:
    made, member = tracked(State.ESTABLISHED)
    made.track(Found(member, REPLY), RST, now=1 * SECOND)
    assert made.next_deadline() == 4 * MINUTE + 1 * SECOND
    assert ended(made, 4 * MINUTE + 1 * SECOND) == [member]


def test_connection_that_resets_and_revives_over_and_over_ends_at_its_time() -> None:
    made, member = tracked(State.ESTABLISHED)
    for now in range(1000):
        made.track(Found(member, ORIGINAL), RST, now)
        made.track(Found(member, REPLY), ACK, now)
    assert ended(made, 124 * MINUTE + 998) == []
    assert ended(made, 124 * MINUTE + 999) == [member]


# Refreshing (RFC 4787, REQ-6)


@pytest.mark.parametrize(
    ("refresh", "protocol", "direction", "does"),
    [
        (Refresh.BOTH, Protocol.UDP, ORIGINAL, True),
        (Refresh.BOTH, Protocol.UDP, REPLY, True),
        (Refresh.OUTBOUND, Protocol.UDP, ORIGINAL, True),
        (Refresh.OUTBOUND, Protocol.UDP, REPLY, False),
        (Refresh.OUTBOUND, Protocol.ICMP, REPLY, False),
        (Refresh.OUTBOUND, Protocol.GRE, REPLY, False),
        (Refresh.OUTBOUND, Protocol.TCP, REPLY, True),
    ],
)
def test_frames_refresh_as_the_network_wants(
    refresh: Refresh, protocol: int, direction: Direction, does: bool
) -> None:
    wants = Translation(refresh=refresh)
    uses = Uses()
    made, member = table(uses=uses), connection(protocol, translation=wants)
    made.add(member)
    made.track(Found(member, direction), ACK if protocol == Protocol.TCP else None, now=7)
    assert member.last_seen == (7 if does else 0)
    assert made.last_seen(member) == (7 if does else 0)
    member.keep(direction, b"key")
    uses[b"key"] = 9
    assert made.last_seen(member) == (9 if does else 0)


def test_flow_from_outside_is_refreshed_by_the_endpoints_answers_alone() -> None:
    wants = Translation(refresh=Refresh.OUTBOUND)
    original = FlowTuple(2, Protocol.UDP, SERVER, 4000, UPLINK, 80)
    reply = FlowTuple(1, Protocol.UDP, CLIENT, 80, SERVER, 4000)
    made, member = table(), Connection(original, reply, account(wants), 0)
    made.add(member)
    made.track(Found(member, ORIGINAL), None, now=7)
    assert member.last_seen == 0
    made.track(Found(member, REPLY), None, now=8)
    assert member.last_seen == 8


# The table


def test_each_tuple_finds_the_connection_and_its_direction() -> None:
    made, member = table(), connection()
    made.add(member)
    assert made.find(member.original) == (member, ORIGINAL)
    assert made.find(member.reply) == (member, REPLY)
    elsewhere = FlowTuple(2, Protocol.TCP, CLIENT, 5000, SERVER, 80)
    assert made.find(elsewhere) is None


def test_frames_leave_with_the_other_tuple_turned_round() -> None:
    member = connection()
    out = member.leaving(ORIGINAL)
    assert out == FlowTuple(2, Protocol.TCP, UPLINK, 6000, SERVER, 80)
    back = member.leaving(REPLY)
    assert back == FlowTuple(1, Protocol.TCP, SERVER, 80, CLIENT, 5000)


def test_table_is_full_at_its_capacity() -> None:
    made, member = table(capacity=1), connection()
    assert not made.full
    made.add(member)
    assert made.full
    made.close(member)
    assert not made.full


def test_connections_are_numbered_and_no_number_comes_twice() -> None:
    made, first, second = table(), connection(), connection()
    assert first.number == 0
    made.add(first)
    assert made.numbered(1) is first
    made.close(first)
    made.add(second)
    assert (first.number, second.number) == (1, 2)
    assert (made.numbered(1), made.numbered(2)) == (None, second)
    assert first not in made
    assert list(made) == [second]


def test_closed_connection_has_no_deadline() -> None:
    made, member = tracked(State.ANSWERED, Protocol.UDP)
    made.close(member)
    assert made.next_deadline() is None
    assert ended(made, 1000 * HOUR) == []


def test_keeping_another_key_gives_the_one_before_back() -> None:
    member = connection()
    assert member.keep(ORIGINAL, b"first") is None
    assert member.keep(ORIGINAL, b"first") is None
    assert member.keep(REPLY, b"answer") is None
    assert member.keep(ORIGINAL, b"second") == b"first"
    assert member.keys == (b"second", b"answer")


def test_account_knows_what_is_fleeting_and_what_lasts() -> None:
    made, member = table(), connection()
    owner = member.account
    made.add(member)
    assert (list(owner.fleeting), list(owner.lasting)) == ([member], [])
    made.track(Found(member, REPLY), SYN | ACK, now=1)
    assert (list(owner.fleeting), list(owner.lasting)) == ([], [member])
    made.track(Found(member, REPLY), FIN | ACK, now=2)
    assert list(owner.lasting) == [member]
    made.track(Found(member, ORIGINAL), FIN | ACK, now=3)
    assert (list(owner.fleeting), list(owner.lasting)) == ([member], [])
    made.close(member)
    assert owner.is_empty


# Mappings


def mapping(protocol: int = Protocol.UDP) -> Mapping:
    external = External(protocol, UPLINK, 6000)
    return Mapping(Internal(1, protocol, CLIENT, 5000), external, 2, account(), 0)


def test_connection_holds_the_mapping_of_its_source() -> None:
    held, made = mapping(), table()
    member = connection(Protocol.UDP, mapping=held)
    made.add(member)
    assert (held.holders, held.guests, held.has_contact(SERVER)) == (1, 0, True)
    made.close(member)
    assert (held.holders, held.guests, held.has_contact(SERVER)) == (0, 0, False)


def test_mapping_that_a_connection_came_in_by_is_held_from_the_first_answer_on() -> None:
    """RFC 7857, 6: what nobody inside has answered keeps no port open."""
    held, made = mapping(), table()
    member = connection(Protocol.UDP, target=held)
    made.add(member)
    made.track(Found(member, ORIGINAL), None, now=1)
    assert (held.holders, held.guests) == (0, 1)
    for _ in range(2):
        made.track(Found(member, REPLY), None, now=2)
        assert (held.holders, held.guests) == (1, 1)
    assert held.has_contact(member.reply.destination)
    made.close(member)
    assert (held.holders, held.guests, held.has_contact(member.reply.destination)) == (0, 0, False)


def test_unanswered_guest_leaves_no_holder_behind() -> None:
    held, made = mapping(), table()
    member = connection(Protocol.UDP, target=held)
    made.add(member)
    made.close(member)
    assert (held.holders, held.guests) == (0, 0)
