"""How long a client may take: a slow one, or one that has vanished, holds nothing for long.

Theory of operation. Every `SECONDS` the connections are looked through. One on which nothing is
being answered, as at the last look, and nothing was in between, is closed: it is in the middle of a
header, or has not taken its last answer, or keeps silent. A body has `SECONDS` to come. While
something is answered there is no limit: streams go on for as long as somebody reads them.

Nobody waits for such a client but itself.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from vswitch.daemon.api.answers import Handler, problem

SECONDS = 30.0
"""Clients on this host take milliseconds."""


class Patience:
    """Watches the connections of one server, from `begin` on. Belongs to the running event loop."""

    def __init__(self) -> None:
        self._answering: set[asyncio.BaseProtocol] = set()
        self._silent: set[asyncio.BaseProtocol] = set()
        """Connections on which nothing has been answered since the last look."""
        self._timer: asyncio.TimerHandle | None = None

    @web.middleware
    async def middleware(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Around every request."""
        connection = request.protocol
        self._silent.discard(connection)
        self._answering.add(connection)
        try:
            if not await _is_whole(request):
                return problem(408, f"the request has not ended within {SECONDS:g} seconds")
            return await handler(request)
        finally:
            self._answering.discard(connection)

    def begin(self, server: web.Server) -> None:
        """Look through the connections of `server` from now on."""
        self._timer = asyncio.get_running_loop().call_later(SECONDS, self._look, server)

    def end(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self, server: web.Server) -> None:
        idle = [each for each in server.connections if each not in self._answering]
        for connection in idle:
            if connection in self._silent and connection.transport is not None:
                connection.transport.abort()
        self._silent = set(idle)
        self.begin(server)


async def _is_whole(request: web.Request) -> bool:
    """Read the body, which the handler then finds there."""
    try:
        async with asyncio.timeout(SECONDS):
            await request.read()
    except TimeoutError:
        return False
    return True
