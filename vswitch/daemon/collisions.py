"""Networks that the host has a way to of its own: somebody has brought up a VPN, say.

Theory of operation. An address that exists inside and on a link of the host's can not be told apart
(RFC 4787, REQ-7): who is there does not reach the endpoints, nor they them. A subnet that the
switch chooses is clear of that when it is chosen, but routes come later, and people choose by hand.
So the host's routes are looked at when the switch starts and whenever the kernel says that some
route is another one (rtnetlink(7)). What an event says is not read, it only is a reason to look.

Nothing is changed by this: moving a network under running endpoints would be worse. Each collision
is told once, with a subnet of the same size that is free.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterable
from contextlib import ExitStack

from vswitch.daemon.kernel import linkevents, links
from vswitch.daemon.kernel.links import LinkError
from vswitch.network.errors import NetworkError
from vswitch.network.inventory import Inventory
from vswitch.network.model import Network
from vswitch.wire.values import IpNetwork

log = logging.getLogger(__name__)


_CALM_SECONDS = 0.2
"""How long routes may go on changing before they are looked at: a VPN brings many at once."""


class Collisions:
    """Tells of the networks of one switch that the host is in the way of."""

    def __init__(self, inventory: Inventory) -> None:
        """Nothing is watched yet: `watch` does that."""
        self._inventory = inventory
        self._told: set[tuple[str, IpNetwork]] = set()
        self._is_stale = False
        self._looking: asyncio.Task[None] | None = None
        self._undo = ExitStack()

    def watch(self) -> None:
        """Look now, and at each change of the host's routes. Call within the event loop.

        Raises LinkError where the kernel does not let itself be asked.
        """
        events = linkevents.listen(linkevents.IPV4_ROUTES, "route")
        self._undo.callback(events.close)
        loop = asyncio.get_running_loop()
        loop.add_reader(events.fileno(), self._changed, events)
        self._undo.callback(loop.remove_reader, events.fileno())
        self.tell(links.on_link_subnets())

    async def close(self) -> None:
        """Watch no longer."""
        self._undo.close()
        if self._looking is not None:
            await self._looking

    def tell(self, hosts: Iterable[IpNetwork]) -> None:
        """Say which networks collide with what the host has now, if that has not been said."""
        there = tuple(hosts)
        found = {
            (network.name, subnet): network
            for network in self._inventory.networks
            for subnet in there
            if network.subnet.overlaps(subnet) and not _is_ours(network, subnet)
        }
        for (name, subnet), network in found.items():
            if (name, subnet) not in self._told:
                words = "network %s: its subnet %s overlaps %s, which the host has on a link: %s"
                log.warning(words, name, network.subnet, subnet, self._proposal(network, there))
        self._told = set(found)

    def _proposal(self, network: Network, hosts: Iterable[IpNetwork]) -> str:
        try:
            free = self._inventory.free_subnet(network.subnet.prefix_length, hosts)
        except NetworkError as error:
            return str(error)
        return f"{free} is free"

    def _changed(self, events: socket.socket) -> None:
        linkevents.drain(events)
        self._is_stale = True
        if self._looking is None or self._looking.done():
            self._looking = asyncio.get_running_loop().create_task(self._look_again())

    async def _look_again(self) -> None:
        """Until nothing has changed since the last look began."""
        while self._is_stale:
            await asyncio.sleep(_CALM_SECONDS)
            self._is_stale = False
            await self._look()

    async def _look(self) -> None:
        try:
            self.tell(await asyncio.to_thread(links.on_link_subnets))
        except LinkError as error:
            log.warning("collisions with the host's routes are not seen: %s", error)


def _is_ours(network: Network, subnet: IpNetwork) -> bool:
    """Whether a subnet is on a link of the host's because the host is on the network itself."""
    return network.host and subnet == network.subnet
