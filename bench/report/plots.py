"""One picture: how we compare with each peer, workload by workload.

A bar begins at the line of equals and goes to the right where we are faster. The scale is
logarithmic, so twice as fast and half as fast are equally long. Thin lines show the extremes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
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

COLOURS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")
"""Distinct for colour-blind eyes, too (Paul Tol, bright)."""

INK = "#333333"
PAPER = "#ffffff"
ROW = 0.22
"""Inches per bar."""


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
            if not path.is_ours and theirs and all(theirs):
                name = workload.title.replace(f" {route.value}", "")
                found.append(Bar(name, path.contender, Spread.of(ratios(mine, theirs))))
    return found


def draw(results: Results, directory: FilePath) -> FilePath | None:
    """Draw the picture into the directory; where it is, or None where there is nothing to compare.

    ImportError where matplotlib is not installed.
    """
    groups = [(route, found) for route in Route if (found := bars(results, route))]
    if not groups:
        return None
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = PICTURE  # the same results make the same file
    from matplotlib import pyplot

    heights = [_rows(found) for _, found in groups]
    figure, axes = pyplot.subplots(
        len(groups),
        figsize=(9, ROW * sum(heights) + 0.7 * len(groups) + 0.6),
        height_ratios=heights,
        squeeze=False,
        layout="constrained",
        facecolor=PAPER,
    )
    for (route, found), (place,) in zip(groups, axes, strict=True):
        _draw_group(place, route, found)
    figure.suptitle(
        f"vswitch by its peers: times as fast\n{results.machine}", color=INK, fontsize=10
    )
    directory.mkdir(parents=True, exist_ok=True)
    picture = directory / PICTURE
    figure.savefig(picture, metadata={"Date": None})
    pyplot.close(figure)
    return picture


def _rows(found: Sequence[Bar]) -> float:
    """Bars, and a gap for each workload."""
    return len(found) + 0.8 * len({bar.workload for bar in found}) + 2


def _draw_group(place: Axes, route: Route, found: Sequence[Bar]) -> None:
    peers = list(dict.fromkeys(bar.peer for bar in found))
    colours = dict(zip(peers, COLOURS * 2, strict=False))
    position, ticks, labelled = 0.0, [], set()
    for workload in dict.fromkeys(bar.workload for bar in found):
        group = [bar for bar in found if bar.workload == workload]
        ticks.append((position + (len(group) - 1) / 2, workload))
        for bar in group:
            label = bar.peer if bar.peer not in labelled else None
            labelled.add(bar.peer)
            _draw_bar(place, position, bar.ratio, colours[bar.peer], label)
            position += 1
        position += 0.8
    place.set_xscale("log")
    place.axvline(1, color=INK, linewidth=1.2)
    place.set_yticks([at for at, _ in ticks], [text for _, text in ticks], fontsize=8)
    place.invert_yaxis()
    low = min(0.5, *(bar.ratio.low for bar in found)) / 1.3
    place.set_xlim(low, max(2, *(bar.ratio.high for bar in found)) * 1.8)
    place.xaxis.set_major_formatter(lambda value, _: f"{value:g} x")
    place.xaxis.set_minor_formatter(lambda _value, _: "")
    place.set_title(route.value, loc="left", fontsize=9, fontweight="bold", color=INK)
    place.legend(fontsize=7, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    place.grid(axis="x", color="#dddddd", linewidth=0.6)
    place.set_axisbelow(True)
    place.tick_params(colors=INK, labelsize=8, length=0)
    place.spines[:].set_visible(False)


def _draw_bar(place: Axes, at: float, ratio: Spread, colour: str, label: str | None) -> None:
    place.barh(at, ratio.middle - 1, left=1, height=0.85, color=colour, label=label)
    place.hlines(at, ratio.low, ratio.high, color=INK, linewidth=0.8)
    place.text(
        max(ratio.high, 1) * 1.06, at, digits(ratio.middle), va="center", fontsize=7, color=INK
    )
