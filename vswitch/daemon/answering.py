"""Answering the queries of one namespace, and asking servers outside.

Theory of operation. What a query deserves is decided by `dataplane.responders.dns`; here its answer
is carried. The same query has the same answer while names stay, so what was answered from names is
kept octet by octet, and said again under the identifier of the next who asks.

A forwarded query goes out from the daemon's own namespace, so that a server on the host's loopback
can be asked. An endpoint may have servers of its own instead: those are asked from its namespace.
Each attempt has a socket of its own, connected to the server, with a source port of the kernel's
choice and a fresh random identifier (RFC 5452): a forged reply has to guess both, and the kernel
reports an unreachable server at once. Servers are asked in order; when none can say, the client
gets SERVFAIL. A reply that is cut short is asked for again by TCP where the client came by that;
another client is told that it is cut, and comes back by TCP (RFC 7766, 5).

Who has the socket that queries come to is `resolver`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable, Coroutine
from typing import NamedTuple, TypeAlias

import dns.rcode

from vswitch.daemon.kernel import netns
from vswitch.daemon.kernel.netns import NamespaceError
from vswitch.daemon.resolver import Asked, Upstream
from vswitch.dataplane.responders import dns as responder
from vswitch.dataplane.responders.dns import Forward, Judgement, Names, Refuse, Reply

log = logging.getLogger(__name__)

IN_FLIGHT = 128
"""Forwarded queries of one endpoint at a time. Each holds a descriptor, and an endpoint that asks
without end must not take those of the others."""

ANSWERS_KEPT = 1024
"""Of one endpoint. Who asks in ever new spellings (0x20) makes that many at most."""

MESSAGE_BYTES = 65_535
"""The longest DNS message there is."""

Say: TypeAlias = Callable[[bytes], None]
"""Tell a client its answer."""

Way: TypeAlias = Callable[[socket.socket, bytes, bytes], Coroutine[None, None, bytes | None]]
"""Ask a server at a connected socket: the query and its question section; None: it cannot say."""


class _Forwarded(NamedTuple):
    """A query that somebody else may know the answer to, and its question section."""

    query: bytes
    question: bytes
    by_stream: bool
    """Whether the client takes an answer of any length."""


class Answering:
    """One namespace's queries, and those of them that are in flight."""

    def __init__(
        self,
        names: Callable[[], Names],
        asked: Callable[[], Asked],
        timeout: float,
        on_unresolved: Callable[[], None],
    ) -> None:
        """`timeout` is in seconds, for each server."""
        self._names = names
        self._asked = asked
        self._timeout = timeout
        self._on_unresolved = on_unresolved
        self._forwarding: set[asyncio.Task[None]] = set()
        self._is_full = False
        self._known = names()
        self._kept: dict[bytes, bytes] = {}
        """By all of a query but its identifier, the same of the answer, as long as names stay."""

    def kept(self, query: bytes) -> bytes | None:
        """The answer to a query that came in a datagram, where it was given before and is so
        still."""
        names = self._names()
        if names is not self._known or len(self._kept) >= ANSWERS_KEPT:
            self._known, self._kept = names, {}
        answer = self._kept.get(query[2:])
        return None if answer is None else query[:2] + answer

    def answer(self, query: bytes, reply: Say, *, by_stream: bool = False) -> None:
        """Answer a query by a call of `reply`, now or when a server has; without one where nothing
        is to be said."""
        match responder.answer(query, self._names(), by_stream=by_stream):
            case Reply(message):
                if not by_stream:
                    self._kept[query[2:]] = message[2:]
                reply(message)
            case Refuse(message):
                reply(message)
            case Forward(question):
                self._begin_forwarding(_Forwarded(query, question, by_stream), reply)

    async def close(self) -> None:
        """Wait for no server any more."""
        for task in self._forwarding:
            task.cancel()
        await asyncio.gather(*self._forwarding, return_exceptions=True)

    def _begin_forwarding(self, asked: _Forwarded, reply: Say) -> None:
        if len(self._forwarding) >= IN_FLIGHT:
            self._refuse_for_being_full(asked.query, reply)
            return
        self._is_full = False
        task = asyncio.get_running_loop().create_task(self._forward(asked, reply))
        self._forwarding.add(task)
        task.add_done_callback(self._forwarding.discard)

    def _refuse_for_being_full(self, query: bytes, reply: Say) -> None:
        """Logged once for each time that it fills up, however much is refused meanwhile."""
        if not self._is_full:
            log.warning("%d queries wait for servers already: more are refused", IN_FLIGHT)
        self._is_full = True
        reply(responder.error(query, dns.rcode.REFUSED))

    async def _forward(self, asked: _Forwarded, reply: Say) -> None:
        for server in self._asked().servers:
            found = await self._ask(server, asked, _by_datagram)
            if found is not None and asked.by_stream and responder.is_truncated(found):
                found = await self._ask(server, asked, _by_stream)
            if found is not None:
                reply(asked.query[:2] + found[2:])
                return
        self._on_unresolved()
        reply(responder.error(asked.query, dns.rcode.SERVFAIL))

    async def _ask(self, server: Upstream, asked: _Forwarded, way: Way) -> bytes | None:
        """The server's reply with the identifier that we sent, or None where it cannot say."""
        address, port = server
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        identifier = secrets.token_bytes(2)
        kind = socket.SOCK_STREAM if way is _by_stream else socket.SOCK_DGRAM
        try:
            with await self._asking_socket(family, kind) as asking:
                async with asyncio.timeout(self._timeout):
                    await asyncio.get_running_loop().sock_connect(asking, (str(address), port))
                    return await way(asking, identifier + asked.query[2:], asked.question)
        except (OSError, NamespaceError):
            return None

    async def _asking_socket(
        self, family: socket.AddressFamily, kind: socket.SocketKind
    ) -> socket.socket:
        """One where the servers are asked from. Raises OSError or NamespaceError."""
        origin = self._asked().origin

        def make() -> socket.socket:
            return socket.socket(family, kind | socket.SOCK_NONBLOCK)

        return make() if origin is None else await asyncio.to_thread(netns.run, make, origin)


async def _by_datagram(asking: socket.socket, query: bytes, question: bytes) -> bytes | None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(asking, query)
    while True:
        reply = await loop.sock_recv(asking, MESSAGE_BYTES)
        match responder.judge(reply, query[:2], question):
            case Judgement.ACCEPT:
                return reply
            case Judgement.NEXT_SERVER:
                return None


async def _by_stream(asking: socket.socket, query: bytes, question: bytes) -> bytes | None:
    loop = asyncio.get_running_loop()
    await loop.sock_sendall(asking, len(query).to_bytes(2, "big") + query)
    heard = b""
    while len(heard) < 2 or len(heard) < 2 + int.from_bytes(heard[:2], "big"):
        more = await loop.sock_recv(asking, MESSAGE_BYTES)
        if not more:
            return None
        heard += more
    reply = heard[2 : 2 + int.from_bytes(heard[:2], "big")]
    return reply if responder.judge(reply, query[:2], question) is Judgement.ACCEPT else None
