"""The connection table between an orderly stop and the next start: one row.

Theory of operation. A snapshot is octets already (`dataplane.snapshot`), so it is kept as it is.
Taking it removes it: it is true once, for who starts next.
"""

from __future__ import annotations

import json
import sqlite3
from typing import NamedTuple

from vswitch.dataplane.snapshot import SavedOpening, Snapshot
from vswitch.units import Nanoseconds


class Carried(NamedTuple):
    """A snapshot, and when it was made by the monotonic clock of the boot with this id."""

    snapshot: Snapshot
    boot: str
    made_at: Nanoseconds


def lay_out(connection: sqlite3.Connection) -> None:
    """Make the table."""
    connection.execute(
        "CREATE TABLE carried (boot TEXT NOT NULL, made_at INTEGER NOT NULL, form TEXT NOT NULL,"
        " networks TEXT NOT NULL, mappings BLOB NOT NULL, connections BLOB NOT NULL) STRICT"
    )


def let_openings_be_carried(connection: sqlite3.Connection) -> None:
    """Make the column of a table that has none."""
    connection.execute("ALTER TABLE carried ADD COLUMN openings TEXT NOT NULL DEFAULT '[]'")


def write(connection: sqlite3.Connection, carried: Carried) -> None:
    """Have this and nothing earlier."""
    remove(connection)
    snapshot, boot, made_at = carried
    row = boot, made_at, snapshot.form, json.dumps(list(snapshot.networks.items()))
    connection.execute(
        "INSERT INTO carried VALUES (?, ?, ?, ?, ?, ?, ?)",
        (*row, snapshot.mappings, snapshot.connections, _openings_text(snapshot.openings)),
    )


def read(connection: sqlite3.Connection) -> Carried | None:
    """What was written last, None where it was removed since."""
    row = connection.execute("SELECT * FROM carried").fetchone()
    if row is None:
        return None
    boot, made_at, form, networks, mappings, connections, openings = row
    snapshot = Snapshot(
        form, dict(json.loads(networks)), mappings, connections, _openings(openings)
    )
    return Carried(snapshot, boot, made_at)


def remove(connection: sqlite3.Connection) -> None:
    """Have nothing."""
    connection.execute("DELETE FROM carried")


def _openings_text(openings: tuple[SavedOpening, ...]) -> str:
    return json.dumps(
        [[each.network, each.address.hex(), each.name.hex(), each.left] for each in openings]
    )


def _openings(text: str) -> tuple[SavedOpening, ...]:
    return tuple(
        SavedOpening(network, bytes.fromhex(address), bytes.fromhex(name), left)
        for network, address, name, left in json.loads(text)
    )
