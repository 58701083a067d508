"""`vswitch dns log|top|cache|servers`: what is asked of the switch, and of whom it asks.

Each of them shows what the switch counts and keeps anyway. What a network lets its endpoints ask
for, and whom they ask, is the configuration's to say.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vswitch.cli.options import JsonOption, SwitchOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from vswitch.daemon.messages.dns import (
        FlushedRow,
        FrequentRow,
        KeptNameRow,
        QueryRow,
        ServerRow,
        TopRow,
    )

app = typer.Typer(
    help="""Names: what endpoints ask for and what becomes of it, and the servers that are asked.

    Example:  [bold]vswitch dns log -f[/bold]
    """,
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command("log")
def log(
    follow: Annotated[
        bool, typer.Option("-f", "--follow", help="Go on with those that come.")
    ] = False,
    last: Annotated[
        int, typer.Option("-n", "--last", help="So many of the last ones.", min=0, max=1000)
    ] = 20,
    json: JsonOption = False,
    switch: SwitchOption = None,
) -> None:
    """Show the last queries: when, who, for what, and what became of each.

    Example:  [bold]vswitch dns log -f[/bold]

    Example:  [bold]vswitch dns log -n 1000 --json | jq -r 'select(.outcome=="failed").name'[/bold]
    """
    from vswitch.cli import following
    from vswitch.cli.client import Client
    from vswitch.daemon.messages.dns import QueriesQuery, QueryRow

    wish, client = QueriesQuery(last=last, follow=follow), Client.of(switch)
    following.follow(client, "dns/queries", wish, QueryRow, _text, what="queries", json=json)


@app.command("top")
def top(
    count: Annotated[
        int, typer.Option("-n", "--count", help="So many names and parties.", min=1, max=1000)
    ] = 10,
    json: JsonOption = False,
    switch: SwitchOption = None,
) -> None:
    """Show which names are asked for most, who asks most, and what became of all queries.

    Of many names, the numbers of those that are rare are too high: ~ stands where one may be.

    Example:  [bold]vswitch dns top -n 20[/bold]
    """
    from vswitch.cli.client import Client
    from vswitch.cli.show import print_table
    from vswitch.daemon.messages.dns import TopRow

    client, path = Client.of(switch), f"dns/top?count={count}"
    if json:
        print(client.text(path))
        return
    row = client.row("GET", path, TopRow)
    print_table(outcome_table(row))
    print_table(frequent_table("name", row.names))
    print_table(frequent_table("who asks", row.parties))


@app.command("cache")
def cache(
    name: Annotated[
        str | None,
        typer.Argument(help="This name alone.", metavar="NAME", show_default="all"),
    ] = None,
    flush: Annotated[
        bool, typer.Option("--flush", help="Forget it, and say how many answers that was.")
    ] = False,
    json: JsonOption = False,
    switch: SwitchOption = None,
) -> None:
    """Show what servers have said and is good still, or forget it.

    Example:  [bold]vswitch dns cache --flush registry.example[/bold]
    """
    from urllib.parse import urlencode

    from vswitch.cli.client import Client
    from vswitch.cli.show import print_table
    from vswitch.daemon.messages.dns import FlushedRow, KeptNameRow

    client = Client.of(switch)
    asked = "" if name is None else f"?{urlencode({'name': name})}"
    if flush:
        flushed = client.row("DELETE", f"dns/cache{asked}", FlushedRow)
        print(flushed.model_dump_json() if json else flushed_words(flushed))
    elif json:
        print(client.text(f"dns/cache{asked}"))
    else:
        print_table(cache_table(client.rows(f"dns/cache{asked}", KeptNameRow)))


@app.command("servers")
def servers(json: JsonOption = False, switch: SwitchOption = None) -> None:
    """Show the servers that were asked, and how each is doing.

    Example:  [bold]vswitch dns servers[/bold]
    """
    from vswitch.cli.client import Client
    from vswitch.cli.show import print_table
    from vswitch.daemon.messages.dns import ServerRow

    client = Client.of(switch)
    if json:
        print(client.text("dns/servers"))
        return
    print_table(server_table(client.rows("dns/servers", ServerRow)))


def flushed_words(row: FlushedRow) -> str:
    """How much was forgotten."""
    return f"forgotten: {row.forgotten} answer{'' if row.forgotten == 1 else 's'}"


def outcome_table(row: TopRow) -> Table:
    """What became of queries, as a table; what became of none is left out."""
    from vswitch.daemon.messages.dns import Outcome, became

    table = _table("queries", "what became of them")
    for outcome, count in sorted(row.outcomes.items(), key=lambda each: -each[1]):
        if count:
            table.add_row(str(count), became(Outcome(outcome)))
    return table


def frequent_table(what: str, rows: Sequence[FrequentRow]) -> Table:
    """What is asked most, or who asks most, as a table."""
    table = _table("queries", what)
    for row in rows:
        table.add_row(f"{'~' if row.surplus else ''}{row.queries}", row.name)
    return table


def cache_table(rows: Sequence[KeptNameRow]) -> Table:
    """What is kept, as a table."""
    table = _table("name", "type", "said", "left", "hits")
    for row in rows:
        left = "stale" if row.is_stale else f"{row.expires_in_seconds:.0f} s"
        table.add_row(row.name, row.type, row.said, left, str(row.hits))
    return table


def server_table(rows: Sequence[ServerRow]) -> Table:
    """Servers as a table."""
    table = _table("server", "asked from", "state", "answers in", "queries", "answers", "failures")
    table.add_column("silences")
    for row in rows:
        mean = row.answers_in_seconds
        table.add_row(
            row.server,
            row.asked_from,
            f"down{f': {row.trouble}' if row.trouble else ''}" if row.is_down else "up",
            "-" if mean is None else f"{mean * 1000:.1f} ms",
            *map(str, (row.queries, row.answers, row.failures, row.silences)),
        )
    return table


def _table(*columns: str) -> Table:
    from rich.table import Table

    table = Table(header_style="bold")
    for column in columns:
        table.add_column(column)
    return table


def _text(row: QueryRow) -> str:
    """A query in one line, its time in the zone of who reads it."""
    from datetime import datetime

    from vswitch.daemon.messages.dns import in_words

    when = datetime.fromtimestamp(row.time).astimezone().isoformat(timespec="milliseconds")
    return f"{when} {in_words(row)}"
