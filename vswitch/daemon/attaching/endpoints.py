"""Endpoints of a running switch: how they come, and the ways in which they go.

Theory of operation. An endpoint is in the `Inventory`, which says whether it may be and what it
gets, and it is attached (`attachment`), which makes it real; both or neither. Endpoints end in
three ways, all of which lead to `detach`: somebody asks for it, the namespace or process that they
live in goes away, or their device vanishes. Every coming and going is logged in one line and told
as an event.

When the switch stops, an endpoint that lives on without it is let live: one whose namespace is
somebody else's, or has a process in it, and a virtual machine's TAP. The next daemon takes it over
(`takeover`). So what is added at run time is written down before that is answered (`remembered`),
with where it lives, and is forgotten when it goes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack, ExitStack
from enum import Enum
from pathlib import Path

from vswitch.daemon import publishing
from vswitch.daemon.attaching.attachment import Attacher, Attachment, Domain
from vswitch.daemon.attaching.remembered import Remembered
from vswitch.daemon.events import Events
from vswitch.daemon.exposure import PortTakenError
from vswitch.daemon.kernel import netns
from vswitch.daemon.kernel.links import LinkError
from vswitch.daemon.kernel.netns import Namespace, NamespaceError, NamespaceWatch
from vswitch.daemon.kernel.processes import ProcessError
from vswitch.daemon.messages.events import Event, EventType
from vswitch.daemon.networks import Networks
from vswitch.daemon.publishing import Publishing
from vswitch.daemon.resolving.listening.listeners import ResolverError
from vswitch.daemon.runtime import Runtime
from vswitch.daemon.store import Store, StoreError
from vswitch.daemon.store.kept import Home, KeptEndpoint
from vswitch.dataplane.topology import Port
from vswitch.devices.base import OpenError
from vswitch.network import linking
from vswitch.network.errors import NetworkError
from vswitch.network.inventory import Inventory
from vswitch.network.model import Endpoint, EndpointRequest, Membership, MembershipRequest, Network
from vswitch.network.unswitched import require_of_ours
from vswitch.wire.values import IpInterface

log = logging.getLogger(__name__)


_FAILURES = (
    *(NamespaceError, ProcessError, LinkError, OpenError, PortTakenError, ResolverError),
    OSError,
)
"""Why an endpoint can not be made real."""


class Staying(Enum):
    """What of the endpoints stays when the switch stops."""

    WHO_LIVES = "who lives on"
    WHO_WAS_LEFT = "who lives on, and did so before this start"
    """As it has failed."""
    NOTHING = "nothing"


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
        publishing: Publishing,
        events: Events,
    ) -> None:
        """Nobody is attached yet, and nothing is watched before `watch`."""
        self._inventory = inventory
        self._networks = networks
        self._runtime = runtime
        self._attacher = attacher
        self._remembered = Remembered(publishing)
        self._events = events
        self._attachments: dict[str, Attachment] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._undo = ExitStack()
        self._namespace_watch: NamespaceWatch
        """From `watch` on."""

    def keep_in(self, store: Store) -> None:
        """Keep in `store` who comes and goes from now on."""
        self._remembered.keep_in(store)

    def watch(self) -> None:
        """Detach, from now on, whose namespace goes away. Raises OSError."""
        self._namespace_watch = watch = NamespaceWatch()
        self._undo.callback(watch.close)
        loop = asyncio.get_running_loop()
        loop.add_reader(watch.fileno(), self._namespaces_gone)
        self._undo.callback(loop.remove_reader, watch.fileno())

    async def add(self, request: EndpointRequest, namespace: Namespace | None) -> Endpoint:
        """Attach a new endpoint in a namespace that exists, or a virtual machine, which has none.

        In the namespace of a process it lives as long as that. Raises NetworkError, AttachError or
        StoreError.
        """
        require_of_ours(*(each.network for each in request.also))
        linking.require(request, self._inventory)
        endpoint = self._inventory.add_endpoint(request)
        await self._bring_up(endpoint, namespace)
        home = _home(self._attachments[endpoint.name], namespace)
        try:
            self._remembered.put(KeptEndpoint(request, endpoint, home))
        except StoreError:
            await self._take_down(endpoint.name, "it can not be written down")
            raise
        return endpoint

    async def resume(self, endpoint: Endpoint, kept: KeptEndpoint) -> None:
        """Attach one that the inventory has and the state: the configuration's, or one that was
        there before and is taken over. Raises AttachError.
        """
        home = kept.home
        path = home.namespace if home else None
        await self._bring_up(endpoint, Namespace(Path(path)) if path is not None else None)
        process = self._attachments[endpoint.name].process
        if home is not None and process is not None and process.birth != home.process:
            await self._take_down(endpoint.name, "its process has ended")
            raise AttachError(f"endpoint {endpoint.name}: process {process.pid} is another one")
        self._remembered.take_over(kept)

    async def bring(self, request: EndpointRequest, home: AsyncExitStack) -> None:
        """Attach one of the configuration's that the inventory has. `home` is what `set_aside` has
        left, or empty: with an error it is closed. Raises AttachError or StoreError.
        """
        endpoint = self._inventory.endpoint(request.name)
        try:
            await self._bring_up(endpoint, None)
        except AttachError:
            await home.aclose()
            raise
        home.pop_all()
        try:
            self._remembered.put(KeptEndpoint(request, endpoint, home=None))
        except StoreError:
            await self._take_down(endpoint.name, "it can not be written down")
            raise

    def note_change(self, request: EndpointRequest) -> None:
        """The configuration asks for something else of an endpoint, which is so by now. Raises
        StoreError."""
        self._remembered.put(
            KeptEndpoint(request, self._inventory.endpoint(request.name), home=None)
        )

    def note(self) -> None:
        """Write down who is there, and what they publish, and nobody else. Raises StoreError."""
        self._remembered.note(self._inventory.endpoints)

    @property
    def attached(self) -> Mapping[str, Attachment]:
        """The endpoints that are up, by name."""
        return self._attachments

    def homes(self) -> dict[str, Namespace]:
        """The namespaces of the endpoints that are up and have one, by their names."""
        return {
            name: each.namespace
            for name, each in self._attachments.items()
            if each.namespace is not None
        }

    def attachment(self, name: str) -> Attachment:
        """How the endpoint called `name` is attached. Raises NetworkError."""
        attachment = self._attachments.get(name)
        if attachment is None:
            self._inventory.endpoint(name)
            raise NetworkError(f"endpoint {name} is not attached yet")
        return attachment

    async def detach(self, name: str, why: str) -> None:
        """Take an endpoint down and forget it; one that is not there is left alone.

        Raises StoreError, and then it is gone, but may come again with the next start.
        """
        try:
            self._remembered.forget(name)
        finally:
            await self._take_down(name, why)

    async def drop(self, name: str, why: str) -> None:
        """Take one of the configuration's down that this has no longer; one that was brought under
        its name since is left alone. Raises StoreError."""
        if name in self._attachments and not self.is_configured(name):
            return
        self._remembered.drop(name)
        await self._take_down(name, why)

    def is_configured(self, name: str) -> bool:
        """Whether the one of that name is attached, and the configuration's."""
        return name in self._attachments and self._remembered.is_configured(name)

    async def set_aside(self, name: str, why: str) -> AsyncExitStack:
        """Take down one of the configuration's that comes again. The answer keeps the namespace,
        with what lives in it, until it is closed. Raises NetworkError."""
        home = self.attachment(name).belongings.set_aside_namespace()
        await self._take_down(name, why)
        return home

    async def _take_down(self, name: str, why: str) -> None:
        attachment = self._attachments.pop(name, None)
        if attachment is None:
            return
        await attachment.take_down()
        self._runtime.rearm()
        endpoint = self._inventory.remove_endpoint(name)
        log.info("endpoint %s detached: %s", name, why)
        self._tell_of(endpoint, Event.DETACH, Event.DESTROY, reason=why)

    def let_reach(self, name: str) -> None:
        """Let an endpoint reach whom its role and its links let it by now. Raises NetworkError."""
        self._attacher.let_reach(self.attachment(name), self._inventory.endpoint(name))

    def follow(self, network: Network) -> None:
        """Let all who are on a network do what its settings say by now, and be reached by them.

        Raises PortTakenError, and then not all that is published there is at the loopback.
        """
        for endpoint in self._inventory.endpoints_on(network):
            attachment = self._attachments.get(endpoint.name)
            if attachment is not None:
                self._attacher.follow(attachment, endpoint, network)

    async def connect(self, name: str, request: MembershipRequest) -> Endpoint:
        """Let an endpoint be on one more network, by one more interface in its namespace.

        Which of its networks leads out may change by that. Raises NetworkError or AttachError, and
        then nothing has changed; or StoreError, and then it has, but not for the next start.
        """
        attachment = self.attachment(name)
        async with attachment.changing:
            if attachment.namespace is None:
                words = f"endpoint {name} is a virtual machine's TAP, which is on one network"
                raise NetworkError(words, hint="a further one is a TAP of its own")
            before = self._inventory.endpoint(name)
            endpoint = self._inventory.connect(name, request)
            network = self._inventory.network(request.network)
            try:
                await self._join(attachment, before, endpoint, network)
            except _FAILURES as error:
                await self._retract(attachment, before, network)
                raise AttachError(f"endpoint {name}: {error}") from error
        self._runtime.rearm()
        self._tell_of_network(endpoint, network, Event.CONNECT)
        attachment.belongings.finish()
        self._remembered.put_as_it_is(endpoint)
        return endpoint

    async def disconnect(self, name: str, network: Network, why: str) -> Endpoint:
        """Let an endpoint be on a network no longer. Raises NetworkError, AttachError or
        StoreError."""
        attachment = self.attachment(name)
        async with attachment.changing:
            before = self._inventory.endpoint(name)
            endpoint = self._inventory.disconnect(name, network)
            try:
                if endpoint.network != before.network:
                    domain = self._domain(endpoint.network)
                    await self._attacher.lead_out(attachment, endpoint, domain)
            except _FAILURES as error:
                raise AttachError(f"endpoint {name}: {error}") from error
            finally:
                attachment.endpoint = endpoint
                await self._attacher.leave(attachment, network.name)
        self._runtime.rearm()
        self._tell_of_network(before, network, Event.DISCONNECT, reason=why)
        attachment.belongings.finish()
        self._remembered.put_as_it_is(endpoint)
        return endpoint

    def network_of(self, endpoint: Endpoint) -> Network:
        """The network that leads out of an endpoint."""
        return self._inventory.network(endpoint.network)

    def gone(self, port: Port) -> bool:
        """Take leave of whose device is gone; False where the port is no endpoint's."""
        for name, attachment in list(self._attachments.items()):
            line = attachment.line_at(port.number)
            if line is not None:
                if len(attachment.lines) > 1:
                    network = self._inventory.network(line.membership.network)
                    self._soon(self._lose(name, network))
                else:
                    self._detach_soon(name, "its device is gone")
                return True
        return False

    async def close(self, staying: Staying) -> None:
        """Take all down, since the switch stops, but for what of them is to stay."""
        for task in list(self._tasks):
            await task
        living = await self._living(staying)
        for name, attachment in list(self._attachments.items()):
            if name in living:
                del self._attachments[name]
                await attachment.let_live()
                log.info("endpoint %s lives on, for the next start to take over", name)
            elif staying is Staying.NOTHING:
                await self._detach_by_itself(name, "the switch stops, and removes it")
            else:
                await self._take_down(name, "the switch stops")
        self._undo.close()

    async def _living(self, staying: Staying) -> frozenset[str]:
        """Who lives on without the switch. In a namespace of our making that is who has a process
        in there."""
        if staying is Staying.NOTHING:
            return frozenset()
        may_stay = {
            name: each
            for name, each in self._attachments.items()
            if staying is Staying.WHO_LIVES or each.belongings.were_left
        }
        ours = {
            each.namespace
            for each in may_stay.values()
            if each.namespace is not None and each.belongings.have_namespace
        }
        uninhabited = ours - await asyncio.to_thread(netns.inhabited, ours)
        return frozenset(
            name for name, each in may_stay.items() if each.namespace not in uninhabited
        )

    async def _bring_up(self, endpoint: Endpoint, namespace: Namespace | None) -> None:
        """Make real what the inventory has, which has it no more where this raises AttachError."""
        domains = {each.network: self._domain(each.network) for each in endpoint.memberships}
        try:
            if namespace is not None and namespace.pid is None:
                self._namespace_watch.add(namespace)
            attachment = await self._attacher.attach(endpoint, domains, namespace)
        except _FAILURES as error:
            self._inventory.remove_endpoint(endpoint.name)
            raise AttachError(f"endpoint {endpoint.name}: {error}") from error
        self._attachments[endpoint.name] = attachment
        published = "".join(f", {publication}" for publication in endpoint.publications)
        places = [f"{self._interface(each)} on {each.network}" for each in endpoint.memberships]
        log.info(
            "endpoint %s %s: %s by %s in %s%s",
            *(endpoint.name, "taken over" if attachment.belongings.were_left else "attached"),
            *(", ".join(places), endpoint.kind.value),
            *(attachment.namespace or "the host's namespace", published),
        )
        where = self._interface(endpoint.memberships[0])
        about = {"address": where, "mac": endpoint.mac, "kind": endpoint.kind.value}
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

    def _tell_of_network(
        self, endpoint: Endpoint, network: Network, event: Event, **about: object
    ) -> None:
        """Tell that an endpoint is on a network from now on, or is not."""
        membership = endpoint.on(network.name)
        if membership is not None:
            where = self._interface(membership)
            log.info("endpoint %s: %s %s, %s", endpoint.name, event.value, network.name, where)
            about = {"endpoint": endpoint.name, "address": where, "mac": membership.mac, **about}
            self._events.tell(EventType.NETWORK, event, network.name, **about)

    async def _join(
        self, attachment: Attachment, before: Endpoint, endpoint: Endpoint, network: Network
    ) -> None:
        domain = self._domain(network.name)
        await self._attacher.join(attachment, endpoint, domain, leads_out=False)
        if endpoint.network != before.network:
            await self._attacher.lead_out(attachment, endpoint, domain)

    async def _retract(self, attachment: Attachment, before: Endpoint, network: Network) -> None:
        """Let an endpoint be as it was `before` it was to be on `network`, too."""
        led_out = attachment.endpoint.network != before.network
        self._inventory.disconnect(before.name, network)
        attachment.endpoint = before
        if network.name in attachment.lines:
            await self._attacher.leave(attachment, network.name)
        if led_out:
            try:
                await self._attacher.lead_out(attachment, before, self._domain(before.network))
            except _FAILURES as error:
                log.error("endpoint %s: no way out any more: %s", before.name, error)

    def _domain(self, name: str) -> Domain:
        network = self._inventory.network(name)
        return Domain(network, self._networks.number(network))

    def _interface(self, membership: Membership) -> IpInterface:
        return IpInterface(membership.address, self._inventory.network(membership.network).subnet)

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

    async def _lose(self, name: str, network: Network) -> None:
        """One of several interfaces is gone from an endpoint's namespace."""
        try:
            await self.disconnect(name, network, "its device is gone")
        except (NetworkError, AttachError, StoreError) as error:
            log.warning("%s", error)

    def _detach_soon(self, name: str, why: str) -> None:
        self._soon(self._detach_by_itself(name, why))

    async def _detach_by_itself(self, name: str, why: str) -> None:
        try:
            await self.detach(name, why)
        except StoreError as error:
            log.error("endpoint %s: %s", name, error)

    def _soon(self, change: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(change)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _home(attachment: Attachment, given: Namespace | None) -> Home | None:
    """Where an endpoint lives that somebody has brought; the configuration's own are given no
    namespace."""
    if given is None and attachment.namespace is not None:
        return None
    process = attachment.process
    return Home(
        None if given is None else str(given.path), None if process is None else process.birth
    )
