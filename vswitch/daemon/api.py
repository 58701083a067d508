"""The control socket: HTTP with JSON on a unix socket that only its owner may use.

Theory of operation. Each route is a few lines that turn a body into a call of the `Daemon` and a
result into rows (`messages`, `views`). A mistake of the client is a 4xx whose body says in one line
what is wrong; an unexpected error is logged with its traceback and answered with a plain 500.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TypeVar

from aiohttp import web
from aiohttp.http import HttpProcessingError
from pydantic import BaseModel, ValidationError

from vswitch.daemon import impairments, messages, views
from vswitch.daemon.captures import TooManyReadersError
from vswitch.daemon.daemon import AttachError, Daemon
from vswitch.debug.explain.describing import DescriptionError
from vswitch.debug.files.bpf import FilterError
from vswitch.impairment import ImpairmentError
from vswitch.network import publish
from vswitch.network.errors import NetworkError
from vswitch.network.model import Endpoint, EndpointRequest

log = logging.getLogger(__name__)

_http_log = logging.getLogger(f"{__name__}.http")

_BODY_LIMIT = 64 * 1024
"""Bytes of a request: the longest one lists some published ports."""

_PCAPNG = "application/x-pcapng"

_OWNER_ONLY = 0o177

_GRACE_SECONDS = 1.0
"""For requests that are being answered when the switch stops. One whose client never ends it must
not keep the switch up."""

Body = TypeVar("Body", bound=BaseModel)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """The server on one daemon's socket."""

    def __init__(self, daemon: Daemon, socket: Path) -> None:
        self._daemon = daemon
        self._socket = socket
        application = web.Application(client_max_size=_BODY_LIMIT, middlewares=[_in_one_line])
        application.add_routes(
            [
                web.get("/v1/status", self._status),
                web.get("/v1/ports", self._ports),
                web.get("/v1/fdb", self._fdb),
                web.get("/v1/neighbours", self._neighbours),
                web.get("/v1/flows", self._flows),
                web.get("/v1/mappings", self._mappings),
                web.get("/v1/flows/{number:[0-9]{1,18}}", self._why),
                web.post("/v1/trace", self._trace),
                web.get("/v1/endpoints", self._endpoints),
                web.post("/v1/endpoints", self._add_endpoint),
                web.delete("/v1/endpoints/{name}", self._remove_endpoint),
                web.get("/v1/impairments", self._impairments),
                web.put("/v1/impairments/{port}", self._impair),
                web.delete("/v1/impairments/{port}", self._end_impairment),
                web.get("/v1/capture/stream", self._capture),
                web.delete("/v1/capture/{number:[0-9]{1,18}}", self._end_capture),
                web.get("/v1/recorder", self._recorder),
            ]
        )
        application.on_shutdown.append(self._end_captures)
        self._runner = web.AppRunner(
            application, access_log=None, logger=_http_log, shutdown_timeout=_GRACE_SECONDS
        )

    async def start(self) -> None:
        """Listen. The lock says that no other switch does, so an old socket is swept away."""
        self._socket.unlink(missing_ok=True)
        await self._runner.setup()
        before = os.umask(_OWNER_ONLY)
        try:
            await web.UnixSite(self._runner, str(self._socket)).start()
        finally:
            os.umask(before)

    async def close(self) -> None:
        """Stop listening and remove the socket."""
        await self._runner.cleanup()
        self._socket.unlink(missing_ok=True)

    # Tables

    async def _status(self, _: web.Request) -> web.Response:
        return _json(self._daemon.status())

    async def _ports(self, _: web.Request) -> web.Response:
        return _rows(views.ports(self._daemon.switch))

    async def _fdb(self, _: web.Request) -> web.Response:
        return _rows(views.fdb(self._daemon.switch))

    async def _neighbours(self, _: web.Request) -> web.Response:
        return _rows(views.neighbours(self._daemon.switch))

    async def _flows(self, _: web.Request) -> web.Response:
        return _rows(views.flows(self._daemon.switch, self._daemon.runtime.now()))

    async def _mappings(self, _: web.Request) -> web.Response:
        return _rows(views.mappings(self._daemon.switch, self._daemon.runtime.now()))

    # Reasons

    async def _why(self, request: web.Request) -> web.Response:
        number = request.match_info["number"]
        daemon = self._daemon
        endpoints = daemon.inventory.endpoints
        row = views.why(daemon.switch, int(number), endpoints, daemon.runtime.now())
        if row is None:
            return _problem(404, f"flow {number} not found: it has ended, or never was")
        return _json(row)

    async def _trace(self, request: web.Request) -> web.Response:
        body = await _body(request, messages.TraceBody)
        daemon = self._daemon
        endpoints = daemon.inventory.endpoints
        return _json(views.trace(daemon.switch, body, endpoints, daemon.runtime.now()))

    # Endpoints

    async def _endpoints(self, _: web.Request) -> web.Response:
        return _rows([self._row(endpoint) for endpoint in self._daemon.inventory.endpoints])

    async def _add_endpoint(self, request: web.Request) -> web.Response:
        body = await _body(request, messages.EndpointBody)
        wish = EndpointRequest(
            name=body.name or f"run-{body.pid}",
            network=body.network,
            kind=body.kind,
            publish=tuple(publish.parse(spec) for spec in body.publish),
        )
        endpoint = await self._daemon.add_endpoint(wish, body.pid)
        return _json(self._row(endpoint), status=201)

    async def _remove_endpoint(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self._daemon.inventory.endpoint(name)
        await self._daemon.detach(name, "removed")
        return web.Response(status=204)

    def _row(self, endpoint: Endpoint) -> messages.EndpointRow:
        network = self._daemon.network_of(endpoint)
        return messages.EndpointRow(
            name=endpoint.name,
            network=endpoint.network,
            kind=endpoint.kind,
            namespace=endpoint.namespace or "",
            address=f"{endpoint.address}/{network.subnet.prefix_length}",
            gateway=str(network.gateway),
            mac=str(endpoint.mac),
            aliases=endpoint.aliases,
            published=tuple(str(publication) for publication in endpoint.publications),
            resolv_conf=self._daemon.resolv_conf,
        )

    # Impairments

    async def _impairments(self, _: web.Request) -> web.Response:
        return _rows(impairments.rows(self._daemon.switch))

    async def _impair(self, request: web.Request) -> web.Response:
        body = await _body(request, messages.ImpairmentBody)
        self._daemon.impair(request.match_info["port"], body)
        return web.Response(status=204)

    async def _end_impairment(self, request: web.Request) -> web.Response:
        name = request.match_info["port"]
        if not self._daemon.end_impairment(name):
            return _problem(404, f"port {name} is not impaired")
        return web.Response(status=204)

    # Captures

    async def _capture(self, request: web.Request) -> web.StreamResponse:
        wish = messages.CaptureQuery.model_validate(dict(request.query))
        captures = self._daemon.captures
        capture = await captures.begin(wish)
        try:
            number = {messages.CAPTURE_HEADER: str(capture.number)}
            return await _stream(request, capture.pieces(lambda: _is_read(request)), number)
        finally:
            captures.close(capture)

    async def _end_capture(self, request: web.Request) -> web.Response:
        number = request.match_info["number"]
        if not self._daemon.captures.end(int(number)):
            return _problem(404, f"capture {number} not found: it has ended, or never was")
        return web.Response(status=204)

    async def _recorder(self, request: web.Request) -> web.StreamResponse:
        return await _stream(request, self._daemon.captures.dump(), {})

    async def _end_captures(self, _: web.Application) -> None:
        self._daemon.captures.end_all()


@web.middleware
async def _in_one_line(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error as a `Problem`."""
    try:
        return await handler(request)
    except NetworkError as error:
        return _problem(404 if "not found" in str(error) else 409, error.explained)
    except AttachError as error:
        return _problem(409, str(error))
    except ImpairmentError as error:
        return _problem(400, str(error))
    except FilterError as error:
        return _problem(400, str(error))
    except TooManyReadersError as error:
        return _problem(409, str(error))
    except DescriptionError as error:
        return _problem(400, str(error))
    except ValidationError as error:
        return _problem(400, _first_mistake(error))
    except web.HTTPException as error:
        return _problem(error.status, f"{request.method} {request.path}: {error.reason}")
    except ConnectionResetError:
        return _problem(400, "the client left before its request had ended")
    except Exception:
        log.exception("%s %s failed", request.method, request.path)
        return _problem(500, "the switch failed to do this; its log says why")


async def _stream(
    request: web.Request, pieces: AsyncGenerator[bytes, None], headers: dict[str, str]
) -> web.StreamResponse:
    """Answer with a pcapng file of unknown length. A refusal has to come before its first piece."""
    async with aclosing(pieces):
        first = await anext(pieces)
        response = web.StreamResponse(headers={**headers, "Content-Type": _PCAPNG})
        with suppress(ConnectionError):  # the reader has left, which is the usual end
            await response.prepare(request)
            await response.write(first)
            async for piece in pieces:
                await response.write(piece)
            await response.write_eof()
    return response


def _is_read(request: web.Request) -> bool:
    """Whether the client is still there."""
    return request.transport is not None and not request.transport.is_closing()


def _is_event(record: logging.LogRecord) -> bool:
    """A client that speaks no HTTP gets its 400, and is no event of the switch."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_http_log.addFilter(_is_event)


def _first_mistake(error: ValidationError) -> str:
    mistake = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in mistake["loc"]) or "body"
    return f"{where}: {mistake['msg']}"


async def _body(request: web.Request, kind: type[Body]) -> Body:
    return kind.model_validate_json(await request.read())


def _rows(rows: Sequence[BaseModel]) -> web.Response:
    text = ",\n".join(row.model_dump_json() for row in rows)
    return web.Response(text=f"[{text}]", content_type="application/json")


def _json(row: BaseModel, status: int = 200) -> web.Response:
    return web.Response(text=row.model_dump_json(), status=status, content_type="application/json")


def _problem(status: int, text: str) -> web.Response:
    """What the client sent may be quoted in `text`, line ends and all."""
    line = "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)
    return _json(messages.Problem(error=line), status)
