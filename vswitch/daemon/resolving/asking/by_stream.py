"""Queries that go to servers by TCP, and in TLS (RFC 7766, RFC 7858).

Theory of operation. A server has one connection, which is kept for some seconds after it was used
last, and many queries are under way in it at a time. In TLS a server proves that it bears the name
that it is authenticated by: certificates are judged by the host's authorities, and nothing is said
to who can not prove it. A connection on which no reply comes while somebody waits is given up.

A server may close a connection that seems idle to it just as a query sets out, so what was sent on
one that has worked is sent once more on another one (RFC 7766, 6.2.4), and not a third time.

Which server is asked next where this fails is `searching`'s business.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable, Hashable
from functools import partial
from random import Random
from typing import cast

from vswitch.daemon.kernel import netns
from vswitch.daemon.kernel.netns import Namespace, NamespaceError
from vswitch.daemon.resolving.asking.by_datagram import words
from vswitch.dataplane.responders.dns.outside.attempt import Attempt
from vswitch.dataplane.responders.dns.outside.outgoing import IDENTIFIER_LENGTH
from vswitch.dataplane.responders.dns.outside.servers import Place
from vswitch.units import Nanoseconds

IDLE_SECONDS = 8.0
"""Less than most servers wait (RFC 7766, 6.2.3)."""

MUTE_SECONDS = 4.0
"""For so long somebody waits and no reply comes: also for the connection itself."""

AT_ONCE = 8
"""Queries of a connection that was lost to go on with, before others have their turn."""

_LENGTH = 2
"""Octets in front of a message (RFC 1035, 4.2.2)."""

_MUTE = "it does not answer"

_ALPN = "dot"
"""RFC 7858's name among the protocols of TLS."""


class ByStream:
    """A carrier. Belongs to one event loop."""

    def __init__(self, random: Random, now: Callable[[], Nanoseconds]) -> None:
        self._random = random
        self._now = now
        self._connections: dict[Place, _Connection] = {}
        self._context: ssl.SSLContext | None = None

    def send(self, attempt: Attempt) -> str | None:
        """As `Carrier.send`: what fails fails later."""
        place = attempt.health.place
        connection = self._connections.get(place)
        if connection is None:
            connection = _Connection(
                place, self._random, self._now, trust=self._trust, lost=self._lost
            )
            self._connections[place] = connection
        connection.say(attempt)
        return None

    def forget(self, attempt: Attempt) -> None:
        """As `Carrier.forget`."""
        if isinstance(attempt.at, _Connection):
            attempt.at.forget(attempt)

    def leave(self, origin: Hashable) -> None:
        """Close what is open in a namespace."""
        for connection in list(self._connections.values()):
            if connection.place.origin == origin:
                self._drop(connection)

    async def close(self) -> None:
        """Close all. Who waits for something is not told."""
        tasks = [each.task for each in self._connections.values()]
        for connection in list(self._connections.values()):
            self._drop(connection)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _drop(self, connection: _Connection) -> None:
        del self._connections[connection.place]
        connection.drop()

    async def _trust(self) -> ssl.SSLContext:
        """Whom the host trusts, which takes a while to read."""
        if self._context is None:
            context = await asyncio.to_thread(ssl.create_default_context)
            context.set_alpn_protocols([_ALPN])
            self._context = context
        return self._context

    def _lost(self, connection: _Connection, why: str) -> None:
        if self._connections.get(connection.place) is not connection:
            return
        del self._connections[connection.place]
        self._go_on(connection, again=connection.has_worked, why=why)

    def _go_on(self, connection: _Connection, *, again: bool, why: str) -> None:
        """Send what waits there once more, or tell that it is lost, some at a time."""
        for _ in range(AT_ONCE):
            attempt = connection.take()
            if attempt is None:
                return
            if again and not attempt.is_repeated:
                attempt.is_repeated = True
                self.send(attempt)
            else:
                attempt.lose(why, self._now())
        going_on = partial(self._go_on, connection, again=again, why=why)
        asyncio.get_running_loop().call_soon(going_on)


class _Connection(asyncio.Protocol):
    """To one server. It is begun at once, and what is said before it is there is sent then."""

    def __init__(
        self,
        place: Place,
        random: Random,
        now: Callable[[], Nanoseconds],
        *,
        trust: Callable[[], Awaitable[ssl.SSLContext]],
        lost: Callable[[_Connection, str], None],
    ) -> None:
        self.place = place
        self.has_worked = False
        """Whether a reply has come here."""
        self._random = random
        self._now = now
        self._trust = trust
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[bytes, Attempt] = {}
        self._heard = bytearray()
        self._transport: asyncio.Transport | None = None
        self._used_at = self._loop.time()
        self._timer = self._loop.call_later(MUTE_SECONDS, self._look)
        self.task = self._loop.create_task(self._begin())
        """Which connects."""

    def say(self, attempt: Attempt) -> None:
        """Send it, or let it wait for the connection."""
        identifier = self._random.randbytes(IDENTIFIER_LENGTH)
        while identifier in self._waiting:
            identifier = self._random.randbytes(IDENTIFIER_LENGTH)
        if not self._waiting:
            self._used_at = self._loop.time()
        self._waiting[identifier] = attempt
        attempt.identifier, attempt.at = identifier, self
        self._write(attempt)

    def forget(self, attempt: Attempt) -> None:
        """Its answer is not wanted any more."""
        self._waiting.pop(attempt.identifier, None)

    def take(self) -> Attempt | None:
        """One that waits, and does not any more."""
        return self._waiting.popitem()[1] if self._waiting else None

    def drop(self) -> None:
        """End it. Nobody is told."""
        self._timer.cancel()
        self.task.cancel()
        self._waiting = {}
        if self._transport is not None:
            self._transport.abort()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say what has waited for it."""
        self._transport = cast(asyncio.Transport, transport)
        for attempt in self._waiting.values():
            self._write(attempt)

    def data_received(self, data: bytes) -> None:
        """Hand out the replies that are whole."""
        self._heard += data
        while len(self._heard) >= _LENGTH:
            end = _LENGTH + int.from_bytes(self._heard[:_LENGTH], "big")
            if len(self._heard) < end:
                return
            reply = bytes(self._heard[_LENGTH:end])
            del self._heard[:end]
            self._hand_out(reply)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell who waits."""
        self._fail("the connection was closed" if exc is None else str(exc))

    # Beneath

    async def _begin(self) -> None:
        authenticated = self.place.server.authenticated
        try:
            async with asyncio.timeout(MUTE_SECONDS):
                context = None if authenticated is None else await self._trust()
                connected = await self._connect()
                await self._loop.create_connection(
                    lambda: self, sock=connected, ssl=context, server_hostname=authenticated
                )
        except TimeoutError:
            self._fail(_MUTE)
        except ssl.SSLCertVerificationError as error:
            self._fail(f"its certificate is not good: {error.verify_message}")
        except (OSError, NamespaceError) as error:
            self._fail(words(error))

    async def _connect(self) -> socket.socket:
        """Raises OSError or NamespaceError."""
        server, origin = self.place
        family = socket.AF_INET if server.address.version == 4 else socket.AF_INET6
        make = partial(socket.socket, family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        made = netns.run(make, origin) if isinstance(origin, Namespace) else make()
        try:
            await self._loop.sock_connect(made, (str(server.address), server.port))
        except BaseException:
            made.close()
            raise
        return made

    def _write(self, attempt: Attempt) -> None:
        if self._transport is not None:
            message = attempt.identifier + attempt.octets
            self._transport.write(len(message).to_bytes(_LENGTH, "big") + message)

    def _hand_out(self, reply: bytes) -> None:
        self._used_at = self._loop.time()
        self.has_worked = True
        identifier = reply[:IDENTIFIER_LENGTH]
        attempt = self._waiting.get(identifier)
        if attempt is not None and attempt.hear(reply, self._now()):
            self._waiting.pop(identifier, None)

    def _look(self) -> None:
        """Has a reply come for as long as somebody waits, or has anybody waited at all?"""
        quiet = self._loop.time() - self._used_at
        limit = MUTE_SECONDS if self._waiting else IDLE_SECONDS
        if quiet < limit:
            self._timer = self._loop.call_later(min(limit - quiet, MUTE_SECONDS), self._look)
            return
        self.has_worked = False
        self._fail(_MUTE)

    def _fail(self, why: str) -> None:
        self._timer.cancel()
        if self._transport is not None:
            self._transport.abort()
        self._lost(self, why)
