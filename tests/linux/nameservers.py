"""Name servers on loopback, of UDP, TCP and TLS, that say what a test has them say."""

from __future__ import annotations

import asyncio
import errno
import gc
import os
import select
import socket
import ssl
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

import dns.message
import dns.query
import dns.rcode
import dns.rrset
import uvloop

from vswitch.daemon.kernel import netns
from vswitch.daemon.kernel.netns import Namespace
from vswitch.naming import Server
from vswitch.wire.values import IpAddress

LOOPBACK = IpAddress.parse("127.0.0.1")
PATIENCE = 10.0
"""Seconds after which something counts as missing."""

CERTIFICATES = Path(__file__).parents[1] / "certificates"
ATTEMPTS = 50
"""To find a port that is free of UDP and of TCP."""

Behaviour: TypeAlias = Callable[[dns.message.Message], list[dns.message.Message]]
Run: TypeAlias = Callable[[Callable[[], Awaitable[None]]], None]


def runner(loop: str) -> Run:
    """What runs a test's coroutine to its end on an event loop of `asyncio` or `uvloop`."""

    def run(main: Callable[[], Awaitable[None]]) -> None:
        async def awaited() -> None:
            await main()

        factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop
        with asyncio.Runner(loop_factory=factory) as running:
            running.run(awaited())

    return run


class Serving:
    """A DNS server in a thread; `heard` is what came by UDP, and from which port."""

    def __init__(self, behaviour: Behaviour, inside: Namespace | None = None) -> None:
        """Where the daemon is, or `inside` another namespace."""
        self.heard: list[tuple[dns.message.Message, int]] = []
        self._behaviour = behaviour
        self.datagrams, self.stream = netns.run(_sockets_with_one_port, inside)
        self.upstream = Server(LOOPBACK, self.datagrams.getsockname()[1])
        self._end, self._ended = socket.socketpair()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._end.close()
        self._thread.join(PATIENCE)
        for each in (self.datagrams, self.stream, self._ended):
            each.close()

    def _serve(self) -> None:
        while True:
            readable, _, _ = select.select([self.datagrams, self._ended], [], [])
            if self._ended in readable:
                return
            octets, client = self.datagrams.recvfrom(4096)
            query = dns.message.from_wire(octets)
            self.heard.append((query, client[1]))
            for reply in self._behaviour(query):
                self.datagrams.sendto(reply.to_wire(), client)


class Conversing:
    """The TCP side of a server, in TLS where `secured`; `heard` is what came in each connection."""

    def __init__(self, server: Serving, replies: int, *, secured: bool) -> None:
        """Each connection is closed after that many replies."""
        self.heard: list[list[dns.message.Message]] = []
        self._stream = server.stream
        self._replies = replies
        self._context: ssl.SSLContext | None = None
        if secured:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificates = CERTIFICATES / "server"
            self._context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stream.shutdown(socket.SHUT_RDWR)
        self._thread.join(PATIENCE)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._stream.accept()
            except OSError:
                return
            connection.settimeout(PATIENCE)
            with connection, suppress(OSError, EOFError):
                self._converse(connection)

    def _converse(self, plain: socket.socket) -> None:
        """Queries come in twos, and are answered the other way round."""
        with ExitStack() as undo:
            connection = plain
            if self._context is not None:
                wrapped = self._context.wrap_socket(plain, server_side=True)
                connection = undo.enter_context(wrapped)
            heard: list[dns.message.Message] = []
            self.heard.append(heard)
            owed: list[dns.message.Message] = []
            while len(heard) < self._replies:
                query, _ = dns.query.receive_tcp(connection)
                heard.append(query)
                owed += knows(query)
                if len(owed) == 2 or len(heard) == self._replies:
                    for reply in reversed(owed):
                        dns.query.send_tcp(connection, reply)
                    owed.clear()


@contextmanager
def serving(behaviour: Behaviour, inside: Namespace | None = None) -> Iterator[Serving]:
    with closing(Serving(behaviour, inside)) as server:
        yield server


@contextmanager
def conversing(server: Serving, replies: int, *, secured: bool = False) -> Iterator[Conversing]:
    with closing(Conversing(server, replies, secured=secured)) as streams:
        yield streams


def knows(query: dns.message.Message) -> list[dns.message.Message]:
    reply = dns.message.make_response(query)
    name = query.question[0].name
    reply.answer.append(dns.rrset.from_text(name, 60, "IN", "A", "203.0.113.7"))
    return [reply]


def fails(query: dns.message.Message) -> list[dns.message.Message]:
    reply = dns.message.make_response(query)
    reply.set_rcode(dns.rcode.SERVFAIL)
    return [reply]


def is_silent(query: dns.message.Message) -> list[dns.message.Message]:
    return []


def addresses(reply: dns.message.Message) -> list[str]:
    return [record.to_text() for rrset in reply.answer for record in rrset]


def sockets_open() -> int:
    """Those of this process, without what earlier tests have left to the garbage collector."""
    gc.collect()
    targets = []
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            targets.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except FileNotFoundError:
            continue
    return sum(target.startswith("socket:") for target in targets)


def _sockets_with_one_port() -> tuple[socket.socket, socket.socket]:
    """One of UDP and one of TCP. What is free for the one may not be for the other."""
    for _ in range(ATTEMPTS):
        with ExitStack() as undo:
            datagrams = undo.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            datagrams.bind((str(LOOPBACK), 0))
            try:
                stream = socket.create_server(datagrams.getsockname())
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                continue
            undo.pop_all()
            return datagrams, stream
    raise OSError(errno.EADDRINUSE, "no port is free of both UDP and TCP")
