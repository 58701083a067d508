"""What is shown of the results, as rows of text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from bench.figures import Figure, Spread, digits, ratios
from bench.peers import Path
from bench.results import Results
from bench.targets import Judged, Outcome
from bench.workloads import Sample, Workload

OURS = "vswitch, "
"""How the names of our own paths begin, which a column's head has no room to repeat."""

NOTHING = "-"

MICROSECONDS_PER = "us per "
MICROSECONDS = 1e6


@dataclass(frozen=True, slots=True)
class Table:
    """A title, the columns' heads, and rows of as many cells."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def head(results: Results) -> list[str]:
    """What the figures belong to, and whether they can be believed."""
    machine = results.machine
    lines = [str(machine)]
    if machine.is_noisy:
        busy = f"Noisy: other processes keep {machine.busy_cores:.1f} cores busy."
        lines.append(f"{busy} Read the ratios; better, measure again when it is quiet.")
    return lines


def tail(results: Results) -> list[str]:
    """What stands in no table: who could not take part, and why; targets without a result."""
    lines = [f"Not measured: {each.name}: {each.reason}" for each in results.missing]
    left = sum(each.outcome is Outcome.NOT_MEASURED for each in results.judged())
    if left:
        lines.append(f"This run has nothing to say about {left} further targets.")
    return lines


def tables(results: Results) -> Iterator[Table]:
    """All of them, the most interesting first."""
    targets = _targets(results.judged())
    if targets.rows:
        yield targets
    for workload, samples in results.runs.samples.items():
        if samples:
            yield _workload(workload, samples)
    if results.figures:
        yield _figures(results)


def _targets(judged: Sequence[Judged]) -> Table:
    rows = tuple(
        (each.target.name, each.target.wanted, each.found.text(), each.outcome.value)
        for each in judged
        if each.found is not None
    )
    return Table("Targets", ("what", "wanted", "median (low-high)", ""), rows)


def _workload(workload: Workload, paths: dict[Path, list[Sample]]) -> Table:
    ours = [path for path in paths if path.is_ours]
    details = list(next(iter(paths.values()))[0].load.details)
    columns = (
        "path",
        f"{workload.unit.name}/s (low-high)",
        f"CPU s per {workload.unit.cost}",
        *details,
        *(f"{path.contender.removeprefix(OURS)} / this" for path in ours),
    )
    rows = tuple(
        (
            path.contender,
            Spread.of(_rates(samples)).text(),
            _cpu(workload, samples),
            *(digits(median(sample.load.details[name] for sample in samples)) for name in details),
            *(NOTHING if our is path else _ratio(paths[our], samples) for our in ours),
        )
        for path, samples in paths.items()
    )
    return Table(workload.title, columns, rows)


def _figures(results: Results) -> Table:
    rows = tuple(
        (figure.name, figure.note, Spread.of(figure.values).text(), figure.unit, _speed(figure))
        for figure in results.figures
    )
    columns = ("what", "of", "median (low-high)", "unit", "per second")
    return Table("By itself", columns, rows)


def _speed(figure: Figure) -> str:
    """How many there are in a second of what the figure is the time of."""
    if not figure.unit.startswith(MICROSECONDS_PER):
        return ""
    return f"{MICROSECONDS / median(figure.values):,.0f}"


def _rates(samples: Sequence[Sample]) -> list[float]:
    return [sample.rate for sample in samples]


def _ratio(ours: Sequence[Sample], theirs: Sequence[Sample]) -> str:
    return Spread.of(ratios(_rates(ours), _rates(theirs))).text()


def _cpu(workload: Workload, samples: Sequence[Sample]) -> str:
    """The median, where there is a process to look at."""
    costs = [sample.cpu_per(workload.unit) for sample in samples]
    known = [cost for cost in costs if cost is not None]
    return digits(median(known)) if known else NOTHING
