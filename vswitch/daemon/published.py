"""What endpoints publish, as the state has it: which ports, since when, and how far it has come.

Theory of operation. Every publication has a row: those that an endpoint came with, and those that
were added while the switch ran. What is withdrawn, or has come to its end, has none, so the next
daemon publishes what there are rows for (`requests`), and tells the dataplane how much time is left
and what is used up (`resume`). The time runs on while no switch does, so it is kept as the moment
at which it is over.

An endpoint that asks for other ports by now, as its configuration has changed, gets those as if
they were new, and keeps what was added.

Nothing is published here: that is `publishing`'s and `attachment`'s.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace

from vswitch.daemon.store import Store
from vswitch.daemon.store.kept import KeptPublication
from vswitch.dataplane import publications as dataplane
from vswitch.network.ports import Publication, PublicationRequest
from vswitch.units import Nanoseconds

log = logging.getLogger(__name__)


class Published:
    """The rows of one switch, whose dataplane has `table`."""

    def __init__(self, table: dataplane.PublicationTable) -> None:
        self._table = table
        self._rows: dict[str, dict[Publication, KeptPublication]] = {}
        """By the name of the endpoint."""
        self._store: Store
        """Known from `keep_in` on."""

    def keep_in(self, store: Store) -> None:
        """Keep rows in `store` from now on."""
        self._store = store

    def recall(self) -> None:
        """Read the rows that were kept; what is over by now has none any more. Raises StoreError.

        Call it once, before anything is published.
        """
        now = time.time_ns()
        for name, row in self._store.publications.all().items():
            if row.closes_at is not None and row.closes_at <= now:
                log.info("endpoint %s no longer publishes %s: ended", row.endpoint, row.publication)
                self._store.publications.remove(name)
            else:
                self._rows.setdefault(row.endpoint, {})[row.publication] = row

    def requests(
        self,
        endpoint: str,
        asked: tuple[PublicationRequest, ...],
        before: tuple[PublicationRequest, ...] | None,
    ) -> tuple[PublicationRequest, ...]:
        """What an endpoint is to publish that asks for `asked`, and asked for `before` when its
        rows were written; None where it has not been there."""
        rows = self._rows.get(endpoint, {}).values()
        if asked == before:
            return tuple(_again(row.publication) for row in rows)
        return (*asked, *(_again(row.publication) for row in rows if row.is_added))

    def resume(
        self,
        endpoint: str,
        publication: Publication,
        there: dataplane.Publication,
        now: Nanoseconds,
    ) -> None:
        """Let what the dataplane has as `there` since now be as far as it was, if it was before."""
        row = self._rows.get(endpoint, {}).get(publication)
        if row is not None:
            left = None if row.closes_at is None else row.closes_at - time.time_ns()
            closes_at = None if left is None else now + left
            self._table.resume(there, closes_at, has_let_in=row.is_used_up)

    def keep(
        self,
        endpoint: str,
        published: Iterable[tuple[Publication, dataplane.Publication]],
        now: Nanoseconds,
        *,
        is_added: bool,
    ) -> None:
        """Write rows for what is published from now on, or is another by now. Raises StoreError."""
        rows = self._rows.setdefault(endpoint, {})
        fresh = {
            each: self._row(endpoint, each, there, now, is_added=is_added)
            for each, there in published
        }
        with self._store.change():
            for each, row in fresh.items():
                self._store.publications.put(_name(endpoint, each), row)
        rows.update(fresh)

    def note_used_up(self, endpoint: str, publications: Iterable[Publication]) -> None:
        """Write down that the one connection has come that each was for. Raises StoreError."""
        for each in publications:
            row = replace(self._rows[endpoint][each], is_used_up=True)
            self._store.publications.put(_name(endpoint, each), row)
            self._rows[endpoint][each] = row

    def drop(self, endpoint: str, publications: Iterable[Publication]) -> None:
        """Remove the rows of what is not published any more. Raises StoreError."""
        gone = [each for each in publications if each in self._rows.get(endpoint, {})]
        with self._store.change():
            for each in gone:
                self._store.publications.remove(_name(endpoint, each))
        for each in gone:
            del self._rows[endpoint][each]

    def settle(self, endpoint: str, present: Iterable[Publication]) -> None:
        """Remove the rows of an endpoint but those of what is `present`. Raises StoreError."""
        there = set(present)
        self.drop(endpoint, [each for each in self._rows.get(endpoint, {}) if each not in there])

    def is_kept(self, endpoint: str, publication: Publication) -> bool:
        """Whether it has a row."""
        return publication in self._rows.get(endpoint, {})

    @property
    def endpoints(self) -> Iterator[str]:
        """Whose rows there are."""
        return iter(tuple(self._rows))

    def _row(
        self,
        endpoint: str,
        publication: Publication,
        there: dataplane.Publication,
        now: Nanoseconds,
        *,
        is_added: bool,
    ) -> KeptPublication:
        closes_at = self._table.closes_at(there)
        over = None if closes_at is None else time.time_ns() + closes_at - now
        return KeptPublication(endpoint, publication, is_added, over, self._table.has_served(there))


def _name(endpoint: str, publication: Publication) -> str:
    return f"{endpoint} {publication}"


def _again(publication: Publication) -> PublicationRequest:
    """What makes the same again, with nothing left to choose."""
    return PublicationRequest(
        publication.protocol,
        publication.host_address,
        publication.host_ports,
        publication.endpoint_ports,
        publication.terms,
    )
