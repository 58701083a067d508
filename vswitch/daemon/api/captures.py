"""Captures that are streamed while they last, and what the flight recorder holds."""

from __future__ import annotations

from aiohttp import web

from vswitch.daemon import messages
from vswitch.daemon.api import answers
from vswitch.daemon.api.described import described
from vswitch.daemon.daemon import Daemon


def routes(daemon: Daemon) -> list[web.RouteDef]:
    """The routes of one daemon."""
    captures = _Captures(daemon)
    return [
        web.get("/v1/capture/stream", captures.begin),
        web.delete("/v1/capture/{number:[0-9]{1,18}}", captures.end),
        web.get("/v1/recorder", captures.recorder),
    ]


class _Captures:
    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    @described(
        "Frames as they pass, until the capture ends.",
        query=messages.CaptureQuery,
        media=answers.PCAPNG,
    )
    async def begin(self, request: web.Request) -> web.StreamResponse:
        wish = answers.query(messages.CaptureQuery, dict(request.query))
        captures = self._daemon.captures
        capture = await captures.begin(wish)
        try:
            number = {messages.CAPTURE_HEADER: str(capture.number)}
            pieces = capture.pieces(lambda: answers.is_read(request))
            return await answers.stream(request, pieces, answers.PCAPNG, number)
        finally:
            captures.close(capture)

    @described("End a capture in order, by the number in its header.")
    async def end(self, request: web.Request) -> web.Response:
        number = request.match_info["number"]
        if not self._daemon.captures.end(int(number)):
            return answers.problem(404, f"capture {number} not found: it has ended, or never was")
        return answers.nothing()

    @described("The last frames that passed.", media=answers.PCAPNG)
    async def recorder(self, request: web.Request) -> web.StreamResponse:
        return await answers.stream(request, self._daemon.captures.dump(), answers.PCAPNG)
