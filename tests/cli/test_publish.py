"""`vswitch publish` as it is typed, against the control socket of a real daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.daemon.publishing import PublishingLab

if TYPE_CHECKING:
    from tests.cli.conftest import Vswitch


@pytest.fixture
def lab(run_directory: Path) -> Iterator[PublishingLab]:
    """The one switch that runs, with the endpoints `web` and `db`."""
    directory = run_directory / "lab"
    directory.mkdir()
    with PublishingLab(directory) as lab:
        yield lab


def columns(text: str) -> list[str]:
    return [" ".join(line.split()) for line in text.splitlines()]


def test_published_ports_are_printed(vswitch: Vswitch, lab: PublishingLab) -> None:
    outcome = vswitch("publish", "add", "web", "8080:80", "9000-9009:1-10/udp")
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.splitlines() == ["0.0.0.0:8080->80/tcp", "0.0.0.0:9000-9009->1-10/udp"]


def test_options_are_terms_of_all_that_is_published(vswitch: Vswitch, lab: PublishingLab) -> None:
    terms = ("--from", "192.0.2.0/24", "--from", "198.51.100.7", "--for", "10m", "--once")
    assert vswitch("publish", "add", "web", "80:80", "81:81", *terms, "--rate", "9/s").status == 0
    assert vswitch("publish", "add", "db", "82:82").status == 0
    head, *lines = columns(vswitch("publish", "ls").out)
    assert head == "endpoint network published from expires once rate"
    subnets = "192.0.2.0/24,198.51.100.7/32"
    for line, port in zip(lines, (80, 81), strict=False):
        begin, end = f"web front 0.0.0.0:{port}->{port}/tcp {subnets} in ", " s yes 9/s"
        assert line.startswith(begin)
        assert line.endswith(end)
        assert 590 <= int(line[len(begin) : -len(end)]) <= 600
    assert lines[2:] == ["db front 0.0.0.0:82->82/tcp anywhere never no any"]


def test_list_and_what_was_published_are_json_for_programs(
    vswitch: Vswitch, lab: PublishingLab
) -> None:
    made = json.loads(vswitch("publish", "add", "web", "8080:80", "--json").out)
    assert [row["published"] for row in made] == ["0.0.0.0:8080->80/tcp"]
    assert json.loads(vswitch("publish", "ls", "--json").out) == made


def test_withdrawn_ports_are_gone(vswitch: Vswitch, lab: PublishingLab) -> None:
    vswitch("publish", "add", "web", "8080:80", "53:53/udp", "90:90")
    outcome = vswitch("publish", "rm", "web", "8080", "53/udp")
    assert (outcome.status, outcome.out, outcome.err) == (0, "", "")
    assert lab.published() == ["0.0.0.0:90->90/tcp"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("add", "wbe", "80:80"), "endpoint wbe not found"),
        (("add", "web", "80:http"), "invalid containerPort: http"),
        (("add", "web", "80:80", "--from", "home"), "from=home: allowed is an IPv4 subnet"),
        (("add", "web", "80:80", "--for", "soon"), "for=soon: allowed is a time"),
        (("add", "web", "80:80", "--rate", "9"), "rate=9: allowed is a number of new"),
        (("add", "web", "80:80 once", "--once"), "once: once is said twice"),
        (("add", "web", "5432:80"), "Bind for 0.0.0.0:5432 failed: port is already allocated (by"),
        (("rm", "web", "80"), "no public port '80/tcp' published for web (published is nothing)"),
        (("rm", "a/b?c", "80"), "endpoint a/b?c not found"),
    ],
)
def test_what_the_switch_refuses_is_told_in_one_line(
    vswitch: Vswitch, lab: PublishingLab, words: tuple[str, ...], told: str
) -> None:
    vswitch("publish", "add", "db", "5432:5432")
    outcome = vswitch("publish", *words)
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.err.startswith(f"vswitch: {told}")
    assert outcome.err.count("\n") == 1
    assert lab.published() == ["0.0.0.0:5432->5432/tcp"]


@pytest.mark.parametrize("words", [("add",), ("add", "web"), ("rm", "web"), ("add", "--once")])
def test_wrong_command_line_is_told(
    vswitch: Vswitch, lab: PublishingLab, words: tuple[str, ...]
) -> None:
    assert vswitch("publish", *words).status == 2
    assert lab.published() == []


@pytest.mark.parametrize("verb", ["add", "rm", "ls"])
def test_help_has_an_example(vswitch: Vswitch, verb: str) -> None:
    assert "Example:" in vswitch("publish", verb, "--help").out
