"""Networks that come and go, and what they are."""

from __future__ import annotations

from dataclasses import replace

from aiohttp import web

from vswitch.daemon.api import answers
from vswitch.daemon.api.described import described
from vswitch.daemon.attaching import wishes
from vswitch.daemon.daemon import Daemon
from vswitch.daemon.messages.endpoints import MembershipBody
from vswitch.daemon.messages.networks import (
    BRIDGE,
    ConnectBody,
    CreatedNetwork,
    DisconnectBody,
    NetworkBody,
    NetworkObject,
    PrunedNetworks,
)
from vswitch.network import addressing, options, unswitched
from vswitch.network.configuration import policies
from vswitch.network.errors import InvalidRequestError
from vswitch.network.model import DEFAULT_TRANSLATION, NetworkRequest
from vswitch.policy import GatewayMode, NetworkPolicy


def routes(daemon: Daemon) -> list[web.RouteDef]:
    """The routes of one daemon."""
    networks = _Networks(daemon)
    return [
        web.get("/v1/networks", networks.all),
        web.post("/v1/networks", networks.create),
        web.post("/v1/networks/prune", networks.prune),
        web.post("/v1/networks/{reference}/connect", networks.connect),
        web.post("/v1/networks/{reference}/disconnect", networks.disconnect),
        web.get("/v1/networks/{reference}", networks.inspect),
        web.delete("/v1/networks/{reference}", networks.remove),
    ]


class _Networks:
    def __init__(self, daemon: Daemon) -> None:
        self._networks = daemon.networks
        self._daemon = daemon

    @described("Every network.", rows=NetworkObject)
    async def all(self, _: web.Request) -> web.Response:
        return answers.rows(self._networks.all())

    @described("Make a network.", body=NetworkBody, row=CreatedNetwork, status=201)
    async def create(self, request: web.Request) -> web.Response:
        body = await answers.body(request, NetworkBody)
        understood = options.understand(body.options)
        network = await self._networks.create(_wish(body, understood))
        made = CreatedNetwork(Id=network.id, Warning="; ".join(understood.warnings))
        return answers.json(made, status=201)

    @described("A network, by its name, its id, or how its id begins.", row=NetworkObject)
    async def inspect(self, request: web.Request) -> web.Response:
        return answers.json(self._networks.inspect(request.match_info["reference"]))

    @described("Take a network away that no endpoint is on.")
    async def remove(self, request: web.Request) -> web.Response:
        self._networks.remove(request.match_info["reference"])
        return answers.nothing()

    @described("Let an endpoint be on a network, too.", body=ConnectBody)
    async def connect(self, request: web.Request) -> web.Response:
        body = await answers.body(request, ConnectBody)
        self._refuse_bystander(body.endpoint)
        reference = request.match_info["reference"]
        unswitched.require_of_ours(reference)
        membership = MembershipBody(network=reference, **body.model_dump(exclude={"endpoint"}))
        await self._daemon.endpoints.connect(body.endpoint, wishes.of_membership(membership))
        return answers.nothing()

    @described("Let an endpoint be on a network no longer.", body=DisconnectBody)
    async def disconnect(self, request: web.Request) -> web.Response:
        body = await answers.body(request, DisconnectBody)
        self._refuse_bystander(body.endpoint)
        network = self._daemon.inventory.network(request.match_info["reference"])
        await self._daemon.endpoints.disconnect(body.endpoint, network, "disconnected")
        return answers.nothing()

    def _refuse_bystander(self, name: str) -> None:
        bystander = self._daemon.bystanders.find(name)
        if bystander is not None:
            raise unswitched.stays_alone(bystander.network)

    @described("Take away every network that nobody uses.", row=PrunedNetworks)
    async def prune(self, _: web.Request) -> web.Response:
        return answers.json(PrunedNetworks(NetworksDeleted=self._networks.prune()))


def _wish(body: NetworkBody, understood: options.Understood) -> NetworkRequest:
    """Raises InvalidRequestError."""
    _refuse_what_is_not_there(body)
    said = addressing.parse(body.subnet, body.gateway, body.ip_range, body.aux_addresses)
    return NetworkRequest(
        name=body.name,
        subnet=said.subnet,
        gateway=said.gateway,
        ip_range=said.ip_range,
        auxiliary=said.auxiliary,
        mtu=understood.mtu,
        uplink=body.uplink,
        translation=replace(DEFAULT_TRANSLATION, external=understood.external),
        options=tuple(body.options.items()),
        host=understood.host,
        names=understood.names,
        leasing=understood.leasing,
        labels=tuple(body.labels.items()),
        policy=_policy(body, understood),
    )


def _policy(body: NetworkBody, understood: options.Understood) -> NetworkPolicy:
    mode = understood.gateway_mode
    if mode is GatewayMode.ISOLATED and not body.internal:
        raise InvalidRequestError(policies.ISOLATED_NEEDS_INTERNAL)
    return NetworkPolicy(internal=body.internal, icc=understood.icc, gateway_mode=mode)


def _refuse_what_is_not_there(body: NetworkBody) -> None:
    if body.driver != BRIDGE:
        raise InvalidRequestError(f"driver {body.driver} is not supported yet: allowed is {BRIDGE}")
    if body.ipv6:
        raise InvalidRequestError("IPv6 is not supported yet: allowed is a network without it")
