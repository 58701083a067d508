"""Listening at 127.0.0.11:53 inside the endpoints' namespaces, and what an endpoint finds there.

Theory of operation. For each namespace a socket of UDP and one of TCP (`conversations`) are made
and bound inside it and served by the event loop outside: a socket stays in the namespace where it
was made. What becomes of a query is `answering`'s business. That needs dnspython, which takes as
long to load as several endpoints to attach, so it is loaded when a switch is up, or with the first
query.

The listening sockets keep their namespace alive, so they have to be closed for it to end: `detach`
does that and returns when it is done.
"""

from __future__ import annotations

import asyncio
import secrets
import socket
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from vswitch.daemon.kernel import netns
from vswitch.daemon.kernel.netns import Namespace, NamespaceError
from vswitch.daemon.resolving.files.resolvconf import ADDRESS
from vswitch.daemon.resolving.listening.conversations import Conversations
from vswitch.daemon.resolving.listening.datagrams import SLOTS, Datagrams, Slots
from vswitch.daemon.resolving.showing.querylog import QueryLog
from vswitch.dataplane.responders.dns.party import Party
from vswitch.naming import PORT, NameSettings
from vswitch.units import Nanoseconds
from vswitch.wire.values import IpAddress

if TYPE_CHECKING:
    from vswitch.daemon.resolving.answering import Answering
    from vswitch.daemon.resolving.asking.forwarding import Forwarder
    from vswitch.dataplane.responders.dns.brain import Brain
    from vswitch.dataplane.responders.dns.learned.cache import Cache
    from vswitch.dataplane.responders.dns.outside.servers import ServerState

UNKNOWN_AT_ONCE = 4
"""Queries to hear of a namespace, before another one's turn, where answers are not kept: each takes
as long as a dozen others, and who asks for ever new names must not delay whom it takes nothing to
answer."""

PATIENCE_SECONDS = 4.0
"""For all servers: a little less than the 5 s after which the C library asks again."""

SECRET = 32
"""Octets that cookies are made with: another one for each run, as no client minds."""

Kind: TypeAlias = (
    "Callable[[Party, Brain, Forwarder, Callable[[], Nanoseconds], QueryLog], Answering]"
)


class ResolverError(Exception):
    """Listening in a namespace failed. The text is one line for the user."""


class Resolver:
    """The listeners of all namespaces, with one brain. Belongs to one event loop."""

    def __init__(
        self,
        now: Callable[[], Nanoseconds],
        settings: NameSettings,
        *,
        is_ours: Callable[[IpAddress], bool] = lambda _: False,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        """`now` reads the dataplane's clock, `is_ours` is as in `Brain`. No client waits for
        servers longer than `patience`, in seconds."""
        self._now = now
        self.settings = settings
        """What the user wants."""
        self._is_ours = is_ours
        self._patience = patience
        self.queries = QueryLog()
        """What was asked, by whomever."""
        self._listeners: dict[Namespace, Listener] = {}
        self._minds: tuple[Brain, Forwarder] | None = None
        self._slots = Slots()

    @property
    def unresolved(self) -> int:
        """Inquiries to which no server had an answer."""
        return 0 if self._minds is None else self._minds[1].unresolved

    @property
    def cache(self) -> Cache | None:
        """What servers have said; None where nobody has asked for anything yet."""
        return None if self._minds is None else self._minds[0].cache

    def servers(self) -> list[ServerState]:
        """How the servers that were asked are doing."""
        return [] if self._minds is None else self._minds[1].servers()

    def forget_servers(self) -> None:
        """Somebody else may be asked from now on: how they are doing is found out anew."""
        if self._minds is not None:
            self._minds[1].forget_servers()

    def follow(self, settings: NameSettings) -> None:
        """Do what the user wants from now on."""
        self.settings = settings
        if self._minds is not None:
            self._minds[0].follow(settings)

    async def attach(self, namespace: Namespace, party: Party) -> None:
        """Answer `party` in `namespace`.

        Clients in there reach the socket once `lo` is up; it is bound before as well. Raises
        ResolverError, as where another program has the port in there.
        """
        try:
            by_datagram, by_stream = netns.run(listening_sockets, namespace)
        except NamespaceError as error:
            raise ResolverError(str(error)) from error
        except OSError as error:
            raise ResolverError(
                f"cannot listen at {ADDRESS}:{PORT} in {namespace}: {error.strerror}"
            ) from error
        begin = partial(self.answering, party)
        self._listeners[namespace] = await Listener.begin(
            by_datagram, by_stream, self._slots, begin
        )

    async def detach(self, namespace: Namespace) -> None:
        """Stop answering in `namespace` and let go of it. One that is not attached is no error."""
        listener = self._listeners.pop(namespace, None)
        if listener is not None:
            await listener.close()
        if self._minds is not None:  # another namespace may have its path next
            brain, forwarder = self._minds
            forwarder.leave(namespace)
            brain.cache.forget_from(namespace)

    async def close(self) -> None:
        """Detach all, and ask no server any more."""
        for namespace in tuple(self._listeners):
            await self.detach(namespace)
        if self._minds is not None:
            await self._minds[1].close()

    def answering(self, party: Party, kind: Kind | None = None) -> Answering:
        """Who answers `party`, wherever it asks; one of a `kind` of its own where that is given."""
        from vswitch.daemon.resolving.answering import Answering
        from vswitch.daemon.resolving.asking.forwarding import Forwarder
        from vswitch.dataplane.responders.dns.brain import Brain

        if self._minds is None:
            self._minds = (
                Brain(self.settings, secrets.token_bytes(SECRET), self._is_ours),
                Forwarder(self._patience, self._now),
            )
        return (kind or Answering)(party, *self._minds, self._now, self.queries)


class Listener:
    """Sockets of UDP and TCP at one place.

    That of UDP is read as long as there is something, but not for so long that others wait.
    """

    def __init__(
        self, by_datagram: socket.socket, slots: Slots, begin: Callable[[], Answering]
    ) -> None:
        """`slots` are room that all listeners use in turn."""
        self._by_datagram = by_datagram
        self._datagrams = Datagrams(by_datagram, slots)
        self._begin = begin
        self._answering: Answering | None = None
        self._at_once = SLOTS
        """Queries to hear before others have their turn."""
        self.conversations = Conversations(lambda _: self._who_answers())
        """Those who come by TCP."""
        asyncio.get_running_loop().add_reader(by_datagram, self._hear)

    @classmethod
    async def begin(
        cls,
        by_datagram: socket.socket,
        by_stream: socket.socket,
        slots: Slots,
        answering: Callable[[], Answering],
    ) -> Listener:
        """One that hears, and has the sockets from then on; `answering` is called when somebody
        asks."""
        listener = cls(by_datagram, slots, answering)
        try:
            await listener.conversations.begin(by_stream)
        except BaseException:
            by_stream.close()
            await listener.close()
            raise
        return listener

    def _hear(self) -> None:
        datagrams, queries = self._datagrams, self._datagrams.receive(self._at_once)
        unknown = self._who_answers().answer_all(queries, datagrams.say, datagrams.later)
        datagrams.send()
        self._at_once = SLOTS if unknown < UNKNOWN_AT_ONCE else UNKNOWN_AT_ONCE

    def _who_answers(self) -> Answering:
        if self._answering is None:
            self._answering = self._begin()
        return self._answering

    async def close(self) -> None:
        """Hear nobody any more."""
        asyncio.get_running_loop().remove_reader(self._by_datagram)
        await self.conversations.close()
        if self._answering is not None:
            await self._answering.close()
        self._by_datagram.close()


def listening_sockets(
    place: tuple[str, int] = (ADDRESS, PORT), family: socket.AddressFamily = socket.AF_INET
) -> tuple[socket.socket, socket.socket]:
    """One of UDP and one of TCP, in the namespace of the calling thread. Raises OSError."""
    with ExitStack() as undo:
        by_datagram, by_stream = (
            undo.enter_context(socket.socket(family, kind | socket.SOCK_NONBLOCK))
            for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM)
        )
        by_stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for each in (by_datagram, by_stream):
            each.bind(place)
        by_stream.listen()
        undo.pop_all()
        return by_datagram, by_stream
