"""An endpoint is attached whole or not at all: every step on the way is refused once, in turn."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.linux.lab import WEB, Lab, eventually

pytestmark = pytest.mark.linux

GUEST = "172.18.0.9"
FAULTY = str(Path(__file__).with_name("faulty_switch.py"))


class FaultyLab(Lab):
    """A lab whose switch fails at a step that a test names."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.faults = directory / "faults"
        self.faults.write_text("")
        self._sleeper: subprocess.Popen[str] | None = None
        self.confinement = (sys.executable, FAULTY, str(self.faults))

    def state(self) -> dict[str, object]:
        """What attaching changes, wherever it does."""
        assert self.daemon is not None
        return {
            "links of the host": self._links("host"),
            "links of the guest": self._links("guest"),
            "routes of the guest": self.run("guest", "ip", "route").stdout,
            "files": sorted(map(str, Path("/etc/netns").glob(f"{self.name}*"))),
            "namespaces": self.namespaces(),
            "recorded": self._recorded(),
            "endpoints": self.table("endpoints"),
            "ports": [row["name"] for row in self.table("ports")],
            "stations": [row["port"] for row in self.table("fdb")],
            "descriptors": len(os.listdir(f"/proc/{self.daemon.pid}/fd")),
        }

    def sleeper(self) -> int:
        """The id of a process in the guest's namespace, which lasts."""
        if self._sleeper is None:
            self._sleeper = self.start("guest", "sleep", "600")
            path = Path(f"/proc/{self._sleeper.pid}/comm")
            eventually(lambda: path.read_text() == "sleep\n", "it sleeps")
        return self._sleeper.pid

    def _links(self, role: str) -> list[str]:
        links = json.loads(self.run(role, "ip", "-json", "link").stdout)
        return sorted(link["ifname"] for link in links)

    def _recorded(self) -> list[str]:
        """What the journal says was made and is not gone."""
        made: list[str] = []
        for line in (self.run_directory / "journal").read_text().splitlines():
            record = json.loads(line)
            event = record.pop("event")
            if event == "whole":
                continue
            made.append(str(record)) if event == "made" else made.remove(str(record))
        return made


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyLab]:
    with FaultyLab(tmp_path_factory.mktemp("faulty")) as lab:
        lab.add_endpoint("web", kind="veth")
        lab.up()
        lab.create("guest")
        yield lab


def _attach(lab: FaultyLab, kind: str) -> str:
    """Attach the guest, or let its machine have a TAP; what is told where that is refused."""
    wish: dict[str, object] = {"name": "guest", "network": "front", "publish": ["8080:80"]}
    wish |= {"address": GUEST, "mac": "02:00:00:00:00:99"}
    if kind == "vm":
        _, answer = lab.ask("POST", "taps", wish)
    elif kind == "process":
        _, answer = lab.ask("POST", "endpoints", {**wish, "pid": lab.sleeper()})
    else:
        path = f"/run/netns/{lab.namespace('guest')}"
        _, answer = lab.ask("POST", "endpoints", {**wish, "kind": kind, "path": path})
    told: str = answer.get("error", "")
    return told


@pytest.mark.parametrize(("kind", "steps"), [("tap", 12), ("veth", 15), ("process", 12), ("vm", 8)])
def test_endpoint_that_cannot_be_attached_whole_leaves_nothing(
    lab: FaultyLab, kind: str, steps: int
) -> None:
    before = lab.state()
    refused = 0
    for step in itertools.count(1):
        lab.faults.write_text(str(step))
        told = _attach(lab, kind)
        if not told:
            break
        assert "refused for the test" in told
        refused += 1
        _assert_nothing_is_left(lab, before, f"step {step}: {told}")
    lab.faults.write_text("")
    assert refused >= steps
    if kind != "vm":
        assert lab.ping("web", GUEST)
        assert lab.ping("guest", WEB)
    assert lab.ask("DELETE", "endpoints/guest")[0] == 204
    _assert_nothing_is_left(lab, before, "the end")
    assert lab.log_lines("ERROR") == []
    assert "Traceback" not in lab.log()


def _assert_nothing_is_left(lab: FaultyLab, before: dict[str, object], of: str) -> None:
    """Descriptors are closed a moment later than the answer comes."""
    with suppress(pytest.fail.Exception):
        eventually(lambda: lab.state() == before, "nothing is left", patience=2)
    assert lab.state() == before, f"after {of}"
