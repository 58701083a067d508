"""The readable fast path: the oracle of the compiled one, and what runs without a compiler.

Theory of operation. `run` takes a batch of frames from one device. A frame whose key is known is
rewritten in the buffer that it was read into and written to the device that its program names: one
read, one dictionary look-up and one write per frame. All other frames are copied and handed back
as misses, in the order in which they came; the pipeline decides about them and calls `execute`,
which runs a program through the very same code.

Entries are dropped one by one (`remove`) or all at once by counting up the generation
(`invalidate`), which makes every older entry a miss and leaves its counters to be read. A flow that
is installed again goes on with the counters that it had. The number of entries is bounded: a full
table forgets those that were installed first, whose next frame is a miss and installs them again.

It never decides, never allocates a table entry by itself, and knows nothing of the dataplane:
packed keys and flat programs come in, counters go out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from vswitch.devices.base import Device, Sent
from vswitch.fastpath.key import KeyContext, extract
from vswitch.fastpath.observer import Observer
from vswitch.fastpath.program import Program
from vswitch.fastpath.routine import Routine, prepare
from vswitch.units import Nanoseconds
from vswitch.wire import ethernet, ipv4, offload, tcp
from vswitch.wire.adapt import adapt
from vswitch.wire.buffer import Buffer, MutableBuffer
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import MacAddress, Protocol

BATCH = 64
"""Frames taken from a device in one round: enough to spread the loop's cost, few enough that the
other devices wait less than a millisecond."""

CAPACITY = 262_144
"""Entries: room for 128 k connections in both directions, about 200 MiB in this executor."""

_EVICTED_AT_ONCE = CAPACITY // 16
"""Evicting many at once keeps the cost of an eviction out of the cost of a frame."""

_IP = ethernet.START + ethernet.HEADER_LENGTH
_PROTOCOL = _IP + ipv4.PROTOCOL
_TCP_FLAGS = _IP + ipv4.HEADER_LENGTH + tcp.FLAGS
_TCP = int(Protocol.TCP)


@dataclass(slots=True)
class PortCounters:
    """What went through one port, in frames (a super-frame is one) and in bytes of Ethernet."""

    received_frames: int = 0
    received_bytes: int = 0
    sent_frames: int = 0
    sent_bytes: int = 0
    lost: dict[Sent, int] = field(default_factory=dict)
    """Frames that the device did not take, by its answer."""
    unsendable: dict[Malformed, int] = field(default_factory=dict)
    """Frames whose offload header was too wrong to make them fit the device."""


@dataclass(slots=True)
class FlowCounters:
    """What one entry has seen. `last_used` is zero where no frame has hit it."""

    frames: int = 0
    bytes: int = 0
    tcp_flags: int = 0
    last_used: Nanoseconds = 0


@dataclass(slots=True)
class _Entry:
    routine: Routine
    generation: int
    flow: int
    counters: FlowCounters


@dataclass(slots=True)
class _Port:
    device: Device
    carries: tuple[bool, ...]
    """By the demand of a frame: whether the device takes it as it is."""
    context: KeyContext
    counters: PortCounters


class ReferenceFastPath:
    """Ports, entries and the loop over them. Not thread-safe: one loop owns it."""

    name = "reference"

    def __init__(self) -> None:
        self._ports: dict[int, _Port] = {}
        self._entries: dict[bytes, _Entry] = {}
        self._generation = 0
        self.observer: Observer | None = None
        self.gone: set[int] = set()
        """Ports whose device said, when nobody had asked, that it does not exist any more: a frame
        was sent to it, or one that had been held was due."""

    # Ports

    def attach(self, number: int, device: Device, gateway: MacAddress | None) -> None:
        """Let `device` be a port; on its network the switch itself has the station `gateway`."""
        context = KeyContext.of(number, gateway)
        carries = offload.carried_by(device.offloads)
        self._ports[number] = _Port(device, carries, context, PortCounters())

    def detach(self, number: int) -> None:
        """Forget the port, and distrust every entry: some of them send to it."""
        del self._ports[number]
        self.gone.discard(number)
        self.invalidate()

    def device(self, number: int) -> Device:
        """The device of a port."""
        return self._ports[number].device

    def replace_device(self, number: int, device: Device) -> None:
        """Put another device, usually a wrapper of the same one, behind a port."""
        port = self._ports[number]
        port.device, port.carries = device, offload.carried_by(device.offloads)

    def port_counters(self, number: int) -> PortCounters:
        """The live counters of a port."""
        return self._ports[number].counters

    def key(self, number: int, frame: Buffer) -> bytes | None:
        """The key under which the program for `frame`, received on a port, can be installed."""
        return extract(self._ports[number].context, frame)

    # Entries

    def remove(self, key: bytes) -> None:
        """Forget an entry, where there is one."""
        self._entries.pop(key, None)

    def invalidate(self) -> None:
        """Make every entry a miss: something that decisions rested on has changed."""
        self._generation += 1

    def flow_counters(self, key: bytes) -> FlowCounters | None:
        """What the entry under `key` has seen, or None where there is no entry."""
        entry = self._entries.get(key)
        return entry.counters if entry else None

    def __len__(self) -> int:
        return len(self._entries)

    # Frames

    def run(self, number: int, now: Nanoseconds, limit: int = BATCH) -> list[bytearray]:
        """Take up to `limit` frames from a port, finish the hits and return the misses.

        Raises `DeviceGone` where the device has vanished.
        """
        port = self._ports[number]
        context, counters, entries = port.context, port.counters, self._entries
        generation, observer = self._generation, self.observer
        misses: list[bytearray] = []
        for frame in port.device.receive(limit):
            size = len(frame) - offload.HEADER_LENGTH
            counters.received_frames += 1
            counters.received_bytes += size
            key = extract(context, frame)
            entry = entries.get(key) if key is not None else None
            if entry is None or entry.generation != generation or not entry.routine.fits(frame):
                misses.append(bytearray(frame))
                continue
            seen = entry.counters
            seen.frames += 1
            seen.bytes += size
            seen.last_used = now
            if entry.routine.network and frame[_PROTOCOL] == _TCP:
                seen.tcp_flags |= frame[_TCP_FLAGS]
            if observer is not None:
                observer.hit(number, frame, entry.flow, now)
            entry.routine.rewrite(frame)
            for output in entry.routine.outputs:
                self.transmit(output, frame, entry.flow, now)
        return misses

    def execute(
        self, program: Program, frame: MutableBuffer, key: bytes | None = None, flow: int = 0
    ) -> Sequence[int]:
        """Run `program` on one frame, in place; the ports that it has to leave by.

        With a `key`, which is the frame's own, the program is kept and run for every later frame
        that has the same; observers are told its number, `flow`.
        """
        routine = prepare(program, frame)
        if key is not None:
            self._install(key, routine, flow)
        routine.rewrite(frame)
        return routine.outputs

    def transmit(self, number: int, frame: MutableBuffer, flow: int, now: Nanoseconds) -> None:
        """Send a frame out of a port, made to fit its device first where it has to be."""
        port = self._ports.get(number)
        if port is None:
            return
        if self.observer is not None:
            self.observer.sent(number, frame, flow, now)
        if port.carries[offload.demand(frame)]:
            self._send(number, port, frame)
            return
        fitting = adapt(frame, port.device.offloads)
        if isinstance(fitting, Malformed):
            lies = port.counters.unsendable
            lies[fitting] = lies.get(fitting, 0) + 1
            return
        for piece in fitting:
            self._send(number, port, piece)

    def settle(self, number: int, octets: int, answer: Sent) -> None:
        """Count how a frame ended that the port's device had HELD; `octets` are of Ethernet."""
        port = self._ports[number]
        if answer is Sent.SENT:
            port.counters.sent_frames += 1
            port.counters.sent_bytes += octets
        else:
            self._count_lost(number, port, answer)

    def _install(self, key: bytes, routine: Routine, flow: int) -> None:
        known = self._entries.get(key)
        if known is None and len(self._entries) >= CAPACITY:
            self._evict_first_installed()
        counters = known.counters if known else FlowCounters()
        self._entries[key] = _Entry(routine, self._generation, flow, counters)

    def _evict_first_installed(self) -> None:
        for key in list(islice(self._entries, _EVICTED_AT_ONCE)):
            del self._entries[key]

    def _send(self, number: int, port: _Port, frame: Buffer) -> None:
        counters = port.counters
        answer = port.device.send(frame)
        if answer is Sent.SENT:
            counters.sent_frames += 1
            counters.sent_bytes += len(frame) - offload.HEADER_LENGTH
        elif answer is not Sent.HELD:
            self._count_lost(number, port, answer)

    def _count_lost(self, number: int, port: _Port, answer: Sent) -> None:
        lost = port.counters.lost
        lost[answer] = lost.get(answer, 0) + 1
        if answer is Sent.GONE:
            self.gone.add(number)
