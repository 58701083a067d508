"""Following what a switch tells while it happens: a line for each row, as text or as it was sent.

It goes on until the switch stops, the reader of the output leaves, or a signal comes.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol, Self, TypeVar

from pydantic import BaseModel, ValidationError

from vswitch.cli.client import Client, Stream
from vswitch.cli.pipes import discard_stdout, watch_reader
from vswitch.cli.problem import Problem


class Row(Protocol):
    """What is told of: a message of `daemon.messages`."""

    missed: int
    """How many before this one came faster than they were read."""

    @classmethod
    def model_validate_json(cls, json_data: str) -> Self:
        """As pydantic has it. Raises ValidationError."""


Told = TypeVar("Told", bound=Row)


def follow(
    client: Client,
    path: str,
    query: BaseModel,
    kind: type[Told],
    text: Callable[[Told], str],
    *,
    what: str,
    json: bool,
) -> None:
    """Print each row until there is an end: its text, or with `json` what was sent.

    `what` is what rows are, for people. Raises Problem where one is not of that kind.
    """
    with client.stream(path, query) as stream, _signals_end(stream):
        watch_reader(stream)
        try:
            for line in _lines(stream):
                print(line if json else text(_row(line, kind, what)), flush=True)
        except BrokenPipeError:
            discard_stdout()


def _row(line: str, kind: type[Told], what: str) -> Told:
    try:
        row = kind.model_validate_json(line)
    except ValidationError:
        words = f"the switch tells of {what} in another way than this vswitch"
        raise Problem(f"{words}: are they of one version?") from None
    if row.missed:
        words = f"{what} are missing here: they came faster than they were read"
        print(f"vswitch: {row.missed} {words}", file=sys.stderr)
    return row


@contextmanager
def _signals_end(stream: Stream) -> Iterator[None]:
    """Let a signal end what is read in the block, as its end does."""
    before = {
        each: signal.signal(each, lambda *_: stream.leave())
        for each in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _lines(stream: Stream) -> Iterator[str]:
    """What a switch sends, line by line."""
    rest = b""
    while piece := stream.read_some():
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line.decode()
