"""An endpoint is attached whole or not at all: every step on the way is refused once, in turn."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.linux.lab import WEB, Done, Lab, eventually

pytestmark = pytest.mark.linux

GUEST = "172.18.0.9"
FAULTY = str(Path(__file__).with_name("faulty_switch.py"))


class FaultyLab(Lab):
    """A lab whose switch fails at a step that a test names."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.faults = directory / "faults"
        self.faults.write_text("")
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

    def _links(self, role: str) -> list[str]:
        links = json.loads(self.run(role, "ip", "-json", "link").stdout)
        return sorted(link["ifname"] for link in links)

    def _recorded(self) -> list[str]:
        """What the journal says was made and is not gone."""
        made: list[str] = []
        for line in (self.run_directory / "journal").read_text().splitlines():
            record = json.loads(line)
            event = record.pop("event")
            made.append(str(record)) if event == "made" else made.remove(str(record))
        return made


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyLab]:
    with FaultyLab(tmp_path_factory.mktemp("faulty")) as lab:
        lab.add_endpoint("web", kind="veth")
        lab.up()
        lab.create("guest")
        yield lab


def _attach(lab: FaultyLab, kind: str) -> Done:
    wish = ("--network", "front", "--ip", GUEST, "--mac", "02:00:00:00:00:99", "-p", "8080:80")
    if kind == "vm":
        return lab.vswitch("tap add", *wish, "guest", check=False)
    place = lab.namespace("guest")
    return lab.vswitch("attach", *wish, "--kind", kind, "--name", "guest", place, check=False)


@pytest.mark.parametrize(("kind", "steps"), [("tap", 14), ("veth", 15), ("vm", 8)])
def test_endpoint_that_cannot_be_attached_whole_leaves_nothing(
    lab: FaultyLab, kind: str, steps: int
) -> None:
    before = lab.state()
    refused = 0
    for step in itertools.count(1):
        lab.faults.write_text(str(step))
        done = _attach(lab, kind)
        if done.returncode == 0:
            break
        assert "refused for the test" in done.stderr
        assert done.stderr.count("\n") == 1
        refused += 1
        _assert_nothing_is_left(lab, before, f"step {step}: {done.stderr}")
    lab.faults.write_text("")
    assert refused >= steps
    if kind != "vm":
        assert lab.ping("web", GUEST)
        assert lab.ping("guest", WEB)
    lab.vswitch("detach", "guest")
    _assert_nothing_is_left(lab, before, "the end")
    assert lab.log_lines("ERROR") == []
    assert "Traceback" not in lab.log()


def _assert_nothing_is_left(lab: FaultyLab, before: dict[str, object], of: str) -> None:
    """Descriptors are closed a moment later than the answer comes."""
    with suppress(pytest.fail.Exception):
        eventually(lambda: lab.state() == before, "nothing is left", patience=2)
    assert lab.state() == before, f"after {of}"
