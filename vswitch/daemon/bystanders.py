"""Commands on the networks `host` and `none`: named and listed, and nothing else of the switch's.

A bystander has a name that no endpoint may have meanwhile, and a process with which it ends. One on
`none` finds its loopback up, as in a container; one on `host` is where it was. That they come and
go is told as it is of endpoints.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from vswitch.daemon import links
from vswitch.daemon.events import Events
from vswitch.daemon.messages.events import Event, EventType
from vswitch.daemon.netns import Namespace
from vswitch.daemon.processes import Process
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


class Bystanders:
    """Those of one switch. Belongs to one event loop."""

    def __init__(self, inventory: Inventory, events: Events) -> None:
        self._inventory = inventory
        self._events = events
        self._present: dict[str, Bystander] = {}

    @property
    def present(self) -> tuple[Bystander, ...]:
        """Every one, in the order in which they came."""
        return tuple(self._present.values())

    def find(self, name: str) -> Bystander | None:
        """The one called `name`."""
        return self._present.get(name)

    async def add(self, request: EndpointRequest, network: Unswitched, pid: int) -> Bystander:
        """Take up what runs in process `pid`. Raises NetworkError, ProcessError or LinkError."""
        require_nothing_of_ours(request)
        self._inventory.reserve_name(request.name, network.value)
        try:
            bystander = Bystander(request.name, network, Process(pid), request.hostname)
        except BaseException:
            self._inventory.free_name(request.name)
            raise
        self._present[bystander.name] = bystander
        try:
            if network is Unswitched.NONE:
                await asyncio.to_thread(links.set_up, "lo", Namespace.of_process(pid))
        except BaseException:
            self._forget(bystander)
            raise
        bystander.process.watch(lambda: self.remove(bystander.name, "its process has ended"))
        log.info("%s runs on network %s, in process %d", bystander.name, network.value, pid)
        self._tell_of(bystander, Event.ATTACH, pid=pid)
        return bystander

    def remove(self, name: str, why: str) -> bool:
        """Forget the one called `name`, which may go on to run; False where there is none."""
        bystander = self._present.get(name)
        if bystander is None:
            return False
        self._forget(bystander)
        log.info("%s is listed no more: %s", name, why)
        self._tell_of(bystander, Event.DETACH, reason=why)
        return True

    def close(self) -> None:
        """Forget all."""
        for name in tuple(self._present):
            self.remove(name, "the switch stops")

    def _forget(self, bystander: Bystander) -> None:
        del self._present[bystander.name]
        bystander.process.close()
        self._inventory.free_name(bystander.name)

    def _tell_of(self, bystander: Bystander, event: Event, **about: object) -> None:
        network = bystander.network.value
        self._events.tell(EventType.ENDPOINT, event, bystander.name, network=network, **about)
