"""Which endpoints there are, as the state has it: the next daemon takes these over.

Theory of operation. An endpoint has a row as soon as it is up: what was asked for, what it was
given, and where it lives if somebody has brought it; none for one of the configuration's, which
comes again by itself. What it publishes is written down with it (`publishing`), all of it or
nothing. Who leaves is forgotten, but for the configuration's: when these leave because the switch
stops, they are given the same again.

Who takes over is `takeover`'s to say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from vswitch.daemon.publishing import Publishing
from vswitch.daemon.store import Store
from vswitch.daemon.store.kept import KeptEndpoint
from vswitch.network.model import Endpoint


class Remembered:
    """The rows of one switch. Whatever writes raises StoreError."""

    def __init__(self, publishing: Publishing) -> None:
        self._publishing = publishing
        self._rows: dict[str, KeptEndpoint] = {}
        """As they are in the state, by name."""
        self._store: Store
        """From `keep_in` on."""

    def keep_in(self, store: Store) -> None:
        """Keep rows in `store` from now on."""
        self._store = store

    def take_over(self, row: KeptEndpoint) -> None:
        """One of whom there is a row already is up."""
        self._rows[row.given.name] = row

    def put(self, row: KeptEndpoint) -> None:
        """Write down who is there from now on, and what it publishes."""
        name = row.given.name
        with self._store.change():
            self._store.endpoints.put(name, row)
            self._publishing.keep(row.given)
        self._rows[name] = row

    def put_as_it_is(self, endpoint: Endpoint) -> None:
        """Write down that one is another by now."""
        row = replace(self._rows[endpoint.name], given=endpoint)
        self._store.endpoints.put(endpoint.name, row)
        self._rows[endpoint.name] = row

    def note(self, endpoints: Iterable[Endpoint]) -> None:
        """Write down who of `endpoints` is there, and what they publish, and nobody else."""
        with self._store.change():
            self._store.endpoints.replace(self._rows)
            self._publishing.note(
                [each for each in endpoints if each.name in self._rows], self._rows
            )

    def is_configured(self, name: str) -> bool:
        """Whether there is one of that name which is the configuration's."""
        row = self._rows.get(name)
        return row is not None and row.home is None

    def forget(self, name: str) -> None:
        """One leaves; the configuration's are not forgotten: they come again."""
        row = self._rows.get(name)
        if row is not None and row.home is not None:
            self.drop(name)

    def drop(self, name: str) -> None:
        """One does not come again, whosever it was."""
        self._rows.pop(name, None)
        with self._store.change():
            self._store.endpoints.remove(name)
            self._publishing.forget(name)
