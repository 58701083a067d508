"""What comes and goes on a switch, told to whoever reads along: `/v1/events`.

Theory of operation. Who changes something calls `tell`, which never waits and never fails. Each
reader has a queue of its own, bounded by `WAITING`: one that reads too slowly loses the oldest of
what waits for it, and the next event that it gets says how many (`missed`). The last `REMEMBERED`
events are kept for readers that ask for what was before them; that too is bounded, so a switch that
nobody reads costs a fixed amount of memory, and no event that is told costs more than a handful of
appends.

Events are about things that have a name. Frames are not among them, nor are drops: those are
counted (`/v1/ports`) and captured (`captures`).

Belongs to one event loop.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

from vswitch.daemon.captures import TooManyReadersError
from vswitch.daemon.messages.events import Event, EventRow, EventsQuery, EventType

WAITING = 1024
"""Events that may wait for one reader: as many as 500 endpoints with a port each make when they
come. Readers share them, so what waits for many costs little more than for one."""

REMEMBERED = 1024
"""Events of the past."""

READERS = 32
"""At a time, which bounds what all of them make wait."""

LOOK_AGAIN_SECONDS = 0.5
"""How soon it is noticed that a reader has left, where nothing happens."""


class Reader:
    """What waits for one reader."""

    def __init__(self, wish: EventsQuery) -> None:
        self._wish = wish
        self._waiting: deque[EventRow] = deque()
        self._missed = 0
        self._is_over = False
        self._something_waits = asyncio.Event()

    def offer(self, row: EventRow) -> None:
        """Let `row` wait, if it is among what is wished for."""
        if not _fits(row, self._wish):
            return
        if len(self._waiting) == WAITING:
            self._waiting.popleft()
            self._missed += 1
        self._waiting.append(row)
        self._something_waits.set()

    def take(self) -> list[EventRow]:
        """All that waits, the first of it with the number of those that were lost before it."""
        rows = list(self._waiting)
        self._waiting.clear()
        if rows and self._missed:
            rows[0] = rows[0].model_copy(update={"missed": self._missed})
            self._missed = 0
        return rows

    def end(self) -> None:
        """Let nothing more come; what waits is still taken."""
        self._is_over = True
        self._something_waits.set()

    async def lines(self, is_read: Callable[[], bool]) -> AsyncGenerator[bytes, None]:
        """A line of JSON for each event, in pieces as they come, until the end.

        The first piece comes at once, and may be empty: it says that the reading has begun.
        Ends also where `is_read` says no.
        """
        yield _lines(self.take())
        while not self._is_over and is_read():
            self._something_waits.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_AGAIN_SECONDS):
                    await self._something_waits.wait()
            rows = self.take()
            if rows:
                yield _lines(rows)


class Events:
    """Everybody who reads what comes and goes on one switch."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """`clock` tells seconds since 1970."""
        self._clock = clock
        self._past: deque[EventRow] = deque(maxlen=REMEMBERED)
        self._readers: set[Reader] = set()

    def tell(self, kind: EventType, event: Event, name: str, /, **attributes: object) -> None:
        """Say what has become of the thing called `name`; attributes that are None are left out."""
        row = EventRow(
            time=self._clock(),
            type=kind,
            event=event,
            name=name,
            attributes={key: str(value) for key, value in attributes.items() if value is not None},
            missed=0,
        )
        self._past.append(row)
        for reader in self._readers:
            reader.offer(row)

    def begin(self, wish: EventsQuery) -> Reader:
        """A new reader; `close` it when it is done. Raises TooManyReadersError."""
        if len(self._readers) >= READERS:
            raise TooManyReadersError(f"{READERS} read events already, which is the limit")
        reader = Reader(wish)
        if wish.since_seconds is not None:
            begin = self._clock() - wish.since_seconds
            for row in self._past:
                if row.time >= begin:
                    reader.offer(row)
        self._readers.add(reader)
        return reader

    def close(self, reader: Reader) -> None:
        """Forget a reader."""
        reader.end()
        self._readers.discard(reader)

    def end_all(self) -> None:
        """Let every reader find the end, after what waits for it."""
        for reader in self._readers:
            reader.end()

    def __len__(self) -> int:
        """How many read."""
        return len(self._readers)


def _fits(row: EventRow, wish: EventsQuery) -> bool:
    return (
        (not wish.type or row.type in wish.type)
        and (not wish.event or row.event in wish.event)
        and (not wish.name or row.name in wish.name)
    )


def _lines(rows: list[EventRow]) -> bytes:
    return "".join(f"{row.model_dump_json()}\n" for row in rows).encode()
