"""The verb: look, wait, look again, show what has passed in between.

On a terminal the view stays in place, on a screen of its own unless it ends by itself; q leaves, as
does Ctrl-C. Into a pipe go plain columns, one view after the other, and JSON is a line for each.
"""

from __future__ import annotations

import itertools
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from types import FrameType

from rich.console import Console
from rich.live import Live

from vswitch.cli.client import Client
from vswitch.cli.pipes import discard_stdout
from vswitch.cli.top import keys
from vswitch.cli.top.rates import Rates, rates
from vswitch.cli.top.snapshot import Snapshot, take
from vswitch.cli.top.view import View
from vswitch.daemon.messages import StatusRow
from vswitch.units import SECOND

_LEAVING = "qQ\x03"
"""Keys that end it: the last is Ctrl-C where the terminal makes no signal of it."""

_WIDEST_LINE = 100_000

Show = Callable[[StatusRow, Rates], None]


def top(switch: str | None, interval: float, iterations: int | None, *, as_json: bool) -> None:
    """Show rates every `interval` seconds, so many times or until somebody leaves."""
    client = Client.of(switch)
    try:
        with _termination_leaves(), keys.keys() as wait:
            if as_json:
                _watch(client, wait, interval, iterations, _print_json)
            elif sys.stdout.isatty():
                with _screen(is_endless=iterations is None) as show:
                    _watch(client, wait, interval, iterations, show)
            else:
                _watch(client, wait, interval, iterations, _printing(View()))
    except KeyboardInterrupt:
        return
    except BrokenPipeError:
        discard_stdout()


def _watch(
    client: Client, wait: keys.Waiting, interval: float, iterations: int | None, show: Show
) -> None:
    before = take(client, time.monotonic_ns())
    for _ in itertools.count() if iterations is None else range(iterations):
        if _is_left(wait, before, interval):
            return
        after = take(client, time.monotonic_ns())
        show(after.status, rates(before, after))
        before = after


def _is_left(wait: keys.Waiting, before: Snapshot, interval: float) -> bool:
    """Wait until it is time for the next look, whatever keys are pressed meanwhile."""
    due = before.taken_at / SECOND + interval
    while (left := due - time.monotonic()) > 0:
        key = wait(left)
        if key and key in _LEAVING:
            return True
    return False


@contextmanager
def _screen(*, is_endless: bool) -> Iterator[Show]:
    view, console = View(), Console(highlight=False, markup=False, emoji=False)
    with Live(view.drawn(0, 0), console=console, screen=is_endless, auto_refresh=False) as live:

        def show(status: StatusRow, passed: Rates) -> None:
            view.take(status, passed, datetime.now())
            live.update(view.drawn(console.width, console.height), refresh=True)

        live.refresh()
        yield show


def _printing(view: View) -> Show:
    console = Console(width=_WIDEST_LINE, highlight=False, markup=False, emoji=False)

    def show(status: StatusRow, passed: Rates) -> None:
        view.take(status, passed, datetime.now())
        with console.capture() as printed:
            for part in view.plain():
                console.print(part)
                console.print()
        print(printed.get(), end="", flush=True)

    return show


def _print_json(_: StatusRow, passed: Rates) -> None:
    print(json.dumps(asdict(passed)), flush=True)


@contextmanager
def _termination_leaves() -> Iterator[None]:
    """SIGTERM, too, leaves the terminal as it was."""

    def leave(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
