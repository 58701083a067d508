"""`vswitch dump`: the frames of a capture file as text.

On a terminal there are colours, into a pipe goes plain text. The file is read packet by packet, so
a long one begins to be printed at once, and what comes through a pipe is printed as it comes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path

from rich.console import Console

from vswitch.cli.problem import Problem
from vswitch.debug.explain.printing import Printer
from vswitch.debug.files.bpf import Filter, FilterError
from vswitch.debug.files.reading import CaptureError, CaptureReader, Packet
from vswitch.wire.offload import FINISHED

STDIN = "-"


def dump(file: str, printer: Printer, count: int | None, wanted: str) -> None:
    """Print `file`, or the first `count` packets of it that the pcap filter `wanted` takes."""
    with ExitStack() as stack:
        try:
            takes = Filter(wanted) if wanted else None
            packets: Iterator[Packet] = iter(_open(file, stack))
            if takes is not None:
                packets = (packet for packet in packets if _matches(takes, packet))
            print_packets(islice(packets, count), printer, at_once=file == STDIN)
        except (FilterError, CaptureError) as error:
            raise Problem(str(error)) from error


def print_packets(packets: Iterable[Packet], printer: Printer, *, at_once: bool) -> None:
    """Print packets as they come; `at_once` shows each before the next one is there.

    Raises `Problem` where there is no reading on; what was read until then is printed.
    """
    console = Console(highlight=False, soft_wrap=True, emoji=False) if is_terminal() else None
    try:
        for packet in packets:
            for line in printer.lines(packet):
                if console is not None:
                    console.print(line)
                else:
                    sys.stdout.write(f"{line.plain}\n")
            if at_once:
                sys.stdout.flush()
    except CaptureError as error:
        sys.stdout.flush()
        raise Problem(str(error)) from error


def is_terminal() -> bool:
    """Whether a person is looking."""
    return sys.stdout.isatty()


def _matches(takes: Filter, packet: Packet) -> bool:
    return takes.matches(FINISHED + packet.data, packet.original_length)


def _open(file: str, stack: ExitStack) -> CaptureReader:
    if file == STDIN:
        return CaptureReader(sys.stdin.buffer, "standard input")
    return stack.enter_context(CaptureReader.open(Path(file)))
