"""Opening the demo's capture with what a person would open it with.

One request is looked for in it: the one that `app` sent to the outside. It is there twice, as it
came in at the port of `app` and as it left at the uplink, so the translation is seen in two lines.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vswitch.cli.demo.scenery import OUTSIDE_ADDRESS, WEB_PORT
from vswitch.cli.demo.steps import Evidence, Finding

FILE = Path("demo.pcapng")
"""Where the user stands. It is all that stays behind of the demo."""

LINES = 2
"""The request at each of the two ports."""

READ_SECONDS = 20.0
"""tshark loads all its dissectors first, which takes a slow machine some seconds."""

SECTION_HEADER = b"\x0a\x0d\x0d\x0a"
"""What every pcapng file begins with."""

_COLUMNS = ",".join(
    f'"{title}","{what}"'
    for title, what in (
        ("port", "%Cus:frame.interface_name"),
        ("source", "%s"),
        ("destination", "%d"),
        ("protocol", "%p"),
        ("info", "%i"),
    )
)

_TSHARK_FILTER = f'http.host == "{OUTSIDE_ADDRESS}"'
_TCPDUMP_FILTER = f"dst host {OUTSIDE_ADDRESS} and dst port {WEB_PORT} and tcp[13] & 8 != 0"
"""The request itself: of its connection's segments the one that has PSH set."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A tool that opens captures: the command, and how a person would type it."""

    command: tuple[str, ...]
    shown: str


def reader(file: Path) -> Reader | None:
    """tshark or else tcpdump, or None where there is neither."""
    if shutil.which("tshark"):
        columns = f"gui.column.format:{_COLUMNS}"
        return Reader(
            ("tshark", "-n", "-r", str(file), "-o", columns, "-Y", _TSHARK_FILTER),
            f"tshark -r {file.name} -Y '{_TSHARK_FILTER}'",
        )
    if shutil.which("tcpdump"):
        return Reader(
            ("tcpdump", "-n", "-t", "-q", "-r", str(file), _TCPDUMP_FILTER),
            f"tcpdump -r {file.name} '{_TCPDUMP_FILTER}'",
        )
    return None


def open_with_tool(file: Path) -> Finding:
    """Does it open, and does it show the request before and behind the translation?

    Raises OSError where there is no such file.
    """
    tool = reader(file)
    if tool is None:
        with file.open("rb") as stream:
            begins_well = stream.read(len(SECTION_HEADER)) == SECTION_HEADER
        text = "it begins as pcapng does (neither tshark nor tcpdump is here to open it)"
        return Finding(begins_well, (Evidence(file.name, text),))
    try:
        done = subprocess.run(
            tool.command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=READ_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return Finding(False, (Evidence(tool.shown, f"no end after {READ_SECONDS:.0f} s"),))
    lines = _aligned(done.stdout.splitlines()[:LINES])
    if done.returncode != 0 or len(lines) < LINES:
        complaint = (done.stderr or done.stdout).strip() or "it shows nothing"
        return Finding(False, (Evidence(tool.shown, complaint),))
    return Finding(True, (Evidence(tool.shown, "\n".join(lines)),))


def _aligned(lines: Sequence[str]) -> list[str]:
    """The same words, one under the other, as far as all of the lines have words."""
    rows = [line.split() for line in lines]
    widths = [max(map(len, column)) for column in zip(*rows, strict=False)]
    widths += [0] * max((len(row) for row in rows), default=0)
    return [
        " ".join(word.ljust(width) for word, width in zip(row, widths, strict=False)).rstrip()
        for row in rows
    ]
