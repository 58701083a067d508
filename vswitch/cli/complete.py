"""Names that a shell completes: what the running switch has.

Theory of operation. At each Tab the shell runs the command itself, which prints what would fit
(`vswitch --install-completion` sets that up). Whatever goes wrong then, nothing is completed: an
error in the middle of somebody's line helps nobody. The switch that is asked is the one that
`--switch` names on the same line, and one that is slow to answer is not waited for.

The functions here are what an option's `autocompletion` takes. They import what they need when they
are called, so that they cost a command nothing that is not being completed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import typer

from vswitch.cli.problem import Problem

if TYPE_CHECKING:
    from vswitch.cli.client import Client
    from vswitch.daemon.messages.topology import TopologyRow

_PATIENCE_SECONDS = 2.0
"""For one answer: longer than any takes, shorter than somebody waits for a Tab."""


def switches(incomplete: str) -> list[str]:
    """The switches that run."""
    from vswitch.cli.calls import running_switches

    return _fitting(running_switches(), incomplete)


def endpoints(context: typer.Context, incomplete: str) -> list[str]:
    """The endpoints of the switch."""
    return _ask(
        context, incomplete, lambda client: [row.name for row in _topology(client).endpoints]
    )


def networks(context: typer.Context, incomplete: str) -> list[str]:
    """The networks of the switch."""
    return _ask(
        context, incomplete, lambda client: [row.name for row in _topology(client).networks]
    )


def leases(context: typer.Context, incomplete: str) -> list[str]:
    """The addresses that the switch has leased."""
    from vswitch.daemon.messages.leases import LeaseRow

    return _ask(
        context, incomplete, lambda client: [at.address for at in client.rows("leases", LeaseRow)]
    )


def network_options(incomplete: str) -> list[str]:
    """The keys of what `vswitch network create --opt` takes."""
    from vswitch.network import options

    return _fitting((f"{key}=" for key in options.KNOWN), incomplete)


def ports(context: typer.Context, incomplete: str) -> list[str]:
    """The ports of the switch."""
    from vswitch.daemon.messages import PortRow

    return _ask(
        context, incomplete, lambda client: [at.name for at in client.rows("ports", PortRow)]
    )


def event_filters(incomplete: str) -> list[str]:
    """What `vswitch events --filter` takes, but for names."""
    from vswitch.daemon.messages.events import Event, EventType

    types = [f"type={each.value}" for each in EventType]
    return _fitting([*types, *(f"event={each.value}" for each in Event)], incomplete)


def _ask(
    context: typer.Context, incomplete: str, names: Callable[[Client], list[str]]
) -> list[str]:
    from vswitch.cli.client import Client

    try:
        client = Client.of(context.params.get("switch"), _PATIENCE_SECONDS)
        return _fitting(names(client), incomplete)
    except Problem:
        return []


def _topology(client: Client) -> TopologyRow:
    from vswitch.daemon.messages.topology import TopologyRow

    return client.row("GET", "topology", TopologyRow)


def _fitting(names: Iterable[str], incomplete: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
