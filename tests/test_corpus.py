"""Every case in pcaps/: what comes out is what is expected, and the same bytes each time.

While it is replayed, each frame that a case's switch sends is held against both invariants.
"""

from __future__ import annotations

import runpy
import shutil
import subprocess
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from random import Random

import pytest

from tests import invariants
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Network
from vswitch.debug.cases import case, replay, trial
from vswitch.debug.cases.making import built
from vswitch.debug.files.reading import CaptureReader
from vswitch.fastpath import available
from vswitch.translation import Limits

PCAPS = Path(__file__).parents[1] / "pcaps"
CASES = sorted(file.parent for file in PCAPS.glob("*/case.toml"))
FILES = {"README.md", "case.toml", "expected.pcapng", "in.pcapng", "make.py"}

every_case = pytest.mark.parametrize("folder", CASES, ids=lambda folder: folder.name)


class Watch:
    """What the invariants were asked about."""

    def __init__(self) -> None:
        self.frames = 0

    def check(self, switch: Switch, network: Network, raw: bytes) -> None:
        self.frames += 1
        check_invariants(switch, network, raw)


check_invariants = invariants.check


@pytest.fixture(autouse=True)
def watched(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Let every switch that is replayed be watched from its first frame on."""

    class Watched(Switch):
        def __init__(self, random: Random, limits: Limits, fast_path: str | None) -> None:
            super().__init__(random, limits, fast_path)
            invariants.watch(self)

    watch = Watch()
    monkeypatch.setattr(replay, "Switch", Watched)
    monkeypatch.setattr(invariants, "check", watch.check)
    return watch


@pytest.mark.parametrize("fast_path", list(available()))
@every_case
def test_case_comes_out_as_expected(folder: Path, fast_path: str, watched: Watch) -> None:
    loaded = case.load(folder)
    loaded = replace(loaded, setup=replace(loaded.setup, fast_path=fast_path))
    assert loaded.counts is not None
    report = trial.check(loaded)
    assert not report.difference, "\n".join(report.difference.lines())
    assert watched.frames or not report.left


@every_case
def test_case_comes_out_as_the_same_bytes_each_time(folder: Path) -> None:
    loaded = case.load(folder)
    outs = (BytesIO(), BytesIO())
    for out in outs:
        trial.check(loaded, out=out)
    assert outs[0].getvalue() == outs[1].getvalue()


@every_case
def test_generator_makes_the_committed_input(folder: Path) -> None:
    build = runpy.run_path(str(folder / "make.py"))["build"]
    assert built(build) == (folder / "in.pcapng").read_bytes()


@every_case
def test_case_is_complete(folder: Path) -> None:
    assert {file.name for file in folder.iterdir()} >= FILES
    assert (folder / "README.md").read_text().startswith("# ")


def test_every_folder_is_a_case() -> None:
    folders = {path for path in PCAPS.iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert folders == set(CASES)


def test_tshark_reads_all_that_came_out_without_complaint(tmp_path: Path) -> None:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed")
    every = tmp_path / "all.pcapng"
    every.write_bytes(b"".join((folder / "expected.pcapng").read_bytes() for folder in CASES))
    frames = 0
    for folder in CASES:
        with CaptureReader.open(folder / "expected.pcapng") as reader:
            frames += sum(1 for _ in reader)
    done = subprocess.run(
        [tshark, "-n", "-r", str(every), "-T", "fields", "-e", "frame.interface_name"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if "Running as user" not in line]
    assert (done.returncode, complaints) == (0, [])
    assert len(done.stdout.splitlines()) == frames
