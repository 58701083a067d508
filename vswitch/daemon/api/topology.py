"""How the switch hangs together: uplinks, networks, endpoints, in one answer."""

from __future__ import annotations

from collections.abc import Container

from aiohttp import web

from vswitch.daemon.api import answers
from vswitch.daemon.api.described import described
from vswitch.daemon.daemon import Daemon
from vswitch.daemon.messages import UplinkRow
from vswitch.daemon.messages.topology import EndpointNode, NetworkNode, TopologyRow
from vswitch.network import linking
from vswitch.network.inventory import Inventory
from vswitch.network.model import Network


def routes(daemon: Daemon) -> list[web.RouteDef]:
    """The routes of one daemon."""
    return [web.get("/v1/topology", _Topology(daemon).whole)]


class _Topology:
    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    @described("How uplinks, networks and endpoints hang together.", row=TopologyRow)
    async def whole(self, _: web.Request) -> web.Response:
        status = self._daemon.status()
        return answers.json(topology(status.name, status.uplinks, self._daemon.inventory))


def topology(switch: str, uplinks: tuple[UplinkRow, ...], inventory: Inventory) -> TopologyRow:
    """How a switch hangs together that has these uplinks and this inventory."""
    named = {uplink.name for uplink in uplinks}
    return TopologyRow(
        switch=switch,
        uplinks=uplinks,
        networks=tuple(
            NetworkNode(
                name=network.name,
                subnet=str(network.subnet),
                gateway=str(network.gateway),
                uplink=_way_out(network, named),
            )
            for network in inventory.networks
        ),
        endpoints=tuple(
            EndpointNode(
                name=endpoint.name,
                network=at.network,
                kind=endpoint.kind.value,
                address=str(at.address),
                mac=str(at.mac),
                aliases=at.aliases,
                published=tuple(str(each) for each in endpoint.publications_on(at)),
                links=tuple(map(str, linking.there(endpoint, inventory, at.network))),
            )
            for endpoint in inventory.endpoints
            for at in endpoint.memberships
        ),
    )


def _way_out(network: Network, uplinks: Container[str]) -> str | None:
    """The uplink by which a network leads out, None where it leads nowhere."""
    if network.policy.internal or network.uplink not in uplinks:
        return None
    return network.uplink
