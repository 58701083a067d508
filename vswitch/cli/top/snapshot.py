"""The counters of a switch at one moment.

What is asked for is what other commands show, so a switch has nothing to do with who looks at it
from time to time. Listing a great many flows takes the switch a while, in which it decides about no
new one; beyond `FLOWS_AT_MOST` they are not asked for.
"""

from __future__ import annotations

from dataclasses import dataclass

from vswitch.cli.client import Client
from vswitch.daemon.messages import FlowRow, PortRow, StatusRow
from vswitch.daemon.messages.endpoints import EndpointRow
from vswitch.units import Nanoseconds

FLOWS_AT_MOST = 2_000
"""Some 50 ms of the switch's time for a list of them."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A moment. `flows` is None where there are too many to list."""

    taken_at: Nanoseconds
    status: StatusRow
    ports: tuple[PortRow, ...]
    flows: tuple[FlowRow, ...] | None
    names: dict[str, str]
    """Of endpoints, by their addresses."""


def take(client: Client, now: Nanoseconds) -> Snapshot:
    """Ask the switch. Raises `Problem`."""
    status = client.row("GET", "status", StatusRow)
    are_listed = status.connections <= FLOWS_AT_MOST
    return Snapshot(
        taken_at=now,
        status=status,
        ports=tuple(client.rows("ports", PortRow)),
        flows=tuple(client.rows("flows", FlowRow)) if are_listed else None,
        names={
            at.address.partition("/")[0]: each.name
            for each in client.rows("endpoints", EndpointRow)
            for at in each.networks
        },
    )
