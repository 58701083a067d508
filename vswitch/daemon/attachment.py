"""Making an endpoint real: its namespace, its interface, its resolver; and undoing that.

Theory of operation. An endpoint is attached in steps (namespace, device, link, port, publications,
names), each of which pushes its undoing onto a stack. Where a step fails, what was done is undone
in reverse order and the error goes to the caller, so there is never half an endpoint; to detach one
is to run the same stack. What would outlive a killed daemon is written into the journal first.

An endpoint has a *line* for each network that it is on: an interface in its namespace, eth0 and so
on as in a container, and a port of the switch. Lines come and go one by one. The network that leads
out has the default route, and what is published leads there.

A `tap` endpoint is a TAP that is made in the namespace: its descriptor works from anywhere, and its
network device vanishes with the daemon. A `veth` endpoint is a veth pair whose outer end is
read by a packet socket. A `vm` endpoint has no namespace: its TAP is in the host's, persistent, for
a virtual machine to open by its name, and a packet socket reads the kernel's side of it.

The kernel takes up to tens of milliseconds to make or delete a link, so those steps run in a thread
while the loop goes on to carry frames.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from vswitch import assembly
from vswitch.daemon import links, netns
from vswitch.daemon.announcing import Announcement
from vswitch.daemon.hostlistener import HostListeners
from vswitch.daemon.journal import Journal, MadeLink, MadeNamespace
from vswitch.daemon.linked import LinkedEndpoints
from vswitch.daemon.links import EndpointLink
from vswitch.daemon.netns import Namespace, NamespaceError
from vswitch.daemon.processes import Process
from vswitch.daemon.resolver import Resolver, install_resolv_conf, remove_resolv_conf
from vswitch.daemon.runtime import Runtime
from vswitch.daemon.uplinks import Uplinks
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Interface, Port
from vswitch.devices.afpacket import PacketDevice
from vswitch.devices.base import Device
from vswitch.devices.tap import TapDevice
from vswitch.network.model import Endpoint, EndpointKind, Membership, Network
from vswitch.wire.values import IpAddress, IpInterface, IpNetwork

if TYPE_CHECKING:
    from vswitch.dataplane.responders.dns import Names


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
    undo: AsyncExitStack
    lines: dict[str, Line] = field(default_factory=dict)
    """By the names of the networks."""
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held while lines come or go."""
    home: AsyncExitStack = field(default_factory=AsyncExitStack)
    """Takes away the namespace that was made for it, as a part of `undo`."""
    exposed: ExitStack = field(default_factory=ExitStack)
    """What is published, mapped and translated for it, on the network that leads out."""

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
        resolver: Resolver,
        journal: Journal,
        resolv_conf: str,
        listeners: HostListeners,
        linked: LinkedEndpoints,
    ) -> None:
        self._switch = switch
        self._runtime = runtime
        self._uplinks = uplinks
        self._resolver = resolver
        self._journal = journal
        self._resolv_conf = resolv_conf
        self._listeners = listeners
        self._linked = linked

    async def attach(
        self,
        endpoint: Endpoint,
        networks: Mapping[str, Domain],
        namespace: Namespace | None,
        names: Callable[[], Names],
        home: AsyncExitStack,
    ) -> Attachment:
        """Bring `endpoint` up on its networks, which are known by their names.

        `namespace` is None for the one that the endpoint names, which is made where it is missing,
        and for a virtual machine. `home` is that of an attachment that it had before, or empty.
        Raises NamespaceError, ProcessError, LinkError, OpenError, PortTakenError, ResolverError or
        OSError.
        """
        async with AsyncExitStack() as undo:
            undo.push_async_callback(home.aclose)
            process = _process_of(namespace, undo)
            if endpoint.kind is not EndpointKind.VM:
                namespace = await self._namespace(endpoint, namespace, home)
                self._install_resolv_conf(namespace, undo)
            attachment = Attachment(endpoint, namespace, process, undo, home=home)
            undo.push_async_callback(self._take_down, attachment)
            for membership in endpoint.memberships:
                domain = networks[membership.network]
                leads_out = membership.network == endpoint.network
                await self.join(attachment, endpoint, domain, leads_out=leads_out)
            self.expose(attachment, networks[endpoint.network])
            if namespace is not None:
                await self._resolver.attach(namespace, names, endpoint.dns)
                undo.push_async_callback(self._resolver.detach, namespace)
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
            if namespace is None:
                device = await self._make_vm_tap(endpoint, domain.network, undo)
            else:
                link = _link(membership, domain.network, leads_out=leads_out)
                device = await self._make_device(endpoint.kind, link, namespace, undo)
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

    async def _namespace(
        self, endpoint: Endpoint, given: Namespace | None, home: AsyncExitStack
    ) -> Namespace:
        """The namespace that it lives in."""
        namespace = given or Namespace.named(endpoint.namespace or endpoint.name)
        name = namespace.name
        if given is None and name is not None and not namespace.exists():
            await asyncio.to_thread(self._journal.make_namespace, name)
            home.push_async_callback(asyncio.to_thread, self._journal.undo, MadeNamespace(name))
        namespace.require()
        _refuse_our_own(namespace)
        return namespace

    def _install_resolv_conf(self, namespace: Namespace, undo: AsyncExitStack) -> None:
        """Put it where ip-netns(8) will look."""
        if namespace.name is not None:
            install_resolv_conf(namespace.name, self._resolv_conf, self._journal)
            undo.callback(remove_resolv_conf, namespace.name, self._journal)

    async def _make_vm_tap(
        self, endpoint: Endpoint, network: Network, undo: AsyncExitStack
    ) -> Device:
        name = endpoint.name
        await asyncio.to_thread(self._journal.make_vm_tap, name, endpoint.owner, mtu=network.mtu)
        undo.push_async_callback(asyncio.to_thread, self._journal.undo, MadeLink(name))
        device = PacketDevice.open(name)
        undo.callback(device.close)
        return device

    async def _make_device(
        self, kind: EndpointKind, link: EndpointLink, namespace: Namespace, undo: AsyncExitStack
    ) -> Device:
        device: Device
        if kind is EndpointKind.TAP:
            tap = await asyncio.to_thread(netns.run, TapDevice.open, namespace)
            device = tap
            undo.callback(tap.close)
            await asyncio.to_thread(links.equip, namespace, tap.interface, link)
        else:
            outer = f"veth{link.mac[-4:].hex()}"
            await asyncio.to_thread(
                self._journal.make_veth, outer, namespace, link.name, mtu=link.mtu
            )
            undo.push_async_callback(asyncio.to_thread, self._journal.undo, MadeLink(outer))
            device = PacketDevice.open(outer)
            undo.callback(device.close)
            await asyncio.to_thread(links.equip, namespace, link.name, link)
        return device

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
