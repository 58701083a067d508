"""One run over real interfaces: every load over every path, round after round.

The rounds alternate: one round of a workload visits every path of its route once, every other round
backwards, so that two results of one round were made within seconds of each other and can be
compared as a pair. Who fails in the middle is named, and takes no part in that workload any more.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench import processes
from bench.figures import digits
from bench.peers import Missing, Path
from bench.topology import CommandError, World
from bench.workloads import Sample, Workload

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Runs:
    """The samples of each workload over each path, one a round, and who has none."""

    samples: dict[Workload, dict[Path, list[Sample]]] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)

    def rates(self, workload: str, contender: str) -> list[float] | None:
        """Units per second, by rounds; None where this was not measured. Both by their names."""
        samples = self._of(workload, contender)
        return None if samples is None else [sample.rate for sample in samples]

    def details(self, workload: str, contender: str, name: str) -> list[float] | None:
        """The same, of something else that is worth knowing."""
        samples = self._of(workload, contender)
        return None if samples is None else [sample.load.details[name] for sample in samples]

    def _of(self, workload: str, contender: str) -> list[Sample] | None:
        for each, paths in self.samples.items():
            for path, samples in paths.items():
                if (each.title, path.contender) == (workload, contender):
                    return samples
        return None


def measure(
    world: World,
    paths: Sequence[Path],
    workloads: Sequence[Workload],
    rounds: int,
    seconds: float,
    progress: Progress,
) -> Runs:
    """Make every load in every round, for about so many seconds each."""
    runs = Runs()
    for workload in _possible(workloads, runs):
        on_route = [path for path in paths if path.route is workload.route]
        runs.samples[workload] = {path: [] for path in on_route}
    _serve(world, runs)
    for number in range(1, rounds + 1):
        for workload, samples in runs.samples.items():
            for path in list(samples)[:: 1 if number % 2 else -1]:
                what = f"{workload.title}: {path.contender}"
                try:
                    sample = _sample(world, workload, path, seconds)
                except CommandError as error:
                    del samples[path]
                    runs.missing.append(Missing(what, str(error)))
                    progress(f"round {number}/{rounds}: {what}: {error}")
                else:
                    samples[path].append(sample)
                    rate = f"{digits(sample.rate)} {workload.unit.name}/s"
                    progress(f"round {number}/{rounds}: {what}: {rate}")
    return runs


def _possible(workloads: Sequence[Workload], runs: Runs) -> list[Workload]:
    possible = []
    for workload in workloads:
        absent = [program for program in workload.programs if shutil.which(program) is None]
        if absent:
            runs.missing.append(Missing(workload.title, f"not installed: {', '.join(absent)}"))
        else:
            possible.append(workload)
    return possible


def _serve(world: World, runs: Runs) -> None:
    """Start every server that is needed; a path whose server does not start is not measured."""
    for workload, paths in runs.samples.items():
        if workload.serve is None:
            continue
        for path in list(paths):
            try:
                workload.serve(world, path.server)
            except CommandError as error:
                del paths[path]
                runs.missing.append(Missing(f"{workload.title}: {path.contender}", str(error)))


def _sample(world: World, workload: Workload, path: Path, seconds: float) -> Sample:
    before = processes.cpu_seconds(path.process)
    load = workload.run(world, path, seconds)
    after = processes.cpu_seconds(path.process)
    return Sample(load, None if before is None or after is None else after - before)
