"""One picture: how we compare with each peer, workload by workload.

A bar begins at the line of equals and goes to the right where we are faster. The scale is
logarithmic, so twice as fast and half as fast are equally long. Thin lines show the extremes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path as FilePath
from statistics import fmean
from typing import TYPE_CHECKING

from bench.figures import Spread, digits, ratios
from bench.peers import Route, vswitch
from bench.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURE = "ratios.svg"
OURS = {
    Route.ENDPOINTS: vswitch.TAPS,
    Route.NAPT: vswitch.UPLINK,
    Route.NAMES: vswitch.NAMES,
}
"""Which of our paths is compared on a route."""

PANELS = {
    "endpoint to endpoint": (Route.ENDPOINTS,),
    "through NAPT, and DNS": (Route.NAPT, Route.NAMES),
}
"""Side by side, by their titles."""

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")
"""Distinct for colour-blind eyes, too (Paul Tol, bright)."""

INK = "#333333"
FAINT = "#dddddd"
PAPER = "#ffffff"
SMALL = 8
"""Points."""

ROW = 0.17
"""Inches per bar."""

GAP = 0.9
"""Bars between two workloads."""

NARROWEST = (0.4, 3)
"""What the scale shows at least: a draw is to look like one."""

TICKS = (0.01, 0.03, 0.1, 0.3, 0.5, 1, 2, 4, 10, 30, 100)


@dataclass(frozen=True, slots=True)
class Bar:
    """Our rate by that of a peer."""

    workload: str
    peer: str
    ratio: Spread


def bars(results: Results, route: Route) -> list[Bar]:
    """All that can be compared on a route."""
    found = []
    for workload, paths in results.runs.samples.items():
        mine = results.runs.rates(workload.title, OURS[workload.route])
        if workload.route is not route or mine is None:
            continue
        for path in paths:
            theirs = results.runs.rates(workload.title, path.contender)
            if not path.is_ours and theirs and all(mine) and all(theirs):
                name = workload.title.replace(f" {route.value}", "")
                found.append(Bar(name, path.contender, Spread.of(ratios(mine, theirs))))
    return found


def draw(results: Results, directory: FilePath) -> FilePath | None:
    """Draw the picture into the directory; where it is, or None where there is nothing to compare.

    ImportError where matplotlib is not installed.
    """
    panels = {
        title: found
        for title, routes in PANELS.items()
        if (found := [bar for route in routes for bar in bars(results, route)])
    }
    if not panels:
        return None
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = PICTURE  # the same results make the same file
    from matplotlib import pyplot

    rows = max(_place_of_each(found)[-1] for found in panels.values())
    figure, axes = pyplot.subplots(
        ncols=len(panels),
        figsize=(5.6 * len(panels), ROW * rows + 2),
        sharex=True,
        squeeze=False,
        layout="constrained",
        facecolor=PAPER,
    )
    for axis, (title, found) in zip(axes[0], panels.items(), strict=True):
        _draw_panel(axis, title, found)
    drawn = [bar.ratio for found in panels.values() for bar in found]
    axes[0][0].set_xlim(
        min(NARROWEST[0], *(ratio.low / 1.3 for ratio in drawn)),
        max(NARROWEST[1], *(ratio.high * 2 for ratio in drawn)),
    )
    figure.suptitle(
        f"vswitch compared with its peers: how many times as fast\n{results.machine}",
        color=INK,
        fontsize=10,
    )
    directory.mkdir(parents=True, exist_ok=True)
    picture = directory / PICTURE
    figure.savefig(picture, metadata={"Date": None})
    pyplot.close(figure)
    return picture


def _place_of_each(found: Sequence[Bar]) -> list[float]:
    """From the top, with a gap between two workloads."""
    places = [0.0]
    for before, bar in pairwise(found):
        places.append(places[-1] + 1 + (GAP if bar.workload != before.workload else 0))
    return places


def _draw_panel(axis: Axes, title: str, found: Sequence[Bar]) -> None:
    peers = list(dict.fromkeys(bar.peer for bar in found))
    colours = dict(zip(peers, COLOURS, strict=False))
    places = _place_of_each(found)
    labels: dict[str, list[float]] = {}
    for bar, place in zip(found, places, strict=True):
        labels.setdefault(bar.workload, []).append(place)
        _draw_bar(axis, place, bar.ratio, colours[bar.peer])
    axis.set_xscale("log")
    axis.axvline(1, color=INK, linewidth=1.2)
    axis.set_yticks([fmean(of) for of in labels.values()], list(labels))
    axis.set_ylim(places[-1] + 1, -1)
    axis.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
    axis.set_xticks([], minor=True)
    axis.set_title(title, loc="left", fontsize=9, fontweight="bold", color=INK)
    from matplotlib.patches import Rectangle

    handles = [Rectangle((0, 0), 1, 1, color=colours[peer]) for peer in peers]
    axis.legend(
        handles,
        peers,
        loc="upper center",
        bbox_to_anchor=(0.4, -0.04),
        ncols=2,
        fontsize=SMALL,
        frameon=False,
        labelcolor=INK,
    )
    axis.grid(axis="x", color=FAINT, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.tick_params(colors=INK, labelsize=SMALL, length=0)
    axis.spines[:].set_visible(False)


def _draw_bar(axis: Axes, at: float, ratio: Spread, colour: str) -> None:
    axis.barh(at, ratio.middle - 1, left=1, height=0.85, color=colour)
    axis.hlines(at, ratio.low, ratio.high, color=INK, linewidth=0.8)
    right = max(ratio.high, 1) * 1.06
    axis.text(right, at, digits(ratio.middle), va="center", fontsize=SMALL - 1, color=INK)
