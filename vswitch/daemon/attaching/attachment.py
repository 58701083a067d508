"""Making an endpoint real: its namespace, its interface, its resolver; and undoing that.

Theory of operation. An endpoint is attached in steps (namespace, device, link, port, publications,
names), each of which pushes its undoing onto a stack. Where a step fails, what was done is undone
in reverse order and the error goes to the caller, so there is never half an endpoint; to detach one
is to run the same stack. What outlives the daemon is written into the journal first.

An endpoint has a *line* for each network that it is on: an interface in its namespace, eth0 and so
on as in a container, and a port of the switch. Lines come and go one by one. The network that leads
out has the default route, and what is published leads there.

A `tap` endpoint is a TAP that is made in the namespace: its descriptor works from anywhere, and it
is persistent, so that it outlives the daemon. A `veth` endpoint is a veth pair whose outer end is
read by a packet socket. A `vm` endpoint has no namespace: its TAP is in the host's, for a virtual
machine to open by its name, and a packet socket reads the kernel's side of it. Each is made by
`belongings`, which takes over what an earlier daemon has left. An endpoint that is to live on
without the daemon is taken down but for those (`Attachment.let_live`).

The kernel takes up to tens of milliseconds to make or delete a link, so those steps run in a thread
while the loop goes on to carry frames.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from typing import NamedTuple

from vswitch import assembly
from vswitch.daemon.attaching.announcing import Announcement
from vswitch.daemon.attaching.belongings import Belongings, made_tap, made_veth
from vswitch.daemon.attaching.linked import LinkedEndpoints
from vswitch.daemon.hostlistener import HostListeners
from vswitch.daemon.kernel import links
from vswitch.daemon.kernel.journal import Journal
from vswitch.daemon.kernel.links import EndpointLink
from vswitch.daemon.kernel.made import Made, MadeLink
from vswitch.daemon.kernel.netns import Namespace, NamespaceError
from vswitch.daemon.kernel.processes import Process
from vswitch.daemon.resolving.responder import Responder
from vswitch.daemon.runtime import Runtime
from vswitch.daemon.uplinks import Uplinks
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Interface, Port
from vswitch.devices.base import Device
from vswitch.network.model import Endpoint, EndpointKind, Membership, Network
from vswitch.wire.values import IpAddress, IpInterface, IpNetwork


class Domain(NamedTuple):
    """A network, and what the dataplane knows it by."""

    network: Network
    number: int

    @property
    def subnet(self) -> IpNetwork:
        """Of its stations."""
        return self.network.subnet


@dataclass(frozen=True, slots=True)
class Line:
    """One interface of an endpoint and the port that it is connected to. `undo` takes them away."""

    membership: Membership
    port: Port
    undo: AsyncExitStack


@dataclass(slots=True, eq=False)
class Attachment:
    """An endpoint that is up. `undo` takes it down again, with all of its lines."""

    endpoint: Endpoint
    namespace: Namespace | None
    """None for a virtual machine."""
    process: Process | None
    """What it ends with, where its namespace is known by that."""
    belongings: Belongings
    undo: AsyncExitStack
    lines: dict[str, Line] = field(default_factory=dict)
    """By the names of the networks."""
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while lines come or go."""
    exposed: ExitStack = field(default_factory=ExitStack)
    """What is published, mapped and translated for it, on the network that leads out."""

    async def take_down(self) -> None:
        """Take it down. Nothing is left of it."""
        async with self.changing:
            await self.undo.aclose()

    async def let_live(self) -> None:
        """Take it down but for what it has in the system, which the next daemon takes over."""
        self.belongings.stays = True
        await self.take_down()

    def line_at(self, port: int) -> Line | None:
        """The line that is connected to the port of that number."""
        return next((each for each in self.lines.values() if each.port.number == port), None)


class Attacher:
    """Attaches endpoints to one switch."""

    def __init__(
        self,
        switch: Switch,
        runtime: Runtime,
        uplinks: Uplinks,
        responder: Responder,
        journal: Journal,
        listeners: HostListeners,
        linked: LinkedEndpoints,
        resume: Callable[[Endpoint, int], None],
    ) -> None:
        """`resume` is told of what is published anew of an endpoint, and of its network."""
        self._switch = switch
        self._runtime = runtime
        self._uplinks = uplinks
        self._responder = responder
        self._journal = journal
        self._listeners = listeners
        self._linked = linked
        self._resume = resume

    async def attach(
        self,
        endpoint: Endpoint,
        networks: Mapping[str, Domain],
        namespace: Namespace | None,
    ) -> Attachment:
        """Bring `endpoint` up on its networks, which are known by their names.

        `namespace` is None for the one that the endpoint names, which is made where it is missing,
        and for a virtual machine. Raises NamespaceError, ProcessError, LinkError, OpenError,
        PortTakenError, ResolverError or OSError.
        """
        async with AsyncExitStack() as undo:
            process = _process_of(namespace, undo)
            is_given = namespace is not None
            if endpoint.kind is not EndpointKind.VM:
                namespace = namespace or Namespace.named(endpoint.namespace or endpoint.name)
            belongings = Belongings(self._journal, endpoint.name)
            attachment = Attachment(endpoint, namespace, process, belongings, undo)
            await belongings.discard(list(_interfaces(endpoint, networks, namespace)))
            if namespace is not None:
                if namespace.name is not None and not is_given:
                    await belongings.namespace(namespace.name, undo)
                self._enter(belongings, namespace, undo)
                # After its lines: by these it may ask at a gateway, and its servers from in there.
                undo.push_async_callback(self._responder.resolver.detach, namespace)
            undo.push_async_callback(self._take_down, attachment)
            for membership in endpoint.memberships:
                domain = networks[membership.network]
                leads_out = membership.network == endpoint.network
                await self.join(attachment, endpoint, domain, leads_out=leads_out)
            self.expose(attachment, networks[endpoint.network])
            party = self._responder.parties.of(endpoint.name, namespace)
            if namespace is not None:
                await self._responder.resolver.attach(namespace, party)
            belongings.finish()
            attachment.undo = undo.pop_all()
            return attachment

    async def join(
        self, attachment: Attachment, endpoint: Endpoint, domain: Domain, *, leads_out: bool
    ) -> None:
        """Bring up the line of an attachment on one more network of `endpoint`.

        One that leads out brings the default route, and there is none yet. Raises LinkError,
        OpenError, NamespaceError or OSError, and then nothing is left of the line.
        """
        membership = endpoint.on(domain.network.name)
        if membership is None:
            raise ValueError(f"{endpoint.name} is not on {domain.network.name}")
        async with AsyncExitStack() as undo:
            namespace = attachment.namespace
            link = _link(membership, domain.network, leads_out=leads_out)
            device = await self._device(attachment, link, undo)
            device.name = endpoint.port_name(membership)
            port = self._connect(endpoint, membership, domain.number, device, undo)
            self._runtime.watch(port)
            undo.callback(self._runtime.forget, port)
            if namespace is not None:
                own = Interface(membership.mac, IpInterface(membership.address, domain.subnet))
                announced = Announcement(self._switch, self._runtime, own, port)
                undo.callback(announced.end)
            self._linked.come(endpoint.name, membership.network)
            undo.callback(self._linked.go, endpoint.name, membership.network)
            attachment.lines[membership.network] = Line(membership, port, undo.pop_all())

    async def leave(self, attachment: Attachment, network: str) -> None:
        """Take one line down; its interface is gone from the namespace then."""
        line = attachment.lines.pop(network)
        await line.undo.aclose()

    async def lead_out(self, attachment: Attachment, endpoint: Endpoint, domain: Domain) -> None:
        """Let what leads out of an endpoint lead by the network that is the first of its
        memberships now: the default route, and what is published.

        Raises LinkError, PortTakenError or NamespaceError.
        """
        attachment.endpoint = endpoint
        namespace, (first, *_) = attachment.namespace, endpoint.memberships
        if namespace is not None:
            link = _link(first, domain.network, leads_out=True)
            await asyncio.to_thread(links.lead_out, namespace, link)
        self.expose(attachment, domain)

    def expose(self, attachment: Attachment, domain: Domain) -> None:
        """Publish what it publishes, after the host's own ports for that are taken.

        Raises PortTakenError.
        """
        attachment.exposed.close()
        endpoint = attachment.endpoint
        with ExitStack() as undo:
            undo.enter_context(self._uplinks.exposure.reserve(endpoint, domain.number))
            if domain.network.host:
                undo.enter_context(self._listeners.listening(endpoint, domain.number))
            assembly.expose(self._switch, endpoint, domain.number, self._runtime.now())
            self._resume(endpoint, domain.number)
            undo.callback(self._conceal, endpoint, domain.number)
            attachment.exposed = undo.pop_all()

    def let_reach(self, attachment: Attachment, endpoint: Endpoint) -> None:
        """Let an endpoint that is up reach, on its networks, whom it may reach by now."""
        for line in attachment.lines.values():
            assembly.guard(self._switch, endpoint.role, line.membership, line.port.number)
        self._linked.follow(endpoint.name)

    def follow(self, attachment: Attachment, endpoint: Endpoint, network: Network) -> None:
        """Let an endpoint that is up do what one of its networks says by now of guarding it, and of
        the host's being there.

        Raises PortTakenError, and then not all that it publishes is at the loopback.
        """
        line = attachment.lines[network.name]
        assembly.guard(self._switch, endpoint.role, line.membership, line.port.number)
        if network.name != endpoint.network:
            return
        if network.host:
            self._uplinks.exposure.follow(endpoint)
            self._listeners.begin(endpoint, line.port.network)
            attachment.exposed.callback(self._listeners.end, endpoint.name)
        else:
            self._listeners.end(endpoint.name)
            self._uplinks.exposure.follow(endpoint)

    def _conceal(self, endpoint: Endpoint, number: int) -> None:
        """What it has there may have been changed meanwhile."""
        present = self._uplinks.exposure.endpoint(endpoint.name)
        assembly.conceal(self._switch, present, number, self._runtime.now())

    async def _take_down(self, attachment: Attachment) -> None:
        attachment.exposed.close()
        for network in tuple(reversed(attachment.lines)):
            await self.leave(attachment, network)

    def _enter(self, belongings: Belongings, namespace: Namespace, undo: AsyncExitStack) -> None:
        """Judge the namespace that it is to live in, and have a resolv.conf for that."""
        namespace.require()
        _refuse_our_own(namespace)
        belongings.resolv_conf(self._responder.resolv_confs, namespace, undo)

    async def _device(
        self, attachment: Attachment, link: EndpointLink, undo: AsyncExitStack
    ) -> Device:
        belongings, namespace = attachment.belongings, attachment.namespace
        if namespace is None:
            return await belongings.vm_tap(attachment.endpoint.owner, link.mtu, undo)
        if attachment.endpoint.kind is EndpointKind.TAP:
            return await belongings.tap(namespace, link, undo)
        return await belongings.veth(namespace, link, undo)

    def _connect(
        self,
        endpoint: Endpoint,
        membership: Membership,
        number: int,
        device: Device,
        undo: AsyncExitStack,
    ) -> Port:
        port = self._switch.add_port(endpoint.port_name(membership), number, device)
        self._switch.impair(port.number, endpoint.impairments, self._runtime.now())
        assembly.guard(self._switch, endpoint.role, membership, port.number)
        undo.callback(self._forget_address, number, membership.address)
        undo.callback(self._switch.remove_port, port.number)
        return port

    def _forget_address(self, number: int, address: IpAddress) -> None:
        self._switch.changes.forget_address(number, address, self._runtime.now())


def _interfaces(
    endpoint: Endpoint, networks: Mapping[str, Domain], namespace: Namespace | None
) -> Iterator[Made]:
    """The journal's records of what carries the frames of an endpoint."""
    for membership in endpoint.memberships:
        link = _link(membership, networks[membership.network].network, leads_out=False)
        if namespace is None:
            yield MadeLink(endpoint.name)
        elif endpoint.kind is EndpointKind.TAP:
            yield made_tap(namespace, link)
        else:
            yield made_veth(link)


def _link(membership: Membership, network: Network, *, leads_out: bool) -> EndpointLink:
    """How an endpoint finds one of its memberships."""
    return EndpointLink(
        membership.interface,
        membership.mac,
        IpInterface(membership.address, network.subnet),
        network.default_route if leads_out else None,
        network.mtu,
    )


def _process_of(namespace: Namespace | None, undo: AsyncExitStack) -> Process | None:
    if namespace is None or namespace.pid is None:
        return None
    process = Process(namespace.pid)
    undo.callback(process.close)
    return process


def _refuse_our_own(namespace: Namespace) -> None:
    """An eth0 and a default route in there would be the host's own."""
    with namespace.opened() as theirs, Namespace.of_process(os.getpid()).opened() as ours:
        if os.path.sameopenfile(theirs, ours):
            raise NamespaceError(f"{namespace} is the switch's own")
