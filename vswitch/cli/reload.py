"""`vswitch diff` and `vswitch reload`: what a configuration would change, and changing that.

The file is read here and its text is sent: the switch may run in another directory, or may not be
able to read it. Its mistakes are told before anything is asked, by the same functions.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vswitch.cli import panels
from vswitch.cli.options import JsonOption, SwitchOption
from vswitch.cli.problem import Problem

if TYPE_CHECKING:
    from rich.console import Console

    from vswitch.cli.client import Client
    from vswitch.daemon.messages.configuration import ChangeRow, SourceBody

PATIENCE_SECONDS = 1.0
"""What takes longer is shown as it goes on."""

_LOOK_SECONDS = 0.2

_TIMEOUT_SECONDS = 600.0
"""Some hundred endpoints that are all made anew take a minute."""

_STYLES = {"+": "green", "-": "red", "~": "yellow", "!": "bold red"}

FileArgument = Annotated[
    Path | None,
    typer.Argument(
        help="A configuration; without it the file that the switch was started with, read again.",
        metavar="FILE",
        show_default=False,
    ),
]


class Difference(IntEnum):
    """Exit statuses of `diff`, as of diff(1)."""

    NONE = 0
    SOME = 1
    TROUBLE = 2


def add_to(app: typer.Typer) -> None:
    """Let the command line have both."""
    app.command("diff", rich_help_panel=panels.THE_SWITCH)(diff)
    app.command("reload", rich_help_panel=panels.THE_SWITCH)(reload)


def diff(file: FileArgument = None, json: JsonOption = False, switch: SwitchOption = None) -> None:
    """Show what a configuration would change on the running switch. Nothing is changed.

    + is added, - removed, ~ changed: in place, where live connections that may go on do so, or by
    being made anew. ! can not be changed while the switch runs. What was made at run time stays.
    Exits with 0 where nothing would change, 1 where something would, 2 where that can not be said.

    Example:  [bold]vswitch diff lab.toml[/bold]
    """
    try:
        shown = _ask(_client(switch), "diff", _body(file), json=json)
    except Problem as problem:
        for line in str(problem).splitlines():
            print(f"vswitch: {line}", file=sys.stderr)
        raise typer.Exit(Difference.TROUBLE) from None
    raise typer.Exit(Difference.SOME if shown else Difference.NONE)


def reload(
    file: FileArgument = None, json: JsonOption = False, switch: SwitchOption = None
) -> None:
    """Change what a configuration says differently on the running switch, and nothing else.

    Prints what was changed, as [bold]vswitch diff[/bold] does before. What can not be is refused as
    a whole. SIGHUP does the same with the file that the switch was started with.

    Example:  [bold]vswitch reload lab.toml[/bold]
    """
    client = _client(switch)
    with _progress(client):
        _ask(client, "reload", _body(file), json=json)


def _client(switch: str | None) -> Client:
    from vswitch.cli.client import Client

    return Client.of(switch, _TIMEOUT_SECONDS)


def _body(file: Path | None) -> SourceBody:
    """What the switch is to read. A mistake in the file is a `Problem` with a line for each."""
    from vswitch.daemon import configured
    from vswitch.daemon.messages.configuration import SourceBody
    from vswitch.network.configuration import config
    from vswitch.network.configuration.mistakes import ConfigurationError

    if file is None:
        return SourceBody()
    try:
        text = config.read_text(file)
        configured.parse(text, str(file))
    except ConfigurationError as error:
        raise Problem(str(error)) from error
    return SourceBody(text=text, file=str(file))


def _ask(client: Client, verb: str, body: SourceBody, *, json: bool) -> bool:
    """Ask, and print the changes that are answered; whether there are any."""
    from vswitch.daemon.messages.configuration import ChangeRow

    path = f"configuration/{verb}"
    if json:
        text = client.text(path, "POST", body)
        print(text)
        return text != "[]"
    rows = client.rows(path, ChangeRow, "POST", body)
    _show(rows)
    return bool(rows)


def _show(rows: Sequence[ChangeRow]) -> None:
    """A line for each change, in colours on a terminal."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, emoji=False)
    for row in rows:
        console.print(Text(row.words, _STYLES[row.sign]), soft_wrap=True)


@contextmanager
def _progress(client: Client) -> Iterator[None]:
    """While something is done that takes long, show on a terminal how far the switch has come."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False, emoji=False)
    if not console.is_terminal:
        yield
        return
    is_done = threading.Event()
    looking = threading.Thread(target=_watch, args=(client, console, is_done), daemon=True)
    looking.start()
    try:
        yield
    finally:
        is_done.set()
        looking.join()


def _watch(client: Client, console: Console, is_done: threading.Event) -> None:
    """Until it is done; where the switch does not answer, whoever asked the other thing is told."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from vswitch.daemon.messages.configuration import ConfigurationRow

    if is_done.wait(PATIENCE_SECONDS):
        return
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with suppress(Problem), Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("", total=None)
        while not is_done.wait(_LOOK_SECONDS):
            row = client.row("GET", "configuration", ConfigurationRow)
            done, steps = max(0, row.step - 1), row.steps or None
            progress.update(task, description=row.doing, completed=done, total=steps)
