"""Results as medians, ratios pair by pair, tables and JSON.

Figures of a noisy machine say little, and ratios of medians say not much more, as the noise of one
minute may lie in one of them and not in the other. So a ratio is taken within each round, between
two results that were made within seconds of each other, and the median of these is shown with the
lowest and the highest.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table

from bench.engine import CaseResult
from bench.load import Transfer
from bench.memory import BYTES_A_CONNECTION, Memory
from bench.peers import Missing, PathToMeasure, Workload
from vswitch.fastpath import select

MICROSECOND = 1e3
OURS = "vswitch, "
"""How the names of our own paths begin, which a narrow terminal has no room to repeat."""

PLAIN_WIDTH = 160
"""Columns where the output is no terminal: enough for every table not to be wrapped."""

NOISE = 0.1
"""Cores: whatever is busier than this beside a benchmark changes its figures."""

Transfers = Mapping[PathToMeasure, Sequence[Transfer]]


@dataclass(frozen=True, slots=True)
class Spread:
    """A median with its extremes."""

    middle: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        return cls(median(values), min(values), max(values))

    def text(self, digits: int = 2) -> str:
        return f"{self.middle:.{digits}f} ({self.low:.{digits}f}-{self.high:.{digits}f})"


@dataclass(frozen=True, slots=True)
class Machine:
    """What the figures belong to."""

    cores: int
    kernel: str
    python: str
    fast_path: str
    busy_cores: float | None = None
    """What other processes took before the load began; None where nobody looked."""

    @classmethod
    def here(cls, busy_cores: float | None = None) -> Machine:
        """This one."""
        return cls(
            os.cpu_count() or 1,
            f"{platform.system()} {platform.release()}",
            platform.python_version(),
            select().name,
            busy_cores,
        )

    def __str__(self) -> str:
        return (
            f"{self.cores} cores, {self.kernel}, Python {self.python}, {self.fast_path} fast path"
        )


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Ours by theirs, round by round. Both have as many rounds; ValueError where they do not."""
    return [our / their for our, their in zip(ours, theirs, strict=True)]


def rates(transfers: Sequence[Transfer]) -> list[float]:
    """Gbit/s, by rounds."""
    return [transfer.rate for transfer in transfers]


def cpu_per_gigabit(transfers: Sequence[Transfer]) -> float | None:
    """Median of the CPU seconds per Gbit, or None where there is no process to look at."""
    costs = [transfer.cpu_per_gigabit for transfer in transfers]
    known = [cost for cost in costs if cost is not None]
    return median(known) if known else None


def console() -> Console:
    """Where results go: a terminal gets colours, everything else Markdown."""
    plain = Console()
    return plain if plain.is_terminal else Console(width=PLAIN_WIDTH)


def print_machine(out: Console, machine: Machine) -> None:
    """Say what the figures belong to, and whether they can be believed."""
    _print(out, str(machine))
    if machine.busy_cores is not None and machine.busy_cores > NOISE:
        warning = f"Noisy: other processes keep {machine.busy_cores:.1f} cores busy."
        _print(out, f"{warning} Read the ratios; better, measure again when it is quiet.", "yellow")


def print_engine(out: Console, results: Sequence[CaseResult]) -> None:
    """The table of the engine in memory."""
    columns = "us each (low-high)", "target", "per second"
    table = _table(out, "The engine in memory", "case", *columns)
    for result in results:
        spread = Spread.of([each / MICROSECOND for each in result.each])
        target = "-" if result.target is None else f"<= {result.target / MICROSECOND:.0f}"
        speed = f"{1e6 / spread.middle:,.0f} {result.item}s"
        table.add_row(result.name, spread.text(), target, speed)
    _print(out, table)


def print_memory(out: Console, memory: Memory) -> None:
    """The table of what a connection takes."""
    table = _table(out, "Memory", "UDP connections, both directions", "bytes each", "target")
    table.add_row(f"{memory.connections:,}", f"{memory.each:.0f}", f"<= {BYTES_A_CONNECTION}")
    _print(out, table)


def print_network(out: Console, transfers: Transfers) -> None:
    """One table per workload: everybody's rate, and ours compared with each of them."""
    for workload in Workload:
        here = {path: runs for path, runs in transfers.items() if path.workload is workload}
        if not here:
            continue
        ours = [path for path in here if path.is_ours]
        columns = [f"{path.contender.removeprefix(OURS)} / this" for path in ours]
        title = f"{workload.value}: Gbit/s"
        table = _table(out, title, "path", "median (low-high)", "CPU s/Gbit", *columns)
        for path, runs in here.items():
            cost = cpu_per_gigabit(runs)
            table.add_row(
                path.contender,
                Spread.of(rates(runs)).text(),
                "-" if cost is None else f"{cost:.3f}",
                *("-" if our is path else _ratio(here[our], runs) for our in ours),
                style="bold" if path.is_ours else None,
            )
        _print(out, table)


def print_missing(out: Console, missing: Sequence[Missing]) -> None:
    """Say who could not take part."""
    for peer in missing:
        _print(out, f"Not measured: {peer.name}: {peer.reason}", "yellow")


def as_json(
    machine: Machine,
    engine: Sequence[CaseResult],
    memory: Memory,
    transfers: Transfers,
    missing: Sequence[Missing],
) -> dict[str, Any]:
    """All results for programs, round by round."""
    return {
        "machine": {name: getattr(machine, name) for name in Machine.__slots__},
        "engine": [
            {"case": result.name, "item": result.item, "nanoseconds_each": list(result.each)}
            for result in engine
        ],
        "memory": {"connections": memory.connections, "bytes": memory.taken},
        "network": [
            {
                "workload": path.workload.value,
                "path": path.contender,
                "ours": path.is_ours,
                "gigabits_per_second": rates(runs),
                "cpu_seconds_per_gigabit": [run.cpu_per_gigabit for run in runs],
            }
            for path, runs in transfers.items()
        ],
        "missing": [{"name": peer.name, "reason": peer.reason} for peer in missing],
    }


def _ratio(ours: Sequence[Transfer], theirs: Sequence[Transfer]) -> str:
    return Spread.of(ratios(rates(ours), rates(theirs))).text()


def _table(out: Console, title: str, first: str, *others: str) -> Table:
    """A table to be filled, its title printed already: Markdown has no place for one."""
    out.print(title, style="bold", highlight=False)
    table = Table(box=box.ROUNDED if out.is_terminal else box.MARKDOWN, header_style="bold")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right")
    return table


def _print(out: Console, what: RenderableType, style: str | None = None) -> None:
    out.print(what, style=style, highlight=False)
    out.print()
