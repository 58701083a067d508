"""The user's filters: rules that are asked about each new flow, in order."""

from __future__ import annotations

from aiohttp import web

from vswitch.daemon.api import answers
from vswitch.daemon.api.described import described
from vswitch.daemon.daemon import Daemon
from vswitch.daemon.messages.filters import FilterBody, FilterRow


def routes(daemon: Daemon) -> list[web.RouteDef]:
    """The routes of one daemon."""
    filters = _Filters(daemon)
    return [
        web.get("/v1/filters", filters.all),
        web.post("/v1/filters", filters.add),
        web.delete(r"/v1/filters/{number:[0-9]{1,9}}", filters.remove),
    ]


class _Filters:
    def __init__(self, daemon: Daemon) -> None:
        self._filters = daemon.filters

    @described("Every filter, in the order in which they are asked.", rows=FilterRow)
    async def all(self, _: web.Request) -> web.Response:
        return answers.rows(self._filters.rows())

    @described("Ask one more filter.", body=FilterBody, row=FilterRow, status=201)
    async def add(self, request: web.Request) -> web.Response:
        body = await answers.body(request, FilterBody)
        return answers.json(self._filters.add(body), status=201)

    @described("Ask a filter no longer.")
    async def remove(self, request: web.Request) -> web.Response:
        self._filters.remove(int(request.match_info["number"]))
        return answers.nothing()
