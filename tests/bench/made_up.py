"""Results that nobody has measured."""

from __future__ import annotations

from collections.abc import Callable

from bench.figures import Figure
from bench.peers import Path, Route, vswitch
from bench.results import Machine, Results
from bench.session import Runs
from bench.workloads import Load, Sample, Workload
from bench.workloads.workload import GIGABITS

MACHINE = Machine(2, "Linux 6.1", "3.11.2", "reference", busy_cores=0.0)
OURS = Path(vswitch.TAPS, Route.ENDPOINTS, "a", "b", "10.0.0.2", is_ours=True)
THEIRS = Path("kernel bridge", Route.ENDPOINTS, "c", "d", "10.0.0.3")


def workload(
    title: str, run: Callable[..., Load] = lambda *_: Load(1.0, 1.0), *programs: str
) -> Workload:
    return Workload("bulk", title, Route.ENDPOINTS, GIGABITS, programs, run)


def samples(*rates: float, cpu_seconds: float | None = None) -> list[Sample]:
    """Two seconds at each of these rates."""
    return [Sample(Load(rate, 2 * rate, {"p99 us": 10 * rate}), cpu_seconds) for rate in rates]


def results(title: str, *figures: Figure) -> Results:
    """Ours half as fast, equal, and a quarter as fast in three rounds."""
    runs = Runs()
    runs.samples[workload(title)] = {
        OURS: samples(6.0, 8.0, 10.0, cpu_seconds=1.6),
        THEIRS: samples(12.0, 8.0, 40.0),
    }
    return Results(MACHINE, figures, runs)
