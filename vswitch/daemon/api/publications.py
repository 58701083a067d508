"""Published ports that are added and withdrawn while their endpoint lives."""

from __future__ import annotations

from aiohttp import web

from vswitch.daemon.api import answers
from vswitch.daemon.api.described import described
from vswitch.daemon.daemon import Daemon
from vswitch.daemon.messages.publications import PublicationRow, PublicationsBody
from vswitch.network import publish


def routes(daemon: Daemon) -> list[web.RouteDef]:
    """The routes of one daemon."""
    publications = _Publications(daemon)
    return [
        web.get("/v1/publications", publications.all),
        web.post("/v1/endpoints/{name}/publications", publications.add),
        web.delete("/v1/endpoints/{name}/publications/{port}", publications.withdraw),
    ]


class _Publications:
    def __init__(self, daemon: Daemon) -> None:
        self._publishing = daemon.publishing

    @described("What every endpoint publishes, and on which terms.", rows=PublicationRow)
    async def all(self, _: web.Request) -> web.Response:
        return answers.rows(self._publishing.rows())

    @described(
        "Publish further ports of an endpoint, all or none.",
        body=PublicationsBody,
        rows=PublicationRow,
        status=201,
    )
    async def add(self, request: web.Request) -> web.Response:
        body = await answers.body(request, PublicationsBody)
        wanted = [publish.parse(spec) for spec in body.publish]
        made = self._publishing.publish(request.match_info["name"], wanted)
        return answers.rows(made, status=201)

    @described("Withdraw the published ports HOST[-END][/PROTO], and end what came in by them.")
    async def withdraw(self, request: web.Request) -> web.Response:
        self._publishing.withdraw(request.match_info["name"], request.match_info["port"])
        return answers.nothing()
