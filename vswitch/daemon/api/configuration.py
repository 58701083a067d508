"""The switch's configuration: what another one would change, and changing that."""

from __future__ import annotations

from collections.abc import Iterable

from aiohttp import web

from vswitch.daemon.api import answers
from vswitch.daemon.api.described import described
from vswitch.daemon.daemon import Daemon
from vswitch.daemon.messages.configuration import (
    ChangeRow,
    ConfigurationRow,
    DetailRow,
    SourceBody,
)
from vswitch.daemon.reload import Source
from vswitch.network.changing.difference import Change


def routes(daemon: Daemon) -> list[web.RouteDef]:
    """The routes of one daemon."""
    configuration = _Configuration(daemon)
    return [
        web.get("/v1/configuration", configuration.present),
        web.post("/v1/configuration/diff", configuration.diff),
        web.post("/v1/configuration/reload", configuration.reload),
    ]


class _Configuration:
    def __init__(self, daemon: Daemon) -> None:
        self._reload = daemon.reload

    @described("Where the configuration is from, and what is done about it.", row=ConfigurationRow)
    async def present(self, _: web.Request) -> web.Response:
        progress, file = self._reload.progress, self._reload.file
        row = ConfigurationRow(
            file=None if file is None else str(file),
            is_reloading=progress is not None,
            step=progress.number if progress else 0,
            steps=progress.of if progress else 0,
            doing=progress.doing if progress else "",
        )
        return answers.json(row)

    @described("What a configuration would change.", body=SourceBody, rows=ChangeRow)
    async def diff(self, request: web.Request) -> web.Response:
        body = await answers.body(request, SourceBody)
        return answers.rows(_rows(await self._reload.diff(_source(body))))

    @described(
        "Change what a configuration says differently, and nothing else.",
        body=SourceBody,
        rows=ChangeRow,
    )
    async def reload(self, request: web.Request) -> web.Response:
        body = await answers.body(request, SourceBody)
        return answers.rows(_rows(await self._reload.reload(_source(body))))


def _source(body: SourceBody) -> Source | None:
    return None if body.text is None else Source(body.text, body.file)


def _rows(changes: Iterable[Change]) -> list[ChangeRow]:
    return [
        ChangeRow(
            sign=each.sign.value,
            what=each.what.value,
            name=each.name,
            details=tuple(
                DetailRow(key=detail.key, before=detail.before, after=detail.after)
                for detail in each.details
            ),
            way=each.way.value,
            along=each.along,
            words=str(each),
        )
        for each in changes
    ]
