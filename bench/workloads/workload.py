"""What every workload is: a load over one path, and what came of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bench.peers import Path, Route
from bench.topology import PATIENCE, CommandError, World


@dataclass(frozen=True, slots=True)
class Unit:
    """What is counted, and by how much of it CPU time is told."""

    name: str
    cost: str
    in_cost: float
    """How many units are one `cost`."""


GIGABITS = Unit("Gbit", "Gbit", 1)
FRAMES = Unit("k frames", "M frames", 1000)
EXCHANGES = Unit("k exchanges", "M exchanges", 1000)
CONNECTIONS = Unit("k connections", "M connections", 1000)
QUERIES = Unit("k queries", "M queries", 1000)


@dataclass(frozen=True, slots=True)
class Load:
    """What one run has moved, in units of the workload."""

    rate: float
    """Per second."""
    moved: float | None
    """All that CPU time was spent on; None where that is not known."""
    details: Mapping[str, float] = field(default_factory=dict)
    """What else is worth knowing, by name and unit, as in "p99 us"."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of a load, with what the path's own process burnt meanwhile."""

    load: Load
    cpu_seconds: float | None

    @property
    def rate(self) -> float:
        """Units per second."""
        return self.load.rate

    def cpu_per(self, unit: Unit) -> float | None:
        """Seconds of CPU time for the unit's `cost`, or None where it is not known."""
        if self.cpu_seconds is None or not self.load.moved:
            return None
        return self.cpu_seconds / self.load.moved * unit.in_cost


@dataclass(frozen=True, slots=True, eq=False)
class Workload:
    """A load that is made over every path of one route."""

    family: str
    """By which it is asked for, as in `--only bulk`."""
    title: str
    route: Route
    unit: Unit
    programs: tuple[str, ...]
    run: Callable[[World, Path, float], Load]
    """For about so many seconds. Raises CommandError."""
    serve: Callable[[World, str], None] | None = None
    """Have a server in a namespace, which may be there already. Raises CommandError."""


def within(namespace: str, *command: str) -> list[str]:
    """The command in a namespace."""
    return ["ip", "netns", "exec", namespace, *command]


def finish(command: list[str], seconds: float) -> str:
    """Run a load that takes so many seconds; what it printed. Raises CommandError."""
    what = command[command.index("exec") + 2]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds + PATIENCE,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{what} does not end") from error
    if done.returncode != 0:
        raise CommandError(f"{what}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def figures(text: str) -> dict[str, Any]:
    """The JSON object that a load has printed. Raises CommandError."""
    try:
        found = json.loads(text)
    except ValueError as error:
        raise CommandError(f"not JSON: {text.strip()[:200]}") from error
    if not isinstance(found, dict):
        raise CommandError(f"not an object: {text.strip()[:200]}")
    return found
