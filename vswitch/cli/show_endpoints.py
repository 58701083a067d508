"""`vswitch ps`, `vswitch endpoint ls|inspect`: the endpoints of the running switch."""

from __future__ import annotations

import json as json_text
from collections.abc import Sequence
from urllib.parse import quote

from rich.table import Table

from vswitch.cli.client import Client
from vswitch.cli.show import print_table
from vswitch.daemon.messages.endpoints import EndpointRow

_NOTHING = "-"


def ls(switch: str | None, *, quiet: bool, json: bool) -> None:
    """Every endpoint."""
    client = Client.of(switch)
    if json:
        print(client.text("endpoints"))
        return
    rows = client.rows("endpoints", EndpointRow)
    if quiet:
        for row in rows:
            print(row.name)
    else:
        print_endpoints(rows)


def inspect(names: Sequence[str], switch: str | None) -> None:
    """All that is known of some, as a JSON list as docker inspect prints one."""
    client = Client.of(switch)
    rows = [
        client.row("GET", f"endpoints/{quote(name, safe='')}", EndpointRow).model_dump(mode="json")
        for name in names
    ]
    print(json_text.dumps(rows, indent=4))


def print_endpoints(rows: Sequence[EndpointRow]) -> None:
    """Endpoints as a table."""
    table = Table(header_style="bold")
    for column in ("name", "network", "address", "station", "kind", "lives in", "ports"):
        table.add_column(column)
    for row in rows:
        table.add_row(
            row.name,
            ", ".join(each.network for each in row.networks) or row.network,
            ", ".join(each.address for each in row.networks) or _NOTHING,
            ", ".join(each.mac for each in row.networks) or _NOTHING,
            row.kind.value if row.kind else _NOTHING,
            _home(row),
            ", ".join((*row.published, *_only_exposed(row))) or _NOTHING,
        )
    print_table(table)


def _home(row: EndpointRow) -> str:
    if row.pid is not None:
        return f"process {row.pid}"
    return row.namespace or "a virtual machine"


def _only_exposed(row: EndpointRow) -> list[str]:
    """What docker ps shows without an arrow: exposed, and not published."""
    targets = {published.partition("->")[2] for published in row.published}
    return [each for each in row.exposed if each not in targets]
