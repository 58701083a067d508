"""A window between two ends of TCP whose line loses, doubles and overtakes what it likes.

The ends are a model of RFC 9293 as far as numbers go: what they send, what they take, what they
make of acknowledgments (RFC 5961, 5.2) and windows (RFC 7323). Where the line keeps the order, each
segment has to be within; where it does not, each that its receiver would still use.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from vswitch.fastpath.window import Fit, Window

SPACE = 1 << 32
STEPS = 250


def wrap(number: int) -> int:
    return number % SPACE


@dataclass(frozen=True)
class Segment:
    """Numbers are counted from 0 without end; the line wraps them around."""

    sequence: int
    end: int
    acknowledgment: int
    window: int
    """As it stands in the header."""


@dataclass
class End:
    """One end, established: everything is counted from its own or its peer's SYN."""

    first: int
    scale: int
    largest: int
    """The largest window that it ever has, in octets."""
    peer_scale: int = 0
    una: int = 1
    nxt: int = 1
    limit: int = 1
    max_window: int = 0
    wl: tuple[int, int] = (0, 0)
    rcv_nxt: int = 1
    edge: int = 1
    """How far it has ever said that its peer may send."""
    early: list[tuple[int, int]] = field(default_factory=list)
    fin: bool = False

    # Sending

    def segment(self, sequence: int, end: int) -> Segment:
        window = min(self.edge - self.rcv_nxt >> self.scale, 0xFFFF)
        return Segment(sequence, end, self.rcv_nxt, window)

    def open_up(self, random: Random) -> None:
        """Let the peer send on, or not yet; an edge is never taken back."""
        largest = min(self.largest, 0xFFFF << self.scale)
        step = random.choice((0, 1, random.randrange(largest), largest))
        unit = (1 << self.scale) - 1
        self.edge = max(self.edge, self.rcv_nxt + (step & ~unit))

    def send(self, random: Random) -> Segment | None:
        """Something that this end might send now."""
        choice = random.randrange(8)
        if choice < 3:
            return self._new(random)
        if choice < 5 and self.una < self.nxt:
            sequence = random.randrange(self.una, self.nxt)
            return self.segment(
                sequence, min(self.nxt, sequence + random.choice((1, 1460, 65_000)))
            )
        if choice == 5:
            return self.segment(self.nxt - 1, self.nxt - random.randrange(2))
        return self.segment(self.nxt, self.nxt)

    def _new(self, random: Random) -> Segment | None:
        room = self.limit - self.nxt
        if self.fin:
            return None
        if room <= 0:
            # A window of zero is probed with one octet.
            if room < 0 or self.una < self.nxt:
                return None
            length = 1
        else:
            length = min(room, random.choice((1, 100, 1460, 65_000, 65_000)))
            self.fin = random.random() < 0.01
        sequence, self.nxt = self.nxt, self.nxt + length
        return self.segment(sequence, self.nxt)

    # Receiving

    def would_use(self, segment: Segment) -> bool:
        """RFC 9293, 3.10.7.4, and RFC 5961, 5.2."""
        window = self.edge - self.rcv_nxt
        sequence, last = segment.sequence, segment.end - 1
        if segment.end == sequence:
            acceptable = sequence == self.rcv_nxt or self.rcv_nxt <= sequence < self.edge
        else:
            starts = self.rcv_nxt <= sequence < self.edge
            acceptable = window > 0 and (starts or self.rcv_nxt <= last < self.edge)
        return acceptable and self.una - self.max_window <= segment.acknowledgment <= self.nxt

    def receive(self, segment: Segment) -> None:
        if not self.would_use(segment):
            return
        window = segment.window << self.peer_scale
        self.una = max(self.una, segment.acknowledgment)
        self.max_window = max(self.max_window, window)
        stamp = (segment.sequence, segment.acknowledgment)
        if stamp >= self.wl:
            self.wl = stamp
            self.limit = segment.acknowledgment + window
        self.early.append((segment.sequence, min(segment.end, self.edge)))
        for sequence, end in sorted(self.early):
            if sequence <= self.rcv_nxt:
                self.rcv_nxt = max(self.rcv_nxt, end)
        self.early = [piece for piece in self.early if piece[1] > self.rcv_nxt]


class Line:
    """Two ends and what is on its way between them, before and behind the switch."""

    def __init__(self, random: Random, ends: tuple[End, End], window: Window, *, ordered: bool):
        self.random = random
        self.ends = ends
        self.window = window
        self.ordered = ordered
        self.near: tuple[list[Segment], list[Segment]] = ([], [])
        self.far: tuple[list[Segment], list[Segment]] = ([], [])
        self.judged = 0

    def step(self) -> None:
        direction = self.random.randrange(2)
        end = self.ends[direction]
        what = self.random.randrange(6)
        if what == 0:
            end.open_up(self.random)
        elif what < 3:
            segment = end.send(self.random)
            if segment is not None:
                self.near[direction].append(segment)
        elif what < 5 and self.near[direction]:
            segment = self._next(self.near[direction])
            self._judge(direction, segment)
            if self.random.random() < 0.9:
                self.far[direction].append(segment)
        elif self.far[direction]:
            self.ends[1 - direction].receive(self._next(self.far[direction]))

    def _next(self, queue: list[Segment]) -> Segment:
        if self.ordered:
            return queue.pop(0)
        at = self.random.randrange(len(queue))
        return queue[at] if self.random.random() < 0.2 else queue.pop(at)

    def _judge(self, direction: int, segment: Segment) -> None:
        own, peer = self.ends[direction].first, self.ends[1 - direction].first
        fit = self.window.accept(
            direction,
            wrap(own + segment.sequence),
            wrap(own + segment.end),
            wrap(peer + segment.acknowledgment),
            segment.window,
        )
        self.judged += 1
        if self.ordered or self.ends[1 - direction].would_use(segment):
            assert fit is Fit.WITHIN, (direction, segment, self.ends)


SCALES = st.integers(0, 14)
LARGEST = st.sampled_from((1, 1000, 65_535, 200_000, 1_000_000, 1 << 30))
FIRSTS = st.one_of(st.integers(0, SPACE - 1), st.integers(SPACE - 100_000, SPACE - 1))


def established(
    firsts: tuple[int, int], scales: tuple[int, int], largest: tuple[int, int]
) -> tuple[tuple[End, End], Window]:
    """Two ends after their handshake, and the window that has seen it."""
    one, other = (End(*of) for of in zip(firsts, scales, largest, strict=True))
    one.peer_scale, other.peer_scale = other.scale, one.scale
    window = Window()
    for direction, (end, peer) in enumerate(((one, other), (other, one))):
        announced = min(end.largest, 0xFFFF)
        end.edge = peer.limit = 1 + announced
        peer.max_window = announced
        acknowledgment = wrap(peer.first + 1) if direction else None
        numbers = wrap(end.first), wrap(end.first + 1)
        window.begin(direction, *numbers, acknowledgment, announced, end.scale)
    return (one, other), window


@settings(max_examples=200)
@given(
    random=st.randoms(use_true_random=True), firsts=st.tuples(FIRSTS, FIRSTS),
    scales=st.tuples(SCALES, SCALES), largest=st.tuples(LARGEST, LARGEST), ordered=st.booleans(),
)  # fmt: skip
def test_segments_that_can_matter_are_within(
    random: Random,
    firsts: tuple[int, int],
    scales: tuple[int, int],
    largest: tuple[int, int],
    ordered: bool,
) -> None:
    ends, window = established(firsts, scales, largest)
    line = Line(random, ends, window, ordered=ordered)
    for _ in range(STEPS):
        line.step()
    assert line.judged
