"""What the demo shows: each step does one thing with real tools and judges what they printed.

A step takes the stage, and answers with a finding: passed or not, and the commands with their
output that prove it. A step never raises because of what it sees; a command that fails is a finding
like any other. How a finding looks is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from vswitch.cli.demo.scenery import (
    APP_ADDRESS,
    OUTSIDE_ADDRESS,
    PUBLISHED_PORT,
    RESOLVER_ADDRESS,
    UNPUBLISHED_PORT,
    UPLINK_ADDRESS,
    WEB_ADDRESS,
    Place,
    Ran,
)
from vswitch.daemon.messages import FdbRow, FlowRow

REFUSED = (7, 28)
"""curl's exit statuses for "could not connect" and "timed out" (curl(1), EXIT CODES)."""

REFUSED_SECONDS = 1
"""How long to wait for a port that is silent: a thousand times what an answer takes in here."""

PINGS = 3

_PING_SUMMARY = re.compile(r"(\d+) received.* packet loss")


class Stage(Protocol):
    """Where steps are played."""

    def run(self, place: Place, *command: str, shown: str = "") -> Ran:
        """Run a command to its end; `shown` is how a person reads it, where it differs."""

    def fetch(self, place: Place, url: str, seconds: int = 3) -> Ran:
        """Fetch a page with a real client."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What somebody did, as they would type it, and the lines of the output that matter."""

    prompt: str
    output: str


@dataclass(frozen=True, slots=True)
class Finding:
    """How a step ended, and what shows it."""

    passed: bool
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the demo. The title is a claim, which the finding proves or not."""

    title: str
    play: Callable[[Stage], Finding]


@dataclass(frozen=True, slots=True)
class Chapter:
    """Steps that belong together."""

    title: str
    steps: tuple[Step, ...]


def resolve(stage: Stage) -> Finding:
    """Libc in `app` asks the switch for a name."""
    server = stage.run(Place.APP, "grep", "nameserver", "/etc/resolv.conf")
    answer = stage.run(Place.APP, "getent", "hosts", "web")
    return Finding(
        server.output.split() == ["nameserver", RESOLVER_ADDRESS]
        and answer.status == 0
        and answer.output.split()[:1] == [WEB_ADDRESS],
        (_evidence(server), _evidence(answer)),
    )


def fetch_by_name(stage: Stage) -> Finding:
    """On the same network nothing is translated: the server sees the client's own address."""
    return _greeting(stage.fetch(Place.APP, "http://web/"), server="web", seen=APP_ADDRESS)


def fetch_from_outside(stage: Stage) -> Finding:
    """On the way out the source becomes the uplink's address."""
    answer = stage.fetch(Place.APP, f"http://{OUTSIDE_ADDRESS}/")
    return _greeting(answer, server="outside", seen=UPLINK_ADDRESS)


def ping_outside(stage: Stage) -> Finding:
    """Echo requests are translated too."""
    command = ("ping", "-c", str(PINGS), "-i", "0.2", "-W", "2", OUTSIDE_ADDRESS)
    answer = stage.run(Place.APP, *command, shown=f"ping -c {PINGS} {OUTSIDE_ADDRESS}")
    summary = _PING_SUMMARY.search(answer.output)
    if summary is None:
        return Finding(False, (_evidence(answer),))
    return Finding(
        answer.status == 0 and int(summary[1]) == PINGS,
        (_evidence(answer, summary[0]),),
    )


def fetch_published(stage: Stage) -> Finding:
    """On the way in only the destination changes: the server sees the true client."""
    answer = stage.fetch(Place.OUTSIDE, f"http://{UPLINK_ADDRESS}:{PUBLISHED_PORT}/")
    return _greeting(answer, server="web", seen=OUTSIDE_ADDRESS)


def knock_at_unpublished(stage: Stage) -> Finding:
    """A port that nobody published is refused, or silent."""
    url = f"http://{UPLINK_ADDRESS}:{UNPUBLISHED_PORT}/"
    answer = stage.fetch(Place.OUTSIDE, url, REFUSED_SECONDS)
    return Finding(answer.status in REFUSED, (_evidence(answer),))


def fetch_hairpin(stage: Stage) -> Finding:
    """From the inside to a published port: seen with the external address (RFC 4787, REQ-9)."""
    answer = stage.fetch(Place.APP, f"http://{UPLINK_ADDRESS}:{PUBLISHED_PORT}/")
    return _greeting(answer, server="web", seen=UPLINK_ADDRESS)


CHAPTERS = (
    Chapter(
        "On the network",
        (
            Step(f"app resolves web at {RESOLVER_ADDRESS}", resolve),
            Step("app fetches from web by name, and web sees app itself", fetch_by_name),
        ),
    ),
    Chapter(
        "Out, translated",
        (
            Step("app fetches from outside, which sees the uplink's address", fetch_from_outside),
            Step("app pings outside", ping_outside),
        ),
    ),
    Chapter(
        "In, through a published port",
        (
            Step("outside fetches from web, and web sees the true client", fetch_published),
            Step("a port that is not published lets nobody in", knock_at_unpublished),
            Step("hairpin: app goes out and in again, with the external address", fetch_hairpin),
        ),
    ),
)
"""What is shown while the capture runs."""


def judge_flows(rows: Sequence[FlowRow]) -> Finding:
    """The table must tell of what was done: something translated out, and something in."""
    out = [row for row in rows if f"source {UPLINK_ADDRESS}:" in row.translation]
    inward = [row for row in rows if f"destination {WEB_ADDRESS}:" in row.translation]
    text = f"{len(rows)} connections: {len(out)} translated out, {len(inward)} in"
    return Finding(bool(out and inward), (Evidence("vswitch flows", text),))


def judge_fdb(rows: Sequence[FdbRow]) -> Finding:
    """Each endpoint's station must have been learned on its own port."""
    ports = sorted(row.port for row in rows if row.network == "front")
    text = f"{len(rows)} stations, on {' and '.join(ports) or 'no port'}"
    return Finding(ports == ["app", "web"], (Evidence("vswitch fdb", text),))


def prompt(place: Place, command: str) -> str:
    """A command as it stands behind a shell's prompt."""
    return f"{place.value}$ {command}"


def _greeting(answer: Ran, *, server: str, seen: str) -> Finding:
    expected = f"I am {server}, you are {seen}"
    return Finding(answer.status == 0 and answer.output == expected, (_evidence(answer),))


def _evidence(ran: Ran, output: str | None = None) -> Evidence:
    """The last line of the output unless another part of it is given; the status where it failed.

    A tool says at the end what became of it all.
    """
    if output is None:
        lines = ran.output.splitlines()
        output = " ".join(lines[-1].split()) if lines else "(nothing)"
    if ran.status != 0 and f"({ran.status})" not in output:
        output = f"{output} (exit status {ran.status})"
    return Evidence(prompt(ran.place, ran.command), output)
