"""`vswitch replay`: cases against what is expected of them, and captures from the field.

Theory of operation. What a replay is stands in `debug.cases.replay` and `debug.cases.trial`; here
its outcome is told. Each case gets one line, ok or not, and the difference below it; one for each
fast path where both run it. A case that can not be replayed does not keep the others from it. The
exit status says the worst: 0 all as expected, 1 something differs, 2 something could not be
replayed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from enum import IntEnum
from itertools import product
from pathlib import Path
from typing import BinaryIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from vswitch.cli.problem import Problem
from vswitch.debug.cases import case as cases
from vswitch.debug.cases import trial
from vswitch.debug.cases.arrivals import PortOf, Remark, arrivals, merged
from vswitch.debug.cases.case import EXPECTED, FILE, Case
from vswitch.debug.cases.making import INPUT
from vswitch.debug.cases.recording import Recorded, RecordingWriter
from vswitch.debug.cases.replay import Counts, Replay, Setup
from vswitch.debug.files.reading import CaptureError, CaptureReader
from vswitch.debug.sight import Direction
from vswitch.fastpath import NoSuchFastPath, available
from vswitch.network.configuration import config
from vswitch.network.configuration.config import ConfigurationError

BOTH = "both"
"""Stands for all fast paths of this installation, where it has more than one."""

PATIENCE_SECONDS = 1.0
"""A replay that takes longer shows how far it is."""

_SWITCH = "switch.toml"
"""The configuration of a case that was made from a capture."""

_COLOURS = {"ok": "green", "differs": "red", "updated": "yellow", "unchanged": "green"}


class Status(IntEnum):
    """The exit status."""

    OK = 0
    DIFFERS = 1
    UNREADABLE = 2


# Cases


def replay_cases(
    paths: Sequence[Path], *, update: bool, out: Path | None, fast_path: str | None
) -> Status:
    """Replay every case, or update it, and say how it went."""
    console, errors = _consoles()
    worst = Status.OK
    try:
        fast_paths = _fast_paths(fast_path)
        if update and len(fast_paths) > 1:
            raise Problem(f"--update takes one fast path, and not --fastpath {BOTH}")
        _refuse_update_in_ci(update)
        folders = [folder for path in paths for folder in _folders(path)]
    except Problem as problem:
        return _refused(errors, problem)
    for folder, name in product(folders, fast_paths):
        try:
            case = _run_by(name, cases.load(folder))
            label = f"{case.name} ({name})" if len(fast_paths) > 1 else case.name
            status = _replay_case(case, label, update, out, console, errors)
        except (ConfigurationError, CaptureError, NoSuchFastPath, Problem) as error:
            status = _refused(errors, error)
        worst = max(worst, status)
    return worst


def _fast_paths(name: str | None) -> tuple[str | None, ...]:
    """Those that `--fastpath` names, None being the one that this installation would choose."""
    known = tuple(available())
    allowed = (*known, BOTH) if len(known) > 1 else known
    if name is not None and name not in allowed:
        there_is = ", ".join(allowed)
        raise Problem(f"--fastpath {name}: there is no such fast path here (there is {there_is})")
    return known if name == BOTH else (name,)


def _run_by(fast_path: str | None, case: Case) -> Case:
    return replace(case, setup=replace(case.setup, fast_path=fast_path))


def _refuse_update_in_ci(update: bool) -> None:
    if update and os.environ.get("CI", "").lower() in ("1", "true", "yes"):
        raise Problem("--update rewrites what is expected, which nobody would look at with CI=true")


def _folders(path: Path) -> list[Path]:
    """A case, or every case in a folder of cases."""
    if (path / FILE).exists():
        return [path]
    inside = sorted(file.parent for file in path.glob(f"*/{FILE}"))
    if inside:
        return inside
    if not path.is_dir():
        raise Problem(f"{path}: there is no such folder")
    raise Problem(f"{path}: no case: neither it nor a folder in it has a {FILE}")


def _replay_case(
    case: Case, label: str, update: bool, out: Path | None, console: Console, errors: Console
) -> Status:
    with _Bar(errors, label) as bar:
        try:
            if update:
                report = trial.update(case, progress=bar.show)
            else:
                with _kept(out, label) as stream:
                    report = trial.check(case, out=stream, progress=bar.show)
        except OSError as error:
            raise Problem(f"{error.filename or case.folder}: {error.strerror}") from error
    if update:
        word = "updated" if report.difference else "unchanged"
    else:
        word = "differs" if report.difference else "ok"
    _say(console, word, f"{label}: {_traffic(report.arrived, report.left)}")
    _say_remarks(console, report.remarks)
    for line in report.difference.lines():
        _print(console, f"    {line}", _style(line))
    return Status.DIFFERS if report.difference and not update else Status.OK


@contextmanager
def _kept(folder: Path | None, name: str) -> Iterator[BinaryIO | None]:
    """The file in `folder` for what comes out of a replay; None where it is not to be kept."""
    if folder is None:
        yield None
        return
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.pcapng").open("wb") as stream:
        yield stream


# Captures from the field


def replay_captures(
    configuration: Path,
    captures: Sequence[str],
    *,
    out: Path | None,
    save_case: Path | None,
    fast_path: str | None,
) -> Status:
    """Replay captures on the switch of a configuration file, and say what became of them."""
    _, errors = _consoles()
    try:
        name, *others = _fast_paths(fast_path)
        if others:
            raise Problem(f"--fastpath {BOTH} is for cases, which say what is expected of either")
        setup = Setup(config.load(configuration), fast_path=name)
        sources = [_source(capture, setup) for capture in captures]
        if save_case is not None:
            return _save_case(save_case, configuration, setup, sources)
        with _kept(out, setup.configuration.name) as stream:
            _run(setup, sources, None, stream)
    except (ConfigurationError, CaptureError, NoSuchFastPath, Problem) as error:
        return _refused(errors, error)
    except OSError as error:
        where = error.filename or save_case or out
        return _refused(errors, Problem(f"{where}: {error.strerror}"))
    return Status.OK


@dataclass(frozen=True, slots=True)
class _Source:
    """A capture file, and the port that each of its interfaces stands for."""

    path: Path
    port_of: PortOf


def _source(capture: str, setup: Setup) -> _Source:
    """`PORT=FILE`, or a file whose interfaces are named after ports."""
    names = {name: name for name in setup.ports}
    for uplink in setup.configuration.uplinks:
        names.setdefault(uplink.interface, uplink.name)
    name, sign, file = capture.partition("=")
    if not sign:
        return _Source(Path(capture), lambda interface: names.get(interface.name))
    if name not in names:
        raise Problem(f"--port {capture}: there is no port {name} (there is {', '.join(names)})")
    return _Source(Path(file), lambda _: names[name])


def _run(
    setup: Setup, sources: Sequence[_Source], taken: BinaryIO | None, given: BinaryIO | None
) -> Counts:
    """Replay; what arrives is written into `taken`, what leaves into `given`."""
    remarks: Counter[Remark] = Counter()
    replay = Replay(setup)
    console, errors = _consoles()
    with ExitStack() as files:
        readers = [files.enter_context(CaptureReader.open(source.path)) for source in sources]
        arriving = merged(
            arrivals(reader, source.port_of, remarks)
            for reader, source in zip(readers, sources, strict=True)
        )
        size = sum(source.path.stat().st_size for source in sources)
        bar = files.enter_context(_Bar(errors, setup.configuration.name))
        arriving = trial.told(arriving, readers, size, bar.show)
        if taken is not None:
            arriving = _taken(arriving, taken, replay)
        leaving = replay.run(arriving)
        if given is not None:
            leaving = trial.written(leaving, given, replay.ports)
        for _ in leaving:
            pass
    counts = replay.counts()
    _say(
        console, "replayed", f"{setup.configuration.name}: {_traffic(replay.arrived, replay.left)}"
    )
    _say_remarks(console, remarks)
    for table, values in (("", counts.fates), ("drops ", counts.drops), ("unsent ", counts.unsent)):
        for name, count in sorted(values.items()):
            _print(console, f"    {table}{name}: {count}")
    return counts


def _taken(arriving: Iterator[Recorded], stream: BinaryIO, replay: Replay) -> Iterator[Recorded]:
    writer = RecordingWriter(stream, replay.ports)
    for each in arriving:
        writer.write(Direction.RECEIVED, each.port, each.frame, each.when, each.comment)
        yield each


def _save_case(
    folder: Path, configuration: Path, setup: Setup, sources: Sequence[_Source]
) -> Status:
    """Replay, and make a case of what went in and came out: complete, or not at all."""
    if folder.exists() and any(folder.iterdir()):
        raise Problem(f"--save-case {folder}: the folder is not empty")
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        shutil.copyfile(configuration, made / _SWITCH)
        (made / FILE).write_text(f'seed = {setup.seed}\nswitch = "{_SWITCH}"\n')
        with (made / INPUT).open("wb") as taken, (made / EXPECTED).open("wb") as given:
            counts = _run(setup, sources, taken, given)
        cases.write_counts(cases.load(made), counts)
        files = ", ".join(str(source.path) for source in sources)
        (made / "README.md").write_text(f"# {folder.name}\n\nReplayed from {files}.\n")
        made.chmod(0o755)
        made.rename(folder)
    except BaseException:
        shutil.rmtree(made)
        raise
    return Status.OK


# What is said


class _Bar:
    """A progress bar on a terminal, for a replay that takes long; nothing otherwise."""

    def __init__(self, console: Console, name: str) -> None:
        self._name = name
        self._patient_until = time.monotonic() + PATIENCE_SECONDS
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[frames]} frames"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._never = not console.is_terminal

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress.tasks:
            self._progress.stop()

    def show(self, frames: int, share: float) -> None:
        """`frames` have arrived, which are a `share` of the input, from 0 to 1."""
        if not self._progress.tasks:
            if self._never or time.monotonic() < self._patient_until:
                return
            self._progress.add_task(self._name, total=1.0, frames=frames)
            self._progress.start()
        self._progress.update(self._progress.task_ids[0], completed=share, frames=frames)


def _consoles() -> tuple[Console, Console]:
    """For what is told, and for what went wrong."""
    return Console(highlight=False, emoji=False), Console(stderr=True, highlight=False, emoji=False)


def _refused(errors: Console, error: Exception) -> Status:
    for line in str(error).splitlines():
        _print(errors, f"vswitch: {line}")
    return Status.UNREADABLE


def _traffic(arrived: int, left: int) -> str:
    return f"{arrived} frames arrived, {left} left"


def _say(console: Console, word: str, text: str) -> None:
    console.print(f"{word:<9}", style=_COLOURS.get(word, ""), end=" ")
    _print(console, text)


def _say_remarks(console: Console, remarks: Counter[Remark]) -> None:
    for remark, count in remarks.items():
        _print(console, f"    {remark.value}: {count}", "yellow")


def _print(console: Console, text: str, style: str = "") -> None:
    console.print(text, style=style, soft_wrap=True, markup=False)


def _style(line: str) -> str:
    """Where a difference begins is bold, what belongs to it is not."""
    return "" if line.startswith(" ") else "bold"
