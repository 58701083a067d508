"""State that outlives the daemon, however that ends."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.daemon.store.values import NAMES, kept_endpoints
from vswitch.daemon.store import FILE, Carried, Store, StoreError
from vswitch.daemon.store.database import APPLICATION, LAYOUT, _lay_out
from vswitch.daemon.store.kept import Home, KeptEndpoint
from vswitch.daemon.store.plain import plain
from vswitch.dataplane.snapshot import SavedOpening, Snapshot
from vswitch.network.model import (
    DEFAULT_NETWORK,
    Endpoint,
    EndpointKind,
    EndpointRequest,
    Membership,
    Network,
)
from vswitch.wire.values import IpAddress, MacAddress

WEB = Endpoint(
    "web",
    EndpointKind.TAP,
    "web",
    (Membership("front", IpAddress.parse("172.18.0.2"), MacAddress.parse("02:00:00:00:00:01")),),
)
KEPT = KeptEndpoint(EndpointRequest("web", "front"), WEB, None)
KILLED_AFTER = 40

WRITER = """\
import sys
from dataclasses import replace
from pathlib import Path
from tests.daemon.store.test_store import KEPT
from vswitch.daemon.store import Store

store = Store(Path(sys.argv[1]))
for number in range(1_000_000):
    with store.change():
        store.endpoints.put(f"web-{number}", KEPT)
        store.macs.put(f"web-{number}", KEPT.given.mac)
        if number >= 5:
            store.endpoints.remove(f"web-{number - 5}")
    print(number, flush=True)
"""
"""Says a number when what belongs to it was answered; whatever has a MAC address, has both."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lab" / FILE


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(path)
    yield store
    store.close()


def reopened(store: Store) -> Store:
    store.close()
    return Store(store.path)


puts = st.tuples(st.sampled_from(NAMES), st.none() | kept_endpoints())
"""A name, with what is put there or None for what is removed."""


@settings(max_examples=30, deadline=None)
@given(changes=st.lists(st.lists(puts, min_size=1, max_size=3), max_size=8))
def test_what_was_put_and_not_removed_is_there_when_opened_again(
    changes: list[list[tuple[str, KeptEndpoint | None]]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = Store(tmp_path_factory.mktemp("state") / FILE)
    expected: dict[str, KeptEndpoint] = {}
    for change in changes:
        with store.change():
            for name, endpoint in change:
                if endpoint is None:
                    store.endpoints.remove(name)
                    expected.pop(name, None)
                else:
                    store.endpoints.put(name, endpoint)
                    expected[name] = endpoint
    again = reopened(store)
    assert list(again.endpoints.all().items()) == list(expected.items())
    again.close()


def test_change_that_fails_in_the_middle_is_none(store: Store) -> None:
    store.endpoints.put("web", KEPT)
    with suppress(RuntimeError), store.change():
        store.endpoints.remove("web")
        store.networks.put("bridge", DEFAULT_NETWORK)
        raise RuntimeError
    again = reopened(store)
    assert again.endpoints.all() == {"web": KEPT}
    assert again.networks.all() == {}
    again.close()


def test_shelves_have_names_of_their_own(store: Store) -> None:
    store.endpoints.put("front", KEPT)
    front = replace(DEFAULT_NETWORK, name="front")
    store.networks.put("front", front)
    store.macs.put("front", WEB.mac)
    assert store.endpoints.all() == {"front": KEPT}
    networks: dict[str, Network] = store.networks.all()
    assert networks == {"front": front}
    assert store.macs.all() == {"front": WEB.mac}


def test_shelf_that_is_replaced_has_that_and_nothing_else(store: Store) -> None:
    store.endpoints.put("web", KEPT)
    store.endpoints.put("app", KEPT)
    wanted = {"web": replace(KEPT, home=Home("/run/netns/web")), "db": KEPT}
    store.endpoints.replace(wanted)
    assert store.endpoints.all() == wanted


def test_killed_in_the_middle_of_writing_it_loses_nothing_that_was_answered(path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    try:
        while int(writer.stdout.readline()) < KILLED_AFTER:
            pass
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split()
        assert writer.wait(10) == -signal.SIGKILL
    finally:
        writer.kill()
        writer.wait()
        writer.stdout.close()
    answered = int(rest[-1]) if rest else KILLED_AFTER
    store = Store(path)
    names = list(store.macs.all())
    assert names == [f"web-{number}" for number in range(len(names))]
    assert len(names) in (answered + 1, answered + 2)
    assert list(store.endpoints.all()) == names[-5:]
    store.close()


snapshots = st.builds(
    Snapshot,
    st.text(),
    st.dictionaries(st.integers(0, 2**16 - 1), st.sampled_from(NAMES)),
    st.binary(),
    st.binary(),
    st.lists(
        st.builds(
            SavedOpening,
            st.integers(1, 9),
            st.binary(),
            st.binary(),
            st.integers(-(2**62), 2**62),
        )
    ).map(tuple),
)


@settings(max_examples=30, deadline=None)
@given(earlier=snapshots, snapshot=snapshots)
def test_connections_are_taken_as_they_were_left_last_and_once(
    earlier: Snapshot, snapshot: Snapshot, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = Store(tmp_path_factory.mktemp("state") / FILE)
    assert store.take() is None
    store.leave(Carried(earlier, "boot", 1))
    store.leave(Carried(snapshot, "boot", 2**62))
    again = reopened(store)
    assert again.take() == Carried(snapshot, "boot", 2**62)
    assert again.take() is None
    again.close()


def test_file_with_a_row_for_each_connection_keeps_its_things_and_loses_these(store: Store) -> None:
    store.macs.put("web", WEB.mac)
    store.close()
    with sqlite3.connect(store.path) as connection:
        connection.execute("DROP TABLE carried")
        connection.execute("CREATE TABLE carried (boot TEXT NOT NULL, made_at INTEGER NOT NULL)")
        connection.execute("CREATE TABLE carried_connections (original BLOB)")
        connection.execute("INSERT INTO carried VALUES ('boot', 1)")
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    again = Store(store.path)
    assert again.macs.all() == {"web": WEB.mac}
    assert again.take() is None
    again.close()


def test_file_without_what_names_have_opened_keeps_its_connections(store: Store) -> None:
    left = Carried(Snapshot("form", {1: "front"}, b"mappings", b"connections"), "boot", 7)
    store.leave(left)
    store.close()
    with sqlite3.connect(store.path) as connection:
        connection.execute("ALTER TABLE carried DROP COLUMN openings")
        connection.execute("PRAGMA user_version = 4")
    connection.close()
    again = Store(store.path)
    assert again.take() == left
    again.close()


def test_directory_is_its_owners_alone(store: Store) -> None:
    assert store.path.parent.stat().st_mode & 0o777 == 0o700


def test_what_cannot_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "lab" / FILE
    with pytest.raises(StoreError) as refusal:
        Store(path)
    assert str(refusal.value) == f"{path}: the state can not be opened: Not a directory"


def test_endpoints_of_the_first_layout_are_the_configurations(
    path: Path,
) -> None:
    path.parent.mkdir()
    before = plain(WEB)
    assert isinstance(before, dict)
    (membership,) = before.pop("memberships")  # type: ignore[misc]
    del membership["place"], membership["gateway_priority"]  # type: ignore[union-attr, call-overload]
    with sqlite3.connect(path) as connection:
        _lay_out(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute("PRAGMA user_version = 1")
        for kind, content in ("lease", {**before, **membership}), ("macs", "02:00:00:00:00:01"):  # type: ignore[dict-item]
            connection.execute(
                "INSERT INTO things (kind, name, content) VALUES (?, 'web', ?)",
                (kind, json.dumps(content)),
            )
    connection.close()
    store = Store(path)
    asked_for_nothing = EndpointRequest("web")
    assert store.endpoints.all() == {"web": KeptEndpoint(asked_for_nothing, WEB, None)}
    store.close()


def test_file_of_a_newer_layout_is_refused_and_left_as_it_is(store: Store) -> None:
    store.close()
    with sqlite3.connect(store.path) as connection:
        connection.execute(f"PRAGMA user_version = {LAYOUT + 1}")
    connection.close()
    before = store.path.read_bytes()
    with pytest.raises(StoreError) as refusal:
        Store(store.path)
    assert str(refusal.value) == (
        f"{store.path}: the state was written by a newer vswitch, in layout {LAYOUT + 1}: "
        f"this one knows {LAYOUT}; moved away, it lets the switch begin anew"
    )
    assert store.path.read_bytes() == before


def test_database_of_somebody_else_is_refused(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE songs (title)")
    connection.close()
    with pytest.raises(StoreError) as refusal:
        Store(path)
    words = "this is no state of vswitch; moved away, it lets the switch begin anew"
    assert str(refusal.value) == f"{path}: {words}"


@pytest.mark.parametrize("damage", ["overwritten", "cut short"])
def test_damaged_file_is_refused_in_one_line(store: Store, damage: str) -> None:
    for number in range(300):
        store.endpoints.put(f"web-{number}", KEPT)
    store.close()
    content = store.path.read_bytes()
    half = len(content) // 2
    rest = b"\xff" * half if damage == "overwritten" else b""
    store.path.write_bytes(content[:half] + rest)
    with pytest.raises(StoreError) as refusal:
        Store(store.path)
    assert str(refusal.value).startswith(f"{store.path}: the state ")
    assert str(refusal.value).endswith("; moved away, it lets the switch begin anew")
    assert len(str(refusal.value).splitlines()) == 1


def test_file_that_is_no_database_is_refused(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database " * 1000)
    with pytest.raises(StoreError, match="file is not a database; moved away"):
        Store(path)


def test_content_that_is_no_value_is_told_with_its_name(store: Store) -> None:
    store.endpoints.put("web", KEPT)
    store.close()
    with sqlite3.connect(store.path) as connection:
        connection.execute("""UPDATE things SET content = '{"name": "web"}'""")
    connection.close()
    again = Store(store.path)
    with pytest.raises(StoreError, match="the state of endpoint web can not be read: Kept"):
        again.endpoints.all()
    again.close()
