"""What a segment means to its connection: every state, by what fits into the window and what does
not, in both directions, done and only asked about."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import pytest
from scapy.layers.inet import IP, UDP

from tests.dataplane.conversation import Conversation, quiet_lab
from tests.dataplane.corpus import timestamp
from tests.harness import Lab, only
from vswitch.dataplane.conntrack import Connection
from vswitch.dataplane.pipeline import decide
from vswitch.dataplane.verdict import Fate
from vswitch.fastpath.states import TCP_TRANSITIONS, Direction, Event, State
from vswitch.translation import Translation
from vswitch.units import SECOND
from vswitch.wire.offload import HEADER_LENGTH

REACHED: dict[State, Callable[[Conversation], object]] = {
    State.OPENING: lambda talk: talk.client("S"),
    State.ESTABLISHED: lambda talk: talk.opens(),
    State.ORIGINAL_CLOSED: lambda talk: talk.opens().client("FA"),
    State.REPLY_CLOSED: lambda talk: talk.opens().server("FA"),
    State.CLOSING: lambda talk: (talk.opens().client("FA"), talk.server("FA")),
    State.TRANSITORY: lambda talk: talk.opens().server("R"),
}
"""How a connection comes into each state."""

FLAGS = {Event.FIN: "FA", Event.RST: "RA", Event.OTHER: "PA"}
FAR = 2**30
"""How far beyond the window a segment begins that does not fit."""

STATES_AND_EVENTS = list(product(REACHED, Direction, FLAGS))


def reached(state: State, **kind: object) -> tuple[Lab, Conversation, Connection]:
    """A connection in a state, ten seconds after it came there."""
    lab = quiet_lab(**kind)
    talk = Conversation.outwards(lab)
    REACHED[state](talk)
    (connection,) = lab.switch.tables.connections
    assert connection.state is state
    lab.pass_time(10 * SECOND)
    return lab, talk, connection


def numbers(talk: Conversation, direction: Direction, beyond: int = 0) -> dict[str, int]:
    """What the next segment of a direction is numbered with, or one far `beyond` the window."""
    own, peer = direction.index, direction.other.index
    return {"seq": (talk.next[own] + beyond) % 2**32, "ack": talk.next[peer]}


def asked(lab: Lab, talk: Conversation, end: int, flags: str, **fields: int) -> str | None:
    """The state that a segment would lead to, None where it would stay."""
    packet = talk.segment(end, flags, **fields)
    host = talk._ends[end].host
    raw = bytearray(bytes(HEADER_LENGTH) + bytes(lab.routed(host, packet)))
    verdict = decide(lab.switch.tables, host.port, raw, lab.now, commit=False)
    assert verdict.fate is Fate.FORWARDED
    said = [str(each) for each in verdict.trail if "with this frame" in each.words]
    return said[0].removeprefix("with this frame it is ") if said else None


def says(talk: Conversation, end: int, flags: str, **fields: int) -> None:
    """Let an end say this; it arrives, whatever it means."""
    only((talk.client, talk.server)[end](flags, **fields))


@pytest.mark.parametrize(("state", "direction", "event"), STATES_AND_EVENTS)
def test_segment_that_fits_moves_the_state_and_refreshes(
    state: State, direction: Direction, event: Event
) -> None:
    lab, talk, connection = reached(state)
    after = TCP_TRANSITIONS.get((state, direction, event), state)
    fields = numbers(talk, direction)
    told = asked(lab, talk, direction.index, FLAGS[event], **fields)
    assert told == (None if after is state else after.value)
    assert connection.state is state
    seen = lab.switch.tables.connections.last_seen(connection)
    says(talk, direction.index, FLAGS[event], **fields)
    assert connection.state is after
    says_nothing_new = event is Event.RST and after is state
    expected = seen if says_nothing_new else lab.now
    assert lab.switch.tables.connections.last_seen(connection) == expected


@pytest.mark.parametrize(
    ("state", "direction", "event"),
    # Of who has not spoken no number is known yet: those of the first segment are believed.
    [each for each in STATES_AND_EVENTS if each[0] is not State.OPENING],
)
def test_segment_that_does_not_fit_passes_and_changes_nothing(
    state: State, direction: Direction, event: Event
) -> None:
    lab, talk, connection = reached(state)
    fields, seen = numbers(talk, direction, FAR), connection.last_seen
    window = bytes(lab.switch.fastpath.window(connection.number).state)
    assert asked(lab, talk, direction.index, FLAGS[event], **fields) is None
    says(talk, direction.index, FLAGS[event], **fields)
    assert (connection.state, connection.last_seen) == (state, seen)
    assert bytes(lab.switch.fastpath.window(connection.number).state) == window


@pytest.mark.parametrize(("state", "direction"), list(product(REACHED, Direction)))
def test_syn_begins_anew_what_is_over_and_nothing_else(state: State, direction: Direction) -> None:
    lab, talk, connection = reached(state)
    after = TCP_TRANSITIONS.get((state, direction, Event.SYN), state)
    before = lab.switch.fastpath.window(connection.number).sent(direction.other.index)
    told = asked(lab, talk, direction.index, "S", seq=7)
    assert told == (None if after is state else after.value)
    says(talk, direction.index, "S", seq=7)
    assert connection.state is after
    is_over = state in (State.CLOSING, State.TRANSITORY)
    other = lab.switch.fastpath.window(connection.number).sent(direction.other.index)
    assert (other != before) == (is_over and after is not state)


@pytest.mark.parametrize("state", [state for state in REACHED if state is not State.OPENING])
def test_reset_within_the_window_but_not_exact_is_left_to_the_challenge(state: State) -> None:
    """RFC 5961, 3.2."""
    _, talk, connection = reached(state)
    for direction in Direction:
        says(talk, direction.index, "R", **numbers(talk, direction, 100))
        assert connection.state is state


def test_reset_that_answers_a_syn_has_to_acknowledge_it() -> None:
    _, talk, connection = reached(State.OPENING)
    for fields in ({"seq": 0, "ack": talk.next[0] + 1}, {"seq": talk.next[1], "ack": 0}):
        says(talk, 1, "RA", **fields)
        assert connection.state is State.OPENING
    says(talk, 1, "R", seq=0)
    assert connection.state is State.OPENING
    says(talk, 1, "RA", seq=0, ack=talk.next[0])
    assert connection.state is State.TRANSITORY


def test_every_frame_is_counted_whatever_it_means() -> None:
    lab, talk, connection = reached(State.ESTABLISHED)
    frames, octets = connection.frames, connection.bytes
    segment = talk.segment(1, "PA", b"blind", **numbers(talk, Direction.REPLY, FAR))
    lab.exchange(lab.outside, segment)
    assert connection.frames == frames + 1
    assert connection.bytes == octets + len(lab.routed(lab.outside, segment))


def test_wrong_checksum_passes_and_stays_wrong_and_is_counted_on_its_port() -> None:
    """By the pipeline and by the fast path."""
    lab = quiet_lab()
    packet = IP(src=lab.a.ip, dst="198.51.100.1") / UDP(sport=5000, dport=7000, chksum=0x1234)
    packet /= b"question"
    for number in (1, 2, 3):
        sent = only(lab.exchange(lab.a, packet)["outside"])
        right = IP(bytes(sent[IP]))
        del right[UDP].chksum
        assert sent[UDP].chksum != IP(bytes(right))[UDP].chksum
        assert lab.switch.fastpath.port_counters(lab.a.port).wrong_checksums == number
    assert lab.hits() == 2
    assert lab.drops == {}


def test_right_checksums_are_not_counted() -> None:
    lab = quiet_lab()
    talk = Conversation.outwards(lab).talks()
    talk.client("FA")
    ports = lab.switch.tables.ports
    assert sum(lab.switch.fastpath.port_counters(each).wrong_checksums for each in ports) == 0


def test_tracking_can_be_switched_off_for_a_network() -> None:
    """Then every segment counts, and the fast path carries what does not fit as well."""
    lab = quiet_lab(translation=Translation(window_tracking=False))
    talk = Conversation.outwards(lab).talks()
    (connection,) = lab.switch.tables.connections
    hits = lab.hits()
    says(talk, 0, "PA", **numbers(talk, Direction.ORIGINAL, FAR))
    assert lab.hits() == hits + 1
    says(talk, 0, "FA", **numbers(talk, Direction.ORIGINAL, FAR))
    assert connection.state is State.ORIGINAL_CLOSED


def test_frames_of_protocols_without_windows_always_count() -> None:
    lab = quiet_lab()
    query = IP(src=lab.a.ip, dst="198.51.100.1") / timestamp(13)
    lab.exchange(lab.a, query)
    lab.pass_time(10 * SECOND)
    lab.exchange(lab.a, query)
    (connection,) = lab.switch.tables.connections
    assert lab.hits() == 0
    assert connection.last_seen == lab.now
    assert lab.switch.fastpath.window(connection.number) is None


def test_window_scale_of_both_syns_widens_the_window() -> None:
    """Unscaled, a segment half a megabyte ahead would not fit; with a scale of 7 it does."""

    def fits(options: list[tuple[str, int]]) -> bool:
        lab = quiet_lab()
        talk = Conversation.outwards(lab)
        only(talk.client("S", options=options))
        only(talk.server("SA", options=options, window=65535))
        only(talk.client("A"))
        only(talk.server("A", window=65535))
        (connection,) = lab.switch.tables.connections
        says(talk, 0, "FA", seq=talk.next[0] + 500_000, ack=talk.next[1])
        return connection.state is State.ORIGINAL_CLOSED

    assert fits([("WScale", 7)])
    assert not fits([])


def test_segments_that_a_hit_has_seen_count_for_what_the_pipeline_sees() -> None:
    """The windows of both are one: a reset is exact with the number that the last hit left."""
    lab = quiet_lab()
    talk = Conversation.outwards(lab).talks()
    hits = lab.hits()
    for _ in range(20):
        only(talk.server("PA", bytes(1000)))
        only(talk.client("A"))
    assert lab.hits() == hits + 40
    (connection,) = lab.switch.tables.connections
    says(talk, 1, "R", seq=talk.next[1] - 1000)
    assert connection.state is State.ESTABLISHED
    only(talk.server("R"))
    assert connection.state is State.TRANSITORY
