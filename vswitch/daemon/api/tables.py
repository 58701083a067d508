"""What there is: the switch as a whole, its tables, and why a frame or a flow is as it is."""

from __future__ import annotations

from aiohttp import web

from vswitch.daemon import messages, views
from vswitch.daemon.api import answers
from vswitch.daemon.daemon import Daemon


def routes(daemon: Daemon) -> list[web.RouteDef]:
    """The routes of one daemon."""
    tables = _Tables(daemon)
    return [
        web.get("/v1/status", tables.status),
        web.get("/v1/ports", tables.ports),
        web.get("/v1/fdb", tables.fdb),
        web.get("/v1/neighbours", tables.neighbours),
        web.get("/v1/flows", tables.flows),
        web.get("/v1/mappings", tables.mappings),
        web.get("/v1/flows/{number:[0-9]{1,18}}", tables.why),
        web.post("/v1/trace", tables.trace),
    ]


class _Tables:
    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    async def status(self, _: web.Request) -> web.Response:
        return answers.json(self._daemon.status())

    async def ports(self, _: web.Request) -> web.Response:
        return answers.rows(views.ports(self._daemon.switch))

    async def fdb(self, _: web.Request) -> web.Response:
        return answers.rows(views.fdb(self._daemon.switch))

    async def neighbours(self, _: web.Request) -> web.Response:
        return answers.rows(views.neighbours(self._daemon.switch))

    async def flows(self, _: web.Request) -> web.Response:
        return answers.rows(views.flows(self._daemon.switch, self._daemon.runtime.now()))

    async def mappings(self, _: web.Request) -> web.Response:
        return answers.rows(views.mappings(self._daemon.switch, self._daemon.runtime.now()))

    async def why(self, request: web.Request) -> web.Response:
        number = request.match_info["number"]
        daemon = self._daemon
        endpoints = daemon.inventory.endpoints
        row = views.why(daemon.switch, int(number), endpoints, daemon.runtime.now())
        if row is None:
            return answers.problem(404, f"flow {number} not found: it has ended, or never was")
        return answers.json(row)

    async def trace(self, request: web.Request) -> web.Response:
        body = await answers.body(request, messages.TraceBody)
        daemon = self._daemon
        endpoints = daemon.inventory.endpoints
        return answers.json(views.trace(daemon.switch, body, endpoints, daemon.runtime.now()))
