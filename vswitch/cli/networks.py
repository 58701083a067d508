"""`vswitch network ...`: networks that come and go, as Docker's users type.

What Docker's own command line checks is checked here, in its words; everything else is for the
switch to say. A verb that takes several networks does what it can, tells each mistake on a line of
its own, and exits with 1 where there was one.
"""

from __future__ import annotations

import json as json_text
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple
from urllib.parse import quote

import typer
from rich.table import Table

from vswitch.cli.client import Client
from vswitch.cli.problem import Problem
from vswitch.cli.show import print_table
from vswitch.daemon.messages.networks import (
    ConnectBody,
    CreatedNetwork,
    DisconnectBody,
    NetworkBody,
    NetworkObject,
    PrunedNetworks,
)
from vswitch.network.ids import SHORT_ID
from vswitch.network.options import MTU

_FILTERS = ("driver", "id", "label", "name")

_DOCKERS_INDENT = 4


class Wish(NamedTuple):
    """The words of `create`."""

    subnets: tuple[str, ...]
    gateways: tuple[str, ...]
    ip_ranges: tuple[str, ...]
    aux_addresses: tuple[str, ...]
    driver: str
    uplink: str | None
    mtu: int | None
    internal: bool
    ipv6: bool
    options: tuple[str, ...]
    labels: tuple[str, ...]


def create(name: str, wish: Wish, switch: str | None) -> None:
    """Make a network and print its id; a warning goes to stderr."""
    body = _body(name, wish)
    made = Client.of(switch).row("POST", "networks", CreatedNetwork, body)
    if made.Warning:
        print(f"vswitch: warning: {made.Warning}", file=sys.stderr)
    print(made.Id)


def show(
    switch: str | None, filters: Sequence[str], *, quiet: bool, whole_ids: bool, json: bool
) -> None:
    """The networks that pass every filter, by name."""
    wanted = _wanted(filters)
    client = Client.of(switch)
    there = [each for each in client.rows("networks", NetworkObject) if _passes(each, wanted)]
    there.sort(key=lambda network: _natural(network.Name))
    if json:
        print(_as_json(there))
    elif quiet:
        for network in there:
            print(_shown_id(network, whole=whole_ids))
    else:
        print_table(table(there, whole_ids=whole_ids))


def table(rows: Iterable[NetworkObject], *, whole_ids: bool) -> Table:
    """Networks as Docker's columns."""
    table = Table(header_style="bold")
    for column in ("NETWORK ID", "NAME", "DRIVER", "SCOPE"):
        table.add_column(column)
    for row in rows:
        table.add_row(_shown_id(row, whole=whole_ids), row.Name, row.Driver, row.Scope)
    return table


def inspect(references: Sequence[str], switch: str | None) -> None:
    """Print those that there are; raise Problem for the others."""
    client = Client.of(switch)
    found: list[NetworkObject] = []
    problems: list[str] = []
    for reference in references:
        try:
            found.append(client.row("GET", _path(reference), NetworkObject))
        except Problem as problem:
            problems.append(str(problem))
    print(_as_json(found))
    _tell(problems)


def remove(references: Sequence[str], switch: str | None, *, force: bool) -> None:
    """Remove and print what can be removed; raise Problem for the others."""
    client = Client.of(switch)
    problems: list[str] = []
    for reference in references:
        try:
            client.do("DELETE", _path(reference))
            print(reference)
        except Problem as problem:
            is_absent = str(problem).startswith(f"network {reference} not found")
            if not (force and is_absent):
                problems.append(str(problem))
    _tell(problems)


def connect(
    network: str,
    endpoint: str,
    address: str | None,
    mac: str | None,
    aliases: Sequence[str],
    priority: int,
    switch: str | None,
) -> None:
    """Let an endpoint be on a network, too."""
    body = ConnectBody(
        endpoint=endpoint,
        address=address,
        mac=mac,
        aliases=tuple(aliases),
        gateway_priority=priority,
    )
    Client.of(switch).do("POST", f"{_path(network)}/connect", body)


def disconnect(network: str, endpoint: str, switch: str | None, *, force: bool) -> None:
    """Let an endpoint be on a network no longer."""
    body = DisconnectBody(endpoint=endpoint)
    try:
        Client.of(switch).do("POST", f"{_path(network)}/disconnect", body)
    except Problem as problem:
        if not (force and f"endpoint {endpoint} is not connected to the network" in str(problem)):
            raise


def prune(switch: str | None, *, force: bool) -> None:
    """Remove what nobody uses, after a question."""
    client = Client.of(switch)
    if not force:
        print("WARNING! This will remove all networks not used by at least one endpoint.")
        if not typer.confirm("Are you sure you want to continue?"):
            return
    gone = client.row("POST", "networks/prune", PrunedNetworks).NetworksDeleted
    if gone:
        print("\n".join(("Deleted Networks:", *gone)))


def _body(name: str, wish: Wish) -> NetworkBody:
    if len(wish.subnets) < max(len(wish.gateways), len(wish.ip_ranges)):
        raise Problem("every ip-range or gateway must have a corresponding subnet")
    if len(wish.subnets) > 1:
        raise Problem("bridge driver doesn't support multiple subnets")
    options = dict(_pairs(wish.options))
    if wish.mtu is not None and options.setdefault(MTU, str(wish.mtu)) != str(wish.mtu):
        raise typer.BadParameter(f"--mtu {wish.mtu} and {MTU}={options[MTU]} are not the same")
    return NetworkBody(
        name=name,
        driver=wish.driver,
        subnet=_only(wish.subnets),
        gateway=_only(wish.gateways),
        ip_range=_only(wish.ip_ranges),
        aux_addresses=dict(_pairs(wish.aux_addresses)),
        uplink=wish.uplink,
        internal=wish.internal,
        ipv6=wish.ipv6,
        options=options,
        labels=dict(_pairs(wish.labels)),
    )


def _only(words: Sequence[str]) -> str | None:
    return words[0] if words else None


def _pairs(words: Iterable[str]) -> Iterator[tuple[str, str]]:
    """KEY=VALUE; a key alone has the empty value, as with Docker."""
    for word in words:
        key, _, value = word.partition("=")
        yield key, value


def _path(reference: str) -> str:
    if not reference:
        raise Problem("invalid network name or ID: value is empty")
    return f"networks/{quote(reference, safe='')}"


def _tell(problems: Sequence[str]) -> None:
    if problems:
        raise Problem("\n".join(problems))


def _as_json(rows: Iterable[NetworkObject]) -> str:
    """As Docker prints it: a list, and four spaces for each level."""
    objects = [row.model_dump(mode="json") for row in rows]
    return json_text.dumps(objects, indent=_DOCKERS_INDENT, ensure_ascii=False)


def _shown_id(row: NetworkObject, *, whole: bool) -> str:
    return row.Id if whole else row.Id[:SHORT_ID]


def _natural(name: str) -> list[tuple[int, str]]:
    """So that net2 comes before net10."""
    parts = re.findall(r"[0-9]+|[^0-9]+", name)
    return [(int(part), "") if part.isdigit() else (0, part) for part in parts]


def _wanted(filters: Iterable[str]) -> dict[str, list[str]]:
    """The values by key: one of each key has to fit."""
    wanted: dict[str, list[str]] = {}
    for word in filters:
        key, equals, value = word.partition("=")
        if not equals or key not in _FILTERS:
            raise Problem(f"invalid filter '{word}': allowed is {', '.join(_FILTERS)} with =VALUE")
        wanted.setdefault(key, []).append(value)
    return wanted


def _passes(row: NetworkObject, wanted: dict[str, list[str]]) -> bool:
    return all(any(_fits(row, key, value) for value in wanted[key]) for key in wanted)


def _fits(row: NetworkObject, key: str, value: str) -> bool:
    match key:
        case "name":
            return value in row.Name
        case "id":
            return row.Id.startswith(value)
        case "driver":
            return row.Driver == value
    label, equals, text = value.partition("=")
    return label in row.Labels and (not equals or row.Labels[label] == text)
