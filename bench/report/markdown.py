"""Results as Markdown: for files, pipes and README."""

from __future__ import annotations

from collections.abc import Iterator

from bench.report import tables
from bench.report.tables import Table
from bench.results import Results


def render(results: Results) -> str:
    """The whole report."""
    return "\n".join(_lines(results))


def _lines(results: Results) -> Iterator[str]:
    for line in tables.head(results):
        yield from (line, "")
    for table in tables.tables(results):
        yield from (f"### {table.title}", "", *_table(table), "")
    for line in tables.tail(results):
        yield from (line, "")


def _table(table: Table) -> Iterator[str]:
    rows = (table.columns, *table.rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        yield _row([cell.ljust(width) for cell, width in zip(row, widths, strict=True)])
        if number == 0:
            yield _row(["-" * width for width in widths])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
