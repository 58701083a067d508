"""The end of the switch."""

from __future__ import annotations

from aiohttp import web

from vswitch.daemon.api import answers
from vswitch.daemon.api.described import described
from vswitch.daemon.daemon import Daemon
from vswitch.daemon.messages.stopping import StopSwitchBody


def routes(daemon: Daemon) -> list[web.RouteDef]:
    """The route of one daemon."""

    @described("Stop the switch, which is done when its process has ended.", body=StopSwitchBody)
    async def stop(request: web.Request) -> web.Response:
        body = await answers.body(request, StopSwitchBody)
        daemon.ask_to_stop(remove=body.remove)
        return answers.nothing()

    return [web.post("/v1/stop", stop)]
