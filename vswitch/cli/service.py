"""`vswitch service`: the units by which systemd runs switches, with this installation's path."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

_SOMEWHERE = "/usr/bin/vswitch"
"""The path of the command in the units as they are shipped."""


def service(
    socket: Annotated[
        bool, typer.Option("--socket", help="The unit of the control socket instead.")
    ] = False,
) -> None:
    """Print a unit for systemd, which runs the switch of /etc/vswitch/NAME.toml as vswitch@NAME.

    Example:  [bold]vswitch service > /etc/systemd/system/vswitch@.service[/bold]

    Example:  [bold]systemctl enable --now vswitch@lab[/bold]
    """
    from importlib import resources

    units = resources.files("vswitch.daemon.process") / "units"
    unit = units / ("vswitch@.socket" if socket else "vswitch@.service")
    here = Path(shutil.which(sys.argv[0]) or sys.argv[0]).absolute()
    print(unit.read_text().replace(_SOMEWHERE, str(here)), end="")
