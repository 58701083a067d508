"""How rates look: tables for a terminal of whatever size, and plain columns for a pipe.

Ports keep their places while all of them fit, so that an eye can stay on one; where they do not,
the busiest are shown. On a wide terminal a port has a line of its last rates beside it, each
measured by the highest among them. What was dropped stays in view for a while with the time when it
last happened: a drop that is seen for one second only is not seen.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from functools import cache

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from vswitch.cli.top.figures import short, sparkline
from vswitch.cli.top.rates import Drop, FlowRate, PortRate, Rate, Rates
from vswitch.cli.top.snapshot import FLOWS_AT_MOST
from vswitch.daemon.messages import StatusRow
from vswitch.dataplane.drops import DropReason
from vswitch.wire.malformed import Malformed

REMEMBERED = 20
"""Rates of a port in its line."""

DROPS_SHOWN = 6
"""Reasons at ports, the last ones."""

WIDE_ENOUGH = 100
"""Columns of a terminal that has room for all."""

FLOWS_IN_A_PIPE = 20

_LINES_AROUND = 13
"""What the head takes of a terminal's lines, and each of three tables besides its rows."""

_FEWEST_ROWS = 3

_LOST = {
    "full": "the device's queue had no room",
    "down": "the interface is set down",
    "too_big": "larger than the interface's MTU",
}
"""Why a device takes no frame, by the names that are counted (`devices.base.Sent`)."""


class _Look(Enum):
    PLAIN = auto()
    NARROW = auto()
    WIDE = auto()


@dataclass(frozen=True, slots=True)
class _Seen:
    """A drop, when it last happened, and how many frames have come to it in all."""

    drop: Drop
    when: datetime
    total: int


@dataclass(frozen=True, slots=True)
class _Moment:
    status: StatusRow
    rates: Rates


class View:
    """What is shown, and what it remembers from one time to the next."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[float]] = {}
        self._drops: dict[tuple[str, str, bool], _Seen] = {}
        self._moment: _Moment | None = None

    def take(self, status: StatusRow, rates: Rates, when: datetime) -> None:
        """Show this from now on."""
        self._moment = _Moment(status, rates)
        self._lines = {
            port.name: self._lines.get(port.name, deque(maxlen=REMEMBERED)) for port in rates.ports
        }
        for port in rates.ports:
            self._lines[port.name].append(port.bits)
        for drop in rates.drops:
            key = drop.port, drop.reason, drop.is_lost
            before = self._drops.pop(key, None)
            self._drops[key] = _Seen(drop, when, drop.frames + (before.total if before else 0))
        while len(self._drops) > DROPS_SHOWN:
            del self._drops[next(iter(self._drops))]

    def drawn(self, width: int, height: int) -> RenderableType:
        """For a terminal with so many columns and lines."""
        if self._moment is None:
            return Text("measuring", "dim")
        look = _Look.WIDE if width >= WIDE_ENOUGH else _Look.NARROW
        room = max(height - _LINES_AROUND, _FEWEST_ROWS)
        drops = min(len(self._drops), room // 3)
        ports = min(len(self._moment.rates.ports), (room - drops) // 2)
        flows = room - drops - ports
        return Group(*self._parts(self._moment, look, ports, flows, drops))

    def plain(self) -> list[Text | Table]:
        """For a pipe, where there is no end of a screen."""
        if self._moment is None:
            return []
        ports = len(self._moment.rates.ports)
        return self._parts(self._moment, _Look.PLAIN, ports, FLOWS_IN_A_PIPE, len(self._drops))

    def _parts(
        self, moment: _Moment, look: _Look, ports: int, flows: int, drops: int
    ) -> list[Text | Table]:
        """With so many rows of each."""
        parts: list[Text | Table] = [
            _head(moment, look),
            self._ports(shown(moment.rates.ports, ports), look),
            _flows(moment.rates.flows, flows, look),
        ]
        if self._drops:
            last_first = list(reversed(self._drops.values()))
            parts.append(_drops(last_first[:drops], look))
        return parts

    def _ports(self, ports: Sequence[PortRate], look: _Look) -> Table:
        table = _table(look)
        _add_texts(table, look, port=0, network=1)
        _add_numbers(table, "in/s", "in bit/s", "out/s", "out bit/s", "lost/s", "drops/s")
        if look is _Look.WIDE:
            table.add_column("", style="cyan", no_wrap=True)
        for port in ports:
            cells = [
                *(Text(port.name), Text(port.network)),
                *_numbers(port.received),
                *_numbers(port.sent),
                Text(short(port.lost), "bold red" if port.lost else ""),
                Text(short(port.dropped), "yellow" if port.dropped else ""),
            ]
            if look is _Look.WIDE:
                cells.append(Text(sparkline(self._lines[port.name]).rjust(REMEMBERED)))
            table.add_row(*cells)
        return table


def shown(ports: Sequence[PortRate], count: int) -> Sequence[PortRate]:
    """As many ports as fit: all in their order, or the busiest of them, in their order, too."""
    if len(ports) <= count:
        return ports
    busiest = sorted(ports, key=lambda port: -port.bits)[:count]
    names = {port.name for port in busiest}
    return [port for port in ports if port.name in names]


def _head(moment: _Moment, look: _Look) -> Text:
    status = moment.status
    head = Text.assemble(
        (f"vswitch {status.name}", "bold"),
        f"   {status.fastpath}",
        f"   {status.connections} of {status.connections_at_most} connections",
        f"   {status.mappings} mappings",
    )
    if look is not _Look.PLAIN:
        head.append("   q leaves", "dim")
    head.append(f"   over {moment.rates.seconds:.1f} s", "dim")
    head.no_wrap, head.overflow = True, "ellipsis"
    return head


def _flows(flows: Sequence[FlowRate] | None, count: int, look: _Look) -> Table:
    table = _table(look)
    if look is _Look.NARROW:
        _add_texts(table, look, flow=0, protocol=0, who=1)
    else:
        _add_texts(table, look, flow=0, protocol=0, state=0, who=3, translation=2)
    _add_numbers(table, "frames/s", "bit/s")
    if flows is None:
        table.add_row("", "", f"more than {FLOWS_AT_MOST} flows: too many to look at")
        return table
    for each in flows[:count]:
        cells = [str(each.flow), each.protocol, each.state, each.tuple, each.translation or "-"]
        if look is _Look.NARROW:
            cells = [str(each.flow), each.protocol, each.tuple]
        table.add_row(*map(Text, cells), *_numbers(each.rate))
    return table


def _drops(drops: Sequence[_Seen], look: _Look) -> Table:
    table = _table(look)
    _add_texts(table, look, port=0, when=0)
    _add_numbers(table, "frames")
    _add_texts(table, look, dropped=0, because=1)
    for seen in drops:
        drop = seen.drop
        because = _LOST if drop.is_lost else _explanations()
        table.add_row(
            Text(drop.port),
            f"{seen.when:%H:%M:%S}",
            str(seen.total),
            drop.reason,
            Text(because.get(drop.reason, "")),
        )
    return table


def _table(look: _Look) -> Table:
    if look is _Look.PLAIN:
        return Table(box=None, header_style="bold", pad_edge=False)
    return Table(box=box.SIMPLE_HEAD, header_style="bold", expand=True, pad_edge=False)


def _add_texts(table: Table, look: _Look, **shares: int) -> None:
    """Columns by name, each with its share of the room that is left over on a terminal."""
    for name, share in shares.items():
        ratio = share if share and look is not _Look.PLAIN else None
        table.add_column(name, ratio=ratio, no_wrap=True, overflow="ellipsis")


def _add_numbers(table: Table, *names: str) -> None:
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)


def _numbers(rate: Rate) -> tuple[Text, Text]:
    return Text(short(rate.frames)), Text(short(rate.bits))


@cache
def _explanations() -> dict[str, str]:
    """In words, by the names that are counted."""
    return {
        reason.name.lower(): reason.value for kind in (DropReason, Malformed) for reason in kind
    }
