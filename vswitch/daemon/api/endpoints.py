"""Endpoints that come and go, and how bad their lines are."""

from __future__ import annotations

from aiohttp import web

from vswitch.daemon import impairments, messages
from vswitch.daemon.api import answers
from vswitch.daemon.api.described import described
from vswitch.daemon.daemon import Daemon
from vswitch.network import publish
from vswitch.network.model import Endpoint, EndpointRequest


def routes(daemon: Daemon) -> list[web.RouteDef]:
    """The routes of one daemon."""
    endpoints = _Endpoints(daemon)
    return [
        web.get("/v1/endpoints", endpoints.all),
        web.post("/v1/endpoints", endpoints.add),
        web.delete("/v1/endpoints/{name}", endpoints.remove),
        web.get("/v1/impairments", endpoints.impairments),
        web.put("/v1/impairments/{port}", endpoints.impair),
        web.delete("/v1/impairments/{port}", endpoints.end_impairment),
    ]


class _Endpoints:
    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    @described("Every endpoint.", rows=messages.EndpointRow)
    async def all(self, _: web.Request) -> web.Response:
        return answers.rows([self._row(endpoint) for endpoint in self._daemon.inventory.endpoints])

    @described(
        "Attach an endpoint in the network namespace of a process, for as long as that lives.",
        body=messages.EndpointBody,
        row=messages.EndpointRow,
        status=201,
    )
    async def add(self, request: web.Request) -> web.Response:
        body = await answers.body(request, messages.EndpointBody)
        wish = EndpointRequest(
            name=body.name or f"run-{body.pid}",
            network=body.network,
            kind=body.kind,
            publish=tuple(publish.parse(spec) for spec in body.publish),
        )
        endpoint = await self._daemon.add_endpoint(wish, body.pid)
        return answers.json(self._row(endpoint), status=201)

    @described("Detach an endpoint and forget it.")
    async def remove(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        self._daemon.inventory.endpoint(name)
        await self._daemon.detach(name, "removed")
        return answers.nothing()

    def _row(self, endpoint: Endpoint) -> messages.EndpointRow:
        network = self._daemon.network_of(endpoint)
        return messages.EndpointRow(
            name=endpoint.name,
            network=endpoint.network,
            kind=endpoint.kind,
            namespace=endpoint.namespace or "",
            address=f"{endpoint.address}/{network.subnet.prefix_length}",
            gateway=str(network.default_route),
            mac=str(endpoint.mac),
            aliases=endpoint.aliases,
            published=tuple(str(publication) for publication in endpoint.publications),
            resolv_conf=self._daemon.resolv_conf,
        )

    @described("Every port whose line is bad.", rows=messages.ImpairmentRow)
    async def impairments(self, _: web.Request) -> web.Response:
        return answers.rows(impairments.rows(self._daemon.switch))

    @described("Change how bad the line of a port is.", body=messages.ImpairmentBody)
    async def impair(self, request: web.Request) -> web.Response:
        body = await answers.body(request, messages.ImpairmentBody)
        self._daemon.impair(request.match_info["port"], body)
        return answers.nothing()

    @described("Let the line of a port be as it is by itself.")
    async def end_impairment(self, request: web.Request) -> web.Response:
        name = request.match_info["port"]
        if not self._daemon.end_impairment(name):
            return answers.problem(404, f"port {name} is not impaired")
        return answers.nothing()
