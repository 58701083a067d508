"""`vswitch publish add|rm|ls`: published ports of an endpoint while it runs.

What may be said of a port is the grammar of `vswitch.network.publish` and `terms`, which the switch
reads: options are other spellings of terms, so a mistake in either is told by it, in one line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vswitch.cli import complete
from vswitch.cli.options import JsonOption, SwitchOption

if TYPE_CHECKING:
    from rich.table import Table

    from vswitch.daemon.messages.publications import PublicationRow

app = typer.Typer(
    help="""Publish ports of an endpoint while it runs, withdraw them, or list what is published.

    Example:  [bold]vswitch publish add web 8080:80 --from 192.0.2.0/24 --for 10m[/bold]
    """,
    no_args_is_help=True,
    rich_markup_mode="rich",
)

EndpointArgument = Annotated[
    str,
    typer.Argument(
        help="The endpoint's name.", metavar="ENDPOINT", autocompletion=complete.endpoints
    ),
]


@app.command("add")
def add(
    endpoint: EndpointArgument,
    specs: Annotated[
        list[str],
        typer.Argument(
            help="As docker run -p takes it: 8080:80, 53:53/udp, 9000-9009:80-89, or 80, for which "
            "the switch chooses a host port.",
            metavar="SPEC...",
        ),
    ],
    sources: Annotated[
        list[str] | None,
        typer.Option(
            "--from",
            help="Let only these clients in; may be said several times.",
            metavar="SUBNET",
        ),
    ] = None,
    lasts: Annotated[
        str | None,
        typer.Option(
            "--for",
            help="Withdraw it after this time, and end its connections.",
            metavar="TIME",
        ),
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Let one connection in, and close.")] = False,
    rate: Annotated[
        str | None,
        typer.Option(help="Let as many new connections in, like 100/s.", metavar="N/s"),
    ] = None,
    json: JsonOption = False,
    switch: SwitchOption = None,
) -> None:
    """Publish ports of an endpoint that runs: all of them, or none. Prints what was published.

    Example:  [bold]vswitch publish add web 8080:80[/bold]

    Example:  [bold]vswitch publish add db 5432 --from 192.0.2.0/24 --once[/bold]
    """
    from vswitch.cli.client import Client
    from vswitch.daemon.messages.publications import PublicationsBody

    words = [f"from={','.join(sources)}"] if sources else []
    words += [f"for={lasts}"] if lasts is not None else []
    words += ["once"] if once else []
    words += [f"rate={rate}"] if rate is not None else []
    wish = PublicationsBody(publish=tuple(" ".join((spec, *words)) for spec in specs))
    client, path = Client.of(switch), _path(endpoint)
    if json:
        print(client.text(path, "POST", wish))
        return
    for row in client.rows(path, _row_kind(), "POST", wish):
        print(row.published)


@app.command("rm")
def rm(
    endpoint: EndpointArgument,
    ports: Annotated[
        list[str],
        typer.Argument(
            help="Its host ports, as ls prints them: 8080, 53/udp, 9000-9009.",
            metavar="HOST...",
        ),
    ],
    switch: SwitchOption = None,
) -> None:
    """Withdraw published ports, and end the connections that came in by them.

    Example:  [bold]vswitch publish rm web 8080[/bold]

    Example:  [bold]vswitch publish rm dns 53/udp 53/tcp[/bold]
    """
    from urllib.parse import quote

    from vswitch.cli.client import Client

    client = Client.of(switch)
    for port in ports:
        client.do("DELETE", f"{_path(endpoint)}/{quote(port, safe='')}")


@app.command("ls")
def ls(json: JsonOption = False, switch: SwitchOption = None) -> None:
    """List what is published, by whom, and on which terms.

    Example:  [bold]vswitch publish ls[/bold]
    """
    from vswitch.cli.client import Client
    from vswitch.cli.show import print_table

    client = Client.of(switch)
    if json:
        print(client.text("publications"))
        return
    print_table(table(client.rows("publications", _row_kind())))


def table(rows: list[PublicationRow]) -> Table:
    """Publications as a table."""
    from rich.table import Table

    table = Table(header_style="bold")
    for column in ("endpoint", "network", "published", "from", "expires", "once", "rate"):
        table.add_column(column)
    for row in rows:
        expires = row.expires_in_seconds
        table.add_row(
            row.endpoint,
            row.network,
            row.published,
            ",".join(row.sources) or "anywhere",
            "never" if expires is None else f"in {max(0, expires):.0f} s",
            ("used" if row.is_used_up else "yes") if row.is_for_one else "no",
            f"{row.per_second}/s" if row.per_second else "any",
        )
    return table


def _path(endpoint: str) -> str:
    from urllib.parse import quote

    return f"endpoints/{quote(endpoint, safe='')}/publications"


def _row_kind() -> type[PublicationRow]:
    from vswitch.daemon.messages.publications import PublicationRow

    return PublicationRow
