"""The interface: HTTP with JSON on a unix socket, and where it is configured on TCP with TLS.

Theory of operation. A request passes who may ask (`admission`) and how long that may take
(`patience`) before it comes to its route. Each route is a few lines that turn a body into a call of
the `Daemon` and a result into rows (`messages`, `views`). Routes about one thing are in one module,
which names them in its `routes`; what is said, and how mistakes are, is in `answers`. Each handler
says what it is for (`described`), of which the OpenAPI document is made (`openapi`).
"""

from __future__ import annotations

import logging

from aiohttp import web
from aiohttp.http import HttpProcessingError
from aiohttp.typedefs import Middleware

from vswitch.daemon.api import (
    captures,
    configuration,
    dns,
    endpoints,
    events,
    filters,
    leases,
    metrics,
    networks,
    openapi,
    publications,
    stopping,
    tables,
    topology,
)
from vswitch.daemon.api.admission import admission
from vswitch.daemon.api.answers import in_one_line
from vswitch.daemon.api.patience import Patience
from vswitch.daemon.daemon import Daemon
from vswitch.daemon.process.doors import Doors

_http_log = logging.getLogger(f"{__name__}.http")

_BODY_LIMIT = 1024 * 1024
"""Bytes of a request: the longest one is a configuration of some thousand endpoints."""

_GRACE_SECONDS = 1.0
"""For requests that are being answered when the switch stops. One whose client never ends it must
not keep the switch up."""

_TOPICS = (
    *(tables, networks, endpoints, publications, filters, captures, configuration),
    *(events, leases, topology, metrics, dns, stopping, openapi),
)


class Api:
    """The server behind one daemon's doors."""

    def __init__(self, daemon: Daemon, doors: Doors) -> None:
        """Call within the event loop."""
        self._daemon = daemon
        self._doors = doors
        self._patience = Patience()
        served = application(daemon, admission(doors.access), self._patience.middleware)
        served.on_shutdown.append(self._end_streams)
        self._runner = web.AppRunner(
            served, access_log=None, logger=_http_log, shutdown_timeout=_GRACE_SECONDS
        )

    async def start(self) -> None:
        """Answer who asks at the doors, and who has asked already."""
        await self._runner.setup()
        if self._runner.server is not None:
            self._patience.begin(self._runner.server)
        await web.SockSite(self._runner, self._doors.control).start()
        if self._doors.remote is not None:
            remote, context = self._doors.remote
            await web.SockSite(self._runner, remote, ssl_context=context).start()

    async def close(self) -> None:
        """Stop answering."""
        self._patience.end()
        await self._runner.cleanup()

    async def _end_streams(self, _: web.Application) -> None:
        self._daemon.captures.end_all()
        self._daemon.events.end_all()
        self._daemon.responder.shown.end_all()


def application(daemon: Daemon, *gates: Middleware) -> web.Application:
    """All that is served of one daemon to those whom every one of the `gates` lets through."""
    made = web.Application(
        client_max_size=_BODY_LIMIT,
        middlewares=[in_one_line, *gates],
    )
    for topic in _TOPICS:
        made.add_routes(topic.routes(daemon))
    return made


def _is_event(record: logging.LogRecord) -> bool:
    """A client that speaks no HTTP gets its 400, and is no event of the switch."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_http_log.addFilter(_is_event)
