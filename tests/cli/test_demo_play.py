"""The demo from beginning to end on a scenery that only pretends."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from vswitch.cli.demo import bulk, capture
from vswitch.cli.demo.play import Play
from vswitch.cli.demo.scenery import Place, Ran, Scenery, SceneryError, Stopped
from vswitch.cli.demo.screen import Screen
from vswitch.cli.problem import Problem
from vswitch.daemon.messages import FdbRow, FlowRow, StatusRow

STEPS = 14

OUTPUTS = {
    "app$ grep nameserver /etc/resolv.conf": "nameserver 127.0.0.11",
    "app$ getent hosts web": "172.18.0.2 web",
    "app$ curl http://web/": "I am web, you are 172.18.0.3",
    "app$ curl http://198.51.100.1/": "I am outside, you are 198.51.100.2",
    "app$ ping -c 3 198.51.100.1": "3 packets transmitted, 3 received, 0% packet loss, time 4ms",
    "outside$ curl http://198.51.100.2:8080/": "I am web, you are 198.51.100.1",
    "app$ curl http://198.51.100.2:8080/": "I am web, you are 198.51.100.2",
}

SENDING = "\n".join(
    [
        *(f"[  5]   0.00-{n / 4:.2f}   sec   1.0 MBytes  4000 Mbits/sec" for n in range(1, 13)),
        "[  5]   0.00-3.00   sec  12 MBytes  4000 Mbits/sec                  receiver",
    ]
)


class PretendedScenery(Scenery):
    """Everything goes well, but for what a test changes."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.outputs = dict(OUTPUTS)
        self.sending = SENDING
        self.endpoints: tuple[str, ...] = ("web", "app")
        self.capture_problem: Problem | None = None
        self.tables_problem: Problem | None = None
        self.stopped = Stopped(0, 0.1, ())

    def start_switch(self) -> StatusRow:
        return StatusRow(
            name="demo",
            version="1",
            pid=1,
            fastpath="reference",
            uplinks=(),
            networks=("front",),
            endpoints=self.endpoints,
            connections=0,
            connections_at_most=100,
            held_syns=0,
            incomplete_datagrams=0,
            errors_withheld=0,
            mappings=0,
            captures=0,
            name_servers=("198.51.100.53",),
            without_names={},
            silent_servers=(),
            drops={},
        )

    def start_servers(self) -> None:
        """They are pretended."""

    def run(self, place: Place, *command: str, shown: str = "") -> Ran:
        text = shown or " ".join(command)
        output = self.outputs.get(f"{place.value}$ {text}")
        return Ran(place, text, 7 if output is None else 0, output or "curl: (7) refused")

    def fetch(self, place: Place, url: str, seconds: int = 3) -> Ran:
        return self.run(place, "curl", url)

    def start(self, place: Place, *command: str, awaiting: str) -> None:
        """It listens."""

    def spawn(self, place: Place, *command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(["echo", self.sending], stdout=subprocess.PIPE, text=True)

    def flows(self) -> list[FlowRow]:
        if self.tables_problem:
            raise self.tables_problem
        translation = "source 198.51.100.2:1, destination 172.18.0.2:80"
        original = "172.18.0.3:1 > 198.51.100.2:8080"
        row = FlowRow(
            flow=1,
            protocol="tcp",
            state="established",
            network="front",
            original=original,
            reply="",
            translation=translation,
            frames=1,
            bytes=1,
            idle_seconds=0.0,
            expires_in_seconds=1.0,
        )
        return [row]

    def fdb(self) -> list[FdbRow]:
        return [
            FdbRow(network="front", vlan=0, mac="02:00:00:00:00:01", port=port, recent=True)
            for port in ("web", "app")
        ]

    def begin_capture(self, file: Path) -> None:
        if self.capture_problem:
            raise self.capture_problem
        file.write_bytes(capture.SECTION_HEADER)

    def end_capture(self) -> int:
        return 100

    def log(self) -> list[str]:
        return ["what the switch logged"]

    def stop_switch(self) -> Stopped:
        return self.stopped


@pytest.fixture
def scenery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PretendedScenery:
    monkeypatch.setattr(capture, "reader", lambda _: None)
    return PretendedScenery(tmp_path)


def performed(scenery: PretendedScenery, tmp_path: Path) -> tuple[bool, str]:
    output = io.StringIO()
    play = Play(Screen(Console(file=output, width=100, highlight=False)))
    passed = play.perform(scenery, tmp_path / "demo.pcapng")
    return passed, output.getvalue()


def crossed(text: str) -> Sequence[str]:
    """The claims that failed."""
    return [line[3:] for line in text.splitlines() if line.startswith(" ✗ ")]


def test_where_all_goes_well_every_claim_is_ticked(
    scenery: PretendedScenery, tmp_path: Path
) -> None:
    passed, text = performed(scenery, tmp_path)
    assert passed
    assert not crossed(text)
    assert text.count(" ✓ ") == STEPS + 1
    assert f"{STEPS} of {STEPS} passed" in text
    assert "what the switch logged" not in text


@pytest.mark.parametrize("command", OUTPUTS)
def test_a_step_that_fails_is_shown_and_the_rest_goes_on(
    scenery: PretendedScenery, tmp_path: Path, command: str
) -> None:
    scenery.outputs[command] = "something else"
    passed, text = performed(scenery, tmp_path)
    assert not passed
    assert "something else" in text
    assert f"{STEPS - 1} of {STEPS} passed" in text
    assert "what the switch logged" in text


def test_a_port_that_should_be_closed_and_answers_is_a_failure(
    scenery: PretendedScenery, tmp_path: Path
) -> None:
    scenery.outputs["outside$ curl http://198.51.100.2:8081/"] = "I am web"
    passed, text = performed(scenery, tmp_path)
    assert not passed
    assert crossed(text)[0] == "a port that is not published lets nobody in"


def test_a_switch_without_its_endpoints_is_a_failure(
    scenery: PretendedScenery, tmp_path: Path
) -> None:
    scenery.endpoints = ("web",)
    assert not performed(scenery, tmp_path)[0]


def test_a_capture_that_is_refused_is_a_failure_with_the_reason(
    scenery: PretendedScenery, tmp_path: Path
) -> None:
    scenery.capture_problem = Problem("Read-only file system")
    passed, text = performed(scenery, tmp_path)
    assert not passed
    assert "Read-only file system" in text
    assert f"{STEPS - 1} of {STEPS} passed" in text


def test_a_transfer_that_breaks_off_is_a_failure_with_its_last_words(
    scenery: PretendedScenery, tmp_path: Path
) -> None:
    scenery.sending = "iperf3: error - unable to connect to server"
    passed, text = performed(scenery, tmp_path)
    assert not passed
    assert text.count("unable to connect to server") == 2


def test_a_transfer_of_nothing_is_a_failure(scenery: PretendedScenery, tmp_path: Path) -> None:
    scenery.sending = SENDING.replace("4000", "0")
    assert not performed(scenery, tmp_path)[0]


def test_a_receiver_that_does_not_start_is_a_failure(
    scenery: PretendedScenery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(place: Place, *command: str, awaiting: str) -> None:
        raise SceneryError("iperf3 in web did not start")

    monkeypatch.setattr(scenery, "start", fail)
    passed, text = performed(scenery, tmp_path)
    assert not passed
    assert "iperf3 in web did not start" in text


def test_a_switch_that_does_not_answer_has_no_tables(
    scenery: PretendedScenery, tmp_path: Path
) -> None:
    scenery.tables_problem = Problem("it did not answer")
    passed, text = performed(scenery, tmp_path)
    assert not passed
    assert f"{STEPS - 2} of {STEPS} passed" in text


@pytest.mark.parametrize(
    "stopped", [Stopped(0, 0.1, ("/run/netns/vsdemo-1-web",)), Stopped(-9, 10.0, ())]
)
def test_a_switch_that_leaves_something_or_has_to_be_killed_is_a_failure(
    scenery: PretendedScenery, tmp_path: Path, stopped: Stopped
) -> None:
    scenery.stopped = stopped
    passed, text = performed(scenery, tmp_path)
    assert not passed
    assert all(path in text for path in stopped.left)


def test_the_tables_are_those_of_the_middle_of_a_transfer(
    scenery: PretendedScenery, tmp_path: Path
) -> None:
    scenery.sending = "\n".join(SENDING.splitlines()[-3:])
    _, text = performed(scenery, tmp_path)
    assert "0 connections" in text
    assert bulk.SECONDS == 3
