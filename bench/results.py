"""Everything that one run of the benchmark has found."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench.figures import Figure
from bench.peers import Missing
from bench.session import Runs
from bench.targets import Judged, judge, targets
from vswitch.fastpath import select

NOISE = 0.1
"""Cores: whatever is busier than this beside a benchmark changes its figures."""


@dataclass(frozen=True, slots=True)
class Machine:
    """What the figures belong to."""

    cores: int
    kernel: str
    python: str
    fast_path: str
    busy_cores: float
    """What other processes took before the load began."""

    @classmethod
    def here(cls, busy_cores: float) -> Machine:
        """This one."""
        return cls(
            os.cpu_count() or 1,
            f"{platform.system()} {platform.release().split('-')[0]}",
            platform.python_version(),
            select().name,
            busy_cores,
        )

    @property
    def is_noisy(self) -> bool:
        """Whether others were too busy for the figures to be believed."""
        return self.busy_cores > NOISE

    def __str__(self) -> str:
        return (
            f"{self.cores} cores, {self.kernel}, Python {self.python}, {self.fast_path} fast path"
        )


@dataclass(frozen=True, slots=True)
class Results:
    """All that was measured, and what was not."""

    machine: Machine
    figures: Sequence[Figure] = ()
    runs: Runs = field(default_factory=Runs)
    absent: Sequence[Missing] = ()
    """Peers that could not take part."""

    @property
    def missing(self) -> list[Missing]:
        """Everybody and everything that could not take part."""
        return [*self.absent, *self.runs.missing]

    def judged(self) -> list[Judged]:
        """Every target, and how it stands."""
        return judge(targets(self.machine.fast_path), self.figures, self.runs)
