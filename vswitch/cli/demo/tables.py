"""The flow table as the demo shows it: few columns, and what each end becomes stands beside it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from vswitch.cli.show import octets
from vswitch.daemon.messages import FlowRow

ONE_LINE_COLUMNS = 111
"""Columns for a connection with its translation on one line; in less it takes two."""


def flow_table(rows: Sequence[FlowRow], columns: int) -> Table:
    """Connections, at most `columns` wide where that is 75 or more.

    In two lines the source stands above the destination, and so does what they become.
    """
    join = " > " if columns >= ONE_LINE_COLUMNS else "\n> "
    table = Table("proto", "state", "from > to", "becomes", "bytes")
    table.columns[-1].justify = "right"
    for row in rows:
        before, after = _ends(row)
        table.add_row(
            row.protocol,
            row.state,
            join.join(before),
            join.join(after) if before != after else "-",
            octets(row.bytes) if row.frames else "-",
        )
    return table


def _ends(row: FlowRow) -> tuple[list[str], list[str]]:
    """Source and destination as they arrive, and as they leave.

    An echo has an identifier where others have a source port, and is written with it.
    """
    original, _, identifier = row.original.partition(" id ")
    before = original.split(" > ")
    changed = dict(each.split(" ", 1) for each in row.translation.split(", ") if each)
    after = [changed.get("source", before[0]), changed.get("destination", before[1])]
    if identifier:
        before[0] += f" id {identifier}"
        after[0] = after[0].replace(":", " id ")
    return before, after
