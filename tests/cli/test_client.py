"""Which switch a command speaks to, and what it says when there is none to speak to."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Switches, Vswitch

VERBS = ["flows", "mappings", "fdb", "neighbours", "ports", "status"]


@pytest.mark.parametrize("verb", VERBS)
def test_without_a_switch_the_way_to_start_one_is_told(
    vswitch: Vswitch, run_directory: Path, verb: str
) -> None:
    outcome = vswitch(verb)
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err == (
        "vswitch: no switch is running: start one with vswitch up -c FILE.toml\n"
    )


def test_one_switch_need_not_be_named(vswitch: Vswitch, switches: Switches) -> None:
    lab = switches("lab")
    assert vswitch("flows").status == 0
    assert lab.heard == ["GET /v1/flows"]


def test_several_switches_have_to_be_told_apart(vswitch: Vswitch, switches: Switches) -> None:
    one, other = switches("one"), switches("other")
    outcome = vswitch("flows")
    assert (outcome.status, outcome.err) == (
        1,
        "vswitch: several switches are running: say --switch NAME (running: one, other)\n",
    )
    assert vswitch("flows", "--switch", "other").status == 0
    assert (one.heard, other.heard) == ([], ["GET /v1/flows"])


@pytest.mark.parametrize(
    ("running", "told"), [([], "none is running"), (["a", "b"], "running: a, b")]
)
def test_switch_that_does_not_run_is_told_with_those_that_do(
    vswitch: Vswitch, run_directory: Path, switches: Switches, running: list[str], told: str
) -> None:
    for name in running:
        switches(name)
    outcome = vswitch("ports", "--switch", "lab")
    assert (outcome.status, outcome.err) == (
        1,
        f"vswitch: no switch named lab is running ({told})\n",
    )


def test_socket_of_a_killed_switch_is_no_switch(vswitch: Vswitch, switches: Switches) -> None:
    killed, alive = switches("killed"), switches("alive")
    killed.die()
    assert killed.socket.exists()
    assert vswitch("flows").status == 0
    assert alive.heard == ["GET /v1/flows"]


def test_problem_is_told_as_the_switch_words_it(vswitch: Vswitch, switches: Switches) -> None:
    lab = switches("lab")
    lab.status, lab.content = 409, json.dumps({"error": "network frnt not found"}).encode()
    outcome = vswitch("flows")
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err == "vswitch: network frnt not found\n"


def test_refusal_that_is_no_problem_is_told_as_it_is(vswitch: Vswitch, switches: Switches) -> None:
    lab = switches("lab")
    lab.status, lab.content = 400, b"Bad Request\n"
    assert vswitch("flows").err == "vswitch: Bad Request\n"


def test_switch_that_hangs_up_did_not_answer(vswitch: Vswitch, run_directory: Path) -> None:
    path = run_directory / "lab" / "socket"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(0)
        listening.shutdown(socket.SHUT_RD)
        outcome = vswitch("flows")
    assert outcome.status == 1
    assert outcome.err.count("\n") == 1
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("content", [b"", b"{", b"null", b'[{"flow": 1}]'])
def test_answer_of_another_version_is_told_in_one_line(
    vswitch: Vswitch, switches: Switches, content: bytes
) -> None:
    switches("lab").content = content
    outcome = vswitch("flows")
    assert outcome.status == 1
    assert outcome.err.startswith("vswitch: ")
    assert outcome.err.count("\n") == 1
