"""What the project has set out to reach, row by row, and whether it was reached.

A ratio of rates is ours by theirs, one of times theirs by ours, taken pair by pair; its median has
to be at least the target. A figure of our own has to be at most its target, by the median too. What
a run did not measure is neither met nor missed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from bench.alone import calm, create, dead, idle, run, start
from bench.engine import crowds, hits, publishing, setup
from bench.figures import Figure, Spread, ratios
from bench.peers import (
    Route,
    dnsmasq,
    kernel_bridge,
    kernel_masquerade,
    loops,
    pasta,
    slirp4netns,
    vswitch,
)
from bench.session import Runs
from bench.workloads import bulk, dns, requests, small

HIT = {"compiled": 0.2, "reference": 8.0}
"""Microseconds that a frame of a known flow may take, by the name of the fast path."""


class Outcome(Enum):
    """How a target stands after a run."""

    MET = "met"
    MISSED = "missed"
    NOT_MEASURED = "not measured"


@dataclass(frozen=True, slots=True)
class Ratio:
    """Our rate is to be at least `least` times theirs. Contenders, too, are known by name."""

    name: str
    """Of the workload."""
    ours: str
    theirs: str
    least: float

    @property
    def wanted(self) -> str:
        """The target in words."""
        return f">= {self.least:g} x {self.theirs}"


@dataclass(frozen=True, slots=True)
class Time:
    """A time that is told beside a rate: theirs is to be at least `least` times ours."""

    workload: str
    detail: str
    ours: str
    theirs: str
    least: float

    @property
    def name(self) -> str:
        """Of the workload and the time."""
        return f"{self.workload}, {self.detail}"

    @property
    def wanted(self) -> str:
        """The target in words."""
        return f"{self.theirs} >= {self.least:g} x ours"


@dataclass(frozen=True, slots=True)
class Limit:
    """A figure of our own, known by its name, is to be at most `most`."""

    name: str
    most: float
    unit: str
    less: str | None = None
    """Another figure that is taken off first, round by round: what the measuring itself costs."""

    @property
    def wanted(self) -> str:
        """The target in words."""
        return f"<= {self.most:g} {self.unit}{f', without {self.less}' if self.less else ''}"


Target = Ratio | Time | Limit


@dataclass(frozen=True, slots=True)
class Judged:
    """A target, what was found, and what that means."""

    target: Target
    outcome: Outcome
    found: Spread | None = None


def targets(fast_path: str) -> list[Target]:
    """All of them, for a switch with this fast path."""
    return [*_side_by_side(), *_alone(fast_path)]


def judge(wanted: Sequence[Target], figures: Sequence[Figure], runs: Runs) -> list[Judged]:
    """Look for each target's measurement and compare."""
    by_name = {figure.name: figure for figure in figures}
    return [_judge(target, _found(target, by_name, runs)) for target in wanted]


def _found(target: Target, figures: Mapping[str, Figure], runs: Runs) -> Sequence[float] | None:
    match target:
        case Ratio():
            return _ratios(target, runs)
        case Time():
            return _times(target, runs)
        case Limit():
            return _values(target, figures)


def _judge(target: Target, found: Sequence[float] | None) -> Judged:
    if not found:
        return Judged(target, Outcome.NOT_MEASURED)
    spread = Spread.of(found)
    if isinstance(target, Limit):
        is_met = spread.middle <= target.most
    else:
        is_met = spread.middle >= target.least
    return Judged(target, Outcome.MET if is_met else Outcome.MISSED, spread)


def _ratios(target: Ratio, runs: Runs) -> list[float] | None:
    mine = runs.rates(target.name, target.ours)
    theirs = runs.rates(target.name, target.theirs)
    return ratios(mine, theirs) if mine and theirs else None


def _times(target: Time, runs: Runs) -> list[float] | None:
    mine = runs.details(target.workload, target.ours, target.detail)
    theirs = runs.details(target.workload, target.theirs, target.detail)
    return ratios(theirs, mine) if mine and theirs else None


def _values(target: Limit, figures: Mapping[str, Figure]) -> Sequence[float] | None:
    figure = figures.get(target.name)
    if figure is None or target.less is None:
        return figure and figure.values
    less = figures[target.less].values
    return [value - off for value, off in zip(figure.values, less, strict=True)]


def _side_by_side() -> Iterator[Ratio | Time]:
    napt, taps = vswitch.UPLINK, vswitch.TAPS
    masquerade, slirp = kernel_masquerade.NAME, slirp4netns.NAME
    for flows in bulk.FLOWS:
        for direction in ("up", "down"):
            title = bulk.title(Route.NAPT, direction, flows)
            yield Ratio(title, napt, masquerade, 1.0)
            yield Ratio(title, napt, slirp, 2.5)
            if direction == "down":
                yield Ratio(title, napt, pasta.NAME, 1.0)
        yield Ratio(bulk.title(Route.ENDPOINTS, "up", flows), taps, kernel_bridge.NAME, 1.0)
    yield Ratio(small.overload_title(Route.ENDPOINTS), taps, loops.IN_C, 0.9)
    yield Ratio(small.overload_title(Route.NAPT), napt, masquerade, 1.2)
    yield Ratio(requests.connections_title(Route.NAPT), napt, masquerade, 1.0)
    yield Ratio(requests.connections_title(Route.NAPT), napt, slirp, 3.0)
    apart = requests.ping_pong_title(Route.NAPT, requests.Placement.APART)
    yield Ratio(apart, napt, masquerade, 1.0)
    for title in (dns.LOCAL_TITLE, dns.FOREIGN_TITLE):
        yield Ratio(title, vswitch.NAMES, dnsmasq.NAME, 1.0)
        yield Time(title, dns.P99, vswitch.NAMES, dnsmasq.NAME, 1.0)


def _alone(fast_path: str) -> Iterator[Limit]:
    for case in hits.TRANSLATED:
        yield Limit(case, HIT[fast_path], "us", less=hits.DEVICES_ALONE)
    yield Limit(setup.NEW_UDP, 20, "us")
    yield Limit(crowds.MEMORY, 600, "bytes")
    for crowd in crowds.CROWDS:
        yield Limit(crowd, 1.2, crowds.TIMES_TEN)
    yield Limit(crowds.BESIDE_ALL, 1.2, crowds.TIMES_ONE)
    yield Limit(publishing.PUBLISHED, 50, "ms")
    yield Limit(calm.STORMED, 2, calm.TIMES_QUIET)
    yield Limit(dead.ADDED, 5, "ms")
    yield Limit(start.READY, 400, "ms")
    yield Limit(run.ANSWERED, 150, "ms")
    yield Limit(create.CREATED, 20, "ms")
    yield Limit(idle.SWITCH, 1, idle.WAKE_UPS)
