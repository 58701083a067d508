"""Listening at 127.0.0.11:53 inside the endpoints' namespaces, and what an endpoint finds there.

Theory of operation. For each namespace a socket of UDP and one of TCP (`conversations`) are made
and bound inside it and served by the event loop outside: a socket stays in the namespace where it
was made. What becomes of a query is `answering`'s business. That needs dnspython, which takes as
long to load as several endpoints to attach, so it is loaded when a switch is up, or with the first
query.

The listening sockets keep their namespace alive, so they have to be closed for it to end: `detach`
does that and returns when it is done.

`install_resolv_conf` makes `ip netns exec NAME` use this resolver: it binds the files under
/etc/netns/NAME over those of /etc. A file that somebody put there is never replaced.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from vswitch.daemon.conversations import Conversations
from vswitch.daemon.kernel import netns
from vswitch.daemon.kernel.journal import NOBODY, Journal, Written
from vswitch.daemon.kernel.made import Undone
from vswitch.daemon.kernel.netns import Namespace, NamespaceError
from vswitch.wire.values import IpAddress

if TYPE_CHECKING:
    from vswitch.daemon.answering import Answering
    from vswitch.dataplane.responders.dns import Names

ADDRESS = "127.0.0.11"
"""Where the C library of a container looks for Docker's resolver."""

PORT = 53
"""RFC 1035, 4.2.1."""

SERVER_TIMEOUT_SECONDS = 4.0
"""Docker's, for each server: a little less than the 5 s after which the C library asks again."""

QUERIES_AT_ONCE = 64
"""Of one namespace, before another one's turn: some milliseconds."""

LONGEST_QUERY = 4096
"""Octets. A query is a name and an OPT record."""

SERVERS_ASKED = 3
"""Docker's and the C library's (MAXNS): a client has given up before a fourth could answer."""

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
        self._upstream = Asked(tuple(upstreams[:SERVERS_ASKED]))
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
            by_datagram, by_stream = netns.run(_listening_sockets, namespace)
        except NamespaceError as error:
            raise ResolverError(str(error)) from error
        except OSError as error:
            raise ResolverError(
                f"cannot listen at {ADDRESS}:{PORT} in {namespace}: {error.strerror}"
            ) from error
        own = Asked(tuple((each, PORT) for each in own_servers[:SERVERS_ASKED]), namespace)

        def asked() -> Asked:
            return own if own_servers else self._upstream

        listener = _Listener(by_datagram, lambda: self._answering(names, asked))
        try:
            await listener.conversations.begin(by_stream)
        except BaseException:
            by_stream.close()
            await listener.close()
            raise
        self._listeners[namespace] = listener

    def ask(self, upstreams: Sequence[Upstream]) -> None:
        """Ask these servers from now on, for all who have none of their own."""
        self._upstream = Asked(tuple(upstreams[:SERVERS_ASKED]))

    async def detach(self, namespace: Namespace) -> None:
        """Stop answering in `namespace` and let go of it. One that is not attached is no error."""
        listener = self._listeners.pop(namespace, None)
        if listener is not None:
            await listener.close()

    async def close(self) -> None:
        """Detach all."""
        for namespace in tuple(self._listeners):
            await self.detach(namespace)

    def _answering(self, names: Callable[[], Names], asked: Callable[[], Asked]) -> Answering:
        from vswitch.daemon.answering import Answering

        return Answering(names, asked, self._timeout, self._count_unresolved)

    def _count_unresolved(self) -> None:
        self.unresolved += 1


class _Listener:
    """One namespace's sockets.

    That of UDP is read as long as there is something, but not for so long that others wait: most of
    what a query takes is the way to the socket and back.
    """

    def __init__(self, by_datagram: socket.socket, begin: Callable[[], Answering]) -> None:
        self._by_datagram = by_datagram
        self._begin = begin
        self._answering: Answering | None = None
        self.conversations = Conversations(self._who_answers)
        """Those who come by TCP."""
        asyncio.get_running_loop().add_reader(by_datagram, self._hear)

    def _hear(self) -> None:
        listening, answering = self._by_datagram, self._who_answers()
        for _ in range(QUERIES_AT_ONCE):
            try:
                query, client = listening.recvfrom(LONGEST_QUERY)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error about somebody whom we have told something
                continue
            kept = answering.kept(query)
            if kept is not None:
                self._say(client, kept)
            else:
                answering.answer(query, partial(self._say, client))

    def _say(self, client: Client, message: bytes) -> None:
        with suppress(OSError):  # no room, or nobody there: it asks again
            self._by_datagram.sendto(message, client)

    def _who_answers(self) -> Answering:
        if self._answering is None:
            self._answering = self._begin()
        return self._answering

    async def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._by_datagram)
        await self.conversations.close()
        if self._answering is not None:
            await self._answering.close()
        self._by_datagram.close()


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
    servers and go.
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
    name: str, text: str, journal: Journal, directory: Path = ETC_NETNS, *, of: str = NOBODY
) -> Written:
    """Let `ip netns exec NAME` see `text` as its resolv.conf, for endpoint `of`. Raises OSError.

    Written.KEPT: somebody's own file is there and stays.
    """
    return journal.write_file(directory / name / "resolv.conf", text, of)


def remove_resolv_conf(name: str, journal: Journal, directory: Path = ETC_NETNS) -> Undone:
    """Take back what `install_resolv_conf` wrote, and nothing else."""
    return journal.remove_file(directory / name / "resolv.conf")


def _listening_sockets() -> tuple[socket.socket, socket.socket]:
    """One of UDP and one of TCP."""
    with ExitStack() as undo:
        by_datagram, by_stream = (
            undo.enter_context(socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK))
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)
        )
        by_stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for each in (by_datagram, by_stream):
            each.bind((ADDRESS, PORT))
        by_stream.listen()
        undo.pop_all()
        return by_datagram, by_stream
