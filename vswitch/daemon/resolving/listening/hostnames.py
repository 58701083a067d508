"""Answering the host itself, where the user wants that: `listen` of [dns].

Theory of operation. Sockets of UDP and TCP in the daemon's own namespace answer for the names of
all networks, by who answers endpoints (`answering`). Nothing is ever asked of servers for who asks
here, so it is safe to lead a stub resolver here that we ask ourselves, like systemd-resolved: no
query can come around. What is below the name of a network and nobody's does not exist, as nobody
else can know it, and neither does the name of an address there that nobody has; all else is
refused, by which a resolver knows to ask somebody else.

Read first: resolved.conf(5) on routing domains; RFC 1034, 4.3.1 for who refuses.
"""

from __future__ import annotations

import socket
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from vswitch.daemon.resolving.listening.datagrams import Slots
from vswitch.daemon.resolving.listening.listeners import (
    Listener,
    Resolver,
    ResolverError,
    listening_sockets,
)
from vswitch.daemon.resolving.parties import Parties
from vswitch.network.inventory import Inventory
from vswitch.wire.values import IpAddress

if TYPE_CHECKING:
    from vswitch.daemon.resolving.answering import Answering

Place: TypeAlias = tuple[IpAddress, int]
"""An address of the host's, and a port."""


class HostNames:
    """At most one place where the host is answered. Belongs to one event loop."""

    def __init__(self, resolver: Resolver, parties: Parties, inventory: Inventory) -> None:
        self._resolver = resolver
        self._parties = parties
        self._inventory = inventory
        self._listener: Listener | None = None
        self.place: Place | None = None
        """Where; None: nowhere."""

    async def follow(self, place: Place | None) -> None:
        """Answer there from now on, and nowhere else.

        Raises ResolverError, as where another program has the port, and then all is as it was.
        """
        if place == self.place:
            return
        fresh = None if place is None else await self._open(place)
        before, self._listener, self.place = self._listener, fresh, place
        if before is not None:
            await before.close()

    async def close(self) -> None:
        """Answer nowhere any more."""
        await self.follow(None)

    async def _open(self, place: Place) -> Listener:
        address, port = place
        where = f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        try:
            by_datagram, by_stream = listening_sockets((str(address), port), family)
        except OSError as error:
            words = f"cannot listen at {where} for the host's queries: {error.strerror}"
            raise ResolverError(words) from error
        return await Listener.begin(by_datagram, by_stream, Slots(family), self._who_answers)

    def _who_answers(self) -> Answering:
        from vswitch.daemon.resolving.listening.hostanswering import HostAnswering

        kind = partial(HostAnswering, inventory=self._inventory)
        return self._resolver.answering(self._parties.host(), kind)
