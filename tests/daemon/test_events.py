"""What comes and goes, as those are told who read along: in order, in bounds, until the end."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from tests.daemon.test_api import Served
from vswitch.daemon.captures import TooManyReadersError
from vswitch.daemon.events import READERS, REMEMBERED, WAITING, Events
from vswitch.daemon.messages.events import Event, EventsQuery, EventType

ALL = EventsQuery()


class Clock:
    """A time that only a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def told(events: Events, *names: str) -> None:
    for name in names:
        events.tell(EventType.NETWORK, Event.CREATE, name)


def test_every_reader_is_told_everything_once_and_in_order() -> None:
    events = Events()
    readers = [events.begin(ALL), events.begin(ALL)]
    told(events, "front", "back")
    for reader in readers:
        assert [row.name for row in reader.take()] == ["front", "back"]
        assert reader.take() == []


def test_event_tells_when_what_and_with_which_attributes() -> None:
    events = Events(Clock())
    reader = events.begin(ALL)
    events.tell(EventType.UPLINK, Event.LEARN, "wan", kind="dhcp", mtu=1500, gateway=None)
    [row] = reader.take()
    assert (row.time, row.type, row.event) == (1000.0, EventType.UPLINK, Event.LEARN)
    assert (row.name, row.missed) == ("wan", 0)
    assert row.attributes == {"kind": "dhcp", "mtu": "1500"}


def test_slow_reader_loses_the_oldest_and_is_told_how_many() -> None:
    events = Events()
    slow, quick = events.begin(ALL), events.begin(ALL)
    for number in range(WAITING + 3):
        told(events, f"net{number}")
        quick.take()
    first, *rest = slow.take()
    assert (first.name, first.missed) == ("net3", 3)
    assert (rest[-1].name, rest[-1].missed) == (f"net{WAITING + 2}", 0)
    told(events, "last", "very-last")
    assert [row.missed for row in slow.take()] == [0, 0]
    assert [row.missed for row in quick.take()] == [0, 0]


@pytest.mark.parametrize(
    ("wish", "names"),
    [
        ({"type": ["network"]}, ["front", "back"]),
        ({"type": ["network", "uplink"]}, ["front", "wan", "back"]),
        ({"event": ["destroy"]}, ["back"]),
        ({"type": ["network"], "event": ["create"]}, ["front"]),
        ({"name": ["web", "wan"]}, ["web", "wan"]),
        ({"type": ["uplink"], "name": ["web"]}, []),
    ],
)
def test_values_of_a_key_are_alternatives_and_keys_add_up(
    wish: dict[str, list[str]], names: list[str]
) -> None:
    events = Events()
    reader = events.begin(EventsQuery.model_validate(wish))
    events.tell(EventType.NETWORK, Event.CREATE, "front")
    events.tell(EventType.ENDPOINT, Event.ATTACH, "web")
    events.tell(EventType.UPLINK, Event.LEARN, "wan")
    events.tell(EventType.NETWORK, Event.DESTROY, "back")
    assert [row.name for row in reader.take()] == names


def test_reader_may_ask_for_what_was_before_it() -> None:
    clock = Clock()
    events = Events(clock)
    for clock.now in (1000.0, 1010.0, 1020.0):
        told(events, f"at-{clock.now:.0f}")
    reader = events.begin(EventsQuery(since_seconds=10))
    told(events, "now")
    assert [row.name for row in reader.take()] == ["at-1010", "at-1020", "now"]
    assert [row.name for row in events.begin(ALL).take()] == []


def test_past_is_remembered_in_bounds() -> None:
    events = Events()
    told(events, *(f"net{number}" for number in range(REMEMBERED + 5)))
    rows = events.begin(EventsQuery(since_seconds=60)).take()
    assert (len(rows), rows[0].name) == (REMEMBERED, "net5")


def test_readers_are_so_many_at_most_and_forgotten_when_they_leave() -> None:
    events = Events()
    readers = [events.begin(ALL) for _ in range(READERS)]
    with pytest.raises(TooManyReadersError, match=f"{READERS} read events already"):
        events.begin(ALL)
    events.close(readers[0])
    assert len(events) == READERS - 1
    events.begin(ALL)
    told(events, "front")
    assert readers[0].take() == []


# Over the control socket


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Served]:
    served = Served(tmp_path)
    try:
        yield served
    finally:
        served.close()


class Reading:
    """A client that reads events."""

    def __init__(self, api: Served, query: str = "") -> None:
        self._client: socket.socket = api.connect()
        self._client.sendall(f"GET /v1/events{query} HTTP/1.0\r\n\r\n".encode())
        self._lines: BinaryIO = self._client.makefile("rb")
        self.head = b"".join(iter(self._lines.readline, b"\r\n")).decode()

    def next(self) -> dict[str, Any] | None:
        """The next event; None at the end."""
        line = self._lines.readline()
        return json.loads(line) if line else None

    def close(self) -> None:
        self._lines.close()
        self._client.close()


def happens(api: Served, kind: EventType, event: Event, name: str, **about: object) -> None:
    assert api.daemon is not None
    api.call(api.daemon.events.tell, kind, event, name, **about)


def test_stream_is_a_line_of_json_for_each_event_as_it_happens(api: Served) -> None:
    reading = Reading(api)
    assert reading.head.startswith("HTTP/1.0 200 ")
    assert "Content-Type: application/x-ndjson" in reading.head
    happens(api, EventType.NETWORK, Event.CREATE, "front", subnet="172.18.0.0/16")
    row = reading.next()
    assert row is not None
    assert abs(row.pop("time") - time.time()) < 60
    assert row == {
        "type": "network",
        "event": "create",
        "name": "front",
        "attributes": {"subnet": "172.18.0.0/16"},
        "missed": 0,
    }
    reading.close()


def test_only_what_is_wished_for_is_sent(api: Served) -> None:
    reading = Reading(api, "?type=endpoint&type=uplink&event=attach&event=lose")
    happens(api, EventType.NETWORK, Event.CREATE, "front")
    happens(api, EventType.ENDPOINT, Event.DETACH, "app")
    happens(api, EventType.ENDPOINT, Event.ATTACH, "web")
    happens(api, EventType.UPLINK, Event.LOSE, "wan")
    names = [row["name"] for row in (reading.next(), reading.next()) if row]
    assert names == ["web", "wan"]
    reading.close()


def test_network_that_comes_and_goes_is_told(api: Served) -> None:
    reading = Reading(api, "?type=network")
    wish = {"name": "back", "subnet": "172.31.0.0/24"}
    made = api.ask("POST", "/v1/networks", wish)
    assert made.status == 201, made.body
    assert api.ask("DELETE", "/v1/networks/back").status == 204
    created, destroyed = reading.next(), reading.next()
    assert created is not None
    assert destroyed is not None
    assert [(each["event"], each["name"]) for each in (created, destroyed)] == [
        ("create", "back"),
        ("destroy", "back"),
    ]
    assert created["attributes"] == {
        "id": made.body["Id"],
        "subnet": "172.31.0.0/24",
        "gateway": "172.31.0.1",
    }
    assert destroyed["attributes"]["id"] == made.body["Id"]
    reading.close()


def test_reader_that_leaves_is_forgotten_though_nothing_happens(api: Served) -> None:
    assert api.daemon is not None
    reading = Reading(api)
    assert len(api.daemon.events) == 1
    reading.close()
    for _ in range(500):
        if not len(api.daemon.events):
            return
        time.sleep(0.02)
    pytest.fail("it is still there after ten seconds")


def test_switch_that_stops_ends_the_stream_in_order(tmp_path: Path) -> None:
    served = Served(tmp_path)
    with served.connect() as client:
        client.sendall(b"GET /v1/events HTTP/1.1\r\nHost: switch\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
        happens(served, EventType.ENDPOINT, Event.DETACH, "web")
        served.close()
        rest = client.makefile("rb").read()
    assert b'"name":"web"' in rest
    assert rest.endswith(b"0\r\n\r\n"), "cut off, not ended"


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("type=container", "type.0: Input should be 'network', 'endpoint'"),
        ("event=start", "event.0: Input should be "),
        ("since_seconds=-1", "since_seconds: "),
        ("since_seconds=nan", "since_seconds: "),
        ("colour=red", "colour: unknown key: allowed is type, event, name, "),
    ],
)
def test_wish_that_makes_no_sense_is_refused(api: Served, query: str, told: str) -> None:
    answer = api.ask("GET", f"/v1/events?{query}")
    assert answer.status == 400
    assert answer.problem.startswith(told)
