"""Captured frames as lines for a person: one per frame, one per layer, hexadecimal, or all of it.

Theory of operation. A line is a `Text`, whose styles a terminal shows and whose `plain` goes into
a pipe. The first line of a frame says which one it is, when and where it passed, what it is
(`wire.text`) and what became of it, if the capture tells: the fate and the flow of the switch's own
verdicts, the whole of anybody else's comment. How a verdict came about, and each layer, is for who
asks for more.

A capture comes from anywhere: what it says in words is shown with its control characters escaped.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.text import Text

from vswitch.dataplane.verdict import Fate
from vswitch.debug.explain.times import Times
from vswitch.debug.files.reading import Packet
from vswitch.debug.sight import Direction
from vswitch.units import MICROSECOND, SECOND, Nanoseconds
from vswitch.wire import ethernet
from vswitch.wire.offload import HEADER_LENGTH
from vswitch.wire.text import describe, summary

OCTETS_PER_LINE = 16

_FATE_STYLES = {
    Fate.FORWARDED.value: "green",
    Fate.FLOODED.value: "yellow",
    Fate.ANSWERED.value: "cyan",
    Fate.ABSORBED.value: "cyan",
    Fate.WAITING.value: "yellow",
    Fate.DROPPED.value: "red",
}
_PORT_STYLE = "bold"
_DIM = "dim"
_ARROWS = {Direction.RECEIVED: "in", Direction.SENT: "out", None: ""}
_INDENT = " " * 6
_PORT_COLUMNS = 8
"""As wide as the names of most ports; a longer name moves the lines after it."""


@dataclass(frozen=True, slots=True)
class Detail:
    """What is printed beside the first line of each frame."""

    layers: bool = False
    octets: bool = False
    dissection: bool = False
    """By scapy."""


class Printer:
    """Prints the packets of one capture, in order."""

    def __init__(self, times: Times = Times.RELATIVE, detail: Detail = Detail()) -> None:
        self._times = times
        self._detail = detail
        self._first: Nanoseconds | None = None
        self._columns = _PORT_COLUMNS

    def lines(self, packet: Packet) -> Iterator[Text]:
        """The lines of a packet; the first one is all there is where no detail is asked for."""
        frame = bytes(HEADER_LENGTH) + packet.data
        yield self._headline(packet, frame)
        detail = self._detail
        if detail.layers:
            yield from _layers(packet, frame)
        if detail.dissection:
            yield from _indented(_dissection(packet.data))
        if detail.octets:
            yield from _indented(_octets(packet.data))

    def _headline(self, packet: Packet, frame: bytes) -> Text:
        name = escaped(packet.interface.name) or "-"
        self._columns = max(self._columns, len(name))
        line = Text(f"{packet.number:>5} ")
        line.append(f"{self._time(packet.when)} ", _DIM)
        line.append(name.ljust(self._columns), _PORT_STYLE)
        line.append(f" {_ARROWS[packet.direction]:<3} ")
        line.append(summary(frame))
        if len(packet.data) < packet.original_length:
            line.append(f" ({len(packet.data)} of {packet.original_length} bytes)", _DIM)
        if packet.comment:
            words = verdict(packet.comment)
            line.append(f"  [{words}]", _style(words))
        return line

    def _time(self, when: Nanoseconds | None) -> str:
        if self._times is Times.ABSOLUTE:
            return _date(when)
        if when is None:
            return f"{'-':>11}"
        if self._first is None:
            self._first = when
        return f"{_decimal(when - self._first):>11}"


def verdict(comment: str) -> str:
    """A comment in short: of the switch's own ones fate, reason and flow."""
    line = comment.splitlines()[0] if comment else ""
    parts = line.split("; ")
    if parts[0].split(" ")[0] in _FATE_STYLES:
        is_flow = len(parts) > 1 and parts[1].startswith("flow ")
        line = "; ".join(parts[: 2 if is_flow else 1])
    return escaped(line)


def escaped(text: str) -> str:
    """Nothing but what can be printed: a terminal obeys some of the other characters."""
    return "".join(each if each.isprintable() else repr(each)[1:-1] for each in text)


def _layers(packet: Packet, frame: bytes) -> Iterator[Text]:
    yield from _indented(describe(frame))
    if packet.interface.description:
        yield Text(f"{_INDENT}seen at {escaped(packet.interface.description)}", _DIM)
    for line in packet.comment.splitlines():
        for part in line.split("; "):
            yield Text(f"{_INDENT}{escaped(part)}", _style(part))


def _indented(lines: Iterator[str] | list[str]) -> Iterator[Text]:
    for line in lines:
        yield Text(_INDENT + line)


def _octets(data: bytes) -> Iterator[str]:
    """As text2pcap reads it: the offset, the bytes, and what of them is ASCII."""
    for at in range(0, len(data), OCTETS_PER_LINE):
        row = data[at : at + OCTETS_PER_LINE]
        ascii_ = "".join(chr(octet) if 0x20 <= octet < 0x7F else "." for octet in row)
        yield f"{at:04x}  {row.hex(' '):<{3 * OCTETS_PER_LINE}} {ascii_}"


def _dissection(data: bytes) -> list[str]:
    """What scapy makes of it, which takes a second to import and warns of the host it runs on."""
    logging.getLogger("scapy").setLevel(logging.ERROR)
    from scapy.layers.all import Ether  # loads every layer; one that is not loaded stays bytes
    from scapy.packet import Raw

    layer = Ether if len(data) >= ethernet.HEADER_LENGTH else Raw
    text: str = layer(data).show(dump=True)
    return [escaped(line) for line in text.splitlines()]


def _style(words: str) -> str:
    fate = words.replace(";", " ").split(" ")[0]
    return _FATE_STYLES.get(fate, _DIM)


def _date(when: Nanoseconds | None) -> str:
    if when is None:
        return f"{'-':>26}"
    seconds, rest = divmod(when, SECOND)
    try:
        date = datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return f"{_decimal(when):>26}"
    return f"{date:%Y-%m-%d %H:%M:%S}.{rest // MICROSECOND:06}"


def _decimal(duration: Nanoseconds) -> str:
    seconds, rest = divmod(abs(duration), SECOND)
    sign = "-" if duration < 0 else ""
    return f"{sign}{seconds}.{rest // MICROSECOND:06}"
