"""Making an endpoint real: its namespace, its interface, its resolver; and undoing that.

Theory of operation. An endpoint is attached in steps (namespace, device, link, port, publications,
names), each of which pushes its undoing onto a stack. Where a step fails, what was done is undone
in reverse order and the error goes to the caller, so there is never half an endpoint; to detach one
is to run the same stack. What would outlive a killed daemon is written into the journal first.

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
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from vswitch import assembly
from vswitch.daemon import links, netns
from vswitch.daemon.announcing import Announcement
from vswitch.daemon.journal import Journal, MadeLink, MadeNamespace
from vswitch.daemon.links import EndpointLink
from vswitch.daemon.netns import Namespace, NamespaceError
from vswitch.daemon.processes import Process
from vswitch.daemon.resolver import Resolver, install_resolv_conf, remove_resolv_conf
from vswitch.daemon.runtime import Runtime
from vswitch.daemon.uplinks import Uplinks
from vswitch.dataplane.responders.dns import Names
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Port
from vswitch.devices.afpacket import PacketDevice
from vswitch.devices.base import Device
from vswitch.devices.tap import TapDevice
from vswitch.network.model import Endpoint, EndpointKind, Network
from vswitch.wire.values import IpAddress, IpInterface

INTERFACE = "eth0"
"""What an endpoint finds in its namespace, as in a container."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """An endpoint that is up. `undo` takes it down again."""

    endpoint: Endpoint
    namespace: Namespace | None
    """None for a virtual machine."""
    process: Process | None
    """What it ends with, where its namespace is known by that."""
    port: Port
    undo: AsyncExitStack


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
    ) -> None:
        self._switch = switch
        self._runtime = runtime
        self._uplinks = uplinks
        self._resolver = resolver
        self._journal = journal
        self._resolv_conf = resolv_conf

    async def attach(
        self,
        endpoint: Endpoint,
        network: Network,
        number: int,
        namespace: Namespace | None,
        names: Callable[[], Names],
    ) -> Attachment:
        """Bring `endpoint` up on `network`, which the dataplane knows by `number`.

        `namespace` is None for the one that the endpoint names, which is made where it is missing,
        and for a virtual machine. Raises NamespaceError, ProcessError, LinkError, OpenError,
        PortTakenError, ResolverError or OSError.
        """
        async with AsyncExitStack() as undo:
            process = _process_of(namespace, undo)
            if endpoint.kind is EndpointKind.VM:
                device = await self._make_vm_tap(endpoint, network, undo)
            else:
                namespace = await self._namespace(endpoint, namespace, undo)
                device = await self._make_device(endpoint, network, namespace, undo)
            port = self._connect(endpoint, number, device, undo)
            self._expose(endpoint, number, undo)
            if namespace is not None:
                await self._resolver.attach(namespace, names, endpoint.dns)
                undo.push_async_callback(self._resolver.detach, namespace)
            self._runtime.watch(port)
            undo.callback(self._runtime.forget, port)
            if namespace is not None:
                announced = Announcement(self._switch, self._runtime, endpoint, network, port)
                undo.callback(announced.end)
            return Attachment(endpoint, namespace, process, port, undo.pop_all())

    async def _namespace(
        self, endpoint: Endpoint, given: Namespace | None, undo: AsyncExitStack
    ) -> Namespace:
        """The namespace that it lives in, with its resolv.conf where ip-netns(8) will look."""
        namespace = given or Namespace.named(endpoint.namespace or endpoint.name)
        name = namespace.name
        if given is None and name is not None and not namespace.exists():
            await asyncio.to_thread(self._journal.make_namespace, name)
            undo.push_async_callback(asyncio.to_thread, self._journal.undo, MadeNamespace(name))
        namespace.require()
        _refuse_our_own(namespace)
        if name is not None:
            install_resolv_conf(name, self._resolv_conf, self._journal)
            undo.callback(remove_resolv_conf, name, self._journal)
        return namespace

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
        self, endpoint: Endpoint, network: Network, namespace: Namespace, undo: AsyncExitStack
    ) -> Device:
        link = EndpointLink(
            INTERFACE,
            endpoint.mac,
            IpInterface(endpoint.address, network.subnet),
            network.default_route,
            network.mtu,
        )
        device: Device
        if endpoint.kind is EndpointKind.TAP:
            tap = await asyncio.to_thread(netns.run, TapDevice.open, namespace)
            device = tap
            undo.callback(tap.close)
            await asyncio.to_thread(links.equip, namespace, tap.interface, link)
        else:
            outer = f"veth{endpoint.mac[-4:].hex()}"
            await asyncio.to_thread(
                self._journal.make_veth, outer, namespace, INTERFACE, mtu=network.mtu
            )
            undo.push_async_callback(asyncio.to_thread, self._journal.undo, MadeLink(outer))
            device = PacketDevice.open(outer)
            undo.callback(device.close)
            await asyncio.to_thread(links.equip, namespace, INTERFACE, link)
        device.name = endpoint.name
        return device

    def _connect(
        self, endpoint: Endpoint, number: int, device: Device, undo: AsyncExitStack
    ) -> Port:
        port = self._switch.add_port(endpoint.name, number, device)
        self._switch.impair(port.number, endpoint.impairments, self._runtime.now())
        assembly.guard(self._switch, endpoint, port.number)
        undo.callback(self._forget_address, number, endpoint.address)
        undo.callback(self._switch.remove_port, port.number)
        return port

    def _forget_address(self, number: int, address: IpAddress) -> None:
        self._switch.changes.forget_address(number, address, self._runtime.now())

    def _expose(self, endpoint: Endpoint, number: int, undo: AsyncExitStack) -> None:
        """Publish what it publishes, after the host's own ports for that are held."""
        undo.enter_context(self._uplinks.reserve(endpoint, number))
        assembly.expose(self._switch, endpoint, number, self._runtime.now())
        undo.callback(self._conceal, endpoint, number)

    def _conceal(self, endpoint: Endpoint, number: int) -> None:
        assembly.conceal(self._switch, endpoint, number, self._runtime.now())


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
