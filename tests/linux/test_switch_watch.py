"""Looking at a real switch: what comes and goes, as it does, and what passes, as it is."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.linux.lab import OUTSIDE, UPLINK, WEB, Lab, eventually

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


def test_top_tells_rates_flows_by_name_and_drops(lab: Lab) -> None:
    lab.start("app", "ping", "-i0.02", "-s1000", WEB)
    lab.start("app", "ping", "-i0.02", OUTSIDE)
    lab.start("out", "bash", "-c", f"while sleep 0.05; do echo > /dev/udp/{UPLINK}/9; done")
    eventually(lambda: lab.port("uplink")["drops"], "frames are dropped")
    done = lab.vswitch("top", "-n", "1", "--interval", "0.5", "--json")
    look = json.loads(done.stdout)
    ports = {each["name"]: each for each in look["ports"]}
    assert ports["web"]["sent"]["frames"] > 0
    assert ports["app"]["received"]["bits"] > ports["web"]["received"]["bits"] > 0
    (flow,) = look["flows"]
    assert flow["tuple"].startswith(f"app > {OUTSIDE} id ")
    assert flow["translation"].startswith(f"source {UPLINK}")
    assert ("uplink", "not_published") in [(each["port"], each["reason"]) for each in look["drops"]]


def test_top_into_a_pipe_whose_reader_leaves_is_no_error(lab: Lab) -> None:
    command = " ".join(lab.command("top", "--interval", "0.1"))
    done = lab.run("host", "bash", "-c", f"set -o pipefail; {command} | head -n1")
    assert done.stdout.startswith(f"vswitch {lab.name} ")
    assert (done.returncode, done.stderr) == (0, "")


def test_top_stays_on_a_screen_of_its_own_until_q_is_pressed(lab: Lab) -> None:
    shown = on_terminal(lab, "top", "--interval", "0.1", until="uplink", key=b"q")
    assert "\x1b[?1049h" in shown
    assert shown.index("\x1b[?1049l") > shown.rindex("uplink")


def test_graph_draws_what_runs(lab: Lab) -> None:
    drawing = ElementTree.fromstring(lab.vswitch("graph").stdout)
    words = {"".join(each.itertext()) for each in drawing.iter() if each.tag.endswith("text")}
    assert {lab.name, "uplink", f"{UPLINK}/24", "web", WEB, "app", "8080 → 80/tcp"} <= words


def on_terminal(lab: Lab, verb: str, *arguments: str, until: str, key: bytes) -> str:
    """What a command writes to a terminal on which `key` is pressed once `until` has been seen."""
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    process = subprocess.Popen(
        ["nsenter", f"--net=/run/netns/{lab.namespace('host')}", *lab.command(verb, *arguments)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"},
    )
    written = bytearray()
    pressed = False
    try:
        for _ in range(1000):
            readable, _, _ = select.select([ours], [], [], 0.02)
            if readable:
                written += os.read(ours, 65536)
            if not pressed and re.search(until.encode(), written):
                os.write(ours, key)
                pressed = True
            if not readable and process.poll() is not None:
                break
        assert process.wait(10) == 0
        assert termios.tcgetattr(theirs) == before, "the terminal is not as it was"
    finally:
        process.kill()
        os.close(ours)
        os.close(theirs)
    return written.decode()
