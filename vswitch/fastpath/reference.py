"""The readable fast path: the oracle of the compiled one, and what runs without a compiler.

Theory of operation. `run` takes a batch of frames from one device. A frame whose key is known is
rewritten in the buffer that it was read into and written to the device that its program names: one
read, one dictionary look-up and one write per frame. All other frames are copied and handed back
as misses, in the order in which they came: the pipeline decides about them, and has the fast path
`install` what it has decided.

Entries are dropped one by one (`remove`) or all at once by counting up the generation
(`invalidate`), which makes every older entry a miss and leaves its counters to be read. A flow that
is installed again goes on with the counters that it had. The number of entries is bounded: a full
table forgets those that were installed first, whose next frame is a miss and installs them again.

What frames change of a connection is kept here and noted here: its state and its windows (`track`).
They are the pipeline's too, which notes in them what it sees, and takes what has moved.

It never decides, never allocates a table entry by itself, and knows nothing of the dataplane:
packed keys and flat programs come in, counters go out.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass
from itertools import islice
from typing import ClassVar

from vswitch.devices.base import Device, Sent
from vswitch.fastpath.clamp import clamp_mss
from vswitch.fastpath.entry import RECORD, SEEN, Entry, FlowCounters
from vswitch.fastpath.key import KeyContext, Sender, extract, is_bridged, sender
from vswitch.fastpath.observer import Observer
from vswitch.fastpath.ring import Kind, Ring
from vswitch.fastpath.routine import Plan, Routine, longest_packet
from vswitch.fastpath.soundness import SETTLED, VERIFIED, is_wrong
from vswitch.fastpath.states import State
from vswitch.fastpath.track import WAYS, Move, Track, begin
from vswitch.fastpath.twin import BATCH, CAPACITY, EVICTED_PART, PortCounters
from vswitch.fastpath.window import Window
from vswitch.units import Nanoseconds
from vswitch.wire import ethernet, ipv4, offload, tcp
from vswitch.wire.adapt import adapt
from vswitch.wire.buffer import Buffer, MutableBuffer
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import MacAddress, Protocol

# A frame that has a routed key is untagged, and its IPv4 header has no options.
_IP = ethernet.START + ethernet.HEADER_LENGTH
_TRANSPORT = _IP + ipv4.HEADER_LENGTH
_TCP_FLAGS = _TRANSPORT + tcp.FLAGS
_TCP = int(Protocol.TCP)

_CONTROL = tcp.FIN | tcp.SYN | tcp.RST | tcp.ACK
_SENT = Sent.SENT


@dataclass(slots=True)
class _Port:
    device: Device
    carries: tuple[bool, ...]
    """By the demand of a frame: whether the device takes it as it is."""
    context: KeyContext
    counters: PortCounters


class ReferenceFastPath:
    """Ports, entries and the loop over them. Not thread-safe: one loop owns it."""

    name: ClassVar[str] = "reference"

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._ports: dict[int, _Port] = {}
        self._entries: dict[bytes, Entry] = {}
        self._generation = 0
        self._tracks: dict[int, Track] = {}
        self._moves: list[Move] = []
        self.observer: Observer | None = None
        self.ring: Ring | None = None
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

    def set_gateway(self, number: int, gateway: MacAddress | None) -> None:
        """Let the switch itself have another station on a port's network, or none."""
        self._ports[number].context = KeyContext.of(number, gateway)

    def replace_device(self, number: int, device: Device) -> None:
        """Put another device, usually a wrapper of the same one, behind a port."""
        port = self._ports[number]
        port.device, port.carries = device, offload.carried_by(device.offloads)

    def port_counters(self, number: int) -> PortCounters:
        """What a port has counted so far."""
        return deepcopy(self._ports[number].counters)

    def count_wrong_checksum(self, number: int) -> None:
        """Count, for the port that it came in by, a miss that was found to have one."""
        self._ports[number].counters.wrong_checksums += 1

    def key(self, number: int, frame: Buffer) -> bytes | None:
        """The key under which the program for `frame`, received on a port, can be installed."""
        return extract(self._ports[number].context, frame)

    # Entries

    def install(self, key: bytes, routine: Routine, flow: int) -> None:
        """Keep a routine, and run it for every frame that has `key`; observers are told `flow`."""
        entry = Entry(routine, flow, self._generation)
        known = self._entries.get(key)
        if known is not None:
            entry.inherit(known)
        elif len(self._entries) >= self._capacity:
            self._evict_first_installed()
        self._entries[key] = entry

    def remove(self, key: bytes) -> None:
        """Forget an entry, where there is one."""
        self._entries.pop(key, None)

    def invalidate(self) -> None:
        """Make every entry a miss: something that decisions rested on has changed."""
        self._generation += 1

    def flow_counters(self, key: bytes) -> FlowCounters | None:
        """What the entry under `key` has seen, or None where there is no entry."""
        entry = self._entries.get(key)
        return entry.counters() if entry else None

    def last_used(self, key: bytes) -> Nanoseconds:
        """When a frame last hit the entry under `key`; 0 where none has, or there is no entry."""
        entry = self._entries.get(key)
        return entry.counters().last_used if entry else 0

    def senders(self, since: Nanoseconds) -> set[Sender]:
        """Whose frames have hit an entry after `since`: of many flows of one station it is one."""
        entries = self._entries.items()
        return {sender(key) for key, entry in entries if entry.counters().last_used > since}

    def bridged(self) -> list[tuple[bytes, Nanoseconds]]:
        """The keys of frames that are bridged, with when each was last used, 0 where never."""
        entries = self._entries.items()
        return [(key, entry.counters().last_used) for key, entry in entries if is_bridged(key)]

    def __len__(self) -> int:
        return len(self._entries)

    # Connections

    def track(self, flow: int, state: State) -> None:
        """Follow a connection from `state` on, or have it moved there by who has seen why."""
        track = self._tracks.get(flow)
        if track is None:
            self._tracks[flow] = Track(state)
        else:
            track.state = state

    def untrack(self, flow: int) -> None:
        """Follow a connection no longer, where it is."""
        self._tracks.pop(flow, None)

    def open_window(self, flow: int) -> Window:
        """Follow the sequence numbers of a TCP connection that is tracked, from the beginning."""
        window = self._tracks[flow].window = Window()
        return window

    def begin_window(self, flow: int, syn: Buffer) -> None:
        """The same, with the SYN that begins it noted: a frame that has a routed key."""
        begin(self.open_window(flow), 0, syn)

    def window(self, flow: int) -> Window | None:
        """The window of a connection, or None where its numbers are not followed."""
        track = self._tracks.get(flow)
        return track.window if track else None

    def still(self) -> AbstractContextManager[None]:
        """While it is entered no frame passes: as always, outside of `run`."""
        return nullcontext()

    def take_moves(self) -> list[Move]:
        """What frames have moved along since this was asked last, each move with the one frame."""
        moves, self._moves = self._moves, []
        return moves

    # Frames

    def run(self, number: int, now: Nanoseconds, limit: int = BATCH) -> list[bytearray]:
        """Take up to `limit` frames from a port, finish the hits and return the misses.

        Raises `DeviceGone` where the device has vanished.
        """
        port = self._ports[number]
        context, counters, entries = port.context, port.counters, self._entries
        misses: list[bytearray] = []
        for frame in port.device.receive(limit):
            size = len(frame) - offload.HEADER_LENGTH
            counters.received_frames += 1
            counters.received_bytes += size
            key = extract(context, frame)
            entry = entries.get(key) if key is not None else None
            if entry is None or not self._finish(number, entry, frame, size, now):
                misses.append(bytearray(frame))
        return misses

    def rewrite(self, routine: Routine, frame: MutableBuffer) -> None:
        """Carry out, in place, everything but the sending, on the frame that a routine was made for
        and installed with."""
        routine.run(frame)

    def transmit(self, number: int, frame: MutableBuffer, flow: int, now: Nanoseconds) -> None:
        """Send a frame out of a port, made to fit its device first where it has to be."""
        port = self._ports.get(number)
        if port is None:
            return
        if self.ring is not None:
            self.ring.write(Kind.LEFT, number, frame, flow, now)
        if self.observer is not None:
            self.observer.sent(number, frame, flow, now)
        if port.carries[(frame[offload.FLAGS] & offload.NEEDS_CSUM) << 8 | frame[offload.GSO_TYPE]]:
            self._send(number, port, frame)
            return
        fitting = adapt(frame, port.device.offloads)
        if isinstance(fitting, Malformed):
            lies = port.counters.unsendable
            lies[fitting] = lies.get(fitting, 0) + 1
            return
        for piece in fitting:
            self._send(number, port, piece)

    def record(
        self, port: int, frame: Buffer, flow: int, now: Nanoseconds, fate: int, reason: int
    ) -> int:
        """Write down, in the ring that there is, a frame that was decided about; its place."""
        if self.ring is None:
            raise ValueError("there is no ring")
        return self.ring.write(Kind.DECIDED, port, frame, flow, now, fate, reason)

    def settle(self, number: int, octets: int, answer: Sent) -> None:
        """Count how a frame ended that the port's device had HELD; `octets` are of Ethernet."""
        port = self._ports[number]
        if answer is _SENT:
            port.counters.sent_frames += 1
            port.counters.sent_bytes += octets
        else:
            self._count_lost(number, port, answer)

    def _finish(
        self, number: int, entry: Entry, frame: MutableBuffer, size: int, now: Nanoseconds
    ) -> bool:
        """Do for a frame what its entry says, or answer False and leave everything as it was."""
        plan = entry.plan
        frames, octets, _, flags, flow, tracked, generation, header, whole, partial, patch = (
            RECORD.unpack_from(entry)
        )
        if generation != self._generation:
            return False
        if size > plan.packet_limit and longest_packet(frame) > plan.packet_limit:
            return False
        protocol = plan.protocol
        control = frame[_TCP_FLAGS] if protocol == _TCP else 0
        if plan.direction is not None:
            if not self._note(tracked, plan, frame):
                return False
        elif protocol == _TCP and control & _CONTROL != tcp.ACK:
            return False
        finished = protocol in VERIFIED and not frame[offload.FLAGS] & SETTLED
        if finished and is_wrong(frame, _IP, protocol):
            self._ports[number].counters.wrong_checksums += 1
        SEEN.pack_into(entry, 0, frames + 1, octets + size, now, flags | control)
        if self.ring is not None:
            self.ring.write(Kind.HIT, number, frame, flow, now)
        if self.observer is not None:
            self.observer.hit(number, frame, flow, now)
        if control & tcp.SYN and plan.mss_limit:
            clamp_mss(frame, plan.network, plan.mss_limit)
        plan.rewrite(frame, patch, header, whole, partial)
        for output in plan.outputs:
            self.transmit(output, frame, flow, now)
        return True

    def _note(self, tracked: int, plan: Plan, frame: Buffer) -> bool:
        """Note a frame of a connection that is tracked, if that may be done here."""
        track = self._tracks.get(tracked)
        direction = plan.direction or 0
        if track is None:
            return False
        before = track.state
        if plan.protocol != _TCP:
            track.note(direction)
        elif not track.note_segment(direction, frame):
            return False
        if track.state is not before:
            self._moves.append(Move(tracked, WAYS[direction], track.state))
        return True

    def _evict_first_installed(self) -> None:
        for key in list(islice(self._entries, max(1, self._capacity // EVICTED_PART))):
            del self._entries[key]

    def _send(self, number: int, port: _Port, frame: Buffer) -> None:
        counters = port.counters
        answer = port.device.send(frame)
        if answer is _SENT:
            counters.sent_frames += 1
            counters.sent_bytes += len(frame) - offload.HEADER_LENGTH
        elif answer is not Sent.HELD:
            self._count_lost(number, port, answer)

    def _count_lost(self, number: int, port: _Port, answer: Sent) -> None:
        lost = port.counters.lost
        lost[answer] = lost.get(answer, 0) + 1
        if answer is Sent.GONE:
            self.gone.add(number)
