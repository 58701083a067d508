"""`vswitch exec`: a further command where an endpoint lives.

With an endpoint that lives with a process it is in all that this has of its own: network, mounts,
hostname. In a namespace with a name or a path it has the network of that and the endpoint's
resolv.conf, as with ip-netns(8). This process becomes the command.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote

from vswitch.cli.client import Client
from vswitch.cli.exits import Exit
from vswitch.cli.problem import Problem, require_root
from vswitch.daemon.kernel import unsharing
from vswitch.daemon.kernel.netns import Namespace
from vswitch.daemon.kernel.unsharing import NamespaceError
from vswitch.daemon.messages.endpoints import EndpointRow


def execute(name: str, command: list[str], switch: str | None) -> NoReturn:
    """Become `command` where the endpoint called `name` lives. Raises Problem."""
    require_root("vswitch exec")
    client = Client.of(switch)
    endpoint = client.row("GET", f"endpoints/{quote(name, safe='')}", EndpointRow)
    try:
        _enter(endpoint)
    except NamespaceError as error:
        raise Problem(str(error)) from error
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"vswitch: {command[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(Exit.of_refused_exec(error))


def _enter(endpoint: EndpointRow) -> None:
    if endpoint.pid is not None:
        unsharing.enter_process(endpoint.pid)
        return
    if not endpoint.namespace:
        raise NamespaceError(f"{endpoint.name} is a virtual machine: nothing of it runs here")
    by_path = "/" in endpoint.namespace
    place = Path(endpoint.namespace) if by_path else Namespace.named(endpoint.namespace).path
    unsharing.enter_network(place)
    unsharing.bind_file(Path(endpoint.resolv_conf_file))
