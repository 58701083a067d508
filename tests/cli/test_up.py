"""`vswitch up` before anything is touched: the configuration is checked, the user is root."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Vswitch

GOOD = """
name = "lab"
[networks.front]
subnet = "172.18.0.0/16"
[endpoints.web]
network = "front"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "lab.toml"


def test_check_of_a_good_configuration_says_what_is_in_it(vswitch: Vswitch, file: Path) -> None:
    file.write_text(GOOD)
    outcome = vswitch("up", "--check", "-c", str(file))
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == f"{file}: switch lab: 2 networks, 1 endpoints: ok\n"


def test_check_tells_every_mistake_in_a_line_of_its_own(vswitch: Vswitch, file: Path) -> None:
    file.write_text(GOOD + 'netwrk = "front"\nkind = "bridge"\n[uplink]\naddress = 5\n')
    outcome = vswitch("up", "--check", "-c", str(file))
    assert (outcome.status, outcome.out) == (1, "")
    lines = outcome.err.splitlines()
    assert all(line.startswith(f"vswitch: {file}: ") for line in lines)
    for key in ("endpoints.web.netwrk", "endpoints.web.kind", "uplink.address", "uplink.interface"):
        assert [line for line in lines if f" {key}: " in line], outcome.err


def test_check_tells_the_line_of_a_syntax_error(vswitch: Vswitch, file: Path) -> None:
    file.write_text('name = "lab"\n[networks.front\n')
    outcome = vswitch("up", "--check", "-c", str(file))
    assert outcome.status == 1
    assert outcome.err.startswith(f"vswitch: {file}:2: ")
    assert outcome.err.count("\n") == 1


def test_file_that_cannot_be_read_is_told_in_one_line(vswitch: Vswitch, tmp_path: Path) -> None:
    for path in (tmp_path / "missing.toml", tmp_path):
        outcome = vswitch("up", "--check", "-c", str(path))
        assert outcome.status == 1
        assert outcome.err.startswith(f"vswitch: {path}: ")
        assert outcome.err.count("\n") == 1


def test_check_needs_no_root(vswitch: Vswitch, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    file.write_text(GOOD)
    assert vswitch("up", "--check", "-c", str(file)).status == 0


@pytest.mark.parametrize("words", [("up", "-c", "FILE"), ("run", "--", "true")], ids=["up", "run"])
def test_what_makes_namespaces_needs_root(
    vswitch: Vswitch, file: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    file.write_text(GOOD)
    outcome = vswitch(*(str(file) if word == "FILE" else word for word in words))
    assert outcome.status == 1
    assert outcome.err == (
        f"vswitch: vswitch {words[0]} needs root: it makes network namespaces and devices "
        "(try sudo)\n"
    )


def test_mistake_is_told_before_root_is_asked_for(
    vswitch: Vswitch, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    file.write_text('nme = "lab"\n')
    assert "nme" in vswitch("up", "-c", str(file)).err


def test_trigger_for_a_reason_that_there_is_not_is_told(vswitch: Vswitch, file: Path) -> None:
    file.write_text('name = "lab"\n[recorder]\ntriggers = ["dropped ttl_expire 5/s"]\n')
    outcome = vswitch("up", "--check", "-c", str(file))
    assert (outcome.status, outcome.err) == (
        1,
        f"vswitch: {file}: recorder.triggers: no frame is dropped for the reason 'ttl_expire' "
        '(did you mean "ttl_expired"?)\n',
    )


def test_check_tells_of_doors_that_can_not_be_opened(vswitch: Vswitch, file: Path) -> None:
    file.write_text(GOOD + '[api]\ngroup = "no-such"\n')
    outcome = vswitch("up", "--check", "-c", str(file))
    assert outcome.status == 1
    assert outcome.err == (
        f'vswitch: {file}: api.group: found "no-such": allowed is the name of a group that exists '
        "(groupadd --system no-such)\n"
    )
