"""What there is: the switch as a whole, its tables, and why a frame or a flow is as it is."""

from __future__ import annotations

from aiohttp import web

from vswitch.daemon import messages, views
from vswitch.daemon.api import answers
from vswitch.daemon.api.described import described
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

    @described("The switch as a whole.", row=messages.StatusRow)
    async def status(self, _: web.Request) -> web.Response:
        return answers.json(self._daemon.status())

    @described("Every port and its counters.", rows=messages.PortRow)
    async def ports(self, _: web.Request) -> web.Response:
        return answers.rows(views.ports(self._daemon.switch))

    @described("Every station, and the port it was last seen on.", rows=messages.FdbRow)
    async def fdb(self, _: web.Request) -> web.Response:
        return answers.rows(views.fdb(self._daemon.switch))

    @described("Every address that the switch itself has had to reach.", rows=messages.NeighbourRow)
    async def neighbours(self, _: web.Request) -> web.Response:
        return answers.rows(views.neighbours(self._daemon.switch))

    @described("Every connection.", rows=messages.FlowRow)
    async def flows(self, _: web.Request) -> web.Response:
        return answers.rows(views.flows(self._daemon.switch, self._daemon.runtime.now()))

    @described("Every external port that stands for an inside one.", rows=messages.MappingRow)
    async def mappings(self, _: web.Request) -> web.Response:
        return answers.rows(views.mappings(self._daemon.switch, self._daemon.runtime.now()))

    @described("The reasons of one connection.", row=messages.WhyRow)
    async def why(self, request: web.Request) -> web.Response:
        number = request.match_info["number"]
        daemon = self._daemon
        endpoints = daemon.inventory.endpoints
        row = views.why(daemon.switch, int(number), endpoints, daemon.runtime.now())
        if row is None:
            return answers.problem(404, f"flow {number} not found: it has ended, or never was")
        return answers.json(row)

    @described("What would become of a frame.", body=messages.TraceBody, row=messages.TraceRow)
    async def trace(self, request: web.Request) -> web.Response:
        body = await answers.body(request, messages.TraceBody)
        daemon = self._daemon
        endpoints = daemon.inventory.endpoints
        return answers.json(views.trace(daemon.switch, body, endpoints, daemon.runtime.now()))
