"""Options that many verbs have."""

from __future__ import annotations

from typing import Annotated

import typer

SwitchOption = Annotated[
    str | None,
    typer.Option("--switch", help="Which switch, where several run.", metavar="NAME"),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
