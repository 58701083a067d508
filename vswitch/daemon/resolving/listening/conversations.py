"""Queries that come by TCP: conversations of one query or many (RFC 1035, 4.2.2; RFC 7766).

Theory of operation. A message has its length in front. A client may ask on without waiting, and an
answer comes when it is there, in whichever order (RFC 7766, 6.2.1.1). Who says nothing for a while,
or not all of a query, is left. Who does not read what it is told is asked for no more until it has,
and left as well where that takes long or where there is much that it has not read. So many clients
at a time are heard, and further ones are left at once; where they have addresses of their own, so
many of one.

What a query deserves is `answering`'s business.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from vswitch.daemon.resolving.answering import Answering

IDLE_SECONDS = 10.0
"""RFC 7766, 6.2.3: of the order of a few seconds."""

MOST_CLIENTS = 64
"""Of one listening socket at a time."""

MOST_UNREAD = 1 << 20
"""Octets that a client is told and does not read, beyond what the kernel takes for it: a dozen of
the longest answers. Whoever has asked for a thousand, and waits for servers, may get all at once.
"""

_LENGTH = 2
"""Octets in front of a message."""


class Ends(NamedTuple):
    """Between which addresses somebody talks."""

    here: str
    there: str


class _GoingOn(NamedTuple):
    ends: Ends
    over: asyncio.Event


class Conversations:
    """Those at one listening socket. Belongs to one event loop."""

    def __init__(
        self, answering: Callable[[Ends], Answering], most_of_one: int = MOST_CLIENTS
    ) -> None:
        """`answering` says who answers a client, before each query. Of one address `most_of_one`
        clients at a time are heard."""
        self._answering = answering
        self._most_of_one = most_of_one
        self._going_on: dict[asyncio.StreamWriter, _GoingOn] = {}
        """By those who are told something."""
        self._server: asyncio.Server | None = None
        self._is_over = False

    async def begin(self, listening: socket.socket) -> None:
        """Hear who connects to a socket that listens, and nobody at an earlier one any more. It is
        closed in the end."""
        if self._server is not None:
            self._server.close()
        self._server = await asyncio.start_server(self._meet, sock=listening)

    async def close(self) -> None:
        """Hear nobody any more, and leave whom there is."""
        self._is_over = True
        if self._server is not None:
            self._server.close()
        for writer in self._going_on:
            writer.transport.abort()
        for each in list(self._going_on.values()):
            await each.over.wait()

    async def _meet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = _ends(writer)
        if ends is None or self._is_over or not self._has_room_for(ends.there):
            writer.transport.abort()
            return
        self._going_on[writer] = going_on = _GoingOn(ends, asyncio.Event())
        try:
            await self._converse(reader, writer, ends)
            await _take_leave(writer)
        finally:
            writer.transport.abort()
            del self._going_on[writer]
            going_on.over.set()

    def _has_room_for(self, address: str) -> bool:
        of_one = sum(each.ends.there == address for each in self._going_on.values())
        return len(self._going_on) < MOST_CLIENTS and of_one < self._most_of_one

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: Ends
    ) -> None:
        owed = _Owed(writer)
        try:
            while True:
                async with asyncio.timeout(IDLE_SECONDS):
                    await writer.drain()
                    length = int.from_bytes(await reader.readexactly(_LENGTH), "big")
                    query = await reader.readexactly(length)
                owed.begin()
                self._answering(ends).answer(query, owed.pay, by_stream=True)
        except asyncio.IncompleteReadError:
            if not writer.is_closing():  # it asks no more, and waits for what it has asked
                await owed.settled()
        except (TimeoutError, ConnectionError):
            writer.transport.abort()


def _ends(writer: asyncio.StreamWriter) -> Ends | None:
    """None where the client is gone already."""
    here, there = (writer.get_extra_info(name) for name in ("sockname", "peername"))
    return Ends(here[0], there[0]) if here and there else None


async def _take_leave(writer: asyncio.StreamWriter) -> None:
    """Let a client read what it was told last, but not for ever."""
    writer.close()
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(IDLE_SECONDS):
            await writer.wait_closed()


class _Owed:
    """Answers that a client waits for."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._count = 0
        self._none = asyncio.Event()
        self._none.set()

    def begin(self) -> None:
        """One more. Where there is nothing to say, none comes."""
        self._count += 1
        self._none.clear()

    def pay(self, message: bytes) -> None:
        """One less."""
        if not self._writer.is_closing():
            self._writer.write(len(message).to_bytes(_LENGTH, "big") + message)
            if self._writer.transport.get_write_buffer_size() > MOST_UNREAD:
                self._writer.transport.abort()
        self._count -= 1
        if not self._count:
            self._none.set()

    async def settled(self) -> None:
        """Wait for all, but not for ever."""
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                await self._none.wait()
        except TimeoutError:
            return
