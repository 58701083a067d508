"""How queries get to servers: in datagrams, or in streams. One carrier for both."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from random import Random

from vswitch.daemon.resolving.asking.by_datagram import ByDatagram
from vswitch.daemon.resolving.asking.by_stream import ByStream
from vswitch.dataplane.responders.dns.outside.attempt import Attempt, Way
from vswitch.units import Nanoseconds


class Carriers:
    """Those of one event loop, which is running."""

    def __init__(self, random: Random, now: Callable[[], Nanoseconds]) -> None:
        self._loop = asyncio.get_running_loop()
        self._by_datagram = ByDatagram(random, now)
        self._by_stream = ByStream(random, now)
        self._loop.add_reader(self._by_datagram.fileno(), self._by_datagram.read)

    def send(self, attempt: Attempt) -> str | None:
        """As `Carrier.send`."""
        return self._by(attempt).send(attempt)

    def forget(self, attempt: Attempt) -> None:
        """As `Carrier.forget`."""
        self._by(attempt).forget(attempt)

    def leave(self, origin: Hashable) -> None:
        """Close what is open in a namespace."""
        self._by_datagram.leave(origin)
        self._by_stream.leave(origin)

    async def close(self) -> None:
        """Close all. Who waits for something is not told."""
        self._loop.remove_reader(self._by_datagram.fileno())
        self._by_datagram.close()
        await self._by_stream.close()

    def _by(self, attempt: Attempt) -> ByDatagram | ByStream:
        return self._by_datagram if attempt.way is Way.DATAGRAM else self._by_stream
