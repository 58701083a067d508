"""UDP with 18 bytes of payload: the shortest frames, whose number per second is what counts.

Two questions: how many arrive when more are sent than anybody can carry, and at which rate does
nothing get lost (RFC 2544, 26.1)? The rate without loss is looked for by bisection between nothing
and what arrived of a short overload, in short trials, and one frame in a thousand may be lost: a
machine that is shared loses some whatever the path.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from subprocess import PIPE

from bench.peers import Path, Route
from bench.tools import COMPILER
from bench.topology import PATIENCE, CommandError, World
from bench.workloads.workload import FRAMES, Load, Workload, figures, finish, within

PORT = "7003"
DRAIN = 0.05
"""Seconds for frames that are under way to arrive."""

TRIALS = 6
"""Halvings: the result is exact to a sixty-fourth of where they began."""

TRIAL = 0.25
"""Seconds of sending in one of them."""

TOLERATED = 1e-3
"""Part of the frames that may be lost."""

_THOUSAND = 1e3


@dataclass(frozen=True, slots=True)
class Flood:
    """What was sent, and what became of it."""

    sent: int
    received: int
    seconds: float
    """From the first that was received to the last."""

    @property
    def rate(self) -> float:
        """Frames received per second."""
        return self.received / self.seconds

    @property
    def lost(self) -> float:
        """The part that did not arrive."""
        return 1 - self.received / self.sent


def overload(world: World, path: Path, seconds: float) -> Load:
    flood = _flood(world, path, seconds)
    return Load(flood.rate / _THOUSAND, flood.received / _THOUSAND, {"lost %": 100 * flood.lost})


def without_loss(world: World, path: Path, _seconds: float) -> Load:
    most = _flood(world, path, TRIAL).rate

    def loses(rate: float) -> bool:
        return _flood(world, path, TRIAL, rate).lost > TOLERATED

    return Load(highest(loses, 2 * most, TRIALS) / _THOUSAND, None)


def highest(loses: Callable[[float], bool], beyond: float, trials: int) -> float:
    """The highest rate below `beyond` that is found to lose nothing; 0 where every one loses."""
    best, worst = 0.0, beyond
    for _ in range(trials):
        middle = (best + worst) / 2
        if loses(middle):
            worst = middle
        else:
            best = middle
    return best


def _flood(world: World, path: Path, seconds: float, rate: float = 0) -> Flood:
    """Send so many frames a second, 0 for as many as possible. Raises CommandError."""
    load = world.tool("load")
    words = ("flood", path.address, PORT, f"{seconds:g}", f"{rate:.0f}")
    counting = within(path.server, load, "sink", PORT)
    # It counts until its stdin is closed, and says then what it has counted.
    with subprocess.Popen(counting, stdin=PIPE, stdout=PIPE, text=True) as sink:
        assert sink.stdout is not None
        if sink.stdout.readline() != "ready\n":
            raise CommandError("the sink did not start")
        sent = figures(finish(within(path.client, load, *words), seconds))
        time.sleep(DRAIN)
        said, _ = sink.communicate(timeout=PATIENCE)
    arrived = figures(said)
    if not arrived["received"]:
        raise CommandError("nothing arrived")
    return Flood(sent["sent"], arrived["received"], arrived["seconds"])


def overload_title(route: Route) -> str:
    """What the workload is called."""
    return f"UDP small frames {route.value}, overload"


def lossless_title(route: Route) -> str:
    """What the workload is called."""
    return f"UDP small frames {route.value}, without loss"


WORKLOADS = tuple(
    Workload(family, title(route), route, FRAMES, (COMPILER,), run)
    for family, title, run in (
        ("small", overload_title, overload),
        ("lossless", lossless_title, without_loss),
    )
    for route in (Route.ENDPOINTS, Route.NAPT)
)
