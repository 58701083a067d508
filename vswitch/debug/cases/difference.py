"""What came out against what had to: which frame, which field, which counter.

Theory of operation. Two frames are the same where port, time, bytes, offload header, fate and flow
are. The rest of a verdict, the words that say why, explains a difference and never makes one: they
may be put better without a case being wrong.

Both sides are read side by side and need no more memory than a short look ahead. At a difference
the nearest place is looked for from which they agree again, and the frames before it are paired by
what they have in common. So a frame that is missing is one difference, and not one for every frame
behind it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, TypeVar

from vswitch.debug.cases.dissection import FieldDifference, differing_fields
from vswitch.debug.cases.recording import Recorded
from vswitch.debug.cases.replay import Counts, Departure
from vswitch.debug.files.reading import printable
from vswitch.units import SECOND, Nanoseconds
from vswitch.wire import ethernet, ipv4
from vswitch.wire.offload import HEADER_LENGTH
from vswitch.wire.text import summary

LOOK_AHEAD = 64
"""Frames of each side among which the place is looked for where both agree again."""

SHOWN = 10
"""Frames that a difference explains; the others are counted."""

_ETHERTYPE = slice(HEADER_LENGTH + ethernet.HEADER_LENGTH - 2, HEADER_LENGTH + 14)
_IP_PROTOCOL = HEADER_LENGTH + ethernet.HEADER_LENGTH + ipv4.PROTOCOL

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FrameDifference:
    """A frame that is not as expected, is missing (`got` is None) or came unasked."""

    expected: Recorded | None
    got: Departure | None
    fields: tuple[FieldDifference, ...]


@dataclass(frozen=True, slots=True)
class CounterDifference:
    """A counter that has another value."""

    table: str
    name: str
    expected: int
    got: int


@dataclass(slots=True)
class Difference:
    """All that differs; false where nothing does."""

    start: Nanoseconds | None = None
    """What times are shown relative to."""
    frames: list[FrameDifference] = field(default_factory=list)
    """The first of them."""
    frames_that_differ: int = 0
    counters: list[CounterDifference] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.frames_that_differ or self.counters)

    def lines(self) -> Iterator[str]:
        """The difference as a person reads it."""
        for frame in self.frames:
            yield from map(printable, self._frame_lines(frame))
        more = self.frames_that_differ - len(self.frames)
        if more:
            yield f"and {more} more frames that differ"
        for counter in self.counters:
            values = f"expected {counter.expected}, got {counter.got}"
            yield f"counter {counter.table}.{counter.name}: {values}"

    def _frame_lines(self, difference: FrameDifference) -> Iterator[str]:
        expected, got = difference.expected, difference.got
        if expected is not None and got is not None:
            yield f"frame {expected.number}, {self._where(got)}, differs:"
            yield f"    {summary(got.frame)}"
            yield from (f"    {line}" for line in _table(difference.fields))
            yield from _verdicts(expected.comment, got.comment)
        elif expected is not None:
            yield f"frame {expected.number}, {self._where(expected)}, is missing:"
            yield f"    {summary(expected.frame)}"
            yield f"    verdict   {expected.comment}"
        elif got is not None:
            yield f"a frame that is not expected, {self._where(got)}:"
            yield f"    {summary(got.frame)}"
            yield f"    verdict   {got.comment}"

    def _where(self, frame: Recorded | Departure) -> str:
        where = f"on {frame.port} at {_seconds(frame.when, self.start)}"
        if isinstance(frame, Departure):
            cause = f"packet {frame.cause}" if frame.cause is not None else "a timer"
            where += f", caused by {cause}"
        return where


def compare(
    expected: Iterable[Recorded], got: Iterable[Departure], start: Nanoseconds | None = None
) -> Difference:
    """Everything that tells the two apart; both are read to their ends."""
    difference = Difference(start)
    ours, theirs = _Ahead(expected), _Ahead(got)
    while True:
        mine, its = ours.next(), theirs.next()
        if mine is not None and its is not None and _are_same(mine, its):
            if difference.start is None:
                difference.start = mine.when
            continue
        if mine is None and its is None:
            return difference
        if difference.start is None:
            difference.start = min(frame.when for frame in (mine, its) if frame is not None)
        ours.put_back(mine)
        theirs.put_back(its)
        skipped_ours, skipped_theirs = _distance(ours.peek(LOOK_AHEAD), theirs.peek(LOOK_AHEAD))
        for pair in _paired(ours.take(skipped_ours), theirs.take(skipped_theirs)):
            difference.frames_that_differ += 1
            if len(difference.frames) < SHOWN:
                difference.frames.append(_explained(*pair))


def compare_counts(expected: Counts, got: Counts) -> list[CounterDifference]:
    """Every counter that has another value than expected; one that is not named is expected 0."""
    tables: list[tuple[str, Mapping[str, int], Mapping[str, int]]] = [
        ("fates", expected.fates, got.fates),
        ("drops", expected.drops, got.drops),
        ("unsent", expected.unsent, got.unsent),
    ]
    return [
        CounterDifference(table, name, ours.get(name, 0), theirs.get(name, 0))
        for table, ours, theirs in tables
        for name in sorted({*ours, *theirs})
        if ours.get(name, 0) != theirs.get(name, 0)
    ]


class _Ahead(Generic[T]):
    """An iterator that can be looked into before it is taken from."""

    def __init__(self, items: Iterable[T]) -> None:
        self._items = iter(items)
        self._seen: deque[T] = deque()

    def next(self) -> T | None:
        """The next item, None at the end."""
        return self._seen.popleft() if self._seen else next(self._items, None)

    def put_back(self, item: T | None) -> None:
        """Take back what `next` has answered with."""
        if item is not None:
            self._seen.appendleft(item)

    def peek(self, count: int) -> list[T]:
        """The next `count` items, or as many as there are."""
        self._seen.extend(islice(self._items, max(0, count - len(self._seen))))
        return list(islice(self._seen, count))

    def take(self, count: int) -> list[T]:
        """Go on by `count` items, which have been peeked at."""
        return [self._seen.popleft() for _ in range(count)]


def _are_same(one: Recorded, other: Departure) -> bool:
    return (
        one.when == other.when
        and one.frame == other.frame
        and one.port == other.port
        and (
            one.comment == other.comment or verdict_head(one.comment) == verdict_head(other.comment)
        )
    )


def _key(frame: Recorded | Departure) -> tuple[object, ...]:
    return frame.when, frame.port, frame.frame, verdict_head(frame.comment)


def verdict_head(comment: str) -> tuple[str, str]:
    """Fate and flow: the part of a verdict that is compared."""
    fate, *rest = comment.split("; ")
    flow = rest[0] if rest and rest[0].startswith("flow ") else "no flow"
    return fate, flow


def _distance(expected: list[Recorded], got: list[Departure]) -> tuple[int, int]:
    """How many frames of each side lie before the nearest place where both agree again."""
    ours, theirs = [_key(frame) for frame in expected], [_key(frame) for frame in got]
    for total in range(1, len(ours) + len(theirs)):
        for skipped in range(max(0, total - len(theirs) + 1), min(total + 1, len(ours))):
            if ours[skipped] == theirs[total - skipped]:
                return skipped, total - skipped
    return len(ours), len(theirs)


def _paired(
    expected: list[Recorded], got: list[Departure]
) -> Iterator[tuple[Recorded | None, Departure | None]]:
    """Each expected frame with the one that has most in common with it, then what is left over."""
    left = list(got)
    for frame in expected:
        nearest = max(left, key=lambda other: _in_common(frame, other), default=None)
        if nearest is None or not _in_common(frame, nearest):
            yield frame, None
        else:
            left.remove(nearest)
            yield frame, nearest
    for other in left:
        yield None, other


def _in_common(one: Recorded, other: Departure) -> int:
    """How much speaks for it that two frames stand for the same one; 0 where nothing does."""
    if one.frame == other.frame:
        return 4 + 2 * (one.port == other.port) + (one.when == other.when)
    if one.port != other.port or _kind(one.frame) != _kind(other.frame):
        return 0
    return 1 + (one.when == other.when) + (len(one.frame) == len(other.frame))


def _kind(frame: bytes) -> tuple[bytes, bytes]:
    return frame[_ETHERTYPE], frame[_IP_PROTOCOL : _IP_PROTOCOL + 1]


def _explained(expected: Recorded | None, got: Departure | None) -> FrameDifference:
    if expected is None or got is None:
        return FrameDifference(expected, got, ())
    fields = []
    if expected.port != got.port:
        fields.append(FieldDifference("switch", "port", expected.port, got.port))
    if expected.when != got.when:
        start = min(expected.when, got.when)
        times = (f"{(when - start) / SECOND:+.9f} s" for when in (expected.when, got.when))
        fields.append(FieldDifference("switch", "time", *times))
    heads = zip(
        ("fate", "flow"), verdict_head(expected.comment), verdict_head(got.comment), strict=True
    )
    fields += [FieldDifference("verdict", *head) for head in heads if head[1] != head[2]]
    fields += differing_fields(expected.frame, got.frame)
    return FrameDifference(expected, got, tuple(fields))


def _table(fields: Iterable[FieldDifference]) -> Iterator[str]:
    rows = [("layer", "field", "expected", "got")]
    rows += [(each.layer, each.field, each.expected, each.got) for each in fields]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        padded = [text.ljust(width) for text, width in zip(row, widths, strict=False)]
        yield "   ".join((*padded, row[3]))


def _verdicts(expected: str, got: str) -> Iterator[str]:
    if expected == got:
        yield f"    verdict   {got}"
    else:
        yield f"    verdict expected   {expected}"
        yield f"    verdict got        {got}"


def _seconds(when: Nanoseconds, start: Nanoseconds | None) -> str:
    return f"{(when - (start or 0)) / SECOND:.9f} s"
