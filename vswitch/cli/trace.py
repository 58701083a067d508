"""`vswitch trace`: what would the running switch do with this frame, and why?

A frame is said in words (see `debug.explain.describing`), as its bytes in hexadecimal, or as a
packet of a capture file, `FILE#NUMBER`. The switch decides about it as about any other and changes
nothing; what it tells is printed as a tree, stage by stage. What a capture has cut off is taken for
zeros: the switch looks at headers, so that its answer is the same.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text
from rich.tree import Tree

from vswitch.cli.client import Client
from vswitch.cli.problem import Problem
from vswitch.cli.show import print_tree
from vswitch.daemon.messages import TraceBody, TraceRow
from vswitch.dataplane.verdict import Fate
from vswitch.debug.explain import describing
from vswitch.debug.files.reading import CaptureError, CaptureReader, Packet
from vswitch.debug.sight import Direction

LONGEST_FRAME = 32_000
"""Bytes: in hexadecimal it has to fit the body of a request."""

STAGE_COLUMNS = 11
"""Two more than the longest stage's name has."""

_PACKET = re.compile(r"(.+)#(\d{1,9})")
_HEX = re.compile(r"(0x)?[0-9a-fA-F]*")
_FATE_STYLES = {Fate.DROPPED.value: "bold red", Fate.WAITING.value: "bold yellow"}


def trace(words: Sequence[str], port: str | None, switch: str | None, *, json: bool) -> None:
    """Ask the running switch, and print its answer."""
    body = wish(words, port)
    row = Client.of(switch).row("POST", "trace", TraceRow, body)
    if json:
        print(row.model_dump_json())
    else:
        print_tree(tree(row))


def wish(words: Sequence[str], port: str | None) -> TraceBody:
    """What to ask for. Raises Problem."""
    text = " ".join(words)
    packet = _PACKET.fullmatch(text)
    if packet is not None:
        return _of_file(packet[1], int(packet[2]), port)
    digits = re.sub(r"[\s:.-]", "", text)
    if _HEX.fullmatch(digits):
        if port is None:
            raise Problem("a frame in hexadecimal has to come in somewhere: say --port NAME")
        return _of_octets(port, _octets(digits.removeprefix("0x")))
    if port is not None:
        raise Problem(
            f"--port: the first word of a description is the port, here {text.split()[0]!r}"
        )
    try:
        describing.parse(text)
    except describing.DescriptionError as error:
        raise Problem(str(error)) from error
    return TraceBody(description=text)


def tree(row: TraceRow) -> Tree:
    """The answer, from the frame that comes in down to those that leave."""
    root = Tree(Text.assemble((row.port, "bold"), f" on {row.network}: {row.summary}"))
    _add(root, Text("comes in", "bold"), row.layers)
    for step in row.steps:
        stage = (step.stage.ljust(STAGE_COLUMNS), "cyan")
        root.add(Text.assemble(stage, f"\n{' ' * STAGE_COLUMNS}".join(step.words)))
    style = _FATE_STYLES.get(row.fate, "bold green")
    reason = f" {row.reason}" if row.reason else ""
    root.add(Text.assemble((f"{row.fate}{reason}", style), f": {row.explanation}"))
    for leaving in row.leaving:
        kept = ", and the fast path does so from then on" if leaving.kept else ""
        by = ", ".join(leaving.ports)
        head = Text.assemble(f"{leaving.what} leaves by ", (by, "bold"), kept)
        _add(root, head, leaving.layers)
    return root


def _add(tree: Tree, head: Text, lines: Sequence[str]) -> None:
    branch = tree.add(head)
    for line in lines:
        branch.add(Text(line))


def _of_file(file: str, number: int, port: str | None) -> TraceBody:
    packet = _packet(file, number)
    if port is None and packet.direction is Direction.SENT:
        raise Problem(
            f"{file}: packet {number} left by {packet.interface.name}: say --port NAME for "
            "where it is to come in"
        )
    port = port or packet.interface.name
    if not port:
        raise Problem(f"{file}: does not say where packet {number} came in: say --port NAME")
    missing = packet.original_length - len(packet.data)
    if missing > 0:
        told = (
            f"{file}: packet {number}: {missing} bytes that the capture cut off are taken for zeros"
        )
        print(f"vswitch: {told}", file=sys.stderr)
    return _of_octets(port, packet.data + bytes(max(0, min(missing, LONGEST_FRAME))))


def _packet(file: str, number: int) -> Packet:
    if not number:
        raise Problem(f"{file}: has no packet 0: packets are counted from 1")
    count = 0
    try:
        with CaptureReader.open(Path(file)) as reader:
            for packet in reader:
                count = packet.number
                if count == number:
                    return packet
    except CaptureError as error:
        raise Problem(str(error)) from error
    raise Problem(f"{file}: has no packet {number}: there are {count}")


def _octets(digits: str) -> bytes:
    if len(digits) % 2:
        raise Problem(f"the frame has {len(digits)} hexadecimal digits: a byte has two")
    return bytes.fromhex(digits)


def _of_octets(port: str, frame: bytes) -> TraceBody:
    if len(frame) > LONGEST_FRAME:
        raise Problem(f"the frame has {len(frame)} bytes: at most {LONGEST_FRAME} are asked about")
    return TraceBody(port=port, frame=frame.hex())
