"""`vswitch attach|detach|tap`: what exists without the switch, put on it and taken off again."""

from __future__ import annotations

import pwd
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from vswitch.cli.client import Client
from vswitch.cli.problem import Problem
from vswitch.cli.show_endpoints import print_endpoints
from vswitch.daemon.kernel.netns import Namespace, NamespaceError
from vswitch.daemon.messages.endpoints import (
    HIGHEST_PID,
    HIGHEST_UID,
    EndpointBody,
    EndpointRow,
    EndpointWish,
    TapBody,
)


def attach(namespace: str, wish: EndpointWish, switch: str | None) -> None:
    """Attach the namespace that `namespace` is the name, the path or a process of."""
    place = _place(namespace)
    client = Client.of(switch)
    body = EndpointBody(**place, **wish.model_dump())
    print_endpoints([client.row("POST", "endpoints", EndpointRow, body)])


def detach(names: Sequence[str], switch: str | None) -> None:
    """Take endpoints off the switch, each in its turn, and print their names."""
    client = Client.of(switch)
    for name in names:
        client.do("DELETE", f"endpoints/{quote(name, safe='')}")
        print(name)


def add_tap(common: dict[str, Any], owner: str | None, switch: str | None) -> None:
    """Make a TAP for a virtual machine; `common` has the fields of a `Wish`."""
    user = None if owner is None else _user(owner)
    client = Client.of(switch)
    row = client.row("POST", "taps", EndpointRow, TapBody(**common, owner=user))
    print_endpoints([row])
    print(way_of_guest(row))


def way_of_guest(row: EndpointRow) -> str:
    """How the guest behind a TAP comes to its address."""
    gateway = f", with gateway {row.gateway}" if row.gateway else ""
    if row.by_dhcp:
        return f"The guest gets {row.address} by DHCP{gateway}."
    return f"The guest gives itself {row.address}{gateway}: network {row.network} leases to nobody."


def _place(text: str) -> dict[str, Any]:
    """A number is a process, what has a / in it is a path, and all else is a name."""
    if text.isdecimal():
        pid = int(text)
        if not 0 < pid <= HIGHEST_PID:
            raise Problem(f"{text} is no process id: allowed is 1 to {HIGHEST_PID}")
        return {"pid": pid}
    try:
        namespace = Namespace.at(Path(text)) if "/" in text else Namespace.named(text)
    except NamespaceError as error:
        raise Problem(str(error)) from error
    return {"path": str(namespace.path)}


def _user(text: str) -> int:
    """The id of the user of that name or number."""
    if text.isdecimal() and int(text) <= HIGHEST_UID:
        return int(text)
    try:
        return pwd.getpwnam(text).pw_uid
    except KeyError:
        raise Problem(f"there is no user {text}") from None
