"""How the demo looks: on a terminal with colour and movement, in a pipe as plain text.

The story is one of addresses, so each place has a colour of its own, and its address has that
colour wherever it turns up: in the drawing, in what a tool printed, in the tables. Only colours of
the terminal's theme are used that read on dark and on light, and never a background. What moves (a
spinner, a progress bar) is shown on a terminal only, and leaves nothing behind.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich import box
from rich.console import Console, RenderableType
from rich.highlighter import Highlighter
from rich.padding import Padding
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from vswitch import __version__
from vswitch.cli.demo.scenery import (
    APP_ADDRESS,
    GATEWAY_ADDRESS,
    OUTSIDE_ADDRESS,
    PUBLISHED_PORT,
    RESOLVER_ADDRESS,
    UPLINK_ADDRESS,
    WEB_ADDRESS,
    WEB_PORT,
)
from vswitch.cli.demo.steps import Evidence, Finding

WIDEST = 118
"""Columns: what the widest table takes. More would only pull things apart."""

EVIDENCE_INDENT = 5
"""Columns: a little further in than the claim that it belongs to."""

BAR_COLUMNS = 24

TICK, CROSS, ARROW = "✓", "✗", "→"

_LEVELS = "▁▂▃▄▅▆▇█"

_OUTSIDE, _SWITCH, _WEB, _APP = "cyan", "magenta", "green", "bright_blue"

_ADDRESS_STYLES = {
    OUTSIDE_ADDRESS: _OUTSIDE,
    UPLINK_ADDRESS: _SWITCH,
    GATEWAY_ADDRESS: _SWITCH,
    RESOLVER_ADDRESS: _SWITCH,
    WEB_ADDRESS: _WEB,
    APP_ADDRESS: _APP,
}

_WHAT_IT_IS = (
    "A switch and NAT in userspace, carrying real traffic between real network namespaces: no"
    " bridge, no iptables, and nothing of this machine's own network is touched. Each claim is"
    " followed by the command that proves it and by what that printed."
)

_TO_WEB = f" :{PUBLISHED_PORT} is web:{WEB_PORT}"

_DRAWING = f"""\
                                                            network front
 ╭───────────────╮         ╔═ vswitch ════════════╗         ╭───────────────╮
 │ outside       │ uplink  ║ {UPLINK_ADDRESS:<20} ║  veth   │ web           │
 │ {OUTSIDE_ADDRESS:<13} ├─────────╢ {_TO_WEB:<20} ╟─────────┤ {WEB_ADDRESS:<13} │
 │ HTTP server   │         ║                      ║         │ HTTP server   │
 ╰───────────────╯         ║ switching   NAPT     ║         ╰───────────────╯
                           ║ routing     ARP      ║         ╭───────────────╮
                           ║ names at {RESOLVER_ADDRESS:<11} ║   TAP   │ app           │
                           ║                      ╟─────────┤ {APP_ADDRESS:<13} │
                           ║ {GATEWAY_ADDRESS:<20} ║         │ client        │
                           ╚══════════════════════╝         ╰───────────────╯"""

_BOXES = (
    ((1, 5), (1, 17), _OUTSIDE, "outside"),
    ((1, 10), (27, 50), _SWITCH, "vswitch"),
    ((1, 5), (60, 76), _WEB, "web"),
    ((6, 10), (60, 76), _APP, "app"),
)
"""The first and last line and column of each box in the drawing, its colour, and its name."""


class Tint(Highlighter):
    """Gives each address the colour of its place, and a sparkline that of the switch."""

    def highlight(self, text: Text) -> None:
        """Where an address stands alone: 172.18.0.2 is not a part of 172.18.0.20."""
        text.highlight_regex(f"[{_LEVELS}]+", _SWITCH)
        for address, style in _ADDRESS_STYLES.items():
            pattern = rf"(?<![\d.]){address.replace('.', '[.]')}(?!\d|[.]\d)"
            text.highlight_regex(pattern, style)


class Screen:
    """Where the demo is shown."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._tint = Tint()
        console.highlighter = self._tint

    @classmethod
    def on_stdout(cls) -> Screen:
        """As wide as the terminal within reason. What it can not encode is shown as `?`."""
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(errors="replace")
        console = Console(highlight=False, emoji=False)
        console.width = min(console.width, WIDEST)
        return cls(console)

    def opening(self) -> None:
        """What this is, and a drawing of what it plays with."""
        self._console.print(
            Panel(
                _WHAT_IT_IS,
                title=Text.assemble(("vswitch demo", "not dim bold"), f" {__version__}"),
                title_align="left",
                border_style="dim",
                width=min(self._console.width, 79),
            )
        )
        self._console.print()
        self._console.print(self._tint(_drawing()), no_wrap=True, overflow="crop")

    def chapter(self, title: str) -> None:
        """What follows belongs together."""
        self._console.print()
        self._console.print(Text(title, "bold"))

    @contextmanager
    def doing(self, title: str) -> Iterator[None]:
        """Something is under way that may take a moment."""
        with self._console.status(Text(title, "dim"), spinner="dots"):
            yield

    @contextmanager
    def bar(self, title: str) -> Iterator[Callable[[float, str], None]]:
        """A progress bar. Call it with the part that is done, from 0 to 1, and some words."""
        progress = Progress(
            TextColumn("   {task.description}"),
            BarColumn(BAR_COLUMNS, style="dim", complete_style=_SWITCH, finished_style=_SWITCH),
            TextColumn("[bold]{task.fields[words]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        with progress:
            task = progress.add_task(title, total=1.0, words="")
            yield lambda done, words: progress.update(task, completed=done, words=words)

    def show(self, title: str, finding: Finding) -> None:
        """A claim, ticked or crossed, with its evidence."""
        mark = (TICK, "bold green") if finding.passed else (CROSS, "bold red")
        self._console.print(Text.assemble(" ", mark, " ", title))
        for evidence in finding.evidence:
            self._show_evidence(evidence)

    @property
    def table_columns(self) -> int:
        """How wide a table may be."""
        return self._console.width - EVIDENCE_INDENT

    def table(self, table: Table) -> None:
        """A table of the switch, below a line of air."""
        table.box = box.SIMPLE_HEAD
        table.header_style = "dim"
        table.show_edge = table.pad_edge = False
        table.padding = (0, 1, 0, 0)
        table.border_style = "dim"
        for column in table.columns:
            column.highlight = True
        self._console.print()
        self._console.print(self._indented(table))

    def trouble(self, text: str, log: Sequence[str]) -> None:
        """Something went wrong, and what the switch logged about it."""
        self._console.print()
        self._console.print(Text.assemble(" ", (CROSS, "bold red"), " ", text))
        for line in log:
            self._console.print(self._indented(Text(line)))

    def say(self, text: str) -> None:
        """A line of its own."""
        self._console.print()
        self._console.print(Text(text))

    def closing(self, summary: str, passed: bool, suggestions: Sequence[tuple[str, str]]) -> None:
        """How it all ended, and what to try next: commands, and what each is for."""
        self._console.print()
        mark = (TICK, "bold green") if passed else (CROSS, "bold red")
        self._console.print(Text.assemble(" ", mark, " ", (summary, "bold")))
        self._console.print()
        self._console.print(Text("Try next", "bold"))
        grid = Table.grid(padding=(0, 3))
        for command, purpose in suggestions:
            grid.add_row(Text(command, _SWITCH), Text(purpose))
        self._console.print(self._indented(grid))

    def _show_evidence(self, evidence: Evidence) -> None:
        """On one line where it fits, else with the output under the prompt."""
        prompt, output = Text(evidence.prompt, "dim"), self._tint(Text(evidence.output))
        arrow = Text(f"{ARROW} ", "dim")
        line = Text.assemble(prompt, " ", arrow, output)
        if "\n" not in output and EVIDENCE_INDENT + line.cell_len <= self._console.width:
            self._console.print(self._indented(line))
            return
        self._console.print(self._indented(prompt))
        grid = Table.grid()
        for number, each in enumerate(output.split("\n")):
            grid.add_row(arrow if number == 0 else "", each)
        self._console.print(self._indented(grid))

    @staticmethod
    def _indented(what: RenderableType) -> Padding:
        return Padding(what, (0, 0, 0, EVIDENCE_INDENT), expand=False)


def sparkline(values: Sequence[float]) -> str:
    """The values as a row of bars, the highest being full."""
    highest = max(values, default=0.0)
    if highest <= 0.0:
        return ""
    steps = len(_LEVELS) - 1
    return "".join(_LEVELS[round(value / highest * steps)] for value in values)


def _drawing() -> Text:
    lines = [Text(line) for line in _DRAWING.splitlines()]
    for (top, bottom), (left, right), style, name in _BOXES:
        for row in (top, bottom):
            lines[row].stylize(style, left, right + 1)
        for row in range(top + 1, bottom):
            lines[row].stylize(style, left, left + 1)
            lines[row].stylize(style, right, right + 1)
        for row in range(top, bottom):
            at = lines[row].plain.find(f" {name} ", left, right)
            if at >= 0:
                lines[row].stylize(f"bold {style}", at, at + len(name) + 1)
    return Text("\n").join(lines)
