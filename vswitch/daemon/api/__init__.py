"""The control socket: HTTP with JSON on a unix socket that only its owner may use.

Theory of operation. Each route is a few lines that turn a body into a call of the `Daemon` and a
result into rows (`messages`, `views`). Routes about one thing are in one module, which names them
in its `routes`; what is said, and how mistakes are, is in `answers`. Each handler says what it is
for (`described`), of which the OpenAPI document is made (`openapi`).
"""

from __future__ import annotations

import logging
import socket

from aiohttp import web
from aiohttp.http import HttpProcessingError

from vswitch.daemon.api import (
    captures,
    endpoints,
    events,
    filters,
    metrics,
    networks,
    openapi,
    publications,
    tables,
    topology,
)
from vswitch.daemon.api.answers import in_one_line
from vswitch.daemon.daemon import Daemon

_http_log = logging.getLogger(f"{__name__}.http")

_BODY_LIMIT = 64 * 1024
"""Bytes of a request: the longest one lists some published ports."""

_GRACE_SECONDS = 1.0
"""For requests that are being answered when the switch stops. One whose client never ends it must
not keep the switch up."""

_TOPICS = (
    *(tables, networks, endpoints, publications, filters, captures),
    *(events, topology, metrics, openapi),
)


class Api:
    """The server on one daemon's control socket."""

    def __init__(self, daemon: Daemon, control: socket.socket) -> None:
        self._daemon = daemon
        self._control = control
        served = application(daemon)
        served.on_shutdown.append(self._end_streams)
        self._runner = web.AppRunner(
            served, access_log=None, logger=_http_log, shutdown_timeout=_GRACE_SECONDS
        )

    async def start(self) -> None:
        """Answer who asks on the socket, and who has asked already."""
        await self._runner.setup()
        await web.SockSite(self._runner, self._control).start()

    async def close(self) -> None:
        """Stop answering."""
        await self._runner.cleanup()

    async def _end_streams(self, _: web.Application) -> None:
        self._daemon.captures.end_all()
        self._daemon.events.end_all()


def application(daemon: Daemon) -> web.Application:
    """All that is served of one daemon."""
    made = web.Application(client_max_size=_BODY_LIMIT, middlewares=[in_one_line])
    for topic in _TOPICS:
        made.add_routes(topic.routes(daemon))
    return made


def _is_event(record: logging.LogRecord) -> bool:
    """A client that speaks no HTTP gets its 400, and is no event of the switch."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_http_log.addFilter(_is_event)
