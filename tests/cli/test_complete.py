"""What a shell is told at a Tab: names of the running switch, and never an error."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cli.topologies import lab as topology
from tests.daemon.test_api import Served
from tests.daemon.test_impairments import add_ports
from vswitch.cli.exits import Exit

if TYPE_CHECKING:
    from tests.cli.conftest import Switches, Vswitch

Complete = Callable[[str], list[str]]


@pytest.fixture
def complete(vswitch: Vswitch, monkeypatch: pytest.MonkeyPatch) -> Complete:
    """Answers with what is offered behind a line, whose last word may be unfinished."""

    def press_tab(line: str) -> list[str]:
        monkeypatch.setenv("_VSWITCH_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", f"vswitch {line}")
        monkeypatch.setenv("COMP_CWORD", str(len(f"vswitch {line}".split(" ")) - 1))
        outcome = vswitch()
        assert outcome.err == ""
        return outcome.out.split()

    return press_tab


@pytest.fixture
def served(run_directory: Path) -> Iterator[Served]:
    """The one switch that runs, with the ports `web` and `wan` and the network `front`."""
    directory = run_directory / "lab"
    directory.mkdir()
    served = Served(directory)
    try:
        add_ports(served, "web", "wan")
        yield served
    finally:
        served.close()


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("capture --port ", ["web", "wan"]),
        ("capture --port we", ["web"]),
        ("capture --network f", ["front"]),
        ("run --network ", ["bridge", "front"]),
        ("network rm ", ["bridge", "front"]),
        ("network create --opt vswitch.dns", ["vswitch.dns=", "vswitch.dns_at_gateway="]),
        ("network inspect bridge f", ["front"]),
        ("impair w", ["web", "wan"]),
        ("trace --port wa", ["wan"]),
        ("status --switch ", ["lab"]),
        ("capture --switch lab --port we", ["web"]),
        ("capture --switch other --port we", []),
    ],
)
def test_names_of_the_running_switch_are_offered(
    complete: Complete, served: Served, line: str, names: list[str]
) -> None:
    assert complete(line) == names


def test_endpoints_are_offered_by_name(complete: Complete, switches: Switches) -> None:
    switches("lab").content = topology().model_dump_json().encode()
    assert complete("capture --endpoint ") == ["web", "app", "db"]


def test_filters_of_events_are_offered_without_a_switch(
    complete: Complete, run_directory: Path
) -> None:
    assert complete("events --filter type=e") == ["type=endpoint"]
    assert "event=attach" in complete("events -f ")


def test_without_a_switch_there_are_no_names_and_no_error(
    complete: Complete, run_directory: Path
) -> None:
    assert complete("capture --port ") == []
    assert complete("status --switch ") == []


@pytest.mark.parametrize("content", [b"hello", b"[]", b'{"error": "no"}'])
def test_switch_that_answers_something_else_gives_no_names_and_no_error(
    complete: Complete, switches: Switches, content: bytes
) -> None:
    switches("lab").content = content
    assert complete("capture --endpoint ") == []


def test_verbs_are_offered(complete: Complete) -> None:
    assert {"events", "top", "graph"} <= set(complete(""))


def test_help_names_every_exit_status(vswitch: Vswitch) -> None:
    shown = set(re.findall(r"\d+", vswitch("--help").out))
    assert {str(int(status)) for status in Exit} <= shown
