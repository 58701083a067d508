"""`vswitch dump`: the frames of a capture file as text.

On a terminal there are colours, into a pipe goes plain text. The file is read packet by packet, so
a long one begins to be printed at once, and what comes through a pipe is printed as it comes.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from rich.console import Console

from vswitch.cli.problem import Problem
from vswitch.debug.printing import Detail, Printer
from vswitch.debug.reading import CaptureError, CaptureReader
from vswitch.debug.times import Times

STDIN = "-"


def dump(file: str, detail: Detail, times: Times, count: int | None) -> None:
    """Print `file`, or the first `count` packets of it."""
    printer = Printer(times, detail)
    console = Console(highlight=False, soft_wrap=True) if is_terminal() else None
    with ExitStack() as stack:
        try:
            reader = _open(file, stack)
            for packet in islice(reader, count):
                for line in printer.lines(packet):
                    if console is not None:
                        console.print(line)
                    else:
                        sys.stdout.write(f"{line.plain}\n")
                if file == STDIN:
                    sys.stdout.flush()
        except CaptureError as error:
            sys.stdout.flush()
            raise Problem(str(error)) from error


def is_terminal() -> bool:
    """Whether a person is looking."""
    return sys.stdout.isatty()


def _open(file: str, stack: ExitStack) -> CaptureReader:
    if file == STDIN:
        return CaptureReader(sys.stdin.buffer, "standard input")
    return stack.enter_context(CaptureReader.open(Path(file)))
