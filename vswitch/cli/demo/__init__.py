"""`vswitch demo`: the switch at work, with real tools, to be watched.

Theory of operation. The process moves into a network namespace of its own, so nothing of the
host's network is touched (`scenery`), starts a switch in there with `vswitch up`, plays one step
after the other (`steps`, `bulk`, `capture`, in the order of `play`) and shows each with the
output that proves it (`screen`). `peer` is what runs at the other ends.

Whatever happens, a failing step, an exception, Ctrl-C, SIGTERM or a closed terminal, what was made
is taken away before the process ends. The signals become an exception for that, and from the
moment that cleaning up begins they are ignored, so it is not cut short by an impatient second one.
"""

from __future__ import annotations

import signal
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from vswitch.cli.demo import capture
from vswitch.cli.demo.play import Play
from vswitch.cli.demo.scenery import (
    Scenery,
    SceneryError,
    enter_world_of_its_own,
    require_what_it_takes,
)
from vswitch.cli.demo.screen import Screen
from vswitch.cli.problem import require_root

_STOPPING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_STATUS_OF_A_SIGNAL = 128
"""Added to its number, as shells do."""


class Interrupted(BaseException):
    """A signal asks the demo to stop."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def demo() -> int:
    """Show everything; the exit status is 0 where all of it passed.

    Moves the calling process into a network namespace of its own, for good. Raises `Problem` where
    privileges or tools are missing, before anything is made.
    """
    require_root("vswitch demo")
    require_what_it_takes()
    enter_world_of_its_own()
    screen = Screen.on_stdout()
    _raise_on_signals()
    with ExitStack() as undo:
        directory = undo.enter_context(TemporaryDirectory(prefix="vsdemo-"))
        scenery = Scenery(Path(directory))
        undo.callback(scenery.close)
        undo.callback(_ignore_signals)
        try:
            return 0 if Play(screen).perform(scenery, capture.FILE.absolute()) else 1
        except Interrupted as interrupted:
            _ignore_signals()
            name = signal.Signals(interrupted.number).name
            # A screen that was interrupted in the middle of a line may never print again.
            Screen.on_stdout().say(f"Stopped by {name}: taking everything away.")
            return _STATUS_OF_A_SIGNAL + interrupted.number
        except SceneryError as error:
            screen.trouble(str(error), error.log)
            return 1


def _raise_on_signals() -> None:
    def interrupt(number: int, _: FrameType | None) -> None:
        raise Interrupted(number)

    for number in _STOPPING_SIGNALS:
        signal.signal(number, interrupt)


def _ignore_signals() -> None:
    for number in _STOPPING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
