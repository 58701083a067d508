"""Results on a terminal, in colours."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table as RichTable

from bench.report import tables
from bench.report.tables import Table
from bench.results import Results
from bench.targets import Outcome

STYLES = {Outcome.MET.value: "green", Outcome.MISSED.value: "bold red"}
"""By the text of a row's last cell."""


def show(results: Results) -> None:
    """The whole report, on stdout."""
    out = Console()
    for number, line in enumerate(tables.head(results)):
        out.print(line, style="bold" if number == 0 else "yellow", highlight=False)
    for table in tables.tables(results):
        out.print()
        out.print(table.title, style="bold", highlight=False)
        out.print(_table(table))
    for line in tables.tail(results):
        out.print(line, style="yellow", highlight=False)


def _table(table: Table) -> RichTable:
    shown = RichTable(box=box.ROUNDED, header_style="bold")
    for number, name in enumerate(table.columns):
        shown.add_column(name, justify="left" if number == 0 else "right")
    for row in table.rows:
        ours = "bold" if row[0].startswith(tables.OURS) else None
        shown.add_row(*row, style=STYLES.get(row[-1], ours))
    return shown
