"""Answering the queries of one namespace, and asking servers outside.

Theory of operation. What a query deserves is decided by `dataplane.responders.dns`; here its answer
is carried. The same query has the same answer while names stay, so what was answered from names is
kept octet by octet, and said again under the identifier of the next who asks.

A forwarded query goes out from the daemon's own namespace, so that a server on the host's loopback
can be asked. An endpoint may have servers of its own instead: those are asked from its namespace.
Each attempt has a socket of its own, connected to the server, with a source port of the kernel's
choice and a fresh random identifier (RFC 5452): a forged reply has to guess both, and the kernel
reports an unreachable server at once. Servers are asked in order; when none can say, the client
gets SERVFAIL.

Who has the socket that queries come to is `resolver`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable

import dns.rcode

from vswitch.daemon.kernel import netns
from vswitch.daemon.kernel.netns import NamespaceError
from vswitch.daemon.resolver import Asked, Client, Upstream
from vswitch.dataplane.responders import dns as responder
from vswitch.dataplane.responders.dns import Forward, Judgement, Names, Refuse, Reply

log = logging.getLogger(__name__)

IN_FLIGHT = 128
"""Forwarded queries of one endpoint at a time. Each holds a descriptor, and an endpoint that asks
without end must not take those of the others."""

ANSWERS_KEPT = 1024
"""Of one endpoint. Who asks in ever new spellings (0x20) makes that many at most."""

DATAGRAM_BYTES = 65_535
"""The longest UDP payload, and more than any DNS message over UDP."""


class Answering:
    """One namespace's queries, and those of them that are in flight."""

    def __init__(
        self,
        send: Callable[[bytes, Client], None],
        names: Callable[[], Names],
        asked: Callable[[], Asked],
        timeout: float,
        on_unresolved: Callable[[], None],
    ) -> None:
        """`timeout` is in seconds, for each server."""
        self._send = send
        self._names = names
        self._asked = asked
        self._timeout = timeout
        self._on_unresolved = on_unresolved
        self._forwarding: set[asyncio.Task[None]] = set()
        self._is_full = False
        self._known = names()
        self._answers: dict[bytes, bytes] = {}
        """By all of a query but its identifier, the same of the answer, as long as names stay."""

    def answer(self, query: bytes, client: Client) -> None:
        """Answer a query, now or when a server has."""
        names = self._names()
        if names is not self._known or len(self._answers) >= ANSWERS_KEPT:
            self._known, self._answers = names, {}
        kept = self._answers.get(query[2:])
        if kept is not None:
            self._send(query[:2] + kept, client)
            return
        match responder.answer(query, names):
            case Reply(message):
                self._answers[query[2:]] = message[2:]
                self._send(message, client)
            case Refuse(message):
                self._send(message, client)
            case Forward(question):
                self._begin_forwarding(query, question, client)

    async def close(self) -> None:
        """Wait for no server any more."""
        for task in self._forwarding:
            task.cancel()
        await asyncio.gather(*self._forwarding, return_exceptions=True)

    def _begin_forwarding(self, query: bytes, question: bytes, client: Client) -> None:
        if len(self._forwarding) >= IN_FLIGHT:
            self._refuse_for_being_full(query, client)
            return
        self._is_full = False
        task = asyncio.get_running_loop().create_task(self._forward(query, question, client))
        self._forwarding.add(task)
        task.add_done_callback(self._forwarding.discard)

    def _refuse_for_being_full(self, query: bytes, client: Client) -> None:
        """Logged once for each time that it fills up, however much is refused meanwhile."""
        if not self._is_full:
            log.warning("%d queries wait for servers already: more are refused", IN_FLIGHT)
        self._is_full = True
        self._send(responder.error(query, dns.rcode.REFUSED), client)

    async def _forward(self, query: bytes, question: bytes, client: Client) -> None:
        for server in self._asked().servers:
            reply = await self._ask(server, query, question)
            if reply is not None:
                self._send(query[:2] + reply[2:], client)
                return
        self._on_unresolved()
        self._send(responder.error(query, dns.rcode.SERVFAIL), client)

    async def _ask(self, server: Upstream, query: bytes, question: bytes) -> bytes | None:
        """The server's reply with the identifier that we sent, or None where it cannot say."""
        address, port = server
        family = socket.AF_INET if address.version == 4 else socket.AF_INET6
        identifier = secrets.token_bytes(2)
        try:
            with await self._asking_socket(family) as asking:
                asking.connect((str(address), port))
                asking.send(identifier + query[2:])
                async with asyncio.timeout(self._timeout):
                    return await _reply_to(asking, identifier, question)
        except (OSError, NamespaceError):
            return None

    async def _asking_socket(self, family: socket.AddressFamily) -> socket.socket:
        """One where the servers are asked from. Raises OSError or NamespaceError."""
        origin = self._asked().origin

        def make() -> socket.socket:
            return socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

        return make() if origin is None else await asyncio.to_thread(netns.run, make, origin)


async def _reply_to(asking: socket.socket, identifier: bytes, question: bytes) -> bytes | None:
    loop = asyncio.get_running_loop()
    while True:
        reply = await loop.sock_recv(asking, DATAGRAM_BYTES)
        match responder.judge(reply, identifier, question):
            case Judgement.ACCEPT:
                return reply
            case Judgement.NEXT_SERVER:
                return None
