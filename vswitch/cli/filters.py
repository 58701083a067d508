"""`vswitch filter add|rm|ls`: rules of one's own about who may talk to whom, before the switch's.

What a rule may say is `[[filters]]` of a configuration, and the switch reads it, so a mistake is
told by it in the same words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from vswitch.cli.options import JsonOption, SwitchOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from vswitch.daemon.messages.filters import FilterRow

app = typer.Typer(
    help="""Rules of your own that are asked about each new flow, in order, before the switch's own.

    As in Docker's DOCKER-USER chain, [bold]return[/bold] goes on to the switch's own policy,
    [bold]accept[/bold] passes it over, [bold]drop[/bold] and [bold]reject[/bold] end the flow, and
    [bold]log[/bold] writes it down and goes on. Flows that live are asked about anew.

    Example:  [bold]vswitch filter add drop --in uplink --source 192.0.2.0/24[/bold]
    """,
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@app.command("add")
def add(
    action: Annotated[
        str, typer.Argument(help="accept, return, drop, reject or log.", metavar="ACTION")
    ],
    in_network: Annotated[
        str | None,
        typer.Option("--in", help="The network or uplink it comes from.", metavar="NAME"),
    ] = None,
    out_network: Annotated[
        str | None,
        typer.Option("--out", help="The network or uplink it goes to.", metavar="NAME"),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(help="Who sends; may be said several times.", metavar="SUBNET"),
    ] = None,
    destination: Annotated[
        list[str] | None,
        typer.Option(help="Whom it leads to, behind a published port.", metavar="SUBNET"),
    ] = None,
    protocol: Annotated[
        str | None, typer.Option(help="tcp, udp, icmp, sctp, dccp or a number.", metavar="NAME")
    ] = None,
    port: Annotated[
        list[str] | None,
        typer.Option(help="The endpoint's port, or a range like 80-89.", metavar="PORTS"),
    ] = None,
    source_port: Annotated[
        list[str] | None, typer.Option(help="The same of who sends.", metavar="PORTS")
    ] = None,
    before: Annotated[
        int | None,
        typer.Option(help="In front of the one of this number; else last.", metavar="N"),
    ] = None,
    json: JsonOption = False,
    switch: SwitchOption = None,
) -> None:
    """Ask one more rule from now on. Prints its number.

    Example:  [bold]vswitch filter add return --in uplink --source 192.0.2.8 --before 1[/bold]
    """
    from vswitch.cli.client import Client
    from vswitch.daemon.messages.filters import FilterBody, FilterRow

    wish = FilterBody(
        action=action,
        source=tuple(source or ()),
        destination=tuple(destination or ()),
        protocol=int(protocol) if protocol and protocol.isdecimal() else protocol,
        source_ports=tuple(source_port or ()),
        ports=tuple(port or ()),
        in_network=in_network,
        out_network=out_network,
        before=before,
    )
    row = Client.of(switch).row("POST", "filters", FilterRow, wish)
    print(row.model_dump_json() if json else row.number)


@app.command("rm")
def remove(
    numbers: Annotated[list[int], typer.Argument(help="As ls shows them.", metavar="NUMBER...")],
    switch: SwitchOption = None,
) -> None:
    """Ask rules no longer.

    Example:  [bold]vswitch filter rm 3[/bold]
    """
    from vswitch.cli.client import Client

    client = Client.of(switch)
    for number in numbers:
        client.do("DELETE", f"filters/{number}")


@app.command("ls")
def show(json: JsonOption = False, switch: SwitchOption = None) -> None:
    """Show the rules in the order in which they are asked, and how many flows each has matched.

    Example:  [bold]vswitch filter ls[/bold]
    """
    from vswitch.cli.client import Client
    from vswitch.cli.show import print_table
    from vswitch.daemon.messages.filters import FilterRow

    client = Client.of(switch)
    if json:
        print(client.text("filters"))
        return
    print_table(table(client.rows("filters", FilterRow)))


def table(rows: Sequence[FilterRow]) -> Table:
    """Rules as a table."""
    from rich.table import Table

    table = Table(header_style="bold")
    columns = ("number", "action", "in", "out", "protocol", "source", "destination")
    for column in (*columns, "source ports", "ports", "matched"):
        table.add_column(column)
    for row in rows:
        table.add_row(
            str(row.number),
            row.action,
            *(each or "any" for each in (row.in_network, row.out_network, row.protocol)),
            *(
                ",".join(each) or "any"
                for each in (row.source, row.destination, row.source_ports, row.ports)
            ),
            str(row.matched),
        )
    return table
