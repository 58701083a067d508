"""Addresses that are leased, and leases that are ended by hand."""

from __future__ import annotations

from aiohttp import web

from vswitch.daemon.api import answers
from vswitch.daemon.api.described import described
from vswitch.daemon.daemon import Daemon
from vswitch.daemon.messages.leases import LeaseRow, LeasesQuery
from vswitch.network.errors import InvalidRequestError
from vswitch.wire.values import IpAddress


def routes(daemon: Daemon) -> list[web.RouteDef]:
    """The routes of one daemon."""
    leases = _Leases(daemon)
    return [
        web.get("/v1/leases", leases.all),
        web.delete("/v1/leases/{address}", leases.release),
    ]


class _Leases:
    def __init__(self, daemon: Daemon) -> None:
        self._leases = daemon.leases

    @described("What is leased, to guests and to endpoints.", query=LeasesQuery, rows=LeaseRow)
    async def all(self, request: web.Request) -> web.Response:
        wish = answers.query(LeasesQuery, dict(request.query))
        return answers.rows(self._leases.rows(wish.network))

    @described("End a lease before its time.", query=LeasesQuery)
    async def release(self, request: web.Request) -> web.Response:
        wish = answers.query(LeasesQuery, dict(request.query))
        text = request.match_info["address"]
        try:
            address = IpAddress.parse(text)
        except ValueError:
            raise InvalidRequestError(f"invalid IP address: {text}") from None
        self._leases.release(address, wish.network)
        return answers.nothing()
