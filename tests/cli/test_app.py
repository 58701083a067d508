"""The words of the command line: help for each verb, and status 2 for a wrong word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Vswitch

VERBS = [
    *("up", "run", "status", "flows", "mappings", "fdb", "neighbours", "ports"),
    *("top", "events", "graph", "capture", "recorder", "network", "dns", "demo"),
    *("attach", "detach", "ps", "stop", "logs", "endpoint", "tap"),
]


def test_help_lists_every_verb(vswitch: Vswitch) -> None:
    outcome = vswitch("--help")
    assert outcome.status == 0
    for verb in VERBS:
        assert f" {verb} " in outcome.out


@pytest.mark.parametrize("verb", VERBS)
def test_help_of_a_verb_has_an_example(vswitch: Vswitch, verb: str) -> None:
    outcome = vswitch(verb, "--help")
    assert outcome.status == 0
    assert "Example:" in outcome.out
    assert f"vswitch {verb}" in outcome.out


@pytest.mark.parametrize(
    "words",
    [
        ("fly",),
        ("flows", "--xml"),
        ("up",),
        ("run",),
        ("run", "--network"),
        ("run", "--nam", "web", "true"),
        ("run", "--kind", "vm", "true"),
        ("attach",),
        ("detach",),
        ("stop", "web", "-t", "21"),
        ("endpoint", "fly"),
        ("tap", "add"),
        ("flows", "extra"),
    ],
)
def test_wrong_command_line_has_status_2(vswitch: Vswitch, words: tuple[str, ...]) -> None:
    outcome = vswitch(*words)
    assert (outcome.status, outcome.out) == (2, "")
    assert "Error" in outcome.err
