"""What comes and goes, told for as long as somebody reads."""

from __future__ import annotations

from aiohttp import web

from vswitch.daemon.api import answers
from vswitch.daemon.api.described import described
from vswitch.daemon.daemon import Daemon
from vswitch.daemon.messages.events import EventRow, EventsQuery

_REPEATABLE = ("type", "event", "name")


def routes(daemon: Daemon) -> list[web.RouteDef]:
    """The routes of one daemon."""
    return [web.get("/v1/events", _Events(daemon).stream)]


class _Events:
    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    @described(
        "What comes and goes, as it does: a line for each event.",
        query=EventsQuery,
        row=EventRow,
        media=answers.JSON_LINES,
    )
    async def stream(self, request: web.Request) -> web.StreamResponse:
        query = request.query
        wish = answers.query(
            EventsQuery,
            {key: query.getall(key) if key in _REPEATABLE else query[key] for key in query},
        )
        events = self._daemon.events
        reader = events.begin(wish)
        try:
            lines = reader.lines(lambda: answers.is_read(request))
            return await answers.stream(request, lines, answers.JSON_LINES)
        finally:
            events.close(reader)
