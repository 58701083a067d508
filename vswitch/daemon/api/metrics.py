"""The switch in numbers, for Prometheus."""

from __future__ import annotations

from aiohttp import web

from vswitch.daemon import views
from vswitch.daemon.api.described import described
from vswitch.daemon.daemon import Daemon


def routes(daemon: Daemon) -> list[web.RouteDef]:
    """The routes of one daemon."""
    return [web.get("/v1/metrics", _Metrics(daemon).metrics)]


class _Metrics:
    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    @described("The switch in numbers, as Prometheus collects them.", media="text/plain")
    async def metrics(self, _: web.Request) -> web.Response:
        # A switch that nobody scrapes starts without the library.
        from vswitch.daemon import metrics
        from vswitch.daemon.leasing.metrics import LeasesCollector
        from vswitch.daemon.resolving.showing.metrics import NamesCollector

        daemon = self._daemon
        names = daemon.responder.shown
        text = metrics.exposition(
            *(daemon.status(), views.ports(daemon.switch), daemon.unresolved),
            LeasesCollector(daemon.leases.pools()),
            NamesCollector(names.top(0).outcomes, names.servers()),
        )
        return web.Response(body=text, headers={"Content-Type": metrics.CONTENT_TYPE})
