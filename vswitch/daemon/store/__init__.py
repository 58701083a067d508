"""What outlives the daemon: what was made while it ran, and what it chose.

Theory of operation. A `Store` is one file (`database`) with a *shelf* for each kind of thing, and a
shelf has values by name. What is put on a shelf is written before `put` returns, and a change that
concerns several things is one transaction (`Store.change`): after kill -9 either all of it is there
or nothing, and whatever was answered is. Values come back in the order in which their names were
put there first. Beside the shelves are the connections that a switch has left (`carried`).

Reading happens once, at the start; what is so while the switch runs is in the inventory. Nothing is
decided here. A shelf may be used from any thread, by one at a time.

Read on: `plain` for how values become rows.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Generic, TypeVar

from vswitch.daemon.store import carried
from vswitch.daemon.store.carried import Carried
from vswitch.daemon.store.database import StoreError, open_database
from vswitch.daemon.store.kept import (
    KeptBystander,
    KeptEndpoint,
    KeptFilters,
    KeptLease,
    KeptPublication,
)
from vswitch.daemon.store.plain import NotReadableError, plain, valued
from vswitch.network.ids import Identity
from vswitch.network.model import Network
from vswitch.wire.values import IpNetwork, MacAddress

__all__ = ["FILE", "Carried", "Shelf", "Store", "StoreError"]

FILE = "state.db"
"""Its name in a switch's state directory."""

T = TypeVar("T")


class Store:
    """The state of one switch."""

    def __init__(self, path: Path) -> None:
        """Open the state in the file `path`, or begin it. Raises StoreError."""
        self.path = path
        self._connection = open_database(path)
        self._lock = RLock()
        self._depth = 0
        self.networks = Shelf(self, "network", Network)
        """Those that were made at run time, by their ids."""
        self.endpoints = Shelf(self, "endpoint", KeptEndpoint)
        """Those of the configuration, and those that were brought at run time."""
        self.identities = Shelf(self, "identity", Identity)
        """Of the configuration's networks, and of those that the switch takes no part in."""
        self.subnets = Shelf(self, "subnet", IpNetwork)
        """Of the configuration's networks, by their names."""
        self.macs = Shelf(self, "mac", MacAddress)
        """What else was given a MAC address of the switch's choice."""
        self.bystanders = Shelf(self, "bystander", KeptBystander)
        """Commands on the networks that the switch takes no part in, by name."""
        self.publications = Shelf(self, "publication", KeptPublication)
        """What every endpoint publishes, by its name and what is published."""
        self.filters = Shelf(self, "filters", KeptFilters)
        """The chain, under one name."""
        self.leases = Shelf(self, "granted", KeptLease)
        """What is leased, by network and address."""

    @contextmanager
    def change(self) -> Iterator[None]:
        """All that is put and removed in the block is one change: written at its end, or not at
        all where the block raises. Raises StoreError where the disk refuses.
        """
        with self._lock:
            if self._depth:
                yield
                return
            self._depth = 1
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                with self._connection:
                    yield
            except sqlite3.Error as error:
                raise StoreError(f"{self.path}: the state can not be written: {error}") from error
            finally:
                self._depth = 0

    def leave(self, connections: Carried) -> None:
        """Keep the connections of a switch that stops, for the next. Raises StoreError."""
        with self.change():
            carried.write(self._connection, connections)

    def take(self) -> Carried | None:
        """The connections that were left, once; None where none were. Raises StoreError."""
        with self.change():
            found = carried.read(self._connection)
            if found is not None:
                carried.remove(self._connection)
            return found

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._connection.close()

    def rows(self, kind: str) -> list[tuple[str, str]]:
        """For shelves: name and content of all things of a kind."""
        query = "SELECT name, content FROM things WHERE kind = ? ORDER BY number"
        with self._lock:
            try:
                return self._connection.execute(query, (kind,)).fetchall()
            except sqlite3.Error as error:
                raise StoreError(f"{self.path}: the state can not be read: {error}") from error

    def write(self, kind: str, name: str, content: str) -> None:
        """For shelves: have a thing with this content."""
        with self.change():
            self._connection.execute(
                "INSERT INTO things (kind, name, content) VALUES (?, ?, ?)"
                " ON CONFLICT (kind, name) DO UPDATE SET content = excluded.content",
                (kind, name, content),
            )

    def erase(self, kind: str, name: str) -> None:
        """For shelves: have it no longer."""
        with self.change():
            self._connection.execute("DELETE FROM things WHERE kind = ? AND name = ?", (kind, name))


class Shelf(Generic[T]):
    """The things of one kind, by name."""

    def __init__(self, store: Store, kind: str, content: type[T]) -> None:
        """`content` is the class of the values, one that `plain` knows how to keep."""
        self._store = store
        self._kind = kind
        self._content = content

    def put(self, name: str, value: T) -> None:
        """Keep `value` as what is called `name`, in the place of what was. Raises StoreError."""
        self._store.write(self._kind, name, json.dumps(plain(value)))

    def remove(self, name: str) -> None:
        """Keep nothing by that name, whether there was something or not. Raises StoreError."""
        self._store.erase(self._kind, name)

    def all(self) -> dict[str, T]:
        """Everything on the shelf. Raises StoreError, also where a content can not be read."""
        found = {}
        for name, content in self._store.rows(self._kind):
            try:
                found[name] = valued(self._content, json.loads(content))
            except (NotReadableError, json.JSONDecodeError) as error:
                what = f"the state of {self._kind} {name} can not be read"
                raise StoreError(f"{self._store.path}: {what}: {error}") from error
        return found

    def replace(self, values: Mapping[str, T]) -> None:
        """Have these things and no others; nothing is written where it is so already."""
        present = self.all()
        if present == values:
            return
        with self._store.change():
            for name in present.keys() - values.keys():
                self.remove(name)
            for name, value in values.items():
                if present.get(name) != value:
                    self.put(name, value)
