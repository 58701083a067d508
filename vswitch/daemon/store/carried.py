"""The connection table between an orderly stop and the next start, as rows.

Theory of operation. There may be a quarter of a million of them, so they have tables of their own
with a column for each field, and are written and taken all at once. Taking them removes them: they
are true once, for who starts next.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any, NamedTuple

from vswitch.dataplane.snapshot import SavedConnection, SavedFlow, SavedMapping, Snapshot
from vswitch.units import Nanoseconds


class Carried(NamedTuple):
    """A snapshot, and when it was made by the monotonic clock of the boot with this id."""

    snapshot: Snapshot
    boot: str
    made_at: Nanoseconds


_TABLES = ("carried", "carried_mappings", "carried_connections")


def lay_out(connection: sqlite3.Connection) -> None:
    """Make the tables."""
    connection.execute("CREATE TABLE carried (boot TEXT NOT NULL, made_at INTEGER NOT NULL) STRICT")
    connection.execute(
        "CREATE TABLE carried_mappings (network TEXT NOT NULL, internal BLOB NOT NULL,"
        " uplink TEXT NOT NULL, external BLOB NOT NULL, idle INTEGER NOT NULL) STRICT"
    )
    connection.execute(
        "CREATE TABLE carried_connections (original_network TEXT NOT NULL, original BLOB NOT NULL,"
        " reply_network TEXT NOT NULL, reply BLOB NOT NULL, state TEXT NOT NULL,"
        " age INTEGER NOT NULL, idle INTEGER NOT NULL, frames INTEGER NOT NULL,"
        " octets INTEGER NOT NULL, mapping BLOB, target BLOB, holds_target INTEGER NOT NULL,"
        " is_published INTEGER NOT NULL, window BLOB) STRICT"
    )


def write(connection: sqlite3.Connection, carried: Carried) -> None:
    """Have this and nothing earlier."""
    remove(connection)
    snapshot = carried.snapshot
    connection.execute("INSERT INTO carried VALUES (?, ?)", (carried.boot, carried.made_at))
    _insert(connection, "carried_mappings", 5, snapshot.mappings)
    rows = ((*each.original, *each.reply, *each[2:]) for each in snapshot.connections)
    _insert(connection, "carried_connections", 14, rows)


def read(connection: sqlite3.Connection) -> Carried | None:
    """What was written last, None where it was removed since."""
    head = connection.execute("SELECT boot, made_at FROM carried").fetchone()
    if head is None:
        return None
    mappings = connection.execute("SELECT * FROM carried_mappings ORDER BY rowid")
    connections = connection.execute("SELECT * FROM carried_connections ORDER BY rowid")
    snapshot = Snapshot(
        tuple(SavedMapping(*row) for row in mappings),
        tuple(_connection(row) for row in connections),
    )
    return Carried(snapshot, *head)


def remove(connection: sqlite3.Connection) -> None:
    """Have nothing."""
    for table in _TABLES:
        connection.execute(f"DELETE FROM {table}")


def _insert(
    connection: sqlite3.Connection, table: str, columns: int, rows: Iterable[tuple[Any, ...]]
) -> None:
    places = ", ".join("?" * columns)
    connection.executemany(f"INSERT INTO {table} VALUES ({places})", rows)


def _connection(row: tuple[Any, ...]) -> SavedConnection:
    """SQLite has numbers for truth values."""
    original, reply = SavedFlow(*row[:2]), SavedFlow(*row[2:4])
    *known, holds_target, is_published, window = row[4:]
    fields = original, reply, *known, bool(holds_target), bool(is_published), window
    return SavedConnection._make(fields)
