"""Published ports at 127.0.0.1: for the host itself, whose frames to itself no uplink ever sees.

Theory of operation. Where the host has a port on an endpoint's network, each of the endpoint's
published ports is also a listening socket on the host's loopback. A client that comes in there is
led to the endpoint by a second socket, over the host's port on that network, so the endpoint sees
the gateway's address. Other machines can not reach a loopback address, so terms, which are about
them, are not asked here: the host reaches its endpoints anyway.

TCP passes in both directions until both have ended, each by itself (a half-closed connection stays
open the other way). The kernel completes a handshake before a listener hears of it, so a service
that refuses can not refuse the client in the same way: the client's connection is reset at once,
before a byte is exchanged, which no client takes for an answer. What breaks off breaks off on both
sides. UDP has a socket for each client, which goes after `UDP_IDLE_SECONDS` without a datagram.

A port that a program of the host has on the loopback can not be published (`PortTakenError`).
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import NamedTuple, cast

from vswitch.daemon.uplinks import PortTakenError
from vswitch.network.model import Endpoint, Publication, socket_text
from vswitch.wire.values import Protocol

log = logging.getLogger(__name__)

LOOPBACK = "127.0.0.1"

UDP_IDLE_SECONDS = 90.0
"""Docker's userland proxy's: how long a client of UDP keeps its socket in silence."""

MOST_UDP_CLIENTS = 1024
"""Of one port; the one that has been silent for longest makes room."""

CONNECT_SECONDS = 10.0
"""For the endpoint to answer. One that does not is as good as one that refuses."""

_BACKLOG = 128
_CHUNK = 256 * 1024

Address = tuple[str, int]


class _Place(NamedTuple):
    """A port on the loopback, and where it leads."""

    protocol: Protocol
    address: str
    port: int
    to: Address


class HostListeners:
    """The loopback's side of what the endpoints of one switch publish."""

    def __init__(self) -> None:
        self._open: dict[str, dict[_Place, ExitStack]] = {}

    @contextmanager
    def listening(self, endpoint: Endpoint) -> Iterator[None]:
        """Listen for as long as this lasts for what an endpoint publishes.

        Raises PortTakenError.
        """
        self._listen(endpoint)
        try:
            yield
        finally:
            for closing in self._open.pop(endpoint.name).values():
                closing.close()

    def follow(self, endpoint: Endpoint) -> None:
        """Listen for what an endpoint publishes now, where it is listened for at all.

        Raises PortTakenError, and then everything is as it was.
        """
        if endpoint.name in self._open:
            self._listen(endpoint)

    def _listen(self, endpoint: Endpoint) -> None:
        before = self._open.get(endpoint.name, {})
        wanted = dict(_places(endpoint))
        with ExitStack() as undo:
            fresh: dict[_Place, ExitStack] = {}
            for place, published in wanted.items():
                if place not in before:
                    fresh[place] = undo.enter_context(_listening(place, published))
            undo.pop_all()
        for place, closing in before.items():
            if place not in wanted:
                closing.close()
        kept = {place: closing for place, closing in before.items() if place in wanted}
        self._open[endpoint.name] = kept | fresh


def _places(endpoint: Endpoint) -> Iterator[tuple[_Place, Publication]]:
    """What is published on every address is published on the loopback, too; and what is published
    on a loopback address, there alone."""
    for each in endpoint.publications:
        address = each.host_address
        if address is None or address.is_loopback:
            on = LOOPBACK if address is None else str(address)
            for outer, inner in zip(each.host_ports, each.endpoint_ports, strict=True):
                yield _Place(each.protocol, on, outer, (str(endpoint.address), inner)), each


def _listening(place: _Place, published: Publication) -> ExitStack:
    """Begin to listen. The stack, when it is closed, ends that and all that came in by it."""
    try:
        listening = _bound_socket(place)
    except OSError as error:
        where = f"{socket_text(published.host_address, place.port)}/{place.protocol.name.lower()}"
        reason = os.strerror(error.errno or 0).lower()
        raise PortTakenError(f"failed to bind host port {where}: {reason}") from error
    relay = _TcpRelay if place.protocol is Protocol.TCP else _UdpRelay
    closing = ExitStack()
    closing.callback(listening.close)
    closing.callback(relay(listening, place.to).close)
    return closing


def _bound_socket(place: _Place) -> socket.socket:
    """Raises OSError."""
    is_tcp = place.protocol is Protocol.TCP
    kind = socket.SOCK_STREAM if is_tcp else socket.SOCK_DGRAM
    made = socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK)
    try:
        if is_tcp:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((place.address, place.port))
        if is_tcp:
            made.listen(_BACKLOG)
    except OSError:
        made.close()
        raise
    return made


class _TcpRelay:
    """Leads the clients of one listening socket to an endpoint's port."""

    def __init__(self, listening: socket.socket, to: Address) -> None:
        self._listening = listening
        self._to = to
        self._loop = asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop.add_reader(listening.fileno(), self._accept)

    def close(self) -> None:
        """Accept nobody else, and break off with all that are there."""
        self._loop.remove_reader(self._listening.fileno())
        for task in self._tasks:
            task.cancel()

    def _accept(self) -> None:
        try:
            client, _ = self._listening.accept()
        except OSError as error:  # it has left again, or there is no descriptor for it
            log.debug("port %d: nobody accepted: %s", self._to[1], error)
            return
        client.setblocking(False)
        task = self._loop.create_task(self._lead(client))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _lead(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_INET, socket.SOCK_STREAM) as inner:
            inner.setblocking(False)
            _reset_on_close(client, inner, wanted=True)
            try:
                async with asyncio.timeout(CONNECT_SECONDS):
                    await self._loop.sock_connect(inner, self._to)
                async with asyncio.TaskGroup() as ways:
                    ways.create_task(self._pass(client, inner))
                    ways.create_task(self._pass(inner, client))
            except* OSError as errors:
                log.debug("port %d: a connection broke off: %s", self._to[1], errors.exceptions)
            else:
                _reset_on_close(client, inner, wanted=False)

    async def _pass(self, source: socket.socket, sink: socket.socket) -> None:
        """All that comes, until its sender has nothing more to say."""
        while data := await self._loop.sock_recv(source, _CHUNK):
            await self._loop.sock_sendall(sink, data)
        sink.shutdown(socket.SHUT_WR)


def _reset_on_close(*sides: socket.socket, wanted: bool) -> None:
    for side in sides:
        linger = struct.pack("ii", wanted, 0)  # struct linger: no time for what is unsent
        side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)


class _UdpRelay:
    """Leads datagrams to an endpoint's port, and its answers back to who asked."""

    def __init__(self, bound: socket.socket, to: Address) -> None:
        self._bound = bound
        self._to = to
        self._loop = asyncio.get_running_loop()
        self._clients: dict[Address, _UdpClient] = {}
        """The one that was heard last stands last."""
        self._loop.add_reader(bound.fileno(), self._receive)

    def close(self) -> None:
        """Hear nobody else."""
        self._loop.remove_reader(self._bound.fileno())
        for client in list(self._clients.values()):
            client.close()

    def _receive(self) -> None:
        try:
            data, sender = self._bound.recvfrom(_CHUNK)
            address = cast(Address, sender)
            client = self._clients.pop(address, None) or self._new_client(address)
        except OSError as error:  # an answer that nobody wanted, or no way to the endpoint
            log.debug("port %d: a datagram is lost: %s", self._to[1], error)
            return
        self._clients[address] = client
        client.send(data)

    def _new_client(self, address: Address) -> _UdpClient:
        """Raises OSError."""
        if len(self._clients) >= MOST_UDP_CLIENTS:
            next(iter(self._clients.values())).close()
        return _UdpClient(self._bound, address, self._to, self._clients)


class _UdpClient:
    """One client's way to the endpoint. Making one raises OSError."""

    def __init__(
        self,
        bound: socket.socket,
        address: Address,
        to: Address,
        clients: dict[Address, _UdpClient],
    ) -> None:
        self._bound = bound
        self._address = address
        self._clients = clients
        self._loop = asyncio.get_running_loop()
        self._inner = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            self._inner.connect(to)
        except OSError:
            self._inner.close()
            raise
        self._loop.add_reader(self._inner.fileno(), self._receive)
        self._timer = self._loop.call_later(UDP_IDLE_SECONDS, self.close)

    def send(self, data: bytes) -> None:
        """To the endpoint. What it does not take is lost, as datagrams are."""
        self._put_off()
        with suppress(OSError):
            self._inner.send(data)

    def close(self) -> None:
        """Forget the client."""
        self._timer.cancel()
        self._loop.remove_reader(self._inner.fileno())
        self._inner.close()
        self._clients.pop(self._address, None)

    def _receive(self) -> None:
        self._put_off()
        with suppress(OSError):
            self._bound.sendto(self._inner.recv(_CHUNK), self._address)

    def _put_off(self) -> None:
        self._timer.cancel()
        self._timer = self._loop.call_later(UDP_IDLE_SECONDS, self.close)
