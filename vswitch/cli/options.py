"""Options that many verbs have."""

from __future__ import annotations

from typing import Annotated

import typer

from vswitch.cli import complete

SwitchOption = Annotated[
    str | None,
    typer.Option(
        "--switch",
        help="Which switch, where several run.",
        metavar="NAME",
        autocompletion=complete.switches,
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
