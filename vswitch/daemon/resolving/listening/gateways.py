"""The gateways' port 53 in the daemon: who asks there, and whence come answers that take a while.

Theory of operation. A query in a frame comes here within the walk (`hear`): who asks is known by
network and address (`parties`), and is answered by the same as at 127.0.0.11 (`answering`). What
servers are to be asked waits in the dataplane until `take_news`, which begins to ask them; their
answer goes back by the switch. Who asks by TCP is led to a socket of ours (`owntcp`), which is made
when the first one does; there the gateway's address says which network it is.

What is a query, and whose, is decided by `dataplane.dns_stage` and `dataplane.stream_stage`.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import ExitStack
from typing import TYPE_CHECKING

from vswitch.daemon.kernel.links import LinkError
from vswitch.daemon.resolving.listening.conversations import Conversations, Ends
from vswitch.daemon.resolving.listening.listeners import Resolver
from vswitch.daemon.resolving.listening.owntcp import OwnTcp
from vswitch.daemon.resolving.parties import Parties
from vswitch.daemon.runtime import Runtime
from vswitch.dataplane.queries import Query
from vswitch.dataplane.responders.dns.front import Asker, Heard
from vswitch.dataplane.responders.dns.party import Party
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Port
from vswitch.devices.base import OpenError
from vswitch.units import Nanoseconds
from vswitch.wire.values import IpAddress

if TYPE_CHECKING:
    from vswitch.daemon.resolving.answering import Answering

log = logging.getLogger(__name__)

AGAIN_SECONDS = 10.0
"""After which it is tried once more to listen, where that could not be done."""

MOST_OF_ONE = 8
"""Clients by TCP of one address, so that nobody takes all the room there is for those of all
networks."""


class Gateways:
    """Those of one switch. Belongs to the running event loop. Implements `front.Front`."""

    def __init__(
        self, switch: Switch, runtime: Runtime, resolver: Resolver, parties: Parties
    ) -> None:
        """They answer from now on."""
        self._switch = switch
        self._runtime = runtime
        self._resolver = resolver
        self._parties = parties
        self._answering: dict[Party, Answering] = {}
        self._conversations = Conversations(self._who_talks, MOST_OF_ONE)
        self._making: asyncio.Task[None] | None = None
        self._again: asyncio.TimerHandle | None = None
        self._listening = ExitStack()
        """Ends the port that leads to who listens."""
        switch.tables.queries.front = self
        switch.tables.listening.is_possible = True

    def hear(self, query: bytes, asker: Asker, now: Nanoseconds, *, commit: bool) -> Heard:  # noqa: ARG002
        """What becomes of a query; without `commit`, what would."""
        from vswitch.dataplane.responders.dns.hearing import heard

        network = self._switch.tables.networks[asker.network].name
        answering = self._who_answers(self._parties.at_gateway(network, asker.address))
        return heard(query, answering.hear(query) if commit else answering.preview(query))

    def take_news(self) -> None:
        """Begin to ask what waits for servers, and to listen where somebody wants to talk."""
        for query in self._switch.tables.queries.take():
            self._forward(query)
        if self._switch.tables.listening.is_wanted and self._making is None:
            self._making = asyncio.get_running_loop().create_task(self._listen())

    def gone(self, port: Port) -> bool:
        """Whether it was who listens that has gone; another one is made when somebody asks."""
        listener = self._switch.tables.listening.listener
        if listener is None or listener.port != port.number:
            return False
        self._listening.close()
        self._making = None
        return True

    async def close(self) -> None:
        """Answer nobody any more."""
        self._switch.tables.queries.front = None
        if self._making is not None:
            self._making.cancel()
            await asyncio.gather(self._making, return_exceptions=True)
        if self._again is not None:
            self._again.cancel()
        self._listening.close()
        await self._conversations.close()
        for answering in self._answering.values():
            await answering.close()

    def _forward(self, query: Query) -> None:
        """By who would answer it now: the endpoint may have gone since, and its port with it."""

        def say(message: bytes) -> None:
            self._switch.answer_query(query, message, self._runtime.now())
            self._runtime.rearm()

        network = self._switch.tables.networks[query.asker.network].name
        answering = self._who_answers(self._parties.at_gateway(network, query.asker.address))
        answering.forward(query.message, query.inquiry, say)

    def _who_answers(self, party: Party) -> Answering:
        known = self._answering.get(party)
        if known is not None:
            return known
        self._answering = {
            each: answering
            for each, answering in self._answering.items()
            if self._parties.has(each)
        }
        answering = self._answering[party] = self._resolver.answering(party)
        return answering

    # By TCP

    def _who_talks(self, ends: Ends) -> Answering:
        """Raises ConnectionError where the network has gone that it was about."""
        network = self._switch.tables.owner(IpAddress.parse(ends.here))
        if network is None:
            raise ConnectionAbortedError
        return self._who_answers(
            self._parties.at_gateway(network.name, IpAddress.parse(ends.there))
        )

    def _try_again(self) -> None:
        self._switch.tables.listening.is_possible = True
        self._making = None

    async def _listen(self) -> None:
        listening = self._switch.tables.listening
        try:
            made = await asyncio.to_thread(OwnTcp.make)
        except (LinkError, OpenError, OSError) as error:
            log.error("gateways can not be asked for names by TCP: %s", error)
            listening.give_up()
            self._again = asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._try_again)
            return
        self._listening.callback(made.tap.close)
        await self._conversations.begin(made.listening)
        port = self._switch.add_listener(made.tap, made.mac)
        self._listening.callback(lambda: self._switch.remove_listener(self._runtime.now()))
        self._runtime.watch(port)
        self._listening.callback(self._runtime.forget, port)
        self._switch.decide(listening.take_early(), self._runtime.now())
        self._runtime.rearm()
