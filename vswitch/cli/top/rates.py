"""Rates between two moments of a switch: a pure function of two snapshots.

A counter that was not there before, or is less than it was, has begun anew: a port or flow that
came in between, or one that went and came again. All that it counts has happened in between.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from vswitch.cli.top.snapshot import Snapshot
from vswitch.daemon.messages import FlowRow, PortRow
from vswitch.units import SECOND

BITS = 8
"""In a byte."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Per second."""

    frames: float
    bits: float


@dataclass(frozen=True, slots=True)
class PortRate:
    """What passes a port. `lost` and `dropped` are frames per second, for whatever reasons."""

    name: str
    network: str
    received: Rate
    sent: Rate
    lost: float
    dropped: float

    @property
    def bits(self) -> float:
        """In both directions, per second."""
        return self.received.bits + self.sent.bits


@dataclass(frozen=True, slots=True)
class FlowRate:
    """What passes of a flow in both directions; endpoints' addresses are names in its texts."""

    flow: int
    protocol: str
    state: str
    tuple: str
    translation: str
    rate: Rate


@dataclass(frozen=True, slots=True)
class Drop:
    """Frames that came to nothing at a port for one reason.

    The switch decided to drop them, or they were lost by the port's device on their way out.
    """

    port: str
    reason: str
    frames: int
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class Rates:
    """What has passed in so many seconds: ports in their order, flows the busiest first.

    `flows` are those of which something passed, or None where they are too many to look at.
    """

    seconds: float
    ports: tuple[PortRate, ...]
    flows: tuple[FlowRate, ...] | None
    drops: tuple[Drop, ...]


def rates(before: Snapshot, after: Snapshot) -> Rates:
    """What has passed between two moments, of which the second has to be later."""
    seconds = (after.taken_at - before.taken_at) / SECOND
    ports_before = {(row.port, row.name): row for row in before.ports}
    pairs = [(ports_before.get((row.port, row.name)), row) for row in after.ports]
    return Rates(
        seconds=seconds,
        ports=tuple(_port_rate(old, row, seconds) for old, row in pairs),
        flows=_flow_rates(before, after, seconds),
        drops=tuple(drop for old, row in pairs for drop in _drops(old, row)),
    )


def grown(before: int, after: int) -> int:
    """By how much a counter has grown, which may have begun anew."""
    return after if after < before else after - before


def _port_rate(old: PortRow | None, row: PortRow, seconds: float) -> PortRate:
    def rate(frames: Callable[[PortRow], int], octets: Callable[[PortRow], int]) -> Rate:
        return _rate(
            grown(frames(old) if old else 0, frames(row)),
            grown(octets(old) if old else 0, octets(row)),
            seconds,
        )

    return PortRate(
        name=row.name,
        network=row.network,
        received=rate(lambda each: each.received_frames, lambda each: each.received_bytes),
        sent=rate(lambda each: each.sent_frames, lambda each: each.sent_bytes),
        lost=sum(_growth(old.lost if old else {}, row.lost).values()) / seconds,
        dropped=sum(_growth(old.drops if old else {}, row.drops).values()) / seconds,
    )


def _drops(old: PortRow | None, row: PortRow) -> Iterator[Drop]:
    """The most frequent reason of a port first."""
    dropped = _growth(old.drops if old else {}, row.drops)
    lost = _growth(old.lost if old else {}, row.lost)
    drops = [Drop(row.name, *each) for each in dropped.items()]
    drops += [Drop(row.name, *each, is_lost=True) for each in lost.items()]
    yield from sorted(drops, key=lambda drop: (-drop.frames, drop.reason))


def _growth(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """What has grown, and by how much."""
    by = {name: grown(before.get(name, 0), count) for name, count in after.items()}
    return {name: count for name, count in by.items() if count}


def _rate(frames: int, octets: int, seconds: float) -> Rate:
    return Rate(frames / seconds, octets * BITS / seconds)


def _flow_rates(before: Snapshot, after: Snapshot, seconds: float) -> tuple[FlowRate, ...] | None:
    """None where either moment has no list: a flow that is not known from before may be old."""
    if before.flows is None or after.flows is None:
        return None
    old = {row.flow: row for row in before.flows}
    name = _naming(after.names)
    found = [_flow_rate(old.get(row.flow), row, seconds, name) for row in after.flows]
    busy = [each for each in found if each.rate.frames]
    return tuple(sorted(busy, key=lambda each: (-each.rate.bits, -each.rate.frames, each.flow)))


def _flow_rate(
    old: FlowRow | None, row: FlowRow, seconds: float, name: Callable[[str], str]
) -> FlowRate:
    frames = grown(old.frames if old else 0, row.frames)
    octets = grown(old.bytes if old else 0, row.bytes)
    return FlowRate(
        flow=row.flow,
        protocol=row.protocol,
        state=row.state,
        tuple=name(row.original),
        translation=name(row.translation),
        rate=_rate(frames, octets, seconds),
    )


def _naming(names: Mapping[str, str]) -> Callable[[str], str]:
    """What puts names for addresses in a text: whole ones, not their beginnings."""
    if not names:
        return lambda text: text
    alternatives = "|".join(map(re.escape, names))
    pattern = re.compile(rf"(?<![\w.:])(?:{alternatives})(?![\w.])")
    return lambda text: pattern.sub(lambda found: names[found[0]], text)
