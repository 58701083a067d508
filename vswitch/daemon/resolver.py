"""Listening at 127.0.0.11:53 inside the endpoints' namespaces, and asking servers outside.

Theory of operation. For each namespace one UDP socket is made and bound inside it and served by
the event loop outside: a socket stays in the namespace where it was made. What a query deserves is
decided by `dataplane.responders.dns`; here its answer is carried.

A forwarded query goes out from the daemon's own namespace, so that a server on the host's loopback
can be asked. An endpoint may have servers of its own instead: those are asked from its namespace.
Each attempt has a socket of its own, connected to the server, with a source port of the kernel's
choice and a fresh random identifier (RFC 5452): a forged reply has to guess both, and the kernel
reports an unreachable server at once. Servers are asked in order; when none can say, the client
gets SERVFAIL.

The listening socket keeps its namespace alive, so it has to be closed for the namespace to end:
`detach` does that and returns when it is done.

`install_resolv_conf` makes `ip netns exec NAME` use this resolver: it binds the files under
/etc/netns/NAME over those of /etc. A file that somebody put there is never replaced.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias, cast

import dns.rcode

from vswitch.daemon import netns
from vswitch.daemon.journal import Journal, Undone, Written
from vswitch.daemon.netns import Namespace, NamespaceError
from vswitch.dataplane.responders import dns as responder
from vswitch.dataplane.responders.dns import Forward, Judgement, Names, Refuse, Reply
from vswitch.wire.values import IpAddress

log = logging.getLogger(__name__)

ADDRESS = "127.0.0.11"
"""Where the C library of a container looks for Docker's resolver."""

PORT = 53
"""RFC 1035, 4.2.1."""

SERVER_TIMEOUT_SECONDS = 4.0
"""Docker's, for each server: a little less than the 5 s after which the C library asks again."""

SERVERS_ASKED = 3
"""Docker's and the C library's (MAXNS): a client has given up before a fourth could answer."""

IN_FLIGHT = 128
"""Forwarded queries of one endpoint at a time. Each holds a descriptor, and an endpoint that asks
without end must not take those of the others."""

DATAGRAM_BYTES = 65_535
"""The longest UDP payload, and more than any DNS message over UDP."""

ETC_NETNS = Path("/etc/netns")
"""Where ip-netns(8) looks for files to bind over those of /etc."""

Upstream: TypeAlias = tuple[IpAddress, int]
"""A server's address and port."""

Client: TypeAlias = tuple[str, int]


class Asked(NamedTuple):
    """Servers in the order in which they are asked, and from where: None is the daemon's own."""

    servers: tuple[Upstream, ...]
    origin: Namespace | None = None


class ResolverError(Exception):
    """Listening in a namespace failed. The text is one line for the user."""


class Resolver:
    """The listeners of all namespaces. Belongs to one event loop."""

    def __init__(
        self, upstreams: Sequence[Upstream], *, timeout: float = SERVER_TIMEOUT_SECONDS
    ) -> None:
        """`timeout` is in seconds, for each server. No upstreams: unknown names get SERVFAIL."""
        self._upstreams = tuple(upstreams[:SERVERS_ASKED])
        self._timeout = timeout
        self._listeners: dict[Namespace, _Listener] = {}
        self.unresolved = 0
        """Queries for which no server had an answer."""

    async def attach(
        self,
        namespace: Namespace,
        names: Callable[[], Names],
        own_servers: Sequence[IpAddress] = (),
    ) -> None:
        """Answer in `namespace` with what `names` returns at each query.

        With `own_servers`, these are asked instead of the upstreams, and from in there. Clients
        in there reach the socket once `lo` is up; it is bound before as well. Raises
        ResolverError, as where another program has the port in there.
        """
        try:
            listening = netns.run(_listening_socket, namespace)
        except NamespaceError as error:
            raise ResolverError(str(error)) from error
        except OSError as error:
            raise ResolverError(
                f"cannot listen at {ADDRESS}:{PORT} in {namespace}: {error.strerror}"
            ) from error
        asked = Asked(self._upstreams)
        if own_servers:
            asked = Asked(tuple((each, PORT) for each in own_servers[:SERVERS_ASKED]), namespace)
        listener = _Listener(names, asked, self._timeout, self._count_unresolved)
        try:
            loop = asyncio.get_running_loop()
            await loop.create_datagram_endpoint(lambda: listener, sock=listening)
        except BaseException:
            listening.close()
            raise
        self._listeners[namespace] = listener

    async def detach(self, namespace: Namespace) -> None:
        """Stop answering in `namespace` and let go of it. One that is not attached is no error."""
        listener = self._listeners.pop(namespace, None)
        if listener is not None:
            await listener.close()

    async def close(self) -> None:
        """Detach all."""
        for namespace in tuple(self._listeners):
            await self.detach(namespace)

    def _count_unresolved(self) -> None:
        self.unresolved += 1


class _Listener(asyncio.DatagramProtocol):
    """One namespace's socket and its queries in flight."""

    def __init__(
        self,
        names: Callable[[], Names],
        asked: Asked,
        timeout: float,
        on_unresolved: Callable[[], None],
    ) -> None:
        self._names = names
        self._asked = asked
        self._timeout = timeout
        self._on_unresolved = on_unresolved
        self._forwarding: set[asyncio.Task[None]] = set()
        self._is_full = False
        self._closed = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self._closed.set_result(None)

    def datagram_received(self, data: bytes, client: Client) -> None:
        answer = responder.answer(data, self._names())
        match answer:
            case Reply(message) | Refuse(message):
                self._transport.sendto(message, client)
            case Forward(question):
                self._begin_forwarding(data, question, client)

    async def close(self) -> None:
        for task in self._forwarding:
            task.cancel()
        await asyncio.gather(*self._forwarding, return_exceptions=True)
        self._transport.abort()
        await self._closed

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
        self._transport.sendto(responder.error(query, dns.rcode.REFUSED), client)

    async def _forward(self, query: bytes, question: bytes, client: Client) -> None:
        for server in self._asked.servers:
            reply = await self._ask(server, query, question)
            if reply is not None:
                self._transport.sendto(query[:2] + reply[2:], client)
                return
        self._on_unresolved()
        self._transport.sendto(responder.error(query, dns.rcode.SERVFAIL), client)

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
        origin = self._asked.origin

        def make() -> socket.socket:
            return socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)

        return make() if origin is None else await asyncio.to_thread(netns.run, make, origin)


def host_upstreams(resolv_conf: str) -> tuple[Upstream, ...]:
    """The servers that a resolv.conf(5) names, in its order, without an address of our own.

    A line that names no address (one with a zone, say) is passed over.
    """
    upstreams = []
    for line in resolv_conf.splitlines():
        match line.split():
            case ["nameserver", text, *_] if text != ADDRESS:
                try:
                    upstreams.append((IpAddress.parse(text), PORT))
                except ValueError:
                    continue
    return tuple(upstreams)


def render_resolv_conf(host: str) -> str:
    """The resolv.conf(5) of an endpoint, made from the text of the host's.

    Its search list is kept, and so is `ndots` where it is set. `ndots:0` is Docker's default: a
    name without a dot is asked for as it is. The host's other options were chosen for its own
    servers (`use-vc` would ask for TCP) and go.
    """
    search: list[str] = []
    ndots = "ndots:0"
    for line in host.splitlines():
        match line.split():
            case ["search" | "domain", *domains]:
                search = domains
            case ["options", *options]:
                ndots = next((each for each in options if each.startswith("ndots:")), ndots)
    lines = [f"nameserver {ADDRESS}"]
    if search:
        lines.append(f"search {' '.join(search)}")
    lines.append(f"options {ndots}")
    return "\n".join(lines) + "\n"


def install_resolv_conf(
    name: str, text: str, journal: Journal, directory: Path = ETC_NETNS
) -> Written:
    """Let `ip netns exec NAME` see `text` as its resolv.conf. Raises OSError.

    Written.KEPT: somebody's own file is there and stays.
    """
    return journal.write_file(directory / name / "resolv.conf", text)


def remove_resolv_conf(name: str, journal: Journal, directory: Path = ETC_NETNS) -> Undone:
    """Take back what `install_resolv_conf` wrote, and nothing else."""
    return journal.remove_file(directory / name / "resolv.conf")


def _listening_socket() -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        listening.bind((ADDRESS, PORT))
    except BaseException:
        listening.close()
        raise
    return listening


async def _reply_to(asking: socket.socket, identifier: bytes, question: bytes) -> bytes | None:
    loop = asyncio.get_running_loop()
    while True:
        reply = await loop.sock_recv(asking, DATAGRAM_BYTES)
        match responder.judge(reply, identifier, question):
            case Judgement.ACCEPT:
                return reply
            case Judgement.NEXT_SERVER:
                return None
