"""`vswitch impair` as it is typed, against the control socket of a real daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.daemon.test_api import Served
from tests.daemon.test_impairments import add_ports, said
from vswitch.cli.impair import table
from vswitch.daemon.messages import ImpairmentRow, LineRow

if TYPE_CHECKING:
    from tests.cli.conftest import Vswitch


@pytest.fixture
def served(run_directory: Path) -> Iterator[Served]:
    """The one switch that runs, with the ports `web` and `uplink`."""
    directory = run_directory / "lab"
    directory.mkdir()
    served = Served(directory)
    try:
        add_ports(served, "web", "uplink")
        yield served
    finally:
        served.close()


@pytest.mark.parametrize(
    ("words", "both"),
    [
        (("delay=20ms", "loss=1%"), ("delay=20ms loss=1%", "delay=20ms loss=1%", 0)),
        (("delay=20ms loss=1%",), ("delay=20ms loss=1%", "delay=20ms loss=1%", 0)),
        (("--in", "loss=1%"), ("loss=1%", "none", 0)),
        (("--out", "loss=1%", "--seed", "7"), ("none", "loss=1%", 7)),
        (("delay=20ms", "--out", "loss=1%"), ("delay=20ms", "loss=1%", 0)),
        (("--in", "loss=1%", "--out", "loss=2%"), ("loss=1%", "loss=2%", 0)),
    ],
)
def test_words_say_both_directions_but_for_one_that_is_named(
    vswitch: Vswitch, served: Served, words: tuple[str, ...], both: tuple[str, str, int]
) -> None:
    outcome = vswitch("impair", "web", *words)
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")
    assert said(served) == {"web": both}


def test_port_is_good_again_when_cleared(vswitch: Vswitch, served: Served) -> None:
    vswitch("impair", "web", "loss=1%")
    vswitch("impair", "uplink", "loss=1%")
    assert vswitch("impair", "web", "--clear").status == 0
    assert list(said(served)) == ["uplink"]
    assert vswitch("impair", "uplink", "none").status == 0
    assert said(served) == {}


def test_impaired_directions_are_listed(vswitch: Vswitch, served: Served) -> None:
    vswitch("impair", "web", "--in", "loss=1%", "--out", "rate=1mbit", "--seed", "3")
    vswitch("impair", "uplink", "--out", "delay=20ms")
    lines = [" ".join(line.split()) for line in vswitch("impair").out.splitlines()]
    assert lines == [
        "port way impairment seed entered held lost duplicated reordered corrupted full",
        "web in loss=1% 3 0 0 0 0 0 0 0",
        "web out rate=1mbit queue=100 3 0 0 0 0 0 0 0",
        "uplink out delay=20ms 0 0 0 0 0 0 0 0",
    ]


def test_list_is_json_for_programs(vswitch: Vswitch, served: Served) -> None:
    vswitch("impair", "web", "loss=1%")
    assert json.loads(vswitch("impair", "--json").out) == served.ask("GET", "/v1/impairments").body


def test_counters_stand_under_their_names() -> None:
    line = LineRow(
        impairment="loss=1%",
        entered=1,
        held=2,
        lost=3,
        duplicated=4,
        reordered=5,
        corrupted=6,
        full=7,
    )
    made = table([ImpairmentRow(port="web", seed=9, incoming=line, outgoing=line)])
    cells = {str(column.header): list(column.cells)[1] for column in made.columns}
    assert cells["way"] == "out"
    names = ("seed", "entered", "held", "lost", "duplicated", "reordered", "corrupted", "full")
    assert [cells[name] for name in names] == ["9", "1", "2", "3", "4", "5", "6", "7"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("web", "los=1%"), "vswitch: los=1%: allowed is none alone, or some of delay, jitter,"),
        (("web", "--in", ""), "vswitch: nothing is said: allowed is none, or some of delay,"),
        (("wbe", "loss=1%"), 'vswitch: port wbe not found (did you mean "web"?)'),
        (("a/b?c", "--clear"), "vswitch: port a/b?c not found (there is web, uplink)"),
        (("web", "--clear"), "vswitch: port web is not impaired"),
        (("web", "--seed", "7"), "vswitch: port web is not impaired: a seed alone does nothing"),
    ],
)
def test_what_the_switch_refuses_is_told_in_one_line(
    vswitch: Vswitch, served: Served, words: tuple[str, ...], told: str
) -> None:
    outcome = vswitch("impair", *words)
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.startswith(told)
    assert outcome.err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("web",), "say how"),
        (("--clear",), "say which PORT"),
        (("--in", "loss=1%"), "say which PORT"),
        (("web", "loss=1%", "--clear"), "--clear takes nothing but PORT"),
        (("web", "--seed", "1", "--clear"), "--clear takes nothing but PORT"),
        (("web", "--json"), "--json is for the list"),
        (("web", "loss=1%", "--seed", "-1"), "--seed"),
        (("web", "loss=1%", "--seed", "x"), "--seed"),
    ],
)
def test_wrong_command_line_is_told_and_asks_no_switch(
    vswitch: Vswitch, served: Served, words: tuple[str, ...], told: str
) -> None:
    vswitch("impair", "web", "loss=5%")
    outcome = vswitch("impair", *words)
    assert (outcome.status, outcome.out) == (2, "")
    assert told in outcome.err
    assert said(served) == {"web": ("loss=5%", "loss=5%", 0)}


def test_help_has_an_example_and_all_words(vswitch: Vswitch) -> None:
    shown = vswitch("impair", "--help").out
    assert "Example:" in shown
    for word in ("delay=", "jitter=", "loss=", "duplicate=", "reorder=", "corrupt=", "rate="):
        assert word in shown
