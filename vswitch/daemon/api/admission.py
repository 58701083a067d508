"""Who is let in: whoever may by `access`, and over TLS whoever has shown a certificate."""

from __future__ import annotations

import socket

from aiohttp import web
from aiohttp.typedefs import Middleware

from vswitch.daemon.api.answers import Handler, problem
from vswitch.daemon.process.access import Access, Peer


def admission(access: Access) -> Middleware:
    """Around every request: 403 for who may not ask."""

    @web.middleware
    async def admit(request: web.Request, handler: Handler) -> web.StreamResponse:
        peer = _peer(request)
        if peer is not None and not access.admits(peer):
            return problem(403, access.refusal(peer))
        return await handler(request)

    return admit


def _peer(request: web.Request) -> Peer | None:
    """Who asks on a unix socket; None over TLS. Raises ConnectionResetError."""
    connection = request.get_extra_info("socket")
    if connection is None:
        raise ConnectionResetError
    return Peer.of(connection) if connection.family == socket.AF_UNIX else None
