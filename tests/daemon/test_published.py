"""What endpoints publish, as one daemon writes it down and the next one reads it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from vswitch.daemon.published import Published
from vswitch.daemon.store import FILE, Store
from vswitch.dataplane import publications as dataplane
from vswitch.dataplane.drops import DropReason
from vswitch.network import publish
from vswitch.network.ports import Publication, PublicationRequest
from vswitch.units import HOUR, SECOND
from vswitch.wire.values import IpAddress

ADDRESS = IpAddress.parse("172.18.0.2")
CLIENT = IpAddress.parse("198.51.100.9")
BEFORE, AFTER = 1_000 * SECOND, 5 * SECOND
"""Two daemons' clocks."""

Both = tuple[Publication, dataplane.Publication]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / FILE)
    yield store
    store.close()


def asked(spec: str) -> PublicationRequest:
    return publish.parse(spec)


def published(spec: str) -> Both:
    """What a wish that names its host ports becomes, on both sides."""
    wish = asked(spec)
    assert wish.host_ports is not None
    model = Publication(
        wish.protocol, wish.host_address, wish.host_ports, wish.endpoint_ports, wish.terms
    )
    ports = range(wish.host_ports.first, wish.host_ports.last + 1)
    first = wish.endpoint_ports.first
    there = dataplane.Publication(
        wish.protocol, wish.host_address, ports, 1, ADDRESS, first, wish.terms
    )
    return model, there


class Daemon:
    """One daemon's part of it."""

    def __init__(self, store: Store) -> None:
        self.table = dataplane.PublicationTable()
        self.published = Published(self.table)
        self.published.keep_in(store)
        self.published.recall()

    def publish(self, *specs: str, is_added: bool = False) -> list[Both]:
        made = [published(spec) for spec in specs]
        for _, there in made:
            self.table.add(there, BEFORE)
        self.published.keep("web", made, BEFORE, is_added=is_added)
        return made

    def resume(self, both: Both) -> dataplane.Publication:
        model, there = both
        self.table.add(there, AFTER)
        self.published.resume("web", model, there, AFTER)
        return there


CAME = ("8080:80", "8081:81")


def test_same_wish_becomes_what_was_published_in_the_end(store: Store) -> None:
    before = Daemon(store)
    _, (withdrawn, _) = before.publish(*CAME)
    before.publish("9090:90", is_added=True)
    before.published.drop("web", [withdrawn])
    came = tuple(map(asked, CAME))
    wishes = Daemon(store).published.requests("web", came, came)
    assert wishes == (asked("8080:80"), asked("9090:90"))


def test_other_wish_is_taken_as_it_is_with_what_was_added(store: Store) -> None:
    before = Daemon(store)
    (withdrawn, _), _ = before.publish(*CAME)
    before.publish("9090:90", is_added=True)
    before.published.drop("web", [withdrawn])
    came, now = tuple(map(asked, CAME)), (asked("8080:80"), asked("7070:70"))
    wishes = Daemon(store).published.requests("web", now, came)
    assert wishes == (*now, asked("9090:90"))


def test_others_rows_are_nobodys_business(store: Store) -> None:
    Daemon(store).publish(*CAME)
    assert Daemon(store).published.requests("app", (), ()) == ()


def test_time_runs_on_while_no_daemon_does(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    (both,) = Daemon(store).publish("8080:80 for=1h")
    later = time.time_ns() + HOUR // 4
    monkeypatch.setattr(time, "time_ns", lambda: later)
    after = Daemon(store)
    closes_at = after.table.closes_at(after.resume(both))
    assert closes_at is not None
    assert HOUR * 3 // 4 - SECOND < closes_at - AFTER <= HOUR * 3 // 4


def test_what_is_over_meanwhile_is_not_published_again(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    Daemon(store).publish("8080:80 for=1h", "8081:81")
    later = time.time_ns() + HOUR
    monkeypatch.setattr(time, "time_ns", lambda: later)
    came = (asked("8080:80 for=1h"), asked("8081:81"))
    assert Daemon(store).published.requests("web", came, came) == (asked("8081:81"),)
    assert len(store.publications.all()) == 1


def test_what_was_used_up_lets_nobody_in_again(store: Store) -> None:
    before = Daemon(store)
    ((model, there),) = before.publish("8080:80 once")
    before.table.note(there, BEFORE)
    assert before.table.served == [there]
    before.published.note_used_up("web", [model])
    after = Daemon(store)
    after.resume((model, there))
    assert after.table.refuse(there, CLIENT, AFTER) is DropReason.PUBLICATION_USED_UP
    assert after.table.has_served(there)


def test_what_was_not_used_is_open(store: Store) -> None:
    (both,) = Daemon(store).publish("8080:80 once")
    after = Daemon(store)
    assert after.table.refuse(after.resume(both), CLIENT, AFTER) is None


def test_endpoint_that_goes_takes_its_rows_along(store: Store) -> None:
    before = Daemon(store)
    before.publish(*CAME)
    before.published.settle("web", ())
    assert store.publications.all() == {}
