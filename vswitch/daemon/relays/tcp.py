"""TCP from the host to an endpoint: one connection in, one connection on.

Theory of operation. Bytes pass in both directions until both have ended, each by itself, so a half
closed connection stays open the other way. A direction reads no more than its other side has taken,
so whoever is slow slows the sender down, and nothing piles up here. What breaks off breaks off on
both sides, by a reset; so does what nobody has said a word by for `IDLE_SECONDS`.

The kernel completes a handshake before a listener hears of it, so an endpoint that refuses, does
not answer, or may not be reached by the terms, can not refuse the client in the same way: the
client's connection is reset at once, before a byte is exchanged, which no client takes for an
answer.

Where there are as many clients as may be, others wait in the kernel's queue until one has left.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from functools import partial
from typing import NamedTuple

from vswitch.daemon.relays.entrance import Entrance
from vswitch.daemon.relays.silence import Silence
from vswitch.wire.values import IpAddress

log = logging.getLogger(__name__)

MOST_CLIENTS = 4096
"""Of one port at once. Each takes two descriptors."""

CONNECT_SECONDS = 10.0
"""For the endpoint to answer. One that does not is as good as one that refuses."""

IDLE_SECONDS = 124 * 60.0
"""RFC 5382, REQ-5: what a NAT has to leave to a silent connection, and what the switch gives the
half of it that passes by its own tables."""

NO_DESCRIPTOR_SECONDS = 1.0
"""Where the process has no descriptor left: until it is tried again."""

_AT_ONCE = 64
"""Clients that are accepted before the loop turns to something else."""

_CHUNK = 256 * 1024

Address = tuple[str, int]


class _Way(NamedTuple):
    """One client's way to the endpoint."""

    client: socket.socket
    inner: socket.socket
    silence: Silence


class TcpRelay:
    """Leads the clients of one listening socket to an endpoint's port."""

    def __init__(self, listening: socket.socket, to: Address, entrance: Entrance) -> None:
        """The socket does not block, and is the relay's from now on."""
        self._listening = listening
        self._to = to
        self._entrance = entrance
        self._loop = asyncio.get_running_loop()
        self._clients: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._is_waiting = False
        """For a client to leave."""
        self._retry: asyncio.TimerHandle | None = None
        self._listen()

    def close(self) -> None:
        """Accept nobody else, and break off with all that are there."""
        self._is_closed = True
        self._loop.remove_reader(self._listening.fileno())
        self._listening.close()
        if self._retry is not None:
            self._retry.cancel()
        for client in self._clients:
            client.cancel()

    def _listen(self) -> None:
        self._is_waiting = False
        self._loop.add_reader(self._listening.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            if len(self._clients) >= MOST_CLIENTS:
                self._is_waiting = True
                self._loop.remove_reader(self._listening.fileno())
                return
            try:
                client, (source, _) = self._listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                log.warning("port %d: nobody is accepted for a while: %s", self._to[1], error)
                self._loop.remove_reader(self._listening.fileno())
                self._retry = self._loop.call_later(NO_DESCRIPTOR_SECONDS, self._listen)
                return
            client.setblocking(False)
            _reset_on_close(client, wanted=True)
            self._admit(client, IpAddress.parse(source))

    def _admit(self, client: socket.socket, source: IpAddress) -> None:
        if not self._entrance.lets_in(source):
            client.close()
            return
        try:
            inner = self._entrance.way_on(socket.SOCK_STREAM)
        except OSError as error:
            log.warning("port %d: a client is reset: %s", self._to[1], error)
            client.close()
            self._loop.call_soon(self._entrance.leave)
            return
        _reset_on_close(inner, wanted=True)
        way = _Way(client, inner, Silence(IDLE_SECONDS, lambda: task.cancel()))
        task = self._loop.create_task(_lead(way, self._to))
        self._clients.add(task)
        task.add_done_callback(partial(self._leave, way))

    def _leave(self, way: _Way, task: asyncio.Task[None]) -> None:
        """What a way has is closed here, as a task that is cancelled early never begins."""
        way.silence.close()
        way.client.close()
        way.inner.close()
        self._clients.discard(task)
        if self._is_closed:
            return
        if self._is_waiting:
            self._listen()
        self._entrance.leave()


async def _lead(way: _Way, to: Address) -> None:
    client, inner, silence = way
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            await asyncio.get_running_loop().sock_connect(inner, to)
        async with asyncio.TaskGroup() as directions:
            directions.create_task(_pass(client, inner, silence))
            directions.create_task(_pass(inner, client, silence))
    except* OSError as errors:
        log.debug("port %d: a connection broke off: %s", to[1], errors.exceptions)
    else:
        _reset_on_close(client, wanted=False)
        _reset_on_close(inner, wanted=False)


async def _pass(source: socket.socket, sink: socket.socket, silence: Silence) -> None:
    """All that comes, until its sender has nothing more to say."""
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(source, _CHUNK):
        silence.hear()
        await loop.sock_sendall(sink, data)
    sink.shutdown(socket.SHUT_WR)


def _reset_on_close(side: socket.socket, *, wanted: bool) -> None:
    linger = struct.pack("ii", wanted, 0)  # struct linger: no time for what is unsent
    side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
