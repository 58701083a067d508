"""Names: what is asked and by whom, what is kept of servers' answers, who is asked outside."""

from __future__ import annotations

from aiohttp import web

from vswitch.daemon.api import answers
from vswitch.daemon.api.described import described
from vswitch.daemon.daemon import Daemon
from vswitch.daemon.messages.dns import (
    FlushedRow,
    KeptNameRow,
    KeptNamesQuery,
    QueriesQuery,
    QueryRow,
    ServerRow,
    TopQuery,
    TopRow,
)


def routes(daemon: Daemon) -> list[web.RouteDef]:
    """The routes of one daemon."""
    names = _Names(daemon)
    return [
        web.get("/v1/dns/queries", names.queries),
        web.get("/v1/dns/top", names.top),
        web.get("/v1/dns/cache", names.kept),
        web.delete("/v1/dns/cache", names.flush),
        web.get("/v1/dns/servers", names.servers),
    ]


class _Names:
    def __init__(self, daemon: Daemon) -> None:
        self._names = daemon.responder.shown

    @described(
        "The last queries for names, and what became of each; with follow those that come, too.",
        query=QueriesQuery,
        row=QueryRow,
        media=answers.JSON_LINES,
    )
    async def queries(self, request: web.Request) -> web.StreamResponse:
        wish = answers.query(QueriesQuery, dict(request.query))
        lines = self._names.queries(wish, lambda: answers.is_read(request))
        return await answers.stream(request, lines, answers.JSON_LINES)

    @described(
        "Which names are asked for most, by whom, and what became of queries.",
        query=TopQuery,
        row=TopRow,
    )
    async def top(self, request: web.Request) -> web.Response:
        wish = answers.query(TopQuery, dict(request.query))
        return answers.json(self._names.top(wish.count))

    @described("What servers have said and is good still.", query=KeptNamesQuery, rows=KeptNameRow)
    async def kept(self, request: web.Request) -> web.Response:
        wish = answers.query(KeptNamesQuery, dict(request.query))
        return answers.rows(self._names.kept(wish.name))

    @described("Forget what servers have said.", query=KeptNamesQuery, row=FlushedRow)
    async def flush(self, request: web.Request) -> web.Response:
        wish = answers.query(KeptNamesQuery, dict(request.query))
        return answers.json(self._names.flush(wish.name))

    @described("Every server that was asked, and how it is doing.", rows=ServerRow)
    async def servers(self, _: web.Request) -> web.Response:
        return answers.rows(self._names.servers())
