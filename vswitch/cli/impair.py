"""`vswitch impair`: make the line of a port bad while the switch runs, make it good again, or look.

What the words of an impairment mean is in `vswitch.impairment`; the switch reads them, so a mistake
in them is told by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

import typer
from rich.table import Table

from vswitch.cli.client import Client
from vswitch.cli.show import print_table
from vswitch.daemon.messages import ImpairmentBody, ImpairmentRow

NONE = "none"


def show(switch: str | None, *, json: bool) -> None:
    """Every impaired port."""
    client = Client.of(switch)
    if json:
        print(client.text("impairments"))
        return
    print_table(table(client.rows("impairments", ImpairmentRow)))


def table(rows: Sequence[ImpairmentRow]) -> Table:
    """Impaired directions as a table."""
    table = Table(header_style="bold")
    counters = ("entered", "held", "lost", "duplicated", "reordered", "corrupted", "full")
    for column in ("port", "way", "impairment", "seed", *counters):
        table.add_column(column)
    for row in rows:
        for way, line in (("in", row.incoming), ("out", row.outgoing)):
            if line.impairment != NONE:
                counts = (str(getattr(line, counter)) for counter in counters)
                table.add_row(row.port, way, line.impairment, str(row.seed), *counts)
    return table


def impair(
    port: str,
    both: Sequence[str],
    incoming: str | None,
    outgoing: str | None,
    seed: int | None,
    switch: str | None,
) -> None:
    """Change the line of `port`; `both` are the words for each direction that has none."""
    words = " ".join(both) if both else None
    wish = ImpairmentBody(
        incoming=words if incoming is None else incoming,
        outgoing=words if outgoing is None else outgoing,
        seed=seed,
    )
    if wish == ImpairmentBody():
        raise typer.BadParameter("say how: SPEC, --in, --out, --seed or --clear")
    Client.of(switch).do("PUT", _path(port), wish)


def clear(port: str, switch: str | None) -> None:
    """Make the line of `port` good again."""
    Client.of(switch).do("DELETE", _path(port))


def _path(port: str) -> str:
    return f"impairments/{quote(port, safe='')}"
