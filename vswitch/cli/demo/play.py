"""The demo from its opening to its closing: plays each step, shows it, and keeps count.

A step that fails is shown and the rest goes on; the exit status tells. What can not be played
without (a switch that does not start) raises SceneryError.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from vswitch.cli.demo import bulk, capture, steps
from vswitch.cli.demo.bulk import Failure, Sample, Total
from vswitch.cli.demo.scenery import OUTSIDE_ADDRESS, WEB_ADDRESS, Place, Scenery, SceneryError
from vswitch.cli.demo.screen import Screen, sparkline
from vswitch.cli.demo.steps import Evidence, Finding, Stage, Step
from vswitch.cli.demo.tables import flow_table
from vswitch.cli.problem import Problem
from vswitch.cli.show import fdb_table, octets
from vswitch.daemon.messages import FdbRow, FlowRow

SUGGESTIONS = (
    (f"tshark -r {capture.FILE}", "every frame at every port; or in wireshark"),
    ("vswitch up -c lab.toml", "a switch of your own: see the README"),
    ("vswitch run -p 8080:80 -- CMD", "a command attached to it, as in docker run"),
    ("vswitch --help", "and the rest"),
)

MIDDLE = 6
"""Samples into a transfer, four a second: its connection is well in the tables then."""


class Play:
    """One performance."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._begun = time.monotonic()
        self._findings: list[Finding] = []

    def perform(self, scenery: Scenery, file: Path) -> bool:
        """Show everything and say whether all of it passed. `file` is where the capture goes.

        Raises SceneryError where the scenery can not be set up.
        """
        self._screen.opening()
        self._set_up(scenery)
        self._play_captured(scenery, file)
        self._show_bulk(scenery)
        self._take_down(scenery)
        passed = all(finding.passed for finding in self._findings)
        if not passed:
            self._screen.trouble("Not everything passed. The switch's log ends:", scenery.log())
        self._screen.closing(self._summary(), passed, SUGGESTIONS)
        return passed

    def play(self, stage: Stage, step: Step) -> None:
        """Play one step and show it."""
        with self._screen.doing(step.title):
            finding = step.play(stage)
        self._show(step.title, finding)

    def _show(self, title: str, finding: Finding) -> None:
        self._findings.append(finding)
        self._screen.show(title, finding)

    def _set_up(self, scenery: Scenery) -> None:
        self._screen.chapter("A switch")
        begun = time.monotonic()
        with self._screen.doing("starting the switch"):
            status = scenery.start_switch()
            scenery.start_servers()
        seconds = time.monotonic() - begun
        text = f"up in {seconds:.1f} s: pid {status.pid}, {status.fastpath} fast path"
        evidence = Evidence("vswitch up -c demo.toml", text)
        is_whole = status.endpoints == ("web", "app")
        self._show(
            "one command makes the network and both endpoints", Finding(is_whole, (evidence,))
        )

    def _play_captured(self, scenery: Scenery, file: Path) -> None:
        """The steps, with every frame of theirs in the capture."""
        try:
            scenery.begin_capture(file)
        except Problem as problem:
            refused: Finding | None = _failed("vswitch: capture", str(problem))
        else:
            refused = None
        for chapter in steps.CHAPTERS:
            self._screen.chapter(chapter.title)
            for step in chapter.steps:
                self.play(scenery, step)
        self._screen.chapter("The same, frame by frame")
        self._show_capture(scenery, file, refused)

    def _show_capture(self, scenery: Scenery, file: Path, refused: Finding | None) -> None:
        title = f"{capture.FILE} has all of it, before and behind the translation"
        if refused is not None:
            self._show(title, refused)
            return
        try:
            with self._screen.doing(title):
                frames = scenery.end_capture()
                finding = capture.open_with_tool(file)
            title = f"{title}: {frames} frames"
        except (Problem, OSError) as problem:
            finding = _failed(str(capture.FILE), str(problem))
        self._show(title, finding)

    def _show_bulk(self, scenery: Scenery) -> None:
        self._screen.chapter("Speed of one TCP connection")
        self._transfer(scenery, "endpoint to endpoint", Place.WEB, WEB_ADDRESS, lambda: None)
        tables = Tables(scenery)
        self._transfer(scenery, "out through NAPT", Place.OUTSIDE, OUTSIDE_ADDRESS, tables.read)
        self._screen.chapter("Its connections, in the middle of that transfer")
        self._show("flows: how each connection is translated", steps.judge_flows(tables.flows))
        self._screen.table(flow_table(tables.flows, self._screen.table_columns))
        self._screen.chapter("Its stations")
        self._show("fdb: which station is on which port", steps.judge_fdb(tables.fdb))
        self._screen.table(fdb_table(tables.fdb))

    def _transfer(
        self,
        scenery: Scenery,
        title: str,
        sink: Place,
        address: str,
        in_the_middle: Callable[[], None],
    ) -> None:
        samples: list[Sample] = []
        ending: Total | Failure = Failure("it has not begun")
        try:
            with self._screen.bar(title) as show:
                for measured in bulk.transfer(scenery, Place.APP, sink, address):
                    if not isinstance(measured, Sample):
                        ending = measured
                        break
                    if len(samples) == MIDDLE:
                        in_the_middle()
                    samples.append(measured)
                    show(measured.seconds / bulk.SECONDS, _speed(measured.bits_per_second))
        except SceneryError as error:
            ending = Failure(str(error))
        command = steps.prompt(Place.APP, bulk.shown(address))
        self._show(*_transferred(title, command, samples, ending))

    def _take_down(self, scenery: Scenery) -> None:
        self._screen.chapter("And down again")
        title = "Stopped for good, it takes along all that was made"
        with self._screen.doing(title):
            stopped = scenery.stop_switch()
        left = ", ".join(stopped.left) or "no namespace, link or file left"
        text = f"exit status {stopped.status} in {stopped.seconds:.1f} s; {left}"
        passed = stopped.status == 0 and not stopped.left
        self._show(title, Finding(passed, (Evidence("vswitch down --remove", text),)))

    def _summary(self) -> str:
        passed = sum(finding.passed for finding in self._findings)
        seconds = time.monotonic() - self._begun
        return f"{passed} of {len(self._findings)} passed in {seconds:.0f} s"


class Tables:
    """The switch's tables as they were when they were read; empty until then."""

    def __init__(self, scenery: Scenery) -> None:
        self._scenery = scenery
        self.flows: list[FlowRow] = []
        self.fdb: list[FdbRow] = []

    def read(self) -> None:
        """Read them. A switch that does not answer leaves them empty, which speaks for itself."""
        with suppress(Problem):
            self.flows = self._scenery.flows()
            self.fdb = self._scenery.fdb()


def _transferred(
    title: str, command: str, samples: Sequence[Sample], ending: Total | Failure
) -> tuple[str, Finding]:
    """The claim and what shows it. The speed is told, not judged: it is the machine's too."""
    match ending:
        case Failure(text):
            return title, _failed(command, text)
        case Total(seconds, bits_per_second):
            course = sparkline([sample.bits_per_second for sample in samples])
            text = f"{octets(ending.octets)} in {seconds:.1f} s  {course}"
            finding = Finding(ending.octets > 0, (Evidence(command, text),))
            return f"{title}: {_speed(bits_per_second)}", finding


def _speed(bits_per_second: float) -> str:
    return f"{bits_per_second / 1e9:.2f} Gbit/s"


def _failed(prompt: str, text: str) -> Finding:
    return Finding(False, (Evidence(prompt, text),))
