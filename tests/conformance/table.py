"""The requirement table as text: for a terminal, for a pipe, and in Markdown."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from tests.conformance.requirements import Requirement

HEADINGS = ("Requirement", "Level", "What it asks", "Result", "Profile")


class Outcome(Enum):
    """What became of a row's tests; the value is how it is told."""

    PASS = "pass"
    FAIL = "FAIL"
    NOT_RUN = "not run"
    ASIDE = "aside"
    """There are none: the row says why."""


_STYLES = {
    Outcome.PASS: "green",
    Outcome.FAIL: "bold red",
    Outcome.NOT_RUN: "yellow",
    Outcome.ASIDE: "dim",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A requirement and what was seen of it."""

    which: Requirement
    outcome: Outcome

    @property
    def cells(self) -> tuple[str, str, str, str, str]:
        """What stands below the `HEADINGS`."""
        which = self.which
        result = which.aside or self.outcome.value
        name = f"{which.source} {which.number}"
        return name, which.level.value, which.asks, result, "" if which.aside else which.profile


def on_terminal(rows: list[Row]) -> str:
    """A coloured table as wide as the terminal."""
    drawn = Table(*HEADINGS, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        cells = [Text(cell) for cell in row.cells]
        cells[3].stylize(_STYLES[row.outcome])
        drawn.add_row(*cells)
    console = Console(force_terminal=True)
    with console.capture() as captured:
        console.print(drawn)
    return captured.get()


def in_columns(rows: list[Row]) -> str:
    """Columns of text, one line a row."""
    lines = [HEADINGS, *(row.cells for row in rows)]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def in_markdown(rows: list[Row]) -> str:
    """A Markdown table, with the summary below."""
    lines = [HEADINGS, ("---",) * len(HEADINGS), *(row.cells for row in rows)]
    drawn = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{drawn}\n\n{summary(rows)}\n"


def summary(rows: list[Row]) -> str:
    """How many rows came out how, in one line."""
    counted = Counter(row.outcome for row in rows)
    words = {
        Outcome.PASS: "pass",
        Outcome.FAIL: "fail",
        Outcome.NOT_RUN: "did not run",
        Outcome.ASIDE: "have a reason not to be followed or do not apply",
    }
    told = [f"{counted[outcome]} {text}" for outcome, text in words.items() if counted[outcome]]
    return f"{len(rows)} requirements: {', '.join(told)}."
