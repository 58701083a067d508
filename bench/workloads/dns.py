"""Questions for the name of an endpoint, by dnsperf, from the endpoint beside it."""

from __future__ import annotations

import re

from bench.peers import Path, Route
from bench.topology import CommandError, World
from bench.workloads.workload import QUERIES, Load, Workload, finish, within

QUESTION = "tap-b A\n"
"""A name that every path of this route knows."""

TITLE = "DNS, a local name"
_THOUSAND = 1e3
_FIGURE = re.compile(r"^\s*(Queries completed|Queries lost|Queries per second):\s+([0-9.]+)", re.M)
_CODES = re.compile(r"^\s*Response codes:\s+(\S.*)$", re.M)
_ANSWERED = re.compile(r"NOERROR [0-9]+ \(100\.00%\)")


def run(world: World, path: Path, seconds: float) -> Load:
    questions = world.directory / "questions"
    questions.write_text(QUESTION)
    whole = max(1, round(seconds))  # dnsperf takes no less
    options = ("-s", path.address, "-d", str(questions), "-l", str(whole))
    return read(finish(within(path.client, "dnsperf", *options), whole))


def read(text: str) -> Load:
    """What dnsperf says. Raises CommandError where answers are no answers."""
    codes = _CODES.search(text)
    if codes is None or not _ANSWERED.fullmatch(codes[1]):
        raise CommandError(f"dnsperf: {codes[1] if codes else 'nothing answered'}")
    found = {name: float(value) for name, value in _FIGURE.findall(text)}
    completed = found["Queries completed"] / _THOUSAND
    rate = found["Queries per second"] / _THOUSAND
    return Load(rate, completed, {"lost": found["Queries lost"]})


WORKLOADS = (Workload("dns", TITLE, Route.NAMES, QUERIES, ("dnsperf",), run),)
