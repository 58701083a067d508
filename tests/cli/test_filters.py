"""`vswitch filter` as it is typed, against the control socket of a real daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.daemon.test_api import Served

if TYPE_CHECKING:
    from tests.cli.conftest import Vswitch


@pytest.fixture
def served(run_directory: Path) -> Iterator[Served]:
    """The one switch that runs, with the networks `bridge` and `front`."""
    directory = run_directory / "lab"
    directory.mkdir()
    served = Served(directory)
    try:
        yield served
    finally:
        served.close()


def test_rules_are_added_listed_and_removed(vswitch: Vswitch, served: Served) -> None:
    words = ("drop", "--in", "front", "--source", "10.0.0.0/8", "--source", "192.0.2.8")
    ports = ("--protocol", "tcp", "--port", "80", "--port", "90-99", "--source-port", "1024-65535")
    first = vswitch("filter", "add", *words, *ports)
    assert (first.status, first.out) == (0, "1\n")
    second = vswitch("filter", "add", "log", "--protocol", "47", "--before", "1", "--json")
    assert (json.loads(second.out)["number"], json.loads(second.out)["protocol"]) == (2, "47")
    shown = vswitch("filter", "ls").out.splitlines()
    columns = "number action in out protocol source destination source ports ports matched"
    assert [" ".join(line.split()) for line in shown] == [
        columns,
        "2 log any any 47 any any any any 0",
        "1 drop front any tcp 10.0.0.0/8,192.0.2.8 any 1024-65535 80,90-99 0",
    ]
    assert vswitch("filter", "rm", "2", "1").status == 0
    assert vswitch("filter", "ls", "--json").out == "[]\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("add", "deny"), 'action: found "deny": allowed is "accept" or "return"'),
        (("add", "drop", "--port", "80"), "allowed with a protocol that has ports"),
        (("add", "drop", "--before", "5"), "filter 5 not found"),
        (("rm", "5"), "filter 5 not found"),
    ],
)
def test_mistake_is_told_in_one_line(
    vswitch: Vswitch, served: Served, words: tuple[str, ...], told: str
) -> None:
    outcome = vswitch("filter", *words)
    assert outcome.status == 1
    assert told in outcome.err
    assert outcome.err.count("\n") == 1
