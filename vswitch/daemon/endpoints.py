"""Endpoints of a running switch: how they come, and the ways in which they go.

Theory of operation. An endpoint is in the `Inventory`, which says whether it may be and what it
gets, and it is attached (`attachment`), which makes it real; both or neither. Endpoints end in
three ways, all of which lead to `detach`: somebody asks for it, the namespace or process that they
live in goes away, or their device vanishes. Every coming and going is logged in one line and told
as an event.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import ExitStack

from vswitch.daemon import publishing
from vswitch.daemon.attachment import Attacher, Attachment
from vswitch.daemon.events import Events
from vswitch.daemon.hostlistener import HostListeners
from vswitch.daemon.links import LinkError
from vswitch.daemon.messages.events import Event, EventType
from vswitch.daemon.netns import Namespace, NamespaceError, NamespaceWatch
from vswitch.daemon.networks import Networks
from vswitch.daemon.processes import ProcessError
from vswitch.daemon.resolver import ResolverError
from vswitch.daemon.runtime import Runtime
from vswitch.daemon.uplinks import PortTakenError
from vswitch.dataplane.responders.dns import Host, Names
from vswitch.dataplane.topology import Port
from vswitch.devices.base import OpenError
from vswitch.network.errors import NetworkError
from vswitch.network.inventory import Inventory
from vswitch.network.model import Endpoint, EndpointRequest, Network
from vswitch.wire.values import IpInterface

log = logging.getLogger(__name__)


class AttachError(Exception):
    """An endpoint could not be attached. The text is one line for the user."""


class Endpoints:
    """The endpoints of one switch. Belongs to the running event loop."""

    def __init__(
        self,
        inventory: Inventory,
        networks: Networks,
        runtime: Runtime,
        attacher: Attacher,
        listeners: HostListeners,
        events: Events,
    ) -> None:
        """Nobody is attached yet, and nothing is watched before `watch`."""
        self._inventory = inventory
        self._networks = networks
        self._runtime = runtime
        self._attacher = attacher
        self._listeners = listeners
        self._events = events
        self._attachments: dict[str, Attachment] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._undo = ExitStack()
        self._namespace_watch: NamespaceWatch
        """From `watch` on."""

    def watch(self) -> None:
        """Detach, from now on, whose namespace goes away. Raises OSError."""
        self._namespace_watch = watch = NamespaceWatch()
        self._undo.callback(watch.close)
        loop = asyncio.get_running_loop()
        loop.add_reader(watch.fileno(), self._namespaces_gone)
        self._undo.callback(loop.remove_reader, watch.fileno())

    async def add(self, request: EndpointRequest, namespace: Namespace | None) -> Endpoint:
        """Attach a new endpoint in a namespace that exists, or a virtual machine, which has none.

        In the namespace of a process it lives as long as that. Raises NetworkError or AttachError.
        """
        endpoint = self._inventory.add_endpoint(request)
        try:
            await self.attach(endpoint, namespace)
        except AttachError:
            self._inventory.remove_endpoint(endpoint.name)
            raise
        return endpoint

    @property
    def attached(self) -> Mapping[str, Attachment]:
        """The endpoints that are up, by name."""
        return self._attachments

    def attachment(self, name: str) -> Attachment:
        """How the endpoint called `name` is attached. Raises NetworkError."""
        attachment = self._attachments.get(name)
        if attachment is None:
            self._inventory.endpoint(name)
            raise NetworkError(f"endpoint {name} is not attached yet")
        return attachment

    async def detach(self, name: str, why: str) -> None:
        """Take an endpoint down and forget it; one that is not there is left alone."""
        attachment = self._attachments.pop(name, None)
        if attachment is None:
            return
        await attachment.undo.aclose()
        self._runtime.rearm()
        endpoint = self._inventory.remove_endpoint(name)
        log.info("endpoint %s detached: %s", name, why)
        self._tell_of(endpoint, Event.DETACH, Event.DESTROY, reason=why)

    def network_of(self, endpoint: Endpoint) -> Network:
        """The network that an endpoint is on."""
        return self._inventory.network(endpoint.network)

    def gone(self, port: Port) -> bool:
        """Detach whose device is gone; False where the port is no endpoint's."""
        for name, attachment in list(self._attachments.items()):
            if attachment.port.number == port.number:
                self._detach_soon(name, "its device is gone")
                return True
        return False

    async def close(self) -> None:
        """Detach all, since the switch stops."""
        for name in list(self._attachments):
            await self.detach(name, "the switch stops")
        for task in list(self._tasks):
            await task
        self._undo.close()

    async def attach(self, endpoint: Endpoint, namespace: Namespace | None) -> None:
        """Make real what the inventory has. Raises AttachError; the inventory has it even then."""
        network = self.network_of(endpoint)
        try:
            if namespace is not None and namespace.pid is None:
                self._namespace_watch.add(namespace)
            attachment = await self._attacher.attach(
                endpoint,
                network,
                self._networks.number(network),
                namespace,
                lambda: self._names_for(endpoint),
            )
            if network.host:
                await self._listen(attachment)
        except (
            NamespaceError,
            ProcessError,
            LinkError,
            OpenError,
            PortTakenError,
            ResolverError,
            OSError,
        ) as error:
            raise AttachError(f"endpoint {endpoint.name}: {error}") from error
        self._attachments[endpoint.name] = attachment
        published = "".join(f", {publication}" for publication in endpoint.publications)
        where = IpInterface(endpoint.address, network.subnet)
        log.info(
            "endpoint %s attached: %s on %s by %s in %s%s",
            *(endpoint.name, where, network.name, endpoint.kind.value),
            *(attachment.namespace or "the host's namespace", published),
        )
        kind = endpoint.kind.value
        about = {"address": where, "mac": endpoint.mac, "kind": kind}
        self._tell_of(endpoint, Event.ATTACH, Event.CREATE, **about)
        self._watch(attachment)

    def _tell_of(
        self, endpoint: Endpoint, event: Event, of_publications: Event, **about: object
    ) -> None:
        """Tell of an endpoint, and of what it publishes, which comes and goes with it."""
        network = endpoint.network
        self._events.tell(EventType.ENDPOINT, event, endpoint.name, network=network, **about)
        for publication in endpoint.publications:
            publishing.tell(self._events, of_publications, publication, endpoint)

    async def _listen(self, attachment: Attachment) -> None:
        """Raises PortTakenError, and then the endpoint is detached."""
        present = self._inventory.endpoint(attachment.endpoint.name)
        try:
            attachment.undo.enter_context(self._listeners.listening(present))
        except PortTakenError:
            await attachment.undo.aclose()
            raise

    def _names_for(self, endpoint: Endpoint) -> Names:
        """The names that an endpoint may ask for: Docker resolves none on the default network."""
        if self.network_of(endpoint).predefined:
            return Names(())
        return Names(
            Host(_names_of(each), each.network, (each.address,))
            for each in self._inventory.endpoints
            if each.network == endpoint.network
        )

    def _namespaces_gone(self) -> None:
        gone = self._namespace_watch.gone()
        for name, attachment in list(self._attachments.items()):
            if attachment.namespace is not None and attachment.namespace.path in gone:
                self._detach_soon(name, f"{attachment.namespace} is gone")

    def _watch(self, attachment: Attachment) -> None:
        """Detach it when what it lives in goes, which may be so by now."""
        name, namespace = attachment.endpoint.name, attachment.namespace
        if attachment.process is not None:
            attachment.process.watch(lambda: self._detach_soon(name, "its process has ended"))
        elif namespace is not None and not namespace.exists():
            self._detach_soon(name, f"{namespace} is gone")

    def _detach_soon(self, name: str, why: str) -> None:
        task = asyncio.get_running_loop().create_task(self.detach(name, why))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _names_of(endpoint: Endpoint) -> tuple[str, ...]:
    """What others may call it: its name, aliases and hostname."""
    own = () if endpoint.hostname is None else (endpoint.hostname,)
    return (endpoint.name, *endpoint.aliases, *own)
