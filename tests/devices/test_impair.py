"""A bad line, frame by frame: what chance brings is the same for a seed, all else is exact."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from vswitch.devices.base import Device, DeviceGone, Sent
from vswitch.devices.impair import HELD_BYTES, ImpairedDevice, Line
from vswitch.devices.memory import MemoryDevice
from vswitch.impairment import Impairment, Impairments
from vswitch.units import MICROSECOND, MILLISECOND, SECOND, Nanoseconds
from vswitch.wire.offload import (
    DATA_VALID,
    GSO_TCPV4,
    HEADER_LENGTH,
    NEEDS_CSUM,
    OffloadHeader,
    Offloads,
)

ROOT = Path(__file__).parents[2]

T0 = 1000 * SECOND

EVERYTHING = (
    "delay=20ms jitter=5ms loss=10% duplicate=10% reorder=10% corrupt=10% rate=10mbit queue=20"
)


# What chance brings to a line with seed 1.
JITTER_OF_SEED_1 = [18_883_116, 19_622_877, 6_383_775, 26_597_658]
LOST_OF_SEED_1 = [0, 3, 8, 9, 13, 16, 19, 20, 24, 26, 27, 30, 31, 32, 34, 35, 39]
TWICE_OF_SEED_1 = [0, 3, 8, 9, 13, 16, 19]
EARLY_OF_SEED_1 = [0, 8, 9, 13, 19]


def frame(number: int = 0, length: int = 100) -> bytes:
    """A frame of `length` bytes of Ethernet that tells which one it is."""
    return (
        bytes(HEADER_LENGTH)
        + bytes(12)
        + b"\x88\xb5"
        + number.to_bytes(4, "big").ljust(length - 14, b"\x5a")
    )


def number(raw: bytes | bytearray | memoryview) -> int:
    return int.from_bytes(raw[HEADER_LENGTH + 14 : HEADER_LENGTH + 18], "big")


def line(text: str, seed: int = 1) -> Line:
    return Line(Impairment.parse(text), Random(seed))


def run(line: Line, count: int, every: Nanoseconds, length: int = 100) -> list[tuple[int, int]]:
    """Let frames enter, one `every` so often; the number and time of each that comes out."""
    out: list[tuple[int, int]] = []
    for sequence in range(count):
        now = T0 + sequence * every
        out += _come_out(line, now - 1)
        line.enter(frame(sequence, length), now)
    return out + _come_out(line, T0 + 1000 * SECOND)


def _come_out(line: Line, until: Nanoseconds) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    while (due := line.next_deadline()) is not None and due <= until:
        out += [(number(raw), due - T0) for raw in line.leave(due)]
    return out


class Bench:
    """A device in memory behind a bad line, and a clock."""

    def __init__(
        self, incoming: str = "none", outgoing: str = "none", seed: int = 1, name: str = "web"
    ) -> None:
        self.now = T0
        self.inner = MemoryDevice(name)
        both = Impairments(Impairment.parse(incoming), Impairment.parse(outgoing), seed)
        self.device = ImpairedDevice(self.inner, both, lambda: self.now)

    def receive(self, limit: int = 64) -> list[bytes]:
        return [bytes(raw) for raw in self.device.receive(limit)]

    def send_due(self) -> list[tuple[int, Sent]]:
        return list(self.device.send_due(self.now))


# Nothing


@given(
    st.lists(st.tuples(st.binary(min_size=24, max_size=200), st.integers(0, SECOND))),
    st.sampled_from(["none", "delay=0ms", "loss=0% corrupt=0% duplicate=0%"]),
)
def test_line_without_impairment_changes_nothing(
    sent: list[tuple[bytes, int]], nothing: str
) -> None:
    good = line(nothing)
    now = T0
    for body, later in sent:
        now += later
        assert good.enter(bytes(HEADER_LENGTH) + body, now) is Sent.HELD
        assert [bytes(raw) for raw in good.leave(now)] == [bytes(HEADER_LENGTH) + body]
    assert good.next_deadline() is None
    counters = good.counters
    assert (counters.entered, counters.lost, counters.full) == (len(sent), 0, 0)
    assert (counters.duplicated, counters.reordered, counters.corrupted) == (0, 0, 0)


@given(st.lists(st.integers(0, MILLISECOND), max_size=50))
def test_frames_that_are_only_delayed_all_arrive_once_in_order_and_whole(gaps: list[int]) -> None:
    late = line("delay=20ms")
    entered: list[int] = []
    for sequence, gap in enumerate(gaps):
        entered.append((entered[-1] if entered else 0) + gap)
        late.enter(frame(sequence), T0 + entered[-1])
    out = _come_out(late, T0 + SECOND)
    assert out == [(sequence, at + 20 * MILLISECOND) for sequence, at in enumerate(entered)]


# Delay and jitter


def test_delayed_frame_is_not_there_a_nanosecond_early() -> None:
    late = line("delay=20ms")
    late.enter(frame(), T0)
    assert late.next_deadline() == T0 + 20 * MILLISECOND
    assert list(late.leave(T0 + 20 * MILLISECOND - 1)) == []
    assert len(list(late.leave(T0 + 20 * MILLISECOND))) == 1
    assert late.next_deadline() is None


def test_jitter_is_normal_around_the_delay() -> None:
    out = run(line("delay=20ms jitter=2ms"), 4000, 50 * MILLISECOND)
    delays = [at - sequence * 50 * MILLISECOND for sequence, at in out]
    mean = sum(delays) / len(delays)
    deviation = (sum((delay - mean) ** 2 for delay in delays) / len(delays)) ** 0.5
    assert abs(mean - 20 * MILLISECOND) < 100 * MICROSECOND
    assert abs(deviation - 2 * MILLISECOND) < 100 * MICROSECOND
    within = [abs(delay - mean) < deviation for delay in delays]
    assert 0.65 < sum(within) / len(within) < 0.72


def test_jitter_of_a_seed_is_the_same_to_the_nanosecond() -> None:
    out = run(line("delay=20ms jitter=5ms"), 4, SECOND)
    assert [at - sequence * SECOND for sequence, at in out] == JITTER_OF_SEED_1


def test_jitter_keeps_the_order() -> None:
    out = run(line("delay=20ms jitter=10ms"), 500, MILLISECOND)
    assert [sequence for sequence, _ in out] == list(range(500))
    assert [at for _, at in out] == sorted(at for _, at in out)


def test_jitter_never_lets_a_frame_arrive_before_it_was_sent() -> None:
    out = run(line("delay=1ms jitter=50ms"), 500, SECOND)
    delays = [at - sequence * SECOND for sequence, at in out]
    assert min(delays) == 0
    assert max(delays) > 50 * MILLISECOND


# Loss, duplicates, order, corruption


def test_losses_of_a_seed_are_the_same_frames() -> None:
    arrived = {sequence for sequence, _ in run(line("loss=30%"), 40, SECOND)}
    assert sorted(set(range(40)) - arrived) == LOST_OF_SEED_1


@pytest.mark.parametrize(("share", "least", "most"), [("1%", 50, 150), ("50%", 4700, 5300)])
def test_share_of_losses_is_what_was_asked_for(share: str, least: int, most: int) -> None:
    bad = line(f"loss={share}")
    answers = [bad.enter(frame(), T0) for _ in range(10_000)]
    assert least <= bad.counters.lost <= most
    assert answers.count(Sent.SENT) == bad.counters.lost == 10_000 - len(bad)


def test_everything_can_be_lost() -> None:
    bad = line("loss=100%")
    assert run(bad, 1000, 0) == []
    assert bad.counters.lost == bad.counters.entered == 1000


def test_duplicate_follows_its_original() -> None:
    bad = line("duplicate=30%")
    out = [sequence for sequence, _ in run(bad, 20, SECOND)]
    twice = [sequence for sequence in range(20) if out.count(sequence) == 2]
    assert out == sorted(out)
    assert set(out) == set(range(20))
    assert twice == TWICE_OF_SEED_1
    assert bad.counters.duplicated == len(twice)


def test_duplicates_are_frames_of_their_own() -> None:
    bad = line("duplicate=100%")
    bad.enter(frame(1), T0)
    first, second = bad.leave(T0)
    first[HEADER_LENGTH] ^= 0xFF
    assert second == frame(1)


def test_reordered_frame_overtakes_those_before_it() -> None:
    bad = line("delay=10ms reorder=20%")
    out = run(bad, 20, MILLISECOND)
    early = [sequence for sequence, at in out if at == sequence * MILLISECOND]
    assert early == EARLY_OF_SEED_1
    for sequence, at in out:
        assert at - sequence * MILLISECOND in (0, 10 * MILLISECOND)
    assert [s for s, _ in out if s not in early] == [s for s in range(20) if s not in early]
    assert bad.counters.reordered == len(early) - 1, "the first has nobody before it"


def test_frame_that_has_nobody_to_overtake_is_not_counted_as_reordered() -> None:
    bad = line("delay=10ms reorder=100%")
    run(bad, 10, MILLISECOND)
    assert bad.counters.reordered == 0


def test_corruption_turns_one_bit_over() -> None:
    bad, places = line("corrupt=100%"), set()
    for sequence in range(500):
        bad.enter(frame(sequence, 60), T0)
        (raw,) = bad.leave(T0)
        changed = [
            (at, got ^ was)
            for at, (got, was) in enumerate(zip(raw, frame(sequence, 60), strict=True))
            if got != was
        ]
        ((at, bits),) = changed
        assert bits.bit_count() == 1
        places.add(at)
    assert min(places) >= HEADER_LENGTH
    assert len(places) > 50
    assert bad.counters.corrupted == 500


def test_corrupted_frame_does_not_say_that_its_checksum_was_verified() -> None:
    bad = line("corrupt=100%")
    bad.enter(OffloadHeader(DATA_VALID).pack() + frame()[HEADER_LENGTH:], T0)
    (raw,) = bad.leave(T0)
    assert raw[:HEADER_LENGTH] == bytes(HEADER_LENGTH)


def test_caller_keeps_its_frame_as_it_was() -> None:
    bad, mine = line("corrupt=100% duplicate=100%"), bytearray(frame(3))
    bad.enter(mine, T0)
    assert mine == frame(3)
    mine[:] = bytes(len(mine))
    assert all(any(raw) for raw in bad.leave(T0))


# The rate and its queue


@pytest.mark.parametrize(
    ("rate", "length"), [(10_000_000, 1514), (3_000, 61), (100_000_000_000, 60), (7_777_777, 1000)]
)
def test_rate_is_exact_however_long_it_is_used(rate: int, length: int) -> None:
    narrow = Line(Impairment(rate=rate, queue=10_000), Random(1))
    for sequence in range(1000):
        assert narrow.enter(frame(sequence, length), T0) is Sent.HELD
    out = _come_out(narrow, T0 + 1000 * SECOND)
    bits = length * 8 * SECOND
    assert out == [(nth, -(-(nth + 1) * bits // rate)) for nth in range(1000)]


def test_idle_time_is_not_saved_up() -> None:
    narrow = line("rate=1mbit")
    narrow.enter(frame(0, 125), T0)
    later = T0 + SECOND
    narrow.enter(frame(1, 125), later)
    narrow.enter(frame(2, 125), later)
    assert _come_out(narrow, T0 + 2 * SECOND) == [
        (0, MILLISECOND),
        (1, SECOND + MILLISECOND),
        (2, SECOND + 2 * MILLISECOND),
    ]


def test_delay_comes_on_top_of_the_rate() -> None:
    out = run(line("delay=20ms rate=1mbit"), 3, 0, length=125)
    assert [at for _, at in out] == [21 * MILLISECOND, 22 * MILLISECOND, 23 * MILLISECOND]


def test_frame_that_finds_the_queue_full_is_lost() -> None:
    narrow = line("rate=1mbit queue=3")
    answers = [narrow.enter(frame(sequence, 125), T0) for sequence in range(5)]
    assert answers == [Sent.HELD] * 3 + [Sent.FULL] * 2
    assert narrow.counters.full == 2
    assert narrow.enter(frame(5, 125), T0 + MILLISECOND - 1) is Sent.FULL
    assert narrow.enter(frame(6, 125), T0 + MILLISECOND) is Sent.HELD
    assert _come_out(narrow, T0 + SECOND) == [
        (sequence, (nth + 1) * MILLISECOND) for nth, sequence in enumerate((0, 1, 2, 6))
    ]


def test_frames_under_way_are_not_in_the_queue() -> None:
    narrow = line("rate=1mbit queue=1 delay=10s")
    answers = [narrow.enter(frame(n, 125), T0 + n * MILLISECOND) for n in range(50)]
    assert answers == [Sent.HELD] * 50


def test_duplicate_takes_its_own_time_and_place() -> None:
    narrow = line("rate=1mbit queue=3 duplicate=100%")
    answers = [narrow.enter(frame(sequence, 125), T0) for sequence in range(3)]
    assert answers == [Sent.HELD, Sent.HELD, Sent.FULL]
    assert _come_out(narrow, T0 + SECOND) == [
        (0, MILLISECOND),
        (0, 2 * MILLISECOND),
        (1, 3 * MILLISECOND),
    ]
    assert (narrow.counters.duplicated, narrow.counters.full) == (1, 3)


def test_what_a_line_holds_is_bounded_whatever_its_delay() -> None:
    late = line("delay=60s")
    big = bytes(HELD_BYTES // 8)
    answers = [late.enter(big, T0) for _ in range(9)]
    assert answers == [Sent.HELD] * 7 + [Sent.FULL] * 2
    assert len(list(late.leave(T0 + 60 * SECOND))) == 7
    assert late.enter(big, T0 + 60 * SECOND) is Sent.HELD


# Replaying


def history(seed: int, name: str = "web", direction: str = "out") -> list[tuple[int, bytes]]:
    """Times and bytes of all that comes out of a very bad line."""
    spec = {"incoming" if direction == "in" else "outgoing": EVERYTHING}
    bench = Bench(**spec, seed=seed, name=name)
    bad = bench.device.incoming if direction == "in" else bench.device.outgoing
    out: list[tuple[int, bytes]] = []
    for sequence in range(300):
        bad.enter(frame(sequence), T0 + sequence * 90 * MICROSECOND)
    while (due := bad.next_deadline()) is not None:
        out += [(due, bytes(raw)) for raw in bad.leave(due)]
    return out


def test_same_seed_and_frames_come_out_the_same() -> None:
    assert history(7) == history(7)


def test_seed_port_and_direction_each_have_chances_of_their_own() -> None:
    histories = [history(7), history(8), history(7, name="app"), history(7, direction="in")]
    assert all(one != other for nth, one in enumerate(histories) for other in histories[:nth])


def test_order_of_hashes_has_no_say() -> None:
    code = "from tests.devices.test_impair import history; print(history(7))"
    shown = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert shown == {f"{history(7)}\n".encode()}


# The device


def test_device_is_known_as_the_one_behind_it() -> None:
    bench = Bench(outgoing="loss=1%")
    device: Device = bench.device
    assert (device.name, device.kind, device.fileno()) == ("web", "memory", -1)


def test_sent_frame_arrives_when_it_is_due() -> None:
    bench = Bench(outgoing="delay=20ms")
    assert bench.device.send(frame(1)) is Sent.HELD
    assert bench.send_due() == []
    assert bench.device.next_deadline() == T0 + 20 * MILLISECOND
    bench.now += 20 * MILLISECOND
    assert bench.send_due() == [(100, Sent.SENT)]
    assert bench.inner.take() == [frame(1)]


def test_received_frame_is_handed_out_when_it_is_due() -> None:
    bench = Bench(incoming="delay=20ms")
    bench.inner.feed(frame(1))
    assert bench.receive() == []
    assert bench.device.next_deadline() == T0 + 20 * MILLISECOND
    bench.now += 20 * MILLISECOND
    assert bench.receive() == [frame(1)]


def test_received_frame_may_be_changed() -> None:
    bench = Bench(incoming="duplicate=100%")
    bench.inner.feed(frame(1))
    received = []
    for raw in bench.device.receive(64):
        received.append(bytes(raw))
        raw[:] = bytes(len(raw))
    assert received == [frame(1), frame(1)]


def test_no_more_is_received_than_asked_for() -> None:
    bench = Bench(incoming="duplicate=100%")
    for sequence in range(3):
        bench.inner.feed(frame(sequence))
    assert [number(raw) for raw in bench.receive(4)] == [0, 0, 1, 1]
    assert bench.device.next_deadline() == T0
    assert [number(raw) for raw in bench.receive(1)] == [2]
    assert [number(raw) for raw in bench.receive(4)] == [2]


def test_device_that_fails_when_a_frame_is_due_says_so_then() -> None:
    bench = Bench(outgoing="delay=20ms")
    bench.inner = MemoryDevice("web", capacity=1)
    both = bench.device.impairments
    bench.device = ImpairedDevice(bench.inner, both, lambda: bench.now)
    for sequence in range(2):
        assert bench.device.send(frame(sequence)) is Sent.HELD
    bench.now += 20 * MILLISECOND
    assert bench.send_due() == [(100, Sent.SENT), (100, Sent.FULL)]
    bench.device.send(frame(3))
    bench.inner.vanish()
    bench.now += 20 * MILLISECOND
    assert bench.send_due() == [(100, Sent.GONE)]


def test_device_that_is_gone_is_noticed_by_receiving() -> None:
    bench = Bench(incoming="delay=20ms")
    bench.inner.feed(frame(1))
    bench.receive()
    bench.inner.vanish()
    bench.now += 20 * MILLISECOND
    received: list[int] = []
    with pytest.raises(DeviceGone):
        received.extend(number(raw) for raw in bench.device.receive(64))
    assert received == [1]


def test_direction_without_impairment_answers_for_the_device_itself() -> None:
    bench = Bench(incoming="loss=100%")
    assert bench.device.send(frame(1)) is Sent.SENT
    assert bench.inner.take() == [frame(1)]
    bench.device.close()
    assert bench.device.send(frame(2)) is Sent.GONE


def test_impaired_way_out_takes_no_offloads() -> None:
    assert Bench(outgoing="delay=1ms").device.offloads is Offloads.NONE
    assert Bench(incoming="delay=1ms").device.offloads is Offloads.ALL


def super_frame(segments: int, size: int = 1000) -> bytes:
    packet = IP(src="10.0.0.2", dst="10.0.0.3") / TCP(sport=1, dport=2, flags="A")
    raw = bytes(Ether() / packet / bytes(segments * size))
    return OffloadHeader(NEEDS_CSUM, GSO_TCPV4, 54, size, 34, 16).pack() + raw


def test_super_frame_is_cut_before_it_enters() -> None:
    bench = Bench(incoming="loss=30%")
    bench.inner.feed(super_frame(20))
    received = bench.receive()
    counters = bench.device.incoming.counters
    assert counters.entered == 20
    assert 0 < counters.lost < 20
    assert len(received) == 20 - counters.lost
    for raw in received:
        assert raw[:HEADER_LENGTH] == bytes(HEADER_LENGTH)
        packet = Ether(raw[HEADER_LENGTH:])
        found = packet[TCP].chksum
        del packet[TCP].chksum
        assert Ether(bytes(packet))[TCP].chksum == found


def test_super_frame_passes_whole_where_that_way_is_not_impaired() -> None:
    bench = Bench(outgoing="loss=30%")
    bench.inner.feed(super_frame(20))
    assert bench.receive() == [super_frame(20)]


def test_frame_whose_header_lies_is_left_for_the_switch_to_judge() -> None:
    bench = Bench(incoming="delay=1ms")
    lying = OffloadHeader(NEEDS_CSUM, checksum_start=5000).pack() + frame()[HEADER_LENGTH:]
    bench.inner.feed(lying)
    bench.receive()
    bench.now += MILLISECOND
    assert bench.receive() == [lying]


@pytest.mark.parametrize("length", range(HEADER_LENGTH + 2))
def test_runt_is_held_like_any_other_frame(length: int) -> None:
    bench = Bench(incoming="rate=1mbit corrupt=100% duplicate=100%")
    bench.inner.feed(bytes(length))
    received = bench.receive()
    bench.now += SECOND
    received += bench.receive()
    assert [len(raw) for raw in received] == [length, length]


def test_opened_device_lets_everything_go_in_its_order() -> None:
    bench = Bench(incoming="delay=20ms reorder=50%", outgoing="delay=20ms rate=1mbit")
    for sequence in range(10):
        bench.inner.feed(frame(sequence))
        bench.device.send(frame(sequence))
    early = [number(raw) for raw in bench.receive()]
    bench.device.open()
    bench.inner.feed(frame(10))
    late = [number(raw) for raw in bench.receive()]
    assert late == [sequence for sequence in range(11) if sequence not in early]
    assert bench.device.send(frame(10)) is Sent.HELD
    assert {answer for _, answer in bench.send_due()} == {Sent.SENT}
    assert [number(raw) for raw in bench.inner.take()] == list(range(11))
    assert bench.device.next_deadline() is None


def test_closed_device_is_closed() -> None:
    bench = Bench(outgoing="delay=20ms")
    bench.device.send(frame())
    bench.device.close()
    bench.now += SECOND
    assert bench.send_due() == [(100, Sent.GONE)]
