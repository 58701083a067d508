"""`vswitch leases [NETWORK]` and `vswitch leases release`: addresses that stations have by DHCP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from vswitch.cli import complete
from vswitch.cli.options import JsonOption, SwitchOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from vswitch.daemon.messages.leases import LeaseRow

_LIST = "ls"


class _ListsWhatIsNoVerb(TyperGroup):
    """Understands `leases` and `leases NETWORK` as a list."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the verb in where it was left out. Whose context it is depends on typer's version."""
        if args[:1] not in ([each] for each in (*self.commands, *ctx.help_option_names)):
            args = [_LIST, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    cls=_ListsWhatIsNoVerb,
    help="""Addresses that the switch has leased by DHCP, and to whom.

    Example:  [bold]vswitch leases[/bold]

    Example:  [bold]vswitch leases front --json[/bold]
    """,
    rich_markup_mode="rich",
)

_NetworkOption = Annotated[
    str | None,
    typer.Option(help="Where several have it.", metavar="NAME", autocompletion=complete.networks),
]


@app.command(_LIST)
def show(
    network: Annotated[
        str | None,
        typer.Argument(
            help="Only those of one network.",
            metavar="NETWORK",
            show_default=False,
            autocompletion=complete.networks,
        ),
    ] = None,
    json: JsonOption = False,
    switch: SwitchOption = None,
) -> None:
    """List leases: address, station, hostname, the endpoint whose address it is, time that is left.

    Example:  [bold]vswitch leases ls front[/bold]
    """
    from vswitch.cli.client import Client
    from vswitch.cli.show import print_table
    from vswitch.daemon.messages.leases import LeaseRow

    client, path = Client.of(switch), _path("leases", network)
    if json:
        print(client.text(path))
        return
    print_table(table(client.rows(path, LeaseRow)))


@app.command()
def release(
    addresses: Annotated[
        list[str],
        typer.Argument(
            help="As ls shows them.", metavar="ADDRESS...", autocompletion=complete.leases
        ),
    ],
    network: _NetworkOption = None,
    switch: SwitchOption = None,
) -> None:
    """End leases, each in its turn, and print their addresses.

    A station that is still there may ask for its address again, and gets it while it is free.

    Example:  [bold]vswitch leases release 172.18.0.50[/bold]
    """
    from urllib.parse import quote

    from vswitch.cli.client import Client

    client = Client.of(switch)
    for address in addresses:
        client.do("DELETE", _path(f"leases/{quote(address, safe='')}", network))
        print(address)


def table(rows: Sequence[LeaseRow]) -> Table:
    """Rows as a table."""
    from rich.table import Table

    from vswitch.network import durations
    from vswitch.units import SECOND

    table = Table(header_style="bold")
    for column in ("network", "address", "station", "hostname", "endpoint", "left"):
        table.add_column(column)
    for row in rows:
        left = durations.text(int(row.expires_in_seconds) * SECOND)
        names = (row.hostname or "-", row.endpoint or "-")
        table.add_row(row.network, row.address, row.station, *names, left)
    return table


def _path(path: str, network: str | None) -> str:
    from urllib.parse import urlencode

    return path if network is None else f"{path}?{urlencode({'network': network})}"
