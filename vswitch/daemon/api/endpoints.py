"""Endpoints that come and go, the commands that some of them are, and how bad their lines are."""

from __future__ import annotations

from aiohttp import web

from vswitch import assembly
from vswitch.daemon import messages
from vswitch.daemon.api import answers
from vswitch.daemon.api.described import described
from vswitch.daemon.attaching import wishes
from vswitch.daemon.attaching.bystanders import Bystander
from vswitch.daemon.attaching.endpoints import AttachError
from vswitch.daemon.daemon import Daemon
from vswitch.daemon.kernel.links import LinkError
from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.kernel.processes import Process, ProcessError
from vswitch.daemon.messages.endpoints import (
    EndpointBody,
    EndpointRow,
    MembershipRow,
    StopBody,
    TapBody,
)
from vswitch.network.errors import NetworkError
from vswitch.network.model import Endpoint, EndpointKind, EndpointRequest, Membership
from vswitch.network.unswitched import Unswitched, no_links_on


def routes(daemon: Daemon) -> list[web.RouteDef]:
    """The routes of one daemon."""
    endpoints = _Endpoints(daemon)
    return [
        web.get("/v1/endpoints", endpoints.all),
        web.post("/v1/endpoints", endpoints.add),
        web.get("/v1/endpoints/{name}", endpoints.one),
        web.delete("/v1/endpoints/{name}", endpoints.remove),
        web.post("/v1/endpoints/{name}/stop", endpoints.stop),
        web.post("/v1/taps", endpoints.add_tap),
        web.get("/v1/impairments", endpoints.impairments),
        web.put("/v1/impairments/{port}", endpoints.impair),
        web.delete("/v1/impairments/{port}", endpoints.end_impairment),
    ]


class _Endpoints:
    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    @described("Every endpoint.", rows=EndpointRow)
    async def all(self, _: web.Request) -> web.Response:
        endpoints = [self._row(each) for each in self._daemon.inventory.endpoints]
        bystanders = [_row_beside(each) for each in self._daemon.bystanders.present]
        return answers.rows([*endpoints, *bystanders])

    @described("One endpoint.", row=EndpointRow)
    async def one(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        bystander = self._daemon.bystanders.find(name)
        if bystander is not None:
            return answers.json(_row_beside(bystander))
        return answers.json(self._row(self._daemon.inventory.endpoint(name)))

    @described(
        "Attach an endpoint in the namespace of a process, while that lives, or at a path.",
        body=EndpointBody,
        row=EndpointRow,
        status=201,
    )
    async def add(self, request: web.Request) -> web.Response:
        body = await answers.body(request, EndpointBody)
        namespace = Namespace.at(body.namespace_path)
        wish = wishes.of_endpoint(body, namespace)
        beside = Unswitched.called(body.network)
        if beside is None:
            self._refuse_links_beside(wish)
            row = self._row(await self._daemon.endpoints.add(wish, namespace))
        else:
            row = _row_beside(await self._add_beside(wish, beside, namespace))
        return answers.json(row, status=201)

    def _refuse_links_beside(self, wish: EndpointRequest) -> None:
        """Nothing leads to whom the switch knows by name alone."""
        for i, link in enumerate(wish.links):
            bystander = self._daemon.bystanders.find(link.name)
            if bystander is not None:
                raise no_links_on(bystander.network).at("links", i)

    async def _add_beside(
        self, wish: EndpointRequest, network: Unswitched, namespace: Namespace
    ) -> Bystander:
        if namespace.pid is None:
            raise _no_network_to_attach_to(network)
        try:
            return await self._daemon.bystanders.add(wish, network, namespace.pid)
        except (ProcessError, LinkError) as error:
            raise AttachError(f"endpoint {wish.name}: {error}") from error

    @described("Make a TAP for a virtual machine.", body=TapBody, row=EndpointRow, status=201)
    async def add_tap(self, request: web.Request) -> web.Response:
        body = await answers.body(request, TapBody)
        beside = Unswitched.called(body.network)
        if beside is not None:
            raise _no_network_to_attach_to(beside)
        wish = wishes.of_tap(body)
        self._refuse_links_beside(wish)
        endpoint = await self._daemon.endpoints.add(wish, None)
        return answers.json(self._row(endpoint), status=201)

    @described("Detach an endpoint and forget it.")
    async def remove(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if not self._daemon.bystanders.remove(name, "removed"):
            self._daemon.endpoints.attachment(name)
            await self._daemon.endpoints.detach(name, "removed")
        return answers.nothing()

    @described("End the command that an endpoint lives with.", body=StopBody)
    async def stop(self, request: web.Request) -> web.Response:
        body = await answers.body(request, StopBody)
        await self._process(request.match_info["name"]).stop(body.seconds)
        return answers.nothing()

    def _process(self, name: str) -> Process:
        bystander = self._daemon.bystanders.find(name)
        process = (
            bystander.process if bystander else self._daemon.endpoints.attachment(name).process
        )
        if process is None:
            raise NetworkError(
                f"endpoint {name} runs no command", hint="it lives in a namespace of its own"
            )
        return process

    def _row(self, endpoint: Endpoint) -> EndpointRow:
        network = self._daemon.endpoints.network_of(endpoint)
        attachment = self._daemon.endpoints.attached.get(endpoint.name)
        namespace = attachment.namespace if attachment else None
        process = attachment.process if attachment else None
        is_machine = endpoint.kind is EndpointKind.VM
        return EndpointRow(
            name=endpoint.name,
            network=endpoint.network,
            kind=endpoint.kind,
            namespace=_namespace_text(namespace),
            pid=process.pid if process else None,
            address=f"{endpoint.address}/{network.subnet.prefix_length}",
            gateway=str(network.default_route or ""),
            mac=str(endpoint.mac),
            aliases=endpoint.aliases,
            networks=tuple(self._membership(each) for each in endpoint.memberships),
            hostname=endpoint.hostname,
            domainname=endpoint.domainname,
            published=tuple(str(publication) for publication in endpoint.publications),
            exposed=tuple(str(each) for each in endpoint.exposed),
            dns=tuple(str(each) for each in endpoint.dns),
            dns_search=endpoint.dns_search,
            dns_options=endpoint.dns_options,
            links=tuple(str(each) for each in endpoint.links),
            role=endpoint.role,
            lease=self._daemon.leases.row(network, endpoint.address),
            by_dhcp=is_machine and assembly.leases(network),
            resolv_conf="" if is_machine else self._daemon.responder.resolv_confs.text(endpoint),
            resolv_conf_file=str(self._daemon.responder.resolv_confs.path(endpoint.name) or ""),
        )

    def _membership(self, at: Membership) -> MembershipRow:
        subnet = self._daemon.inventory.network(at.network).subnet
        return MembershipRow(
            network=at.network,
            address=f"{at.address}/{subnet.prefix_length}",
            mac=str(at.mac),
            aliases=at.aliases,
            interface=at.interface,
            gateway_priority=at.gateway_priority,
        )

    @described("Every port whose line is bad.", rows=messages.ImpairmentRow)
    async def impairments(self, _: web.Request) -> web.Response:
        return answers.rows(self._daemon.bad_lines.rows())

    @described("Change how bad the line of a port is.", body=messages.ImpairmentBody)
    async def impair(self, request: web.Request) -> web.Response:
        body = await answers.body(request, messages.ImpairmentBody)
        self._daemon.bad_lines.change(request.match_info["port"], body)
        return answers.nothing()

    @described("Let the line of a port be as it is by itself.")
    async def end_impairment(self, request: web.Request) -> web.Response:
        name = request.match_info["port"]
        if not self._daemon.bad_lines.end(name):
            return answers.problem(404, f"port {name} is not impaired")
        return answers.nothing()


def _row_beside(bystander: Bystander) -> EndpointRow:
    return EndpointRow(
        name=bystander.name,
        network=bystander.network.value,
        kind=None,
        namespace=_namespace_text(Namespace.of_process(bystander.process.pid)),
        pid=bystander.process.pid,
        address="",
        gateway="",
        mac="",
        aliases=(),
        networks=(),
        hostname=bystander.hostname,
        domainname=bystander.domainname,
        published=(),
        exposed=(),
        dns=(),
        dns_search=(),
        dns_options=(),
        links=(),
        role=None,
        lease=None,
        by_dhcp=False,
        resolv_conf="",
        resolv_conf_file="",
    )


def _namespace_text(namespace: Namespace | None) -> str:
    if namespace is None:
        return ""
    return namespace.name or str(namespace.path)


def _no_network_to_attach_to(network: Unswitched) -> NetworkError:
    hint = "allowed for vswitch run alone"
    return NetworkError(f"nothing can be attached to network {network.value}", hint=hint)
