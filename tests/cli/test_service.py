"""`vswitch service`: units that systemd takes, and what has to hold between them and the daemon."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vswitch.daemon.process.privileges import KEPT
from vswitch.daemon.process.rundir import RUN, SOCKET

if TYPE_CHECKING:
    from tests.cli.conftest import Vswitch

OWN_MOUNTS = (
    *("PrivateMounts", "PrivateTmp", "PrivateDevices", "ProtectSystem", "ProtectHome"),
    *("ProtectProc", "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs"),
    *("ProtectControlGroups", "ProtectHostname", "ReadOnlyPaths", "InaccessiblePaths"),
)
"""systemd.exec(5): these run a service in a mount namespace of its own."""


@pytest.fixture
def unit(vswitch: Vswitch) -> dict[str, list[str]]:
    """The service's settings by key."""
    return settings(vswitch("service").out)


def settings(text: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        found.setdefault(key, []).append(value)
    return found


def test_service_runs_the_command_that_has_printed_it(
    vswitch: Vswitch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: "/opt/switch/bin/vswitch")
    (start,) = settings(vswitch("service").out)["ExecStart"]
    assert start == "/opt/switch/bin/vswitch up -c /etc/vswitch/%i.toml"


def test_service_may_do_all_that_the_daemon_keeps(unit: dict[str, list[str]]) -> None:
    bounded = " ".join(unit["CapabilityBoundingSet"]).split()
    assert {str(each) for each in KEPT} <= set(bounded)


def test_service_sees_the_mounts_that_everybody_sees(unit: dict[str, list[str]]) -> None:
    assert not unit.keys() & set(OWN_MOUNTS)


def test_service_reports_and_is_watched(unit: dict[str, list[str]]) -> None:
    assert unit["Type"] == ["notify"]
    assert unit["WatchdogSec"] == ["30s"]
    assert unit["RuntimeDirectoryPreserve"] == ["yes"]


def test_socket_is_where_commands_look_for_it(vswitch: Vswitch) -> None:
    (place,) = settings(vswitch("service", "--socket").out)["ListenStream"]
    assert place == str(RUN / "%i" / SOCKET)


def test_units_are_part_of_what_is_installed() -> None:
    packed = (Path(__file__).parents[2] / "pyproject.toml").read_text()
    assert '"daemon/process/units/*"' in packed
