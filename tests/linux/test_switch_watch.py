"""Looking at a real switch: what comes and goes, as it does, and what passes, as it is."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.linux.lab import UPLINK, WEB, Lab

pytestmark = pytest.mark.linux


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with Lab(tmp_path) as lab:
        lab.add_endpoint("web", publish=["8080:80"])
        lab.add_endpoint("app")
        lab.up()
        yield lab


def events(output: str) -> list[tuple[str, str, str]]:
    """Type, event and name of each line of JSON."""
    rows: list[dict[str, Any]] = [json.loads(line) for line in output.splitlines()]
    return [(row["type"], row["event"], row["name"]) for row in rows]


def test_events_tell_what_comes_and_goes_until_the_switch_stops(lab: Lab) -> None:
    reading = lab.start("host", *lab.command("events", "--json", "--since", "1m"))
    assert reading.stdout is not None
    past = "".join(reading.stdout.readline() for _ in range(6))
    assert events(past) == [
        ("uplink", "create", "uplink"),
        ("network", "create", "bridge"),
        ("network", "create", "front"),
        ("endpoint", "attach", "web"),
        ("publication", "create", "0.0.0.0:8080->80/tcp"),
        ("endpoint", "attach", "app"),
    ]
    about = [json.loads(line)["attributes"] for line in past.splitlines()]
    assert about[0]["address"] == f"{UPLINK}/24"
    assert about[3]["address"] == f"{WEB}/16"
    lab.delete("web")
    gone = [json.loads(reading.stdout.readline()) for _ in range(2)]
    assert [(row["event"], row["name"]) for row in gone] == [
        ("detach", "web"),
        ("destroy", "0.0.0.0:8080->80/tcp"),
    ]
    assert gone[0]["attributes"]["reason"].endswith("is gone")
    assert lab.down() == 0
    rest, _ = reading.communicate(timeout=10)
    assert (reading.returncode, rest) == (0, "")


def test_reader_that_leaves_ends_the_command_though_nothing_happens(lab: Lab) -> None:
    command = " ".join(lab.command("events", "--since", "1m"))
    done = lab.run("host", "bash", "-c", f"set -o pipefail; {command} | head -n1")
    assert " uplink create uplink (" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")


def test_signal_ends_the_command_in_order(lab: Lab) -> None:
    reading = lab.start("host", *lab.command("events", "--since", "1m"))
    assert reading.stdout is not None
    assert reading.stdout.readline()
    reading.send_signal(signal.SIGINT)
    reading.communicate(timeout=10)
    assert reading.returncode == 0
