"""The daemon: a configuration made real, endpoints that come and go, an orderly end.

Theory of operation. The daemon holds the three worlds together: the `Inventory` of what a user
talks about, the `Switch` that carries frames, and the kernel's namespaces and links. What comes and
goes is an object of its own for each topic (`Networks`, `Endpoints`, `Publishing`, `Filters`, ...),
which makes each change in all three worlds or in none.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Collection
from contextlib import ExitStack
from random import Random, SystemRandom

from vswitch import __version__, assembly
from vswitch.daemon import messages
from vswitch.daemon.alterations import Parts
from vswitch.daemon.attaching.attachment import Attacher
from vswitch.daemon.attaching.bystanders import Bystanders
from vswitch.daemon.attaching.endpoints import AttachError, Endpoints, Staying
from vswitch.daemon.attaching.linked import LinkedEndpoints
from vswitch.daemon.attaching.takeover import Takeover
from vswitch.daemon.captures import Captures
from vswitch.daemon.carryover import Carryover
from vswitch.daemon.collisions import Collisions
from vswitch.daemon.configured import state_file
from vswitch.daemon.events import Events
from vswitch.daemon.filters import Filters
from vswitch.daemon.hostlistener import HostListeners
from vswitch.daemon.hostports import HostPorts
from vswitch.daemon.impairments import BadLines
from vswitch.daemon.kernel.journal import NOBODY, Journal
from vswitch.daemon.kernel.links import LinkError
from vswitch.daemon.kernel.made import Undone
from vswitch.daemon.leasing.leases import Leases
from vswitch.daemon.logs import Logs
from vswitch.daemon.networks import Networks, identified
from vswitch.daemon.process import rundir
from vswitch.daemon.published import Published
from vswitch.daemon.publishing import Publishing, any_port
from vswitch.daemon.recordings import Recordings
from vswitch.daemon.reload import Reload
from vswitch.daemon.resolving.listening.listeners import ResolverError
from vswitch.daemon.resolving.responder import Responder
from vswitch.daemon.resolving.selftest import SelfTest
from vswitch.daemon.runtime import Runtime
from vswitch.daemon.store import Store, StoreError
from vswitch.daemon.uplinks import UplinkError, Uplinks
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Port
from vswitch.debug.live.triggers import Counts
from vswitch.network.inventory import Inventory
from vswitch.network.model import Configuration

log = logging.getLogger(__name__)

_ENTROPY = SystemRandom()


class StartError(Exception):
    """The daemon could not come up. The text is one line for the user."""


class Daemon:
    """One running switch."""

    def __init__(
        self, configuration: Configuration, journal: Journal, fast_path: str | None = None
    ) -> None:
        """Call within the event loop. Nothing is made yet: `start` does that.

        Raises NoSuchFastPath.
        """
        random = Random(_ENTROPY.getrandbits(128))
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
        self._journal = journal
        self._uplinks = Uplinks(
            self.switch, self.runtime, self.inventory, journal, random, self.events
        )
        self.bad_lines = BadLines(self.switch, self.runtime)
        self._host_ports = HostPorts(self.switch, self.runtime, self.inventory)
        self.leases = Leases(self.switch, self.runtime, self.inventory, self.events)
        self._outside: dict[str, int] = {}
        """The networks behind the uplinks, by the names of these."""
        self.networks = Networks(
            *(self.switch, self.runtime, self.inventory, self._uplinks, self._host_ports),
            leases=self.leases,
            outside=self._outside,
            name_servers=[each.address for each in configuration.dns.servers],
            random=random,
            events=self.events,
        )
        self.responder = Responder(
            *(self.switch, self.runtime, self.inventory, journal),
            number=self.networks.number,
            settings=configuration.dns,
        )
        self.filters = Filters(self.switch, self.runtime, self.inventory, configuration.filters)
        self._listeners = HostListeners(self.switch, self.runtime)
        linked = LinkedEndpoints(self.switch, self.inventory, self.networks)
        self._published = Published(self.switch.tables.publications)
        self.publishing = Publishing(
            *(self.switch, self.runtime, self.inventory, self._uplinks),
            listeners=self._listeners,
            linked=linked,
            networks=self.networks,
            published=self._published,
            events=self.events,
        )
        self.endpoints = Endpoints(
            *(self.inventory, self.networks, self.runtime),
            attacher=Attacher(
                *(self.switch, self.runtime, self._uplinks, self.responder, journal),
                listeners=self._listeners,
                linked=linked,
                resume=self.publishing.resume,
            ),
            publishing=self.publishing,
            events=self.events,
        )
        self._self_test = SelfTest(self.endpoints.homes)
        self.captures = Captures(self.switch, self.inventory, configuration.recorder.size)
        self._collisions = Collisions(self.inventory)
        self.recordings = Recordings(
            configuration.name, configuration.recorder, self.captures, self._counts
        )
        self._carryover: Carryover | None = None
        self.bystanders = Bystanders(self.inventory, self.events)
        parts = Parts(
            *(self.switch, self.runtime, self.inventory, self._uplinks),
            networks=self.networks,
            endpoints=self.endpoints,
            publishing=self.publishing,
            filters=self.filters,
            responder=self.responder,
            outside=self._outside,
            random=random,
            recordings=self.recordings,
        )
        self.reload = Reload(configuration, parts, self._note_choices)
        self._undo = ExitStack()
        self.removes = False
        """Whether nothing is to be left of the switch when it stops."""
        self.stopping = asyncio.Event()
        """It is time to stop."""

    async def start(self) -> None:
        """Make everything that the configuration asks for, and take over what has outlived the
        last daemon. Raises StartError."""
        try:
            takeover = self._recall()
            self._sweep(spare=takeover.kept)
            self.endpoints.watch()
            self._undo.callback(Logs(rundir.logs(self._journal.directory)).close)
            self.recordings.begin()
            await self.responder.begin()
            for uplink in self.configuration.uplinks:
                self._outside[uplink.name] = self._uplinks.open(uplink)
            assembly.rule(self.switch, self.configuration, self.runtime.now())
            for network in self.inventory.networks:
                self.networks.begin(network)
            self.networks.resume()
            self.filters.resume()
            self._collisions.watch()
            await self._bring_endpoints(takeover)
            self.leases.resume()
            self.bystanders.resume()
            self._take_over_connections()
            self.publishing.end_served()
            self._self_test.begin()
        except (UplinkError, LinkError, AttachError, ResolverError, StoreError) as error:
            raise StartError(str(error)) from error

    async def stop(self) -> None:
        """Take down everything that was made, but for those who live on: the next daemon goes on
        with them. When the switch is to remove what it has, nobody does."""
        self.leases.close()
        if self._carryover is not None:
            self.runtime.close()
            self._carryover.leave()
        await self._self_test.close()
        await self.endpoints.close(self._staying)
        await self.reload.close()
        self.bystanders.close(forget=self.removes)
        await self.recordings.close()
        await self._collisions.close()
        self._host_ports.close()
        await self.responder.close()
        self._uplinks.close()
        self.runtime.close()
        self._undo.close()
        living = frozenset() if self.removes else self._journal.owners
        rundir.remove_logs(self._journal.directory, but=living)
        for swept in self._journal.sweep(spare=living):
            log.warning("%s: %s", swept.thing, swept.ending.value)

    @property
    def _staying(self) -> Staying:
        if self.removes:
            return Staying.NOTHING
        return Staying.WHO_LIVES if self._carryover is not None else Staying.WHO_WAS_LEFT

    def ask_to_stop(self, *, remove: bool = False) -> None:
        """Let the switch stop; with `remove`, so that nothing is left of it."""
        self.removes = self.removes or remove
        self.stopping.set()

    # Status

    @property
    def unresolved(self) -> int:
        """Queries of endpoints that no server has answered."""
        return self.responder.resolver.unresolved

    def _counts(self) -> Counts:
        recorder = self.captures.recorder
        return Counts(
            drops=self.switch.counters.drops,
            resets=recorder.resets if recorder else 0,
            unresolved=self.unresolved,
        )

    def status(self) -> messages.StatusRow:
        """The switch as a whole."""
        tables, asked = self.switch.tables, self.responder.routes.servers
        return messages.StatusRow(
            name=self.configuration.name,
            version=__version__,
            pid=os.getpid(),
            fastpath=self.switch.fastpath.name,
            uplinks=self._uplinks.rows(),
            networks=tuple(network.name for network in self.inventory.networks),
            endpoints=(*self.endpoints.attached, *(each.name for each in self.bystanders.present)),
            connections=len(tables.connections),
            connections_at_most=tables.connections.capacity,
            mappings=len(tables.mappings),
            held_syns=len(tables.held_syns),
            incomplete_datagrams=len(tables.reassembly),
            errors_withheld=tables.errors_withheld,
            captures=len(self.captures),
            name_servers=tuple(map(str, asked)),
            silent_servers=self.responder.shown.silent(asked),
            without_names=dict(self._self_test.silent),
            drops={
                reason.name.lower(): count for reason, count in self.switch.counters.drops.items()
            },
        )

    # What outlives the daemon

    def open_store(self) -> None:
        """Open the state, in which changes are kept from now on. Raises StoreError."""
        self._store = Store(state_file(self.configuration))
        self._undo.callback(self._store.close)
        self.networks.keep_in(self._store)
        self.filters.keep_in(self._store)
        self._published.keep_in(self._store)
        self.endpoints.keep_in(self._store)
        self.bystanders.keep_in(self._store)
        self.leases.keep_in(self._store)

    def _recall(self) -> Takeover:
        """Raises StoreError."""
        self.open_store()
        takeover = Takeover(self._store, self._published, self.inventory, self.configuration)
        before = [each.given for each in takeover.kept.values()]
        self.inventory.remember(before, self._store.macs.all())
        self.inventory.recognise(self._store.identities.all())
        self.leases.recall(self.configuration)
        return takeover

    def _sweep(self, spare: Collection[str]) -> None:
        for swept in self._journal.sweep(spare):
            if swept.ending is not Undone.ABSENT:
                log.warning("left by an earlier switch: %s: %s", swept.thing, swept.ending.value)

    async def _bring_endpoints(self, takeover: Takeover) -> None:
        """Raises StartError, AttachError or StoreError."""
        for refusal in takeover.admit():
            raise StartError(f"endpoint {refusal.name}: {refusal.error.explained}")
        self._store.macs.replace(self.inventory.given_macs)
        for endpoint in self.inventory.endpoints:
            kept = takeover.kept[endpoint.name]
            try:
                await self.endpoints.resume(endpoint, kept)
            except AttachError as error:
                if kept.home is None:
                    raise
                takeover.forget(endpoint.name, str(error))
        self.endpoints.note()
        self._sweep(spare={NOBODY, *self.endpoints.attached})

    def _note_choices(self) -> None:
        """Write down what was chosen: the next daemon chooses the same. Raises StoreError."""
        with self._store.change():
            self.networks.note()
            self.endpoints.note()
            self._store.macs.replace(self.inventory.given_macs)

    def _take_over_connections(self) -> None:
        """Raises StoreError."""
        carryover = Carryover(self._store, self.switch)
        carryover.take_over(
            {
                (at.network, at.address)
                for endpoint in self.inventory.endpoints
                for at in endpoint.memberships
            }
        )
        self._carryover = carryover
        self.runtime.rearm()

    # What goes away by itself

    def _take_news(self) -> None:
        self._uplinks.take_news()
        self.filters.write_down()
        self.leases.take_news()
        self.publishing.take_news()
        self.responder.gateways.take_news()

    def _device_gone(self, port: Port) -> None:
        holders = self.endpoints, self._uplinks, self.responder.gateways
        if not any(each.gone(port) for each in holders):
            self._host_ports.gone(port)
