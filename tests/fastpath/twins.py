"""Two fast paths side by side: whatever is done to both, both must do the same.

Theory of operation. A *step* is one thing that a switch does to its fast path, as a value: feed
frames, keep a program, take a port away, note a segment in a window. `Twins.do` carries it out on
either *side*, each of which has a fast path and devices of its own, and compares what the step
answered and all that can be seen from outside: the bytes that each device was sent, the counters of
ports and flows, what an observer was told, the entries, the windows. `hold_against` does so with a
story of steps and finds the few of them that matter.

A step that makes no sense where a side has come to (no such port, no key) does nothing, so that
steps can be made by chance, left out and put in any order.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Protocol

from tests.fastpath.twin_devices import Strict, Wired
from vswitch.devices.base import DeviceGone, Sent
from vswitch.fastpath.key import is_bridged
from vswitch.fastpath.program import (
    Action,
    FitMtu,
    Output,
    Program,
    SetStations,
    Track,
)
from vswitch.fastpath.routine import prepare
from vswitch.fastpath.states import State
from vswitch.fastpath.twin import FastPath
from vswitch.fastpath.window import Fit
from vswitch.units import Nanoseconds
from vswitch.wire import tcp
from vswitch.wire.buffer import Buffer
from vswitch.wire.offload import HEADER_LENGTH, Offloads
from vswitch.wire.values import MacAddress

CONNECTIONS = (1, 2, (1 << 64) - 1)
"""The numbers of flows and their windows."""

ENTRIES = 4
"""Capacity, so small that entries are evicted."""

_SEQUENCE = HEADER_LENGTH + 34 + tcp.SEQUENCE
_ON_LINK = (FitMtu, SetStations, Output)
"""What may be done to a frame that is not known to be an IPv4 packet."""


class TwinsDiffer(AssertionError):
    """The same step had different outcomes."""


class Side:
    """A fast path, its devices, and what came of all that was done so far."""

    def __init__(self, kind: type[FastPath]) -> None:
        self.fastpath = kind(ENTRIES)
        self.devices: dict[int, Strict | Wired] = {}
        self.keys: dict[bytes, None] = {}
        self.followed: set[int] = set()
        self.told: list[tuple[object, ...]] = []

    def close(self) -> None:
        """Let every device go."""
        for number in list(self.devices):
            self.let_go(number)

    def let_go(self, number: int) -> None:
        """Let the device of a port go, where there is one."""
        device = self.devices.pop(number, None)
        if isinstance(device, Wired):
            device.give_up()

    # The observer

    def hit(self, port: int, frame: Buffer, flow: int, now: Nanoseconds) -> None:
        self.told.append(("hit", port, bytes(frame), flow, now))

    def sent(self, port: int, frame: Buffer, flow: int, now: Nanoseconds) -> None:
        self.told.append(("sent", port, bytes(frame), flow, now))

    # What can be seen

    def outcome(self) -> dict[str, object]:
        """What has happened since the last call, and how things stand."""
        told, self.told = self.told, []
        fastpath = self.fastpath
        return {
            "told": told,
            "sent": {number: device.take() for number, device in self.devices.items()},
            "ports": {number: self._port(number) for number in self.devices},
            "gone": set(fastpath.gone),
            "entries": len(fastpath),
            "senders": fastpath.senders(0),
            "bridged": sorted(fastpath.bridged()),
            "flows": {key: self._flow(key) for key in self.keys},
            "moves": [
                (move.flow, move.direction.name, move.state.name) for move in fastpath.take_moves()
            ],
            "windows": {number: self._window(number) for number in CONNECTIONS},
        }

    def _port(self, number: int) -> tuple[object, ...]:
        counters = self.fastpath.port_counters(number)
        return (
            (counters.received_frames, counters.received_bytes),
            (counters.sent_frames, counters.sent_bytes),
            dict(counters.lost),
            dict(counters.unsendable),
            counters.wrong_checksums,
        )

    def _flow(self, key: bytes) -> tuple[object, ...] | None:
        counters = self.fastpath.flow_counters(key)
        if counters is None:
            return None
        seen = counters.frames, counters.bytes, counters.tcp_flags, counters.last_used
        return *seen, self.fastpath.last_used(key)

    def _window(self, number: int) -> bytes | None:
        window = self.fastpath.window(number)
        return None if window is None else bytes(window.state)


class Twins:
    """Two fast paths to which the same is done."""

    def __init__(self, first: type[FastPath], second: type[FastPath]) -> None:
        self._sides = Side(first), Side(second)

    def close(self) -> None:
        """Let every device go."""
        for side in self._sides:
            side.close()

    def do(self, step: Step) -> None:
        """Carry out a step on either side. Raises `TwinsDiffer`."""
        answers = [{"answer": step.on(side), **side.outcome()} for side in self._sides]
        _compare(step, *answers)


def _compare(step: Step, first: dict[str, object], second: dict[str, object]) -> None:
    differences = [
        f"  {what}:\n    {_short(first[what])}\n    {_short(second[what])}"
        for what in first
        if first[what] != second[what]
    ]
    if differences:
        raise TwinsDiffer("\n".join([_short(step), *differences]))


def _short(value: object) -> str:
    """Long payloads are of one octet or of all in turn: what has to be seen comes before them."""
    return re.sub(r"((?:\\x..){4})(?:\\x..){40,}", r"\1...", repr(value))


# The smallest story


def hold_against(first: type[FastPath], second: type[FastPath], steps: Sequence[Step]) -> None:
    """Do the same to a new fast path of either kind. Raises `TwinsDiffer` with the fewest of these
    steps that make them differ, or that make one of them raise."""
    if _fails(first, second, steps):
        small = _fewest(steps, lambda some: _fails(first, second, some))
        story = "".join(f"\n    {_short(step)}," for step in small)
        problem = _fails(first, second, small)
        raise TwinsDiffer(f"{type(problem).__name__}: {problem}\nafter [{story}\n]") from problem


def _fails(
    first: type[FastPath], second: type[FastPath], steps: Sequence[Step]
) -> Exception | None:
    with closing(Twins(first, second)) as twins:
        try:
            for step in steps:
                twins.do(step)
        except Exception as problem:
            return problem
    return None


def _fewest(steps: Sequence[Step], fail: Callable[[Sequence[Step]], object]) -> list[Step]:
    """Leave out steps, then frames, as long as what is left still fails."""
    small = list(steps)
    for at in reversed(range(len(small))):
        if fail(shorter := small[:at] + small[at + 1 :]):
            small = shorter
    for at, step in enumerate(small):
        if isinstance(step, Feed):
            for frame in step.frames:
                others = tuple(one for one in small[at].frames if one is not frame)
                shorter = [*small[:at], replace(step, frames=others), *small[at + 1 :]]
                if fail(shorter):
                    small = shorter
    return small


# Steps


class Behind(Enum):
    """What may be behind a port."""

    ROOM = auto()
    NARROW = auto()
    """Its queue is soon full."""
    DESCRIPTOR = auto()
    PLAIN_DESCRIPTOR = auto()
    """One without virtio-net header."""

    def device(self, offloads: Offloads) -> Strict | Wired:
        """A device of that kind, with these offloads where it can have any."""
        if self is Behind.PLAIN_DESCRIPTOR:
            return Wired(Offloads.NONE, vnet_header=False)
        if self is Behind.DESCRIPTOR:
            return Wired(offloads, vnet_header=True)
        return Strict(offloads, 2 if self is Behind.NARROW else 4096)


class Step(Protocol):
    """One thing to do on either side; the answer is compared."""

    def on(self, side: Side) -> object: ...


@dataclass(frozen=True)
class Attach:
    """A port; what is behind it may have a descriptor."""

    port: int
    offloads: Offloads
    gateway: MacAddress | None
    behind: Behind

    def on(self, side: Side) -> None:
        if self.port not in side.devices:
            device = side.devices[self.port] = self.behind.device(self.offloads)
            side.fastpath.attach(self.port, device, self.gateway)


@dataclass(frozen=True)
class Detach:
    port: int

    def on(self, side: Side) -> None:
        if self.port in side.devices:
            side.fastpath.detach(self.port)
            side.let_go(self.port)


@dataclass(frozen=True)
class SetGateway:
    port: int
    gateway: MacAddress | None

    def on(self, side: Side) -> None:
        if self.port in side.devices:
            side.fastpath.set_gateway(self.port, self.gateway)


@dataclass(frozen=True)
class Replace:
    """Another device behind a port, with other offloads."""

    port: int
    offloads: Offloads
    behind: Behind

    def on(self, side: Side) -> None:
        if self.port in side.devices:
            device = self.behind.device(self.offloads)
            side.fastpath.replace_device(self.port, device)
            side.let_go(self.port)
            side.devices[self.port] = device


@dataclass(frozen=True)
class Spoil:
    """Let the next frames that a device is given end so."""

    port: int
    answers: tuple[Sent, ...]

    def on(self, side: Side) -> None:
        device = side.devices.get(self.port)
        if isinstance(device, Strict):
            device.answers.extend(self.answers)


@dataclass(frozen=True)
class Vanish:
    """A device goes away, and its port stays for a while."""

    port: int

    def on(self, side: Side) -> None:
        device = side.devices.get(self.port)
        if isinstance(device, Strict):
            device.vanish()


@dataclass(frozen=True)
class Settle:
    """A device says how a frame ended that it had held."""

    port: int
    octets: int
    answer: Sent

    def on(self, side: Side) -> None:
        if self.port in side.devices:
            side.fastpath.settle(self.port, self.octets, self.answer)


@dataclass(frozen=True)
class Feed:
    """Frames come in; the answer is the misses."""

    port: int
    frames: tuple[bytes, ...]
    now: Nanoseconds
    limit: int

    def on(self, side: Side) -> object:
        device = side.devices.get(self.port)
        if device is None:
            return None
        for frame in self.frames:
            device.feed(frame)
        keys = [side.fastpath.key(self.port, frame) for frame in self.frames]
        try:
            misses = side.fastpath.run(self.port, self.now, self.limit)
        except DeviceGone as gone:
            return str(gone)
        return keys, [bytes(miss) for miss in misses]


@dataclass(frozen=True)
class FeedAtEdge:
    """A TCP segment comes in whose number its window just bears, or with a few numbers more.

    The number is that of its first octet or the one that it acknowledges, ahead of what was sent or
    behind (`sign`). Where the edge is, is what the window itself says.
    """

    port: int
    segment: bytes
    followed: Track
    is_acknowledgment: bool
    sign: int
    beyond: int

    def on(self, side: Side) -> object:
        window = side.fastpath.window(self.followed.flow)
        if window is None:
            return None
        way = self.followed.direction
        sent, heard = window.sent(way), window.sent(1 - way)
        length = len(self.segment) - _SEQUENCE + tcp.SEQUENCE - tcp.HEADER_LENGTH

        def numbers(by: int) -> tuple[int, int]:
            if self.is_acknowledgment:
                return sent, (heard + self.sign * by) % (1 << 32)
            return (sent + self.sign * by) % (1 << 32), heard

        def fits(by: int) -> bool:
            begin, acknowledged = numbers(by)
            end = (begin + length) % (1 << 32)
            return window.judge(way, begin, end, acknowledged, 0).name == Fit.WITHIN.name

        frame = bytearray(self.segment)
        struct.pack_into(">II", frame, _SEQUENCE, *numbers(_farthest(fits) + self.beyond))
        return Feed(self.port, (bytes(frame),), 1, 1).on(side)


def _farthest(fits: Callable[[int], bool]) -> int:
    """The greatest distance that fits, where all that are less do; else one that just fits."""
    low, high = 0, 1 << 31
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


@dataclass(frozen=True)
class Keep:
    """Keep a program for the flow of a frame, carry it out and send what comes of it.

    Where the frame is of no flow nothing is done, and where it need not be an IPv4 packet only what
    is done to any frame.
    """

    port: int
    frame: bytes
    actions: tuple[Action, ...]
    flow: int

    def on(self, side: Side) -> object:
        if self.port not in side.devices:
            return None
        key = side.fastpath.key(self.port, self.frame)
        if key is None:
            return None
        side.keys[key] = None
        frame = bytearray(self.frame)
        program = Program(tuple(one for one in self.actions if _fits(one, key)))
        routine = prepare(program, frame)
        side.fastpath.install(key, routine, self.flow)
        routine.run(frame)
        for output in routine.outputs:
            side.fastpath.transmit(output, frame, self.flow, 1)
        return key


def _fits(action: Action, key: bytes) -> bool:
    return isinstance(action, _ON_LINK) or not is_bridged(key)


@dataclass(frozen=True)
class Transmit:
    """Send any frame."""

    port: int
    frame: bytes
    now: Nanoseconds

    def on(self, side: Side) -> object:
        frame = bytearray(self.frame)
        side.fastpath.transmit(self.port, frame, 0, self.now)
        return bytes(frame)


@dataclass(frozen=True)
class Remove:
    """Forget one of the entries that were kept, counted from the latest."""

    index: int

    def on(self, side: Side) -> None:
        keys = list(side.keys)
        if self.index < len(keys):
            side.fastpath.remove(keys[-1 - self.index])


@dataclass(frozen=True)
class Invalidate:
    def on(self, side: Side) -> None:
        side.fastpath.invalidate()


@dataclass(frozen=True)
class Observe:
    watched: bool

    def on(self, side: Side) -> None:
        side.fastpath.observer = side if self.watched else None


@dataclass(frozen=True)
class Follow:
    """A connection is tracked from now on, or is moved along."""

    connection: int
    state: State

    def on(self, side: Side) -> None:
        side.followed.add(self.connection)
        side.fastpath.track(self.connection, self.state)


@dataclass(frozen=True)
class Unfollow:
    connection: int

    def on(self, side: Side) -> None:
        side.followed.discard(self.connection)
        side.fastpath.untrack(self.connection)


@dataclass(frozen=True)
class OpenWindow:
    connection: int

    def on(self, side: Side) -> None:
        if self.connection in side.followed:
            side.fastpath.open_window(self.connection)


@dataclass(frozen=True)
class Begin:
    """A SYN is noted in a window; the answer is whether it would have been one that answers."""

    connection: int
    direction: int
    sequence: int
    length: int
    acknowledgment: int | None
    announced: int
    scale: int | None

    def on(self, side: Side) -> object:
        window = side.fastpath.window(self.connection)
        if window is None:
            return None
        fit = None
        if self.acknowledgment is not None:
            fit = window.answers(self.direction, self.acknowledgment).name
        end = (self.sequence + 1 + self.length) % (1 << 32)
        window.begin(
            self.direction, self.sequence, end, self.acknowledgment, self.announced, self.scale
        )
        return fit


@dataclass(frozen=True)
class Accept:
    """A segment that was a miss is judged, and noted; so is a reset with its number."""

    connection: int
    direction: int
    sequence: int
    length: int
    acknowledgment: int
    announced: int

    def on(self, side: Side) -> object:
        window = side.fastpath.window(self.connection)
        if window is None:
            return None
        end = (self.sequence + self.length) % (1 << 32)
        exact = window.reset_fits(self.direction, self.sequence, self.acknowledgment)
        bare = window.reset_fits(self.direction, self.sequence)
        fit = window.accept(self.direction, self.sequence, end, self.acknowledgment, self.announced)
        return exact.name, bare.name, fit.name
