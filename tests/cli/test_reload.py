"""`vswitch diff` and `vswitch reload` as they are typed, against the socket of a real daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.daemon.test_api import CONFIGURATION, Served

if TYPE_CHECKING:
    from tests.cli.conftest import Vswitch

BACK = '[networks.back]\nsubnet = "172.20.0.0/16"\n'
ADDED = "+ network back: subnet 172.20.0.0/16"


@pytest.fixture
def directory(run_directory: Path) -> Path:
    directory = run_directory / "lab"
    directory.mkdir()
    return directory


@pytest.fixture
def served(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """The one switch that runs, with the networks `bridge` and `front`, on a host with no route."""
    monkeypatch.setattr("vswitch.daemon.kernel.links.on_link_subnets", list)
    served = Served(directory)
    try:
        yield served
    finally:
        served.close()


def write(directory: Path, further: str = "", configuration: str = CONFIGURATION) -> str:
    file = directory / "other.toml"
    file.write_text(f'state_directory = "{directory / "state"}"\n{configuration}{further}')
    return str(file)


def test_difference_is_shown_and_then_made(
    vswitch: Vswitch, served: Served, directory: Path
) -> None:
    file = write(directory, BACK)
    shown = vswitch("diff", file)
    assert (shown.status, shown.out, shown.err) == (1, f"{ADDED}\n", "")
    made = vswitch("reload", file)
    assert (made.status, made.out, made.err) == (0, f"{ADDED}\n", "")
    again = vswitch("diff", file)
    assert (again.status, again.out, again.err) == (0, "", "")
    assert (vswitch("reload", file).out, "back" in vswitch("network", "ls").out) == ("", True)


def test_difference_is_told_to_programs(vswitch: Vswitch, served: Served, directory: Path) -> None:
    shown = vswitch("diff", write(directory, BACK), "--json")
    assert shown.status == 1
    (change,) = json.loads(shown.out)
    assert change == {
        "sign": "+",
        "what": "network",
        "name": "back",
        "details": [{"key": "subnet", "before": "", "after": "172.20.0.0/16"}],
        "way": "in place",
        "along": [],
        "words": ADDED,
    }
    none = vswitch("diff", write(directory), "--json")
    assert (none.status, none.out) == (0, "[]\n")


def test_every_mistake_in_the_file_is_told_in_a_line(
    vswitch: Vswitch, served: Served, directory: Path
) -> None:
    file = write(directory, '[networks.back]\nmtu = 1\ncolour = "red"\n')
    for verb, status in (("diff", 2), ("reload", 1)):
        told = vswitch(verb, file)
        assert (told.status, told.out) == (status, "")
        lines = told.err.splitlines()
        assert len(lines) == 2
        assert all(line.startswith(f"vswitch: {file}") for line in lines)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            CONFIGURATION.replace('"lab"', '"other"'),
            "nothing is changed: name: needs a restart",
        ),
        (
            f"{CONFIGURATION}[limits]\nheld_syns = 1\n",
            "nothing is changed: limits: needs a restart",
        ),
    ],
)
def test_what_can_not_be_changed_is_shown_and_refused(
    vswitch: Vswitch, served: Served, directory: Path, text: str, told: str
) -> None:
    file = write(directory, configuration=text)
    shown = vswitch("diff", file)
    assert shown.status == 1
    assert shown.out.startswith("! ")
    refused = vswitch("reload", file)
    assert (refused.status, refused.out) == (1, "")
    assert refused.err == f"vswitch: {told}\n"


def test_trouble_has_a_status_of_its_own(
    vswitch: Vswitch, run_directory: Path, tmp_path: Path
) -> None:
    told = vswitch("diff", str(tmp_path / "none.toml"))
    assert (told.status, told.out) == (2, "")
    assert told.err == "vswitch: no switch is running: start one with vswitch up -c FILE.toml\n"


def test_file_that_is_not_there_is_trouble_too(vswitch: Vswitch, served: Served) -> None:
    told = vswitch("diff", "/nowhere.toml")
    assert told.status == 2
    assert told.err == "vswitch: /nowhere.toml: cannot be read: No such file or directory\n"


def test_switch_that_was_started_without_a_file_has_to_be_told_which(
    vswitch: Vswitch, served: Served
) -> None:
    assert vswitch("reload").err == (
        "vswitch: the switch was started without a file: say which one to read\n"
    )


def test_own_file_is_read_again(vswitch: Vswitch, served: Served, directory: Path) -> None:
    assert served.daemon is not None
    served.daemon.reload.file = Path(write(directory, BACK))
    assert vswitch("reload").out == f"{ADDED}\n"


# The interface itself


def test_mistake_is_one_line_of_the_interface(served: Served) -> None:
    answer = served.ask("POST", "/v1/configuration/diff", {"text": "name = 1\n[a]", "file": "f"})
    assert answer.status == 400
    assert answer.problem.startswith("f: name: found 1: allowed is ")


@pytest.mark.parametrize("verb", ["diff", "reload"])
@pytest.mark.parametrize("body", [{"colour": "red"}, {"text": 1}, [], b"{"])
def test_body_that_is_none_is_refused(served: Served, verb: str, body: object) -> None:
    answer = served.ask("POST", f"/v1/configuration/{verb}", body)
    assert answer.status == 400
    assert answer.problem


def test_where_the_configuration_is_from_is_told(served: Served) -> None:
    answer = served.ask("GET", "/v1/configuration")
    assert answer.body == {
        "file": None,
        "is_reloading": False,
        "step": 0,
        "steps": 0,
        "doing": "",
    }
