"""Questions for a name, by dnsperf: that of the endpoint beside the one that asks, and one of the
outside that was asked for before.

dnsperf tells of each answer how long it took, from which the 99th percentile is.
"""

from __future__ import annotations

import re
from functools import partial

from bench.peers import Path, Route
from bench.topology import CommandError, World
from bench.workloads.workload import QUERIES, Load, Workload, finish, within

LOCAL = "tap-b A\n"
"""A name that every path of this route knows."""

FOREIGN = "www.example.org A\n"
"""One that only the server outside has (`bench.tools.authority`)."""

LOCAL_TITLE = "DNS, a local name"
FOREIGN_TITLE = "DNS, a cached foreign name"

P99 = "p99 us"

_THOUSAND = 1e3
_MICROSECONDS = 1e6
_FIGURE = re.compile(r"^\s*(Queries completed|Queries lost|Queries per second):\s+([0-9.]+)", re.M)
_CODES = re.compile(r"^\s*Response codes:\s+(\S.*)$", re.M)
_ANSWERED = re.compile(r"NOERROR [0-9]+ \(100\.00%\)")
_TAKEN = re.compile(r"^> \S+ \S+ \S+ ([0-9.]+)$", re.M)


def ask(
    world: World, client: str, server: str, questions: str, seconds: float, *options: str
) -> Load:
    """Ask from a namespace, by dnsperf with `options`. Raises CommandError."""
    file = world.directory / "questions"
    file.write_text(questions)
    whole = max(1, round(seconds))  # dnsperf takes no less
    where = ("-s", server, "-d", str(file), "-l", str(whole), "-v")
    return read(finish(within(client, "dnsperf", *where, *options), whole))


def run(questions: str, world: World, path: Path, seconds: float) -> Load:
    return ask(world, path.client, path.address, questions, seconds)


def read(text: str) -> Load:
    """What dnsperf says. Raises CommandError where answers are no answers."""
    codes = _CODES.search(text)
    if codes is None or not _ANSWERED.fullmatch(codes[1]):
        raise CommandError(f"dnsperf: {codes[1] if codes else 'nothing answered'}")
    found = {name: float(value) for name, value in _FIGURE.findall(text)}
    completed = found["Queries completed"] / _THOUSAND
    rate = found["Queries per second"] / _THOUSAND
    taken = sorted(map(float, _TAKEN.findall(text)))
    p99 = taken[len(taken) * 99 // 100] * _MICROSECONDS
    return Load(rate, completed, {P99: p99, "lost": found["Queries lost"]})


def _workload(title: str, questions: str) -> Workload:
    return Workload("dns", title, Route.NAMES, QUERIES, ("dnsperf",), partial(run, questions))


WORKLOADS = (_workload(LOCAL_TITLE, LOCAL), _workload(FOREIGN_TITLE, FOREIGN))
