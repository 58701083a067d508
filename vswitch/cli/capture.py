"""`vswitch capture`: the frames of a running switch, into files, a pipe, or lines of text.

Theory of operation. The switch streams pcapng, and what is done with it is done here, in a process
of its own: files are written and rotated under the caller's own rights, and text is formatted at
the caller's cost. The first SIGINT or SIGTERM asks the switch to end the capture, so that what was
seen until then arrives, and the counts behind it; a second one ends this process.

A reader of standard output that goes away ends the capture, whether frames pass or not.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import BinaryIO, Protocol, cast

from pydantic import ValidationError

from vswitch.cli.client import Client, Stream
from vswitch.cli.dump import print_packets
from vswitch.cli.pipes import STDOUT_DESCRIPTOR, discard_stdout, watch_reader
from vswitch.cli.problem import Problem
from vswitch.daemon.messages import CAPTURE_HEADER, CaptureQuery
from vswitch.debug.explain.printing import Printer
from vswitch.debug.explain.times import Times
from vswitch.debug.files.blocks import PACKET, STATISTICS, Block, Blocks, NotPcapngError, statistics
from vswitch.debug.files.reading import CaptureError, CaptureReader
from vswitch.debug.files.rotation import (
    KEPT_FILES,
    LARGEST_FILE,
    CaptureFile,
    RotatingFiles,
    Rotation,
)
from vswitch.network import sizes
from vswitch.units import KIBIBYTE, SECOND, Nanoseconds

STDOUT = "-"

SMALLEST_FILE = 64 * KIBIBYTE
"""Bytes: below it a file might hold nothing but one super-frame."""


class Target(Protocol):
    """Where blocks go."""

    def write(self, blocks: Sequence[Block], now: Nanoseconds) -> None:
        """Write whole blocks. Raises OSError."""

    def close(self) -> None:
        """Nothing more will come."""


def capture(
    wish: Mapping[str, object],
    target: str | None,
    rotation: Rotation | None,
    switch: str | None,
    printer: Printer | None = None,
) -> None:
    """Capture until one of the limits, a signal, or the end of the switch or of the reader.

    Without `target` the frames are printed, by `printer` where one is given.
    """
    query = _query(wish)
    _refuse_terminal(target)
    client = Client.of(switch)
    with ExitStack() as stack:
        stream = stack.enter_context(client.stream("capture/stream", query))
        stack.enter_context(_signals_end(client, stream.header(CAPTURE_HEADER)))
        tally = Tally(stream)
        try:
            if target in (None, STDOUT):
                watch_reader(stream)
            if target is None:
                _print(tally, printer or Printer(Times.ABSOLUTE))
            else:
                _write(tally, target, rotation)
        except BrokenPipeError:
            discard_stdout()
        except NotPcapngError as error:
            raise Problem(f"the switch sends {error}") from error
    print(f"{tally.frames} frames captured, {tally.lost} lost", file=sys.stderr)


def rotation(size: str | None, seconds: float | None, keep: int | None) -> Rotation:
    """The rotation that a command line asks for. Raises ValueError."""
    octets = LARGEST_FILE if size is None else sizes.parse(size)
    if octets < SMALLEST_FILE:
        raise ValueError(f"--rotate-size: allowed is {sizes.text(SMALLEST_FILE)} or more")
    age = None if seconds is None else int(seconds * SECOND)
    return Rotation(octets, age, KEPT_FILES if keep is None else keep)


def write(stream: Stream, target: str) -> int:
    """Write all that a stream brings to a file or to standard output; the number of frames."""
    _refuse_terminal(target)
    tally = Tally(stream)
    try:
        _write(tally, target, None)
    except BrokenPipeError:
        discard_stdout()
    return tally.frames


class Tally:
    """A stream, and what of it has come by here."""

    def __init__(self, stream: Stream) -> None:
        self.frames = 0
        self.lost = 0
        """Frames that the switch had no room to keep, as the stream says at its end."""
        self._stream = stream
        self._blocks = Blocks()

    def pieces(self) -> Iterator[list[Block]]:
        """The whole blocks of the stream, as many at a time as have come."""
        while piece := self._stream.read_some():
            yield self._count(piece)

    def read(self, length: int) -> bytes:
        """Bytes of the stream, for who reads it as a file."""
        piece = self._stream.read(length)
        self._count(piece)
        return piece

    def close(self) -> None:
        """The stream is its owner's to close."""

    def _count(self, piece: bytes) -> list[Block]:
        blocks = list(self._blocks.feed(piece))
        for block in blocks:
            if block.kind == PACKET:
                self.frames += 1
            elif block.kind == STATISTICS:
                self.lost += statistics(block).dropped
        return blocks


class _Stdout:
    """Standard output, unbuffered: a reader sees each frame as soon as it has come."""

    def write(self, blocks: Sequence[Block], now: Nanoseconds) -> None:
        del now
        left = memoryview(b"".join(block.data for block in blocks))
        while left:
            left = left[os.write(STDOUT_DESCRIPTOR, left) :]

    def close(self) -> None:
        """It stays open."""


def _query(wish: Mapping[str, object]) -> CaptureQuery:
    try:
        return CaptureQuery.model_validate(wish)
    except ValidationError as error:
        mistake = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in mistake["loc"])
        raise Problem(f"{where}: {mistake['msg']}") from error


def _refuse_terminal(target: str | None) -> None:
    if target == STDOUT and sys.stdout.isatty():
        raise Problem("a capture is nothing for a terminal: -w FILE, or a pipe behind it")


def _write(tally: Tally, target: str, rotation: Rotation | None) -> None:
    name = "standard output" if target == STDOUT else target
    try:
        file = _open(target, rotation)
        try:
            for blocks in tally.pieces():
                file.write(blocks, time.monotonic_ns())
        finally:
            file.close()
    except BrokenPipeError:
        raise
    except OSError as error:
        when = f", after {tally.frames} frames" if tally.frames else ""
        raise Problem(f"{name}: {error.strerror}{when}") from error


def _open(target: str, rotation: Rotation | None) -> Target:
    if target == STDOUT:
        return _Stdout()
    if rotation is not None:
        return RotatingFiles(Path(target), rotation)
    return CaptureFile(Path(target))


def _print(tally: Tally, printer: Printer) -> None:
    """A line for each frame, as soon as it has come."""
    try:
        packets = CaptureReader(cast(BinaryIO, tally), "the switch")
    except CaptureError as error:
        raise Problem(str(error)) from error
    print_packets(packets, printer, at_once=True)


@contextmanager
def _signals_end(client: Client, number: str) -> Iterator[None]:
    """Let the first signal end the capture in order, and the second one the process."""

    def end(_: int, __: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_DFL)
        with suppress(Problem):  # it is over already, or the switch is
            client.do("DELETE", f"capture/{number}")

    before = {each: signal.signal(each, end) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
