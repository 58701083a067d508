"""`vswitch events`: what comes and goes on a running switch, a line for each thing.

The text is in Docker's form: time, type, event, name, and the attributes in brackets by their
names. With `--json` each line is what the switch sent. It goes on until the switch stops, the
reader of the output leaves, or a signal comes.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from pydantic import ValidationError

from vswitch.cli.client import Client, Stream
from vswitch.cli.pipes import discard_stdout, watch_reader
from vswitch.cli.problem import Problem
from vswitch.daemon.messages.events import Event, EventRow, EventsQuery, EventType
from vswitch.network import durations
from vswitch.units import SECOND

_ALLOWED = {
    "type": tuple(each.value for each in EventType),
    "event": tuple(each.value for each in Event),
    "name": None,
}
"""The keys of a filter, and what may be said of each; None is anything."""


def events(switch: str | None, query: EventsQuery, *, json: bool) -> None:
    """Tell what comes and goes until there is an end."""
    client = Client.of(switch)
    with client.stream("events", query) as stream, signals_end(stream):
        watch_reader(stream)
        try:
            for line in lines(stream):
                for text in (line,) if json else _told(line):
                    print(text, flush=True)
        except BrokenPipeError:
            discard_stdout()


def query(filters: Sequence[str], since: str | None) -> EventsQuery:
    """What a command line asks for. Raises ValueError with a line that says what is allowed."""
    wished: dict[str, list[str]] = {}
    for each in filters:
        key, separator, value = each.partition("=")
        if key not in _ALLOWED or not separator or not value:
            raise ValueError(
                f"--filter {each}: allowed is {', '.join(_ALLOWED)}, as in type=network"
            )
        allowed = _ALLOWED[key]
        if allowed is not None and value not in allowed:
            raise ValueError(f"--filter {each}: allowed is {', '.join(allowed)}")
        wished.setdefault(key, []).append(value)
    seconds = None if since is None else durations.parse(since) / SECOND
    return EventsQuery.model_validate({**wished, "since_seconds": seconds})


def text(row: EventRow) -> str:
    """An event in one line, its time in the zone of who reads it."""
    when = datetime.fromtimestamp(row.time).astimezone().isoformat(timespec="microseconds")
    line = f"{when} {row.type.value} {row.event.value} {row.name}"
    about = ", ".join(f"{key}={value}" for key, value in sorted(row.attributes.items()))
    return f"{line} ({about})" if about else line


@contextmanager
def signals_end(stream: Stream) -> Iterator[None]:
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


def _told(line: str) -> Iterator[str]:
    try:
        row = EventRow.model_validate_json(line)
    except ValidationError:
        words = "the switch tells of events in another way than this vswitch"
        raise Problem(f"{words}: are they of one version?") from None
    if row.missed:
        words = "events are missing here: they came faster than they were read"
        print(f"vswitch: {row.missed} {words}", file=sys.stderr)
    yield text(row)


def lines(stream: Stream) -> Iterator[str]:
    """What a switch sends, line by line."""
    rest = b""
    while piece := stream.read_some():
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line.decode()
