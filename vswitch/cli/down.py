"""`vswitch down`: stop the switch, and wait until it has ended."""

from __future__ import annotations

import os
import select
from contextlib import closing

from vswitch.cli.client import Client
from vswitch.cli.problem import Problem
from vswitch.daemon.messages import StatusRow
from vswitch.daemon.messages.stopping import StopSwitchBody

_MOST_SECONDS = 60
"""A thousand endpoints are taken down in half of that."""


def down(switch: str | None, *, remove: bool) -> None:
    """Stop the switch; with `remove`, so that nothing of it is left in the system."""
    client = Client.of(switch)
    status = client.row("GET", "status", StatusRow)
    with closing(os.fdopen(os.pidfd_open(status.pid), "rb")) as process:
        client.do("POST", "stop", StopSwitchBody(remove=remove))
        ended, _, _ = select.select([process], [], [], _MOST_SECONDS)
    if not ended:
        raise Problem(f"the switch {status.name} has not stopped within {_MOST_SECONDS} s")
    print(status.name)
