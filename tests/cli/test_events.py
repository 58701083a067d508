"""`vswitch events`: a line for each thing that comes or goes, and what may be asked for."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from vswitch.daemon.messages.events import Event, EventRow, EventType

if TYPE_CHECKING:
    from tests.cli.conftest import StubSwitch, Switches, Vswitch

ATTACHED = EventRow(
    time=1_700_000_000.25,
    type=EventType.ENDPOINT,
    event=Event.ATTACH,
    name="web",
    attributes={"network": "front", "address": "172.18.0.2/16"},
    missed=0,
)
GONE = EventRow(
    time=1_700_000_001,
    type=EventType.NETWORK,
    event=Event.DESTROY,
    name="back",
    attributes={},
    missed=7,
)


@pytest.fixture
def lab(switches: Switches, monkeypatch: pytest.MonkeyPatch) -> StubSwitch:
    """A switch that tells of two things and ends, for somebody three hours east of Greenwich."""
    monkeypatch.setenv("TZ", "EAT-3")
    time.tzset()
    stub = switches("lab")
    stub.content = "".join(f"{row.model_dump_json()}\n" for row in (ATTACHED, GONE)).encode()
    return stub


def test_event_is_a_line_in_dockers_form(vswitch: Vswitch, lab: StubSwitch) -> None:
    outcome = vswitch("events")
    assert outcome.status == 0
    assert outcome.out.splitlines() == [
        "2023-11-15T01:13:20.250000+03:00 endpoint attach web"
        " (address=172.18.0.2/16, network=front)",
        "2023-11-15T01:13:21.000000+03:00 network destroy back",
    ]


def test_what_was_missed_is_told_beside_it(vswitch: Vswitch, lab: StubSwitch) -> None:
    assert re.fullmatch(r"vswitch: 7 events are missing here: .*\n", vswitch("events").err)


def test_json_is_what_the_switch_sent(vswitch: Vswitch, lab: StubSwitch) -> None:
    outcome = vswitch("events", "--json")
    assert (outcome.out, outcome.err) == (lab.content.decode(), "")


def test_filters_and_the_past_are_asked_of_the_switch(vswitch: Vswitch, lab: StubSwitch) -> None:
    vswitch("events", "-f", "type=network", "--filter", "type=uplink", "-f", "name=a&b")
    vswitch("events", "--since", "2m")
    vswitch("events", "--since", "999999999d")
    queries = [parse_qs(urlsplit(heard.split()[1]).query) for heard in lab.heard]
    assert queries == [
        {"type": ["network", "uplink"], "name": ["a&b"]},
        {"since_seconds": ["120.0"]},
        {"since_seconds": ["86399999913600.0"]},
    ]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--filter", "network"), "allowed is type, event, name"),
        (("--filter", "colour=red"), "allowed is type, event, name"),
        (("--filter", "name="), "allowed is type, event, name"),
        (("--filter", "type=container"), "allowed is network, endpoint, publication, uplink"),
        (("--filter", "event=start"), "allowed is create, destroy, attach"),
        (("--since", "yesterday"), "'yesterday' is no duration: allowed is a time like 30s"),
    ],
)
def test_wrong_wish_is_told_with_what_is_allowed_and_asks_no_switch(
    vswitch: Vswitch, lab: StubSwitch, words: tuple[str, ...], told: str
) -> None:
    outcome = vswitch("events", *words)
    assert (outcome.status, outcome.out, lab.heard) == (2, "", [])
    assert told in " ".join(outcome.err.replace("│", " ").split())


def test_what_is_no_event_is_told_in_one_line(vswitch: Vswitch, lab: StubSwitch) -> None:
    lab.content = b"hello, I am no switch\n"
    outcome = vswitch("events")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.count("\n") == 1
