"""Which of its verbs typer gets to see.

Theory of operation. Before typer looks at a line it makes ready every option of every verb, which
takes longer than most verbs do. Where a line begins with the name of a verb or of a group of verbs,
no other can be meant, and typer is given that one alone. Of all other lines, where somebody asks
for help, completes or is mistaken, it is given all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy

import typer
from typer.models import CommandInfo, TyperInfo

from vswitch.cli.app import app


def call(words: Sequence[str]) -> None:
    """Do what a line without its first word asks for, and end the process."""
    _seen(words)(prog_name="vswitch")


def _seen(words: Sequence[str]) -> typer.Typer:
    commands = [each for each in app.registered_commands if words[:1] == [_name(each)]]
    groups = [each for each in app.registered_groups if words[:1] == [_name(each)]]
    if not commands and not groups:
        return app
    seen = copy(app)
    seen.registered_commands, seen.registered_groups = commands, groups
    seen.callback()(_name_comes_first)
    return seen


def _name(info: CommandInfo | TyperInfo) -> str | None:
    return info.name or getattr(info.callback, "__name__", None)


def _name_comes_first() -> None:
    """By having this, an application with one verb alone is still called with its name."""
