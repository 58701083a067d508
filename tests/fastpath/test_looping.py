"""The loop of a fast path in a thread of its own: frames that pass, and frames that wait."""

from __future__ import annotations

import time

import pytest

from tests.fastpath.looped import (
    A_WHILE,
    IN,
    LOOPING,
    MOST_WAITING,
    OTHER,
    OUT,
    PATIENCE,
    Looped,
    datagram,
    eventually,
    numbered,
    numbers_in,
    segment,
)
from vswitch.devices.base import Sent
from vswitch.devices.memory import MemoryDevice
from vswitch.fastpath.program import (
    DecrementTtl,
    Output,
    Program,
    SetSource,
    SetStations,
    Track,
)
from vswitch.fastpath.reference import ReferenceFastPath
from vswitch.fastpath.ring import RECORD, Kind, Ring
from vswitch.fastpath.routine import prepare
from vswitch.fastpath.states import Direction, State
from vswitch.fastpath.track import Move
from vswitch.fastpath.twin import LoopingFastPath, Waiting
from vswitch.units import Nanoseconds
from vswitch.wire.buffer import Buffer
from vswitch.wire.offload import HEADER_LENGTH
from vswitch.wire.values import IpAddress, MacAddress

GATEWAY = MacAddress.parse("02:00:00:00:01:01")
NEXT = MacAddress.parse("02:00:00:00:00:fd")
UPLINK = IpAddress.parse("203.0.113.1")
NAPT = SetStations(NEXT, GATEWAY), DecrementTtl(), SetSource(UPLINK, 6000), Output(OUT)
FLOW = 7


class Told:
    """An observer that writes down what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, bytes, int]] = []

    def hit(self, port: int, frame: Buffer, flow: int, now: Nanoseconds) -> None:
        assert now > 0
        self.told.append(("hit", port, bytes(frame), flow))

    def sent(self, port: int, frame: Buffer, flow: int, now: Nanoseconds) -> None:
        assert now > 0
        self.told.append(("sent", port, bytes(frame), flow))


def rewritten(frame: bytes, program: Program) -> bytes:
    """What the reference makes of a frame."""
    fastpath, inward, outward = ReferenceFastPath(), MemoryDevice("in"), MemoryDevice("out")
    fastpath.attach(IN, inward, GATEWAY)
    fastpath.attach(OUT, outward, None)
    key = fastpath.key(IN, frame)
    assert key is not None
    fastpath.install(key, prepare(program, frame), 0)
    inward.feed(frame)
    assert fastpath.run(IN, 1) == []
    (sent,) = outward.take()
    return sent


# Frames that pass


def test_frame_of_a_known_flow_passes_while_the_owner_does_nothing(looped: Looped) -> None:
    frame = datagram(5000)
    key = looped.keep(IN, frame, *NAPT)
    looped.feed(IN, frame)
    assert looped.take(OUT, 1) == [rewritten(frame, Program(NAPT))]
    counters, octets = looped.fastpath.flow_counters(key), len(frame) - HEADER_LENGTH
    assert counters is not None
    assert (counters.frames, counters.bytes) == (1, octets)
    sent = looped.fastpath.port_counters(OUT)
    assert (sent.sent_frames, sent.sent_bytes) == (1, octets)
    assert not looped.is_news()


def test_frames_of_a_flow_pass_in_their_order(looped: Looped) -> None:
    looped.keep(IN, datagram(5000), Output(OUT))
    looped.feed(IN, *numbered(5000, range(200)))
    assert numbers_in(looped.take(OUT, 200)) == list(range(200))


def test_time_of_the_last_hit_is_that_of_the_monotonic_clock(looped: Looped) -> None:
    frame = datagram(5000)
    key = looped.keep(IN, frame, Output(OUT))
    before = time.monotonic_ns()
    looped.feed(IN, frame)
    looped.take(OUT, 1)
    assert before <= looped.fastpath.last_used(key) <= time.monotonic_ns()


def test_full_queue_drops_at_the_tail_of_its_device_alone(looped: Looped) -> None:
    frames = numbered(5000, range(1500), size=1400)
    looped.keep(IN, frames[0], Output(OUT))
    looped.keep(OUT, datagram(5001), Output(OTHER))
    looped.feed(IN, *frames)
    eventually(lambda: looped.received(IN) == len(frames))
    looped.feed(OUT, datagram(5001))
    assert looped.take(OTHER, 1) == [datagram(5001)]
    counters = looped.fastpath.port_counters(OUT)
    assert counters.lost == {Sent.FULL: len(frames) - counters.sent_frames}
    assert 0 < counters.sent_frames < len(frames)
    there = looped.take(OUT, counters.sent_frames)
    assert there == frames[: counters.sent_frames]
    assert looped.fastpath.port_counters(OTHER).lost == {}
    looped.feed(IN, frames[0])
    assert looped.take(OUT, 1) == [frames[0]]


# Frames that wait


def test_frame_that_nothing_is_known_about_is_news_and_waits(looped: Looped) -> None:
    frame = datagram(5000)
    assert not looped.is_news()
    looped.feed(IN, frame)
    assert looped.is_news(PATIENCE)
    assert looped.fastpath.hear() == []
    assert not looped.is_news()
    assert looped.fastpath.take_waiting(1, 16) == [Waiting(IN, bytearray(frame))]
    assert looped.fastpath.take_waiting(1, 16) == []


def test_frames_wait_until_they_are_taken_so_many_at_a_time(looped: Looped) -> None:
    frames = numbered(5000, range(5))
    looped.feed(IN, *frames)
    eventually(lambda: looped.received(IN) == 5)
    looped.hear()
    taken = [looped.fastpath.take_waiting(1, limit) for limit in (2, 0, 2, 2)]
    assert [numbers_in([bytes(one.frame) for one in some]) for some in taken] == [
        [0, 1],
        [],
        [2, 3],
        [4],
    ]


def test_frame_that_waits_is_news_although_the_owner_was_just_there(looped: Looped) -> None:
    known, strange = datagram(5001), datagram(5000)
    looped.keep(OTHER, known, Output(OUT))
    for turn in range(1, 101):
        with looped.fastpath.still():
            looped.feed(OTHER, known)
            looped.feed(IN, strange)
            looped.feed(OTHER, *[known] * 7)
        while looped.received(OTHER) < 8 * turn or looped.received(IN) < turn:
            looped.fastpath.take_waiting(1, 0)
        looped.take(OUT, 8)
        assert looped.waiting(1) == [Waiting(IN, bytearray(strange))]


def test_frames_are_taken_of_each_port_in_turn(looped: Looped) -> None:
    looped.feed(IN, *[datagram(5000)] * 1000)
    looped.feed(OTHER, datagram(5001))
    eventually(lambda: looped.received(IN) == 1000 and looped.received(OTHER) == 1)
    looped.hear()
    ports = [waiting.port for waiting in looped.fastpath.take_waiting(1, 4)]
    assert ports == [IN, OTHER, IN, IN]


def test_waiting_frame_that_has_a_program_meanwhile_is_finished(looped: Looped) -> None:
    known, strange = numbered(5000, range(3)), numbered(5001, range(3))
    for pair in zip(known, strange, strict=True):
        looped.feed(IN, *pair)
    eventually(lambda: looped.received(IN) == 6)
    looped.hear()
    looped.keep(IN, known[0], *NAPT)
    taken = looped.fastpath.take_waiting(1, 16)
    assert [bytes(waiting.frame) for waiting in taken] == strange
    assert looped.take(OUT, 3) == [rewritten(frame, Program(NAPT)) for frame in known]


def test_so_many_frames_of_a_port_wait_and_the_rest_is_overrun(looped: Looped) -> None:
    frames = numbered(5000, range(MOST_WAITING + 100))
    looped.feed(IN, *frames)
    looped.feed(OTHER, datagram(5001))
    eventually(lambda: looped.received(IN) == len(frames) and looped.received(OTHER) == 1)
    assert looped.fastpath.port_counters(IN).overrun == 100
    assert looped.fastpath.port_counters(OTHER).overrun == 0
    looped.hear()
    taken = looped.fastpath.take_waiting(1, len(frames))
    assert [bytes(one.frame) for one in taken if one.port == IN] == frames[:MOST_WAITING]
    assert [bytes(one.frame) for one in taken if one.port == OTHER] == [datagram(5001)]
    looped.feed(IN, frames[-1])
    assert looped.waiting(1) == [Waiting(IN, bytearray(frames[-1]))]
    assert looped.fastpath.port_counters(IN).overrun == 100


# Connections


@pytest.mark.parametrize(
    ("says", "moves"),
    [
        (
            [(OUT, "SA"), (IN, "A"), (IN, "FA"), (OUT, "FA")],
            [
                (Direction.REPLY, State.ESTABLISHED),
                (Direction.ORIGINAL, State.ORIGINAL_CLOSED),
                (Direction.REPLY, State.CLOSING),
            ],
        ),
        (
            [(OUT, "SA"), (IN, "RA")],
            [(Direction.REPLY, State.ESTABLISHED), (Direction.ORIGINAL, State.TRANSITORY)],
        ),
    ],
    ids=["closed", "reset"],
)
def test_connection_moves_along_in_the_thread(
    looped: Looped, says: list[tuple[int, str]], moves: list[tuple[Direction, State]]
) -> None:
    looped.fastpath.track(FLOW, State.OPENING)
    looped.keep(IN, segment("S"), Track(FLOW, 0), DecrementTtl(), Output(OUT))
    looped.keep(OUT, segment("SA", is_reply=True), Track(FLOW, 1), DecrementTtl(), Output(IN))
    for port, flags in says:
        looped.feed(port, segment(flags, is_reply=port == OUT))
        looped.take(IN if port == OUT else OUT, 1)
    assert looped.fastpath.take_moves() == []
    looped.hear()
    assert looped.fastpath.take_moves() == [Move(FLOW, way, state) for way, state in moves]
    assert looped.fastpath.take_moves() == []
    assert looped.fastpath.take_waiting(1, 16) == []


# Who reads along


def test_observer_is_told_of_what_the_thread_saw_in_its_order(looped: Looped) -> None:
    observer = looped.fastpath.observer = Told()
    frames = numbered(5000, range(3))
    looped.keep(IN, frames[0], *NAPT, flow=FLOW)
    looped.feed(IN, *frames)
    looped.take(OUT, 3)
    assert observer.told == []
    looped.hear()
    expected = []
    for frame in frames:
        expected += [("hit", IN, frame, FLOW), ("sent", OUT, rewritten(frame, Program(NAPT)), FLOW)]
    assert observer.told == expected


def test_ring_is_written_by_the_thread_itself(looped: Looped) -> None:
    frame = datagram(5000)
    ring = looped.fastpath.ring = Ring(16 * RECORD.size)
    looped.keep(IN, frame, *NAPT, flow=FLOW)
    looped.feed(IN, frame)
    looped.take(OUT, 1)
    records = list(RECORD.iter_unpack(ring.read().records))
    after = rewritten(frame, Program(NAPT))
    assert [
        (kind, port, flow, kept[:length]) for _, flow, length, port, kind, _, _, kept in records
    ] == [
        (Kind.HIT, IN, FLOW, frame),
        (Kind.LEFT, OUT, FLOW, after),
    ]
    assert not looped.is_news()


# Keeping it from going on


def test_while_it_is_still_no_frame_passes(looped: Looped) -> None:
    frame = datagram(5000)
    looped.keep(IN, frame, Output(OUT))
    with looped.fastpath.still():
        with looped.fastpath.still():
            looped.feed(IN, frame, frame)
        time.sleep(A_WHILE)
        assert looped.devices[OUT].take() == []
        assert looped.received(IN) == 0
    assert looped.take(OUT, 2) == [frame, frame]


def test_loop_turns_when_it_is_nudged_however_quiet_its_ports_are(looped: Looped) -> None:
    before = looped.fastpath.nudge()
    eventually(lambda: looped.fastpath.nudge() != before)
    again = looped.fastpath.nudge()
    eventually(lambda: looped.fastpath.nudge() != again)


@pytest.mark.parametrize("kind", LOOPING.values(), ids=list(LOOPING))
def test_loop_that_no_thread_runs_does_not_turn(kind: type[LoopingFastPath]) -> None:
    fastpath = kind()
    fastpath.open_loop()
    assert fastpath.nudge() == fastpath.nudge() == fastpath.nudge()
    fastpath.close_loop()
