"""The daemon: a configuration made real, endpoints that come and go, an orderly end.

Theory of operation. The daemon holds the three worlds together: the `Inventory` of what a user
talks about, the `Switch` that carries frames, and the kernel's namespaces and links. Every change
goes through here, is made in all three or in none, and is logged in one line. Endpoints end in
three ways, all of which lead to `detach`: somebody asks for it, the namespace or process that they
live in goes away, or their device vanishes.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from random import Random, SystemRandom

from vswitch import __version__, assembly
from vswitch.daemon import impairments, messages, netns, publishing, rundir
from vswitch.daemon.attachment import Attacher, Attachment
from vswitch.daemon.bystanders import Bystanders
from vswitch.daemon.captures import Captures
from vswitch.daemon.carryover import Carryover
from vswitch.daemon.collisions import Collisions
from vswitch.daemon.events import Events
from vswitch.daemon.filters import Filters
from vswitch.daemon.hostlistener import HostListeners
from vswitch.daemon.hostports import HostPorts
from vswitch.daemon.journal import Journal, Undone
from vswitch.daemon.links import LinkError
from vswitch.daemon.messages.events import Event, EventType
from vswitch.daemon.netns import Namespace, NamespaceError, NamespaceWatch
from vswitch.daemon.networks import Networks, identified
from vswitch.daemon.processes import ProcessError
from vswitch.daemon.publishing import Publishing, any_port
from vswitch.daemon.recordings import DIRECTORY, Recordings
from vswitch.daemon.resolver import Resolver, ResolverError, host_upstreams, render_resolv_conf
from vswitch.daemon.runtime import Runtime
from vswitch.daemon.store import FILE, Store, StoreError
from vswitch.daemon.uplinks import PortTakenError, UplinkError, Uplinks
from vswitch.dataplane.responders.dns import Host, Names
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Port
from vswitch.debug.live import triggers
from vswitch.debug.live.triggers import Counts, UnknownReasonError
from vswitch.devices.base import OpenError
from vswitch.impairment import UNIMPAIRED, Impairments
from vswitch.network.errors import NetworkError
from vswitch.network.ids import Identity
from vswitch.network.inventory import Inventory
from vswitch.network.model import (
    Configuration,
    Endpoint,
    EndpointRequest,
    Network,
)
from vswitch.wire.values import IpInterface

log = logging.getLogger(__name__)

_ENTROPY = SystemRandom()


class StartError(Exception):
    """The daemon could not come up. The text is one line for the user."""


class AttachError(Exception):
    """An endpoint could not be attached. The text is one line for the user."""


class Daemon:
    """One running switch."""

    def __init__(
        self, configuration: Configuration, journal: Journal, fast_path: str | None = None
    ) -> None:
        """Call within the event loop. Nothing is made yet: `start` does that.

        Raises NoSuchFastPath.
        """
        random = Random(_ENTROPY.getrandbits(128))
        host_resolv_conf = _read_host_resolv_conf()
        upstreams = configuration.dns.upstreams or host_upstreams(host_resolv_conf)
        self.configuration = configuration
        self.inventory = Inventory(
            identified(configuration.networks, random),
            configuration.uplinks,
            random,
            configuration.pools,
            any_port(),
        )
        self.switch = Switch(random, configuration.limits, fast_path)
        self.events = Events()
        self.runtime = Runtime(self.switch, self._device_gone, self._take_news)
        self.resolv_conf = render_resolv_conf(host_resolv_conf)
        self._journal = journal
        self._resolver = Resolver(upstreams)
        self._uplinks = Uplinks(
            self.switch, self.runtime, self.inventory, journal, random, self.events
        )
        self._attacher = Attacher(
            self.switch, self.runtime, self._uplinks, self._resolver, journal, self.resolv_conf
        )
        self._host_ports = HostPorts(self.switch, self.runtime, self.inventory)
        self._attachments: dict[str, Attachment] = {}
        self._outside: dict[str, int] = {}
        """The networks behind the uplinks, by the names of these."""
        self.networks = Networks(
            *(self.switch, self.runtime, self.inventory, self._uplinks, self._host_ports),
            outside=self._outside,
            name_servers=[address for address, _ in configuration.dns.upstreams],
            random=random,
            events=self.events,
        )
        self.filters = Filters(self.switch, self.runtime, self.inventory, configuration)
        self._listeners = HostListeners()
        self.publishing = Publishing(
            *(self.switch, self.runtime, self.inventory, self._uplinks),
            listeners=self._listeners,
            networks=self.networks,
            events=self.events,
        )
        self.captures = Captures(self.switch, self.inventory, configuration.recorder.size)
        self._collisions = Collisions(self.inventory)
        self._recordings: Recordings | None = None
        self._carryover: Carryover | None = None
        self.bystanders = Bystanders(self.inventory)
        self._undo = ExitStack()
        self._namespace_watch: NamespaceWatch
        """From `start` on."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Make everything that the configuration asks for. Raises StartError."""
        for swept in self._journal.sweep():
            if swept.ending is not Undone.ABSENT:
                log.warning(
                    "left by a switch that was killed: %s: %s", swept.thing, swept.ending.value
                )
        self._recall()
        self._watch_namespaces()
        self._begin_recordings()
        for uplink in self.configuration.uplinks:
            try:
                self._outside[uplink.name] = self._uplinks.open(uplink)
            except UplinkError as error:
                raise StartError(str(error)) from error
        assembly.rule(self.switch, self.configuration, self.runtime.now())
        for network in self.inventory.networks:
            try:
                self.networks.begin(network)
            except LinkError as error:
                raise StartError(str(error)) from error
        self._resume_networks()
        try:
            self._collisions.watch()
        except LinkError as error:
            raise StartError(str(error)) from error
        for refusal in self.inventory.admit(self.configuration.endpoints):
            raise StartError(f"endpoint {refusal.name}: {refusal.error.explained}")
        self._note_choices()
        for endpoint in self.inventory.endpoints:
            try:
                await self._attach(endpoint, None)
            except AttachError as error:
                raise StartError(str(error)) from error
        self._take_over_connections()

    async def stop(self) -> None:
        """Take down everything that was made."""
        if self._carryover is not None:
            self.runtime.close()
            self._carryover.leave()
        for name in list(self._attachments):
            await self.detach(name, "the switch stops")
        self.bystanders.close()
        for task in list(self._tasks):
            await task
        if self._recordings is not None:
            await self._recordings.close()
        await self._collisions.close()
        self._host_ports.close()
        await self._resolver.close()
        self._uplinks.close()
        self.runtime.close()
        self._undo.close()
        rundir.remove_logs(self._journal.directory)
        for swept in self._journal.sweep():
            log.warning("%s: %s", swept.thing, swept.ending.value)

    # Endpoints

    async def add_endpoint(self, request: EndpointRequest, namespace: Namespace | None) -> Endpoint:
        """Attach a new endpoint in a namespace that exists, or a virtual machine, which has none.

        In the namespace of a process it lives as long as that. Raises NetworkError or AttachError.
        """
        endpoint = self.inventory.add_endpoint(request)
        try:
            await self._attach(endpoint, namespace)
        except AttachError:
            self.inventory.remove_endpoint(endpoint.name)
            raise
        return endpoint

    @property
    def attachments(self) -> Mapping[str, Attachment]:
        """The endpoints that are up, by name."""
        return self._attachments

    def attachment(self, name: str) -> Attachment:
        """How the endpoint called `name` is attached. Raises NetworkError."""
        attachment = self._attachments.get(name)
        if attachment is None:
            self.inventory.endpoint(name)
            raise NetworkError(f"endpoint {name} is not attached yet")
        return attachment

    async def detach(self, name: str, why: str) -> None:
        """Take an endpoint down and forget it; one that is not there is left alone."""
        attachment = self._attachments.pop(name, None)
        if attachment is None:
            return
        await attachment.undo.aclose()
        self.runtime.rearm()
        endpoint = self.inventory.remove_endpoint(name)
        log.info("endpoint %s detached: %s", name, why)
        self._tell_of(endpoint, Event.DETACH, Event.DESTROY, reason=why)

    def network_of(self, endpoint: Endpoint) -> Network:
        """The network that an endpoint is on."""
        return self.inventory.network(endpoint.network)

    async def _attach(self, endpoint: Endpoint, namespace: Namespace | None) -> None:
        network = self.network_of(endpoint)
        try:
            if namespace is not None and namespace.pid is None:
                self._namespace_watch.add(namespace)
            attachment = await self._attacher.attach(
                endpoint,
                network,
                self.networks.number(network),
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
        self.events.tell(EventType.ENDPOINT, event, endpoint.name, network=network, **about)
        for publication in endpoint.publications:
            publishing.tell(self.events, of_publications, publication, endpoint)

    async def _listen(self, attachment: Attachment) -> None:
        """Raises PortTakenError, and then the endpoint is detached."""
        present = self.inventory.endpoint(attachment.endpoint.name)
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
            for each in self.inventory.endpoints
            if each.network == endpoint.network
        )

    # Impairments

    def impair(self, name: str, wish: messages.ImpairmentBody) -> None:
        """Change how bad the line of the port `name` is. Raises NetworkError or ImpairmentError."""
        port = impairments.port_called(self.switch, name)
        before = impairments.present(self.switch, port)
        self._impair(port, impairments.wished(port, before, wish))

    def end_impairment(self, name: str) -> bool:
        """Let the line of the port `name` be as it is by itself; False where it was already.

        Raises NetworkError.
        """
        port = impairments.port_called(self.switch, name)
        if port.number not in self.switch.impaired:
            return False
        self._impair(port, UNIMPAIRED)
        return True

    def _impair(self, port: Port, wanted: Impairments) -> None:
        self.switch.impair(port.number, wanted, self.runtime.now())
        self.runtime.watch_anew(port)
        log.info("port %s impaired: %s", port.name, "none" if wanted.is_none else wanted)

    # The flight recorder

    def dump_recorder(self, why: str) -> None:
        """Write what the flight recorder holds into its directory."""
        if self._recordings is not None:
            self._recordings.dump_soon(why)

    def _begin_recordings(self) -> None:
        settings = self.configuration.recorder
        try:
            wanted = triggers.compile_all(settings.triggers)
        except UnknownReasonError as error:
            raise StartError(f"recorder.triggers: {error}") from error
        self._recordings = Recordings(
            self.configuration.name, settings, wanted, self.captures, self._counts
        )

    def _counts(self) -> Counts:
        recorder = self.captures.recorder
        return Counts(
            drops=self.switch.counters.drops,
            resets=recorder.resets if recorder else 0,
            unresolved=self.unresolved,
        )

    # Status

    @property
    def unresolved(self) -> int:
        """Queries of endpoints that no server has answered."""
        return self._resolver.unresolved

    def status(self) -> messages.StatusRow:
        """The switch as a whole."""
        tables = self.switch.tables
        return messages.StatusRow(
            name=self.configuration.name,
            version=__version__,
            pid=os.getpid(),
            fastpath=self.switch.fastpath.name,
            uplinks=self._uplinks.rows(),
            networks=tuple(network.name for network in self.inventory.networks),
            endpoints=(*self._attachments, *(each.name for each in self.bystanders.present)),
            connections=len(tables.connections),
            connections_at_most=tables.connections.capacity,
            mappings=len(tables.mappings),
            held_syns=len(tables.held_syns),
            incomplete_datagrams=len(tables.reassembly),
            errors_withheld=tables.errors_withheld,
            captures=len(self.captures),
            drops={
                reason.name.lower(): count for reason, count in self.switch.counters.drops.items()
            },
        )

    # What outlives the daemon

    def open_store(self) -> None:
        """Open the state, in which changes are kept from now on. Raises StoreError."""
        own = self.configuration.state_directory or DIRECTORY / self.configuration.name
        self._store = Store(Path(own) / FILE)
        self._undo.callback(self._store.close)
        self.networks.keep_in(self._store)

    def _recall(self) -> None:
        """Raises StartError."""
        try:
            self.open_store()
            self.inventory.remember(self._store.leases.all().values(), self._store.macs.all())
            self.inventory.recognise(self._store.identities.all())
        except StoreError as error:
            raise StartError(str(error)) from error

    def _resume_networks(self) -> None:
        """Raises StartError."""
        configured = {
            each.name: Identity(each.id, each.created) for each in self.inventory.networks
        }
        try:
            self._store.identities.replace(configured)
            self.networks.resume()
        except StoreError as error:
            raise StartError(str(error)) from error

    def _note_choices(self) -> None:
        """Write down what was chosen: the next daemon chooses the same. Raises StartError."""
        try:
            with self._store.change():
                self._store.leases.replace({each.name: each for each in self.inventory.endpoints})
                self._store.macs.replace(self.inventory.given_macs)
        except StoreError as error:
            raise StartError(str(error)) from error

    def _take_over_connections(self) -> None:
        """Raises StartError."""
        carryover = Carryover(self._store, self.switch)
        try:
            carryover.take_over({(each.network, each.address) for each in self.inventory.endpoints})
        except StoreError as error:
            raise StartError(str(error)) from error
        self._carryover = carryover
        self.runtime.rearm()

    # What goes away by itself

    def _watch_namespaces(self) -> None:
        self._namespace_watch = watch = NamespaceWatch()
        self._undo.callback(watch.close)
        loop = asyncio.get_running_loop()
        loop.add_reader(watch.fileno(), self._namespaces_gone)
        self._undo.callback(loop.remove_reader, watch.fileno())

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

    def _take_news(self) -> None:
        self._uplinks.take_news()
        self.filters.write_down()
        self.publishing.take_ended()

    def _device_gone(self, port: Port) -> None:
        for name, attachment in list(self._attachments.items()):
            if attachment.port.number == port.number:
                self._detach_soon(name, "its device is gone")
                return
        if not self._uplinks.gone(port):
            self._host_ports.gone(port)

    def _detach_soon(self, name: str, why: str) -> None:
        task = asyncio.get_running_loop().create_task(self.detach(name, why))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _names_of(endpoint: Endpoint) -> tuple[str, ...]:
    """What others may call it: its name, aliases and hostname."""
    own = () if endpoint.hostname is None else (endpoint.hostname,)
    return (endpoint.name, *endpoint.aliases, *own)


def _read_host_resolv_conf() -> str:
    try:
        return netns.RESOLV_CONF.read_text()
    except OSError as error:
        log.warning("%s cannot be read: %s", netns.RESOLV_CONF, error.strerror)
        return ""
