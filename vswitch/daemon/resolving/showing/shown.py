"""What is shown of names: queries as they come, what is asked most, what is kept, who is asked.

Theory of operation. Rows are made when somebody looks, of what is counted and kept anyway. Who
follows the log is told of nothing: a few times a second it is asked for what has come (`querylog`),
so that a reader, or a hundred, cost a query nothing. The log of the switch is such a reader, where
the user wants queries written down; queries that come faster than they are written are counted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from vswitch.daemon.captures import TooManyReadersError
from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.messages.dns import (
    FlushedRow,
    FrequentRow,
    KeptNameRow,
    Outcome,
    QueriesQuery,
    QueryRow,
    ServerRow,
    TopRow,
    in_words,
)
from vswitch.daemon.resolving.listening.listeners import Resolver
from vswitch.daemon.resolving.showing.frequent import Counted
from vswitch.daemon.resolving.showing.querylog import Noted, Since
from vswitch.naming import NameSettings, Server
from vswitch.network.errors import InvalidRequestError
from vswitch.units import SECOND, Nanoseconds
from vswitch.wire import domain

T = TypeVar("T", bytes, str)

if TYPE_CHECKING:
    from vswitch.dataplane.responders.dns.outside.servers import ServerState

log = logging.getLogger(__name__)

LOOK_AGAIN_SECONDS = 0.25
"""How soon a query is told to who follows them."""

LOOK_RARELY_SECONDS = 2.0
"""How soon one is written down where there were none for a while."""

READERS = 32
"""At a time."""

HOST = "host"
"""Where servers are asked from that are asked from no namespace."""


class Shown:
    """Of one switch."""

    def __init__(
        self,
        resolver: Resolver,
        now: Callable[[], Nanoseconds],
    ) -> None:
        """`now` reads the dataplane's clock."""
        self._resolver = resolver
        self._now = now
        self._over = asyncio.Event()
        self._readers = 0
        self._writing: asyncio.Task[None] | None = None

    # What was asked

    async def queries(
        self, wish: QueriesQuery, is_read: Callable[[], bool]
    ) -> AsyncGenerator[bytes, None]:
        """A line of JSON for each query, in pieces as they come; the first piece comes at once.

        Ends at once without `follow`, else when `is_read` says no, or the switch stops. Raises
        TooManyReadersError.
        """
        if self._readers >= READERS:
            raise TooManyReadersError(f"{READERS} follow queries already, which is the limit")
        self._readers += 1
        try:
            since = self._resolver.queries.last(wish.last)
            yield self._lines(since)
            while wish.follow and not self._over.is_set() and is_read():
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
                since = self._resolver.queries.since(since.number)
                if since.noted:
                    yield self._lines(since)
        finally:
            self._readers -= 1

    def top(self, count: int) -> TopRow:
        """What is asked most, and by whom."""
        queries = self._resolver.queries
        return TopRow(
            queries=queries.outcomes.total(),
            outcomes={each.value: queries.outcomes[each] for each in Outcome},
            names=_frequent(queries.names(count), domain.decode),
            parties=_frequent(queries.parties(count), str),
        )

    # What is kept, and who is asked

    def kept(self, name: str | None) -> list[KeptNameRow]:
        """What servers have said, of one name or all, and is good still. Raises
        InvalidRequestError."""
        wanted = None if name is None else domain.decode(_wanted(name))
        cache = self._resolver.cache
        if cache is None:
            return []
        return [
            KeptNameRow(
                name=each.name.removesuffix(".") or ".",
                type=each.type,
                said=each.what.value,
                expires_in_seconds=each.ttl,
                hits=each.hits,
                is_stale=each.is_stale,
            )
            for each in cache.entries(self._now())
            if wanted is None or (each.name.removesuffix(".") or ".") == wanted
        ]

    def flush(self, name: str | None) -> FlushedRow:
        """Forget what is kept of a name, or all of it. Raises InvalidRequestError."""
        wanted, cache = None if name is None else _wanted(name), self._resolver.cache
        return FlushedRow(forgotten=0 if cache is None else cache.forget(wanted))

    def servers(self) -> list[ServerRow]:
        """Who was asked, and how it went."""
        rows = (_server(each) for each in self._resolver.servers())
        return sorted(rows, key=lambda row: (row.asked_from != HOST, row.asked_from, row.server))

    def silent(self, asked: Iterable[Server]) -> tuple[str, ...]:
        """Which of some servers do not answer."""
        down = {each.place.server for each in self._resolver.servers() if each.is_down}
        return tuple(str(each) for each in asked if each in down)

    # The log

    def follow(self, settings: NameSettings) -> None:
        """Do what the user wants from now on."""
        if settings.logs and self._writing is None:
            number = self._resolver.queries.last(0).number
            self._writing = asyncio.get_running_loop().create_task(self._write(number))
        elif not settings.logs and self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def end_all(self) -> None:
        """Let every reader find the end."""
        self._over.set()

    async def close(self) -> None:
        """Write nothing down any more, but for what has come until now."""
        self.end_all()
        if self._writing is not None:
            await self._writing

    async def _write(self, number: int) -> None:
        pause = LOOK_AGAIN_SECONDS
        while True:
            since = self._resolver.queries.since(number)
            pause = min(2 * pause, LOOK_RARELY_SECONDS)
            if since.number != number:
                number, pause = since.number, LOOK_AGAIN_SECONDS
            if since.missed:
                log.info("%d queries were not written down: they came too fast", since.missed)
            for row in self._rows(since):
                log.info("%s", in_words(row))
            if self._over.is_set():
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), pause)

    def _lines(self, since: Since) -> bytes:
        return "".join(f"{row.model_dump_json()}\n" for row in self._rows(since)).encode()

    def _rows(self, since: Since) -> Iterator[QueryRow]:
        offset, missed = time.time() - self._now() / SECOND, since.missed
        for each in since.noted:
            yield _query(each, offset, missed)
            missed = 0


def _wanted(name: str) -> bytes:
    """Raises InvalidRequestError."""
    try:
        return domain.encode(name)
    except ValueError as error:
        raise InvalidRequestError(str(error)) from error


def _query(noted: Noted, offset: float, missed: int) -> QueryRow:
    import dns.rdatatype

    kind = noted.type
    return QueryRow(
        time=offset + noted.when / SECOND,
        party=noted.party.name,
        network=noted.party.network,
        name=domain.decode(noted.name),
        type="" if kind is None else dns.rdatatype.to_text(dns.rdatatype.RdataType.make(kind)),
        outcome=noted.outcome,
        server=noted.by or None,
        took_seconds=noted.took / SECOND,
        missed=missed,
    )


def _frequent(counted: Iterable[Counted[T]], text: Callable[[T], str]) -> tuple[FrequentRow, ...]:
    return tuple(
        FrequentRow(name=text(each.thing), queries=each.times, surplus=each.surplus)
        for each in counted
    )


def _server(state: ServerState) -> ServerRow:
    origin = state.place.origin
    return ServerRow(
        server=str(state.place.server),
        asked_from=str(origin) if isinstance(origin, Namespace) else HOST,
        queries=state.queries,
        answers=state.answers,
        failures=state.failures,
        silences=state.silences,
        answers_in_seconds=None if state.smoothed is None else state.smoothed / SECOND,
        is_down=state.is_down,
        trouble=state.trouble,
    )
