"""`vswitch events`: what comes and goes on a running switch, a line for each thing.

The text is in Docker's form: time, type, event, name, and the attributes in brackets by their
names. With `--json` each line is what the switch sent. It goes on until the switch stops, the
reader of the output leaves, or a signal comes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from vswitch.cli.client import Client
from vswitch.cli.following import follow
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
    follow(Client.of(switch), "events", query, EventRow, text, what="events", json=json)


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
