"""Commands on the networks `host` and `none`: named and listed, and nothing else of the switch's.

A bystander has a name that no endpoint may have meanwhile, and a process with which it ends. One on
`none` finds its loopback up, as in a container; one on `host` is where it was. That they come and
go is told as it is of endpoints. It is written down, so that the next daemon lists it, too.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from vswitch.daemon.events import Events
from vswitch.daemon.kernel import links
from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.kernel.processes import Process, ProcessError
from vswitch.daemon.messages.events import Event, EventType
from vswitch.daemon.store import Store, StoreError
from vswitch.daemon.store.kept import KeptBystander
from vswitch.network.errors import NetworkError
from vswitch.network.inventory import Inventory
from vswitch.network.model import EndpointRequest
from vswitch.network.unswitched import Unswitched, require_nothing_of_ours

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bystander:
    """A command beside the switch."""

    name: str
    network: Unswitched
    process: Process
    hostname: str | None
    domainname: str | None


class Bystanders:
    """Those of one switch. Belongs to one event loop."""

    def __init__(self, inventory: Inventory, events: Events) -> None:
        self._inventory = inventory
        self._events = events
        self._present: dict[str, Bystander] = {}
        self._store: Store
        """From `keep_in` on."""

    def keep_in(self, store: Store) -> None:
        """Keep in `store` who comes and goes from now on."""
        self._store = store

    def resume(self) -> None:
        """Take up again who is there still, and forget all others. Raises StoreError."""
        for name, kept in self._store.bystanders.all().items():
            try:
                called = kept.hostname, kept.domainname
                bystander = self._take_up(name, kept.network, kept.process.pid, *called)
                if bystander.process.birth != kept.process:
                    self._forget(bystander)
                    raise ProcessError(f"process {kept.process.pid} is another one")
            except (NetworkError, ProcessError) as error:
                log.warning("%s is listed no more: %s", name, error)
                self._store.bystanders.remove(name)
            else:
                self._watch(bystander)

    @property
    def present(self) -> tuple[Bystander, ...]:
        """Every one, in the order in which they came."""
        return tuple(self._present.values())

    def find(self, name: str) -> Bystander | None:
        """The one called `name`."""
        return self._present.get(name)

    async def add(self, request: EndpointRequest, network: Unswitched, pid: int) -> Bystander:
        """Take up what runs in process `pid`.

        Raises NetworkError, ProcessError, LinkError or StoreError.
        """
        require_nothing_of_ours(request)
        called = request.hostname, request.domainname
        bystander = self._take_up(request.name, network, pid, *called)
        try:
            if network is Unswitched.NONE:
                await asyncio.to_thread(links.set_up, "lo", Namespace.of_process(pid))
            kept = KeptBystander(network, bystander.process.birth, *called)
            self._store.bystanders.put(bystander.name, kept)
        except BaseException:
            self._forget(bystander)
            raise
        self._watch(bystander)
        return bystander

    def remove(self, name: str, why: str) -> bool:
        """Forget the one called `name`, which may go on to run; False where there is none.

        Raises StoreError, and then it is forgotten, but may be listed again after the next start.
        """
        bystander = self._present.get(name)
        if bystander is None:
            return False
        self._forget(bystander)
        self._store.bystanders.remove(name)
        log.info("%s is listed no more: %s", name, why)
        self._tell_of(bystander, Event.DETACH, reason=why)
        return True

    def close(self, *, forget: bool) -> None:
        """Let go of all. The next daemon finds those who are there still, unless it is to `forget`
        them."""
        for bystander in self.present:
            if forget:
                self._end(bystander.name, "the switch stops, and removes it")
            else:
                self._forget(bystander)

    def _take_up(
        self,
        name: str,
        network: Unswitched,
        pid: int,
        hostname: str | None,
        domainname: str | None,
    ) -> Bystander:
        """Raises NetworkError or ProcessError."""
        self._inventory.reserve_name(name, network.value)
        try:
            bystander = Bystander(name, network, Process(pid), hostname, domainname)
        except BaseException:
            self._inventory.free_name(name)
            raise
        self._present[name] = bystander
        return bystander

    def _watch(self, bystander: Bystander) -> None:
        name, pid = bystander.name, bystander.process.pid
        bystander.process.watch(lambda: self._end(name, "its process has ended"))
        log.info("%s runs on network %s, in process %d", name, bystander.network.value, pid)
        self._tell_of(bystander, Event.ATTACH, pid=pid)

    def _end(self, name: str, why: str) -> None:
        try:
            self.remove(name, why)
        except StoreError as error:
            log.error("%s: %s", name, error)

    def _forget(self, bystander: Bystander) -> None:
        del self._present[bystander.name]
        bystander.process.close()
        self._inventory.free_name(bystander.name)

    def _tell_of(self, bystander: Bystander, event: Event, **about: object) -> None:
        network = bystander.network.value
        self._events.tell(EventType.ENDPOINT, event, bystander.name, network=network, **about)
