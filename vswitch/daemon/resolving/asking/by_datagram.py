"""Queries that go to servers in datagrams.

Theory of operation. A query goes out of a socket of its own, connected to its server, so its source
port is the kernel's random choice, replies from elsewhere do not come in, and the kernel tells of a
server that is not there. When it is answered the socket is closed. That costs about 20 us, as the
sockets are waited for in an epoll(7) of our own, which the event loop watches as one descriptor.

Descriptors are bounded: a server has its share of them (`shares`), and when that is taken, a query
goes out of a socket that others wait at already, one of them by chance. So a flood towards a
silent server lowers what a forger has to guess: each query still has an identifier of its own (16
bits), letters of its own (0x20) and a port that was chosen at random (some 15 bits), but several
queries have the same one, and it stays open for as long as they are under way. A socket takes no
more than `MOST_QUERIES`, unless it is the last of its server.

A socket in another namespace is made by a thread that goes there, which takes longer than all the
rest. So several are brought along, twice as many each time, and wait until they are wanted, or
until that namespace is left: a socket keeps its namespace alive.
"""

from __future__ import annotations

import resource
import select
import socket
from collections.abc import Callable, Hashable
from contextlib import ExitStack, suppress
from functools import partial
from random import Random

from vswitch.daemon.kernel import netns
from vswitch.daemon.kernel.netns import Namespace, NamespaceError
from vswitch.dataplane.responders.dns.message import LONGEST
from vswitch.dataplane.responders.dns.outside.attempt import Attempt
from vswitch.dataplane.responders.dns.outside.outgoing import IDENTIFIER_LENGTH
from vswitch.dataplane.responders.dns.outside.servers import Place
from vswitch.dataplane.responders.dns.outside.shares import Shares
from vswitch.units import Nanoseconds

MOST_SOCKETS = 1024
"""Open at a time, and a quarter of the descriptors that the process may have at most."""

MOST_QUERIES = 64
"""Of one socket."""

REPLIES_AT_ONCE = 16
"""Before others have their turn: each is read as a whole, some 2 ms in all."""

MOST_BROUGHT = 8
"""Sockets that one visit to a namespace brings."""


class ByDatagram:
    """A carrier. Whoever owns the event loop watches `fileno` and calls `read`."""

    def __init__(self, random: Random, now: Callable[[], Nanoseconds]) -> None:
        self._random = random
        self._now = now
        self._epoll = select.epoll()
        self._shares = Shares(_room(), greed=1, least=2)
        self._ports: dict[int, _Port] = {}
        """By descriptor."""
        self._open: dict[Place, list[_Port]] = {}
        """Those that take further queries."""
        self._stocks: dict[tuple[Namespace, socket.AddressFamily], _Stock] = {}

    def fileno(self) -> int:
        """Readable when there are replies."""
        return self._epoll.fileno()

    def send(self, attempt: Attempt) -> str | None:
        """As `Carrier.send`. What there is no room for is lost, as on the way."""
        try:
            port = self._port(attempt.health.place)
        except (OSError, NamespaceError) as error:
            return words(error)
        identifier = self._identifier(port)
        try:
            _send(port.socket, identifier + attempt.octets)
        except OSError as error:
            self._close_when_idle(port)
            return words(error)
        port.waiting[identifier] = attempt
        attempt.identifier, attempt.at = identifier, port
        return None

    def forget(self, attempt: Attempt) -> None:
        """As `Carrier.forget`."""
        port = attempt.at
        if isinstance(port, _Port) and port.waiting.pop(attempt.identifier, None) is not None:
            self._close_when_idle(port)

    def read(self) -> None:
        """Hand out replies, and say who is not there. Some at a time: there may be more."""
        told = 0
        for descriptor, _ in self._epoll.poll(0, REPLIES_AT_ONCE):
            port = self._ports.get(descriptor)
            if port is not None and told < REPLIES_AT_ONCE:
                told += self._read(port)

    def leave(self, origin: Hashable) -> None:
        """Close all that is open in a namespace."""
        for port in [each for each in self._ports.values() if each.place.origin == origin]:
            self._close(port)
        for key in [each for each in self._stocks if each[0] == origin]:
            self._stocks.pop(key).close()

    def close(self) -> None:
        """Close all. Who waits for something is not told."""
        for port in list(self._ports.values()):
            self._close(port)
        for stock in self._stocks.values():
            stock.close()
        self._epoll.close()

    def _read(self, port: _Port) -> int:
        """How many were told something, or might have been."""
        now = self._now()
        try:
            reply = port.socket.recv(LONGEST)
        except BlockingIOError:
            return 0
        except OSError as error:
            lost = list(port.waiting.values())
            self._close(port)
            for each in lost:
                each.lose(words(error), now)
            return len(lost)
        identifier = reply[:IDENTIFIER_LENGTH]
        attempt = port.waiting.get(identifier)
        if attempt is not None and attempt.hear(reply, now):
            port.waiting.pop(identifier, None)
            self._close_when_idle(port)
        return 1

    def _port(self, place: Place) -> _Port:
        """One to send from. Raises OSError or NamespaceError."""
        if self._shares.take(place):
            try:
                return self._fresh(place)
            except (OSError, NamespaceError):
                self._shares.give_back(place)
                if not self._open.get(place):
                    raise
        shared = self._open.get(place) or self._worn(place)
        port = self._random.choice(shared)
        port.queries += 1
        if port.queries >= MOST_QUERIES and len(shared) > 1:
            self._open[place] = [each for each in shared if each is not port]
        return port

    def _worn(self, place: Place) -> list[_Port]:
        """Those of a server that have had their queries, where there are no others."""
        return [each for each in self._ports.values() if each.place == place]

    def _fresh(self, place: Place) -> _Port:
        made = self._made(place)
        try:
            made.connect((str(place.server.address), place.server.port))
            self._epoll.register(made, select.EPOLLIN)
        except BaseException:
            made.close()
            raise
        port = self._ports[made.fileno()] = _Port(made, place)
        self._open.setdefault(place, []).append(port)
        return port

    def _made(self, place: Place) -> socket.socket:
        family = socket.AF_INET if place.server.address.version == 4 else socket.AF_INET6
        if not isinstance(place.origin, Namespace):
            return _datagram_socket(family)
        key = place.origin, family
        stock = self._stocks.get(key)
        if stock is None:
            stock = self._stocks[key] = _Stock(*key)
        return stock.take()

    def _identifier(self, port: _Port) -> bytes:
        while True:
            identifier = self._random.randbytes(IDENTIFIER_LENGTH)
            if identifier not in port.waiting:
                return identifier

    def _close_when_idle(self, port: _Port) -> None:
        if not port.waiting and not port.is_closed:
            self._close(port)

    def _close(self, port: _Port) -> None:
        place = port.place
        del self._ports[port.socket.fileno()]
        port.socket.close()
        port.waiting = {}
        self._shares.give_back(place)
        others = [each for each in self._open.get(place, ()) if each is not port]
        if others:
            self._open[place] = others
        else:
            self._open.pop(place, None)


class _Port:
    """A connected socket, and who waits for replies there."""

    __slots__ = ("place", "queries", "socket", "waiting")

    def __init__(self, made: socket.socket, place: Place) -> None:
        self.socket = made
        self.place = place
        self.queries = 1
        self.waiting: dict[bytes, Attempt] = {}

    @property
    def is_closed(self) -> bool:
        return self.socket.fileno() < 0


class _Stock:
    """Sockets of one family in a namespace, which nobody has used yet."""

    def __init__(self, namespace: Namespace, family: socket.AddressFamily) -> None:
        self._namespace = namespace
        self._family = family
        self._unused: list[socket.socket] = []
        self._brought = 0

    def take(self) -> socket.socket:
        """One of them. Raises OSError or NamespaceError."""
        if not self._unused:
            self._brought = min(max(1, 2 * self._brought), MOST_BROUGHT)
            self._unused = netns.run(
                partial(_several, self._family, self._brought), self._namespace
            )
        return self._unused.pop()

    def close(self) -> None:
        for each in self._unused:
            each.close()


def words(error: OSError | NamespaceError) -> str:
    """What went wrong, as the kernel calls it."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


def _room() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return MOST_SOCKETS if soft == resource.RLIM_INFINITY else min(MOST_SOCKETS, soft // 4)


def _several(family: socket.AddressFamily, number: int) -> list[socket.socket]:
    """Raises OSError, and leaves none then."""
    with ExitStack() as undo:
        made = [undo.enter_context(_datagram_socket(family)) for _ in range(number)]
        undo.pop_all()
        return made


def _datagram_socket(family: socket.AddressFamily) -> socket.socket:
    return socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)


def _send(connected: socket.socket, message: bytes) -> None:
    """What there is no room for is lost, as it may be on its way. Raises OSError."""
    with suppress(BlockingIOError):
        try:
            connected.send(message)
        except ConnectionRefusedError:  # that is about an earlier query
            connected.send(message)
