"""Replaying a case: in.pcapng goes in, and what comes out is held against expected.pcapng.

Theory of operation. Input, output and what is expected are streams: frames are read, replayed,
written and compared one by one. `check` changes nothing; `update` makes what came out the expected,
by a file that takes the old one's place when it is complete.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import BinaryIO

from vswitch.debug.cases.arrivals import Remark, arrivals
from vswitch.debug.cases.case import EXPECTED, Case, write_counts
from vswitch.debug.cases.difference import Difference, compare, compare_counts
from vswitch.debug.cases.recording import Recorded, RecordingWriter, read_recording
from vswitch.debug.cases.replay import Counts, Departure, Replay
from vswitch.debug.files.reading import CaptureError, CaptureReader
from vswitch.debug.sight import Direction

Progress = Callable[[int, float], None]
"""Told how many frames have arrived, and how much of the input that is, from 0 to 1."""


_TOLD_EVERY = 256
"""Frames between two calls of a `Progress`."""


@dataclass(frozen=True, slots=True)
class Report:
    """How the replay of a case went."""

    arrived: int
    left: int
    difference: Difference
    counts: Counts
    remarks: Counter[Remark]


def check(case: Case, *, out: BinaryIO | None = None, progress: Progress | None = None) -> Report:
    """Replay `case` and compare; what comes out is also written to `out`.

    Raises:
        CaptureError: in.pcapng or expected.pcapng can not be read, or there is none.
        OSError: of `out`.
    """
    if not case.expected.exists():
        words = f"there is none yet: vswitch replay --update {case.folder} makes it"
        raise CaptureError(f"{case.expected}: {words}")
    return _replayed(case, out, progress)


def update(case: Case, *, progress: Progress | None = None) -> Report:
    """Replay `case` and make what comes out the expected; the report says what has changed.

    Raises:
        CaptureError: in.pcapng can not be read, or an existing expected.pcapng.
        ConfigurationError: the counters in case.toml can not be rewritten.
        OSError: a file can not be written.
    """
    handle, path = tempfile.mkstemp(dir=case.folder, prefix=f".{EXPECTED}.")
    try:
        with os.fdopen(handle, "wb") as out:
            report = _replayed(case, out, progress)
        write_counts(case, report.counts)
        os.chmod(path, 0o644)
        os.replace(path, case.expected)
    except BaseException:
        os.unlink(path)
        raise
    return report


def _replayed(case: Case, out: BinaryIO | None, progress: Progress | None) -> Report:
    remarks: Counter[Remark] = Counter()
    replay = Replay(case.setup)
    with ExitStack() as files:
        reader = files.enter_context(CaptureReader.open(case.input))
        arriving = arrivals(reader, case.port_of, remarks, case.setup.start)
        if progress is not None:
            arriving = told(arriving, [reader], case.input.stat().st_size, progress)
        leaving = replay.run(arriving)
        if out is not None:
            leaving = written(leaving, out, replay.ports)
        expected: Iterable[Recorded] = ()
        if case.expected.exists():
            expected = read_recording(files.enter_context(CaptureReader.open(case.expected)))
        difference = compare(expected, leaving, case.setup.start)
    counts = replay.counts()
    if case.counts is not None:
        difference.counters = compare_counts(case.counts, counts)
    return Report(replay.arrived, replay.left, difference, counts, remarks)


def told(
    arriving: Iterator[Recorded],
    readers: Sequence[CaptureReader],
    size: int,
    progress: Progress,
) -> Iterator[Recorded]:
    """The same frames, with `progress` told of them; `size` is that of all files together."""
    for count, arrival in enumerate(arriving):
        if count % _TOLD_EVERY == 0:
            progress(count, sum(reader.position for reader in readers) / max(size, 1))
        yield arrival


def written(
    leaving: Iterable[Departure], out: BinaryIO, ports: Iterable[tuple[str, str]]
) -> Iterator[Departure]:
    """The same frames, each written into a recording first."""
    writer = RecordingWriter(out, ports)
    for departure in leaving:
        writer.write(
            Direction.SENT, departure.port, departure.frame, departure.when, departure.comment
        )
        yield departure
