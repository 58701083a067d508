"""The file that the state is in: opened, judged, brought up to date.

Theory of operation. One SQLite database (sqlite.org/fileformat.html). Its header says that it is
ours (`application_id`) and how its tables are laid out (`user_version`). A file of an older layout
is brought up to date by `_MIGRATIONS`, one after the other, each in the transaction that notes it.
One of a newer layout, somebody else's, or one that is damaged is refused and left as it is: the
user decides whether to go back to a newer vswitch, or to move it away and begin anew.

Changes are written ahead (sqlite.org/wal.html), and each commit waits for the disk
(`synchronous=FULL`): what was answered is there after kill -9, and after the power went. With
NORMAL, the last commits before a power cut could be missing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from vswitch.daemon.store import carried

APPLICATION = 0x76737774
"""In the header of our files: "vswt"."""

_DIRECTORY_MODE = 0o700
"""Whoever reads the state knows who talks to whom."""


class StoreError(Exception):
    """The state can not be used. The text is one line: the file, what is wrong, what to do."""


def open_database(path: Path) -> sqlite3.Connection:
    """The database at `path`, which is made where it is missing. Raises StoreError."""
    try:
        path.parent.mkdir(mode=_DIRECTORY_MODE, parents=True, exist_ok=True)
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"{path}: the state can not be opened: {_reason(error)}") from error
    try:
        _judge(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        _bring_up_to_date(connection)
    except sqlite3.Error as error:
        connection.close()
        raise StoreError(
            f"{path}: the state can not be read: {_reason(error)}; {_ADVICE}"
        ) from error
    except BaseException:
        connection.close()
        raise
    return connection


_ADVICE = "moved away, it lets the switch begin anew"


def _judge(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse what is not ours to write into. Raises StoreError and sqlite3.Error."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables and application != APPLICATION:
        raise StoreError(f"{path}: this is no state of vswitch; {_ADVICE}")
    if version > LAYOUT:
        raise StoreError(
            f"{path}: the state was written by a newer vswitch, in layout {version}: "
            f"this one knows {LAYOUT}; {_ADVICE}"
        )
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise StoreError(f"{path}: the state is damaged: {' '.join(verdict.split())}; {_ADVICE}")


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for number, migrate in enumerate(_MIGRATIONS[version:], start=version + 1):
        connection.execute("BEGIN IMMEDIATE")
        with connection:
            migrate(connection)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {number}")


def _lay_out(connection: sqlite3.Connection) -> None:
    """Layout 1: a row for each thing, of a kind and with a name, its content as JSON."""
    connection.execute(
        "CREATE TABLE things (number INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL,"
        " content TEXT NOT NULL, UNIQUE (kind, name)) STRICT"
    )


def _let_endpoints_have_memberships(connection: sqlite3.Connection) -> None:
    """Layout 2: what an endpoint has on a network is one of its memberships."""
    fields = [
        f"'{each}', json_extract(content, '$.{each}')" for each in ("network", "address", "mac")
    ]
    fields.append("'aliases', json(coalesce(json_extract(content, '$.aliases'), '[]'))")
    membership = f"json_object({', '.join(fields)})"
    connection.execute(
        "UPDATE things SET content = json_remove("
        f"json_set(content, '$.memberships', json_array({membership})),"
        " '$.network', '$.address', '$.mac', '$.aliases') WHERE kind IN ('endpoint', 'lease')"
    )


def _carry_in_one_row(connection: sqlite3.Connection) -> None:
    """Layout 3: connections are left in one row. Those that had rows for end."""
    for table in ("carried", "carried_mappings", "carried_connections"):
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    carried.lay_out(connection)


def _let_endpoints_be_of_one_kind(connection: sqlite3.Connection) -> None:
    """Layout 4: beside what an endpoint was given is what was asked for, here as good as nothing,
    and where it lives. All that were kept were the configuration's."""
    connection.execute("DELETE FROM things WHERE kind = 'endpoint'")
    connection.execute(
        "UPDATE things SET kind = 'endpoint', content ="
        " json_object('asked', json_object('name', name), 'given', json(content), 'home', NULL)"
        " WHERE kind = 'lease'"
    )


def _carry_openings(connection: sqlite3.Connection) -> None:
    """Layout 5: what names have opened is left beside the connections."""
    carried.let_openings_be_carried(connection)


_MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _lay_out,
    _let_endpoints_have_memberships,
    _carry_in_one_row,
    _let_endpoints_be_of_one_kind,
    _carry_openings,
)
"""What leads from each layout to the next, from none at all on."""

LAYOUT = len(_MIGRATIONS)
"""The layout that this vswitch writes."""


def _reason(error: Exception) -> str:
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
