"""A device at the end of a bad line: frames come late, twice, out of order, broken or not at all.

Theory of operation. `ImpairedDevice` stands in front of another device and has a `Line` for each
direction. A frame enters a line and is lost there, or it is held until it is due. Along the line
come, in this order: loss, corruption, duplication, the rate, the delay.

* The rate is a token bucket that saves nothing up: each frame occupies the line for as long as its
  bits take, and is through with the last of them. `queue` frames may wait there; a frame that finds
  it full is lost (Sent.FULL). Times are kept as exact fractions, so that no frame rounds a rate.
* The delay of a frame is normally distributed, cut off at zero, and never lets it overtake the one
  before: where it draws a shorter delay, it arrives right behind. The one thing that changes the
  order of frames is `reorder`: a frame of that share is not delayed at all.

A device has no clock and no timer. The one who drives it says what time it is (`clock`), calls
`send_due` and `receive` when `next_deadline` comes, and counts how the frames ended that `send`
answered with HELD for. Frames that are due together leave in the order in which they entered.

What happens to a frame on the wire happens to a packet, so a line that does anything carries no
super-frame and no unfinished checksum: what is received is cut before it enters, and of what is
sent the device says that it takes no offloads. A direction without impairment is left as it was.

All chance comes from one seed, the device's name and the direction. It is drawn in whole numbers
from `Random.random`, whose sequence Python guarantees, with no sum or function of floats whose last
bit could be another one elsewhere: the same seed, frames and times give the same on every machine.

The parameters are those of Linux's netem; read tc-netem(8) first. Different from it are that jitter
keeps the order, and that `queue` bounds what waits for the rate and not what is under way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from random import Random

from vswitch.devices.base import Device, RawDescriptor, Sent
from vswitch.impairment import MILLION, Impairment, Impairments
from vswitch.units import MEBIBYTE, SECOND, Nanoseconds
from vswitch.wire.adapt import adapt
from vswitch.wire.buffer import Buffer, MutableBuffer
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import FINISHED, HEADER_LENGTH, Offloads

HELD_BYTES = 64 * MEBIBYTE
"""What a line may hold of all frames together, whatever its delay: half a second at 1 Gbit/s."""

_FRAME_OVERHEAD = 200
"""Bytes that a frame takes in memory besides its own."""

_DRAWS = 12
"""Even draws in a normal one: the variance of their sum is one."""

_EVEN = 1 << 32
"""An even draw is a whole number below this."""

_LONG_AGO = -(1 << 63)


@dataclass(slots=True)
class LineCounters:
    """What a line has done to frames."""

    entered: int = 0
    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    """Those that did overtake another one."""
    corrupted: int = 0
    full: int = 0
    """Lost because too many frames were held already, duplicates included."""


class Line:
    """One direction: frames enter, and leave when they are due."""

    def __init__(self, impairment: Impairment, random: Random) -> None:
        self.impairment = impairment
        self.counters = LineCounters()
        self._random = random.random
        self._held: list[tuple[Nanoseconds, int, bytearray]] = []
        self._held_bytes = 0
        self._tickets = count()
        self._last_due: Nanoseconds = _LONG_AGO
        self._waiting: deque[Nanoseconds] = deque()
        self._occupied_until = _LONG_AGO
        """In nanoseconds times the rate."""

    def __len__(self) -> int:
        """Frames that are held."""
        return len(self._held)

    @property
    def is_idle(self) -> bool:
        """Whether a frame may pass by without entering."""
        return not self._held and self.impairment.is_none

    def next_deadline(self) -> Nanoseconds | None:
        """When the next frame is due, or None where none is held."""
        return self._held[0][0] if self._held else None

    def enter(self, frame: Buffer, now: Nanoseconds) -> Sent:
        """Take a frame in: HELD, FULL, or SENT for one that is lost where nobody sees it."""
        impairment, counters = self.impairment, self.counters
        counters.entered += 1
        if self._happens(impairment.loss):
            counters.lost += 1
            return Sent.SENT
        packet = bytearray(frame)
        if self._happens(impairment.corrupt):
            self._turn_a_bit(packet)
        answer = self._hold(packet, now)
        if self._happens(impairment.duplicate):
            twin = self._hold(bytearray(packet), now)
            counters.duplicated += twin is Sent.HELD
        return answer

    def leave(self, now: Nanoseconds, limit: int | None = None) -> Iterator[bytearray]:
        """The frames that are due, `limit` at most, each gone from the line as it is handed out."""
        held = self._held
        while held and held[0][0] <= now and limit != 0:
            _, _, frame = heappop(held)
            self._held_bytes -= len(frame) + _FRAME_OVERHEAD
            limit = None if limit is None else limit - 1
            yield frame

    def open(self) -> None:
        """Impair nothing any more; what is held is due at once, in the order that it had."""
        self.impairment = Impairment()
        in_order = sorted(self._held, key=lambda held: held[:2])
        self._held = [(_LONG_AGO, next(self._tickets), frame) for _, _, frame in in_order]
        self._last_due = _LONG_AGO

    def _hold(self, frame: bytearray, now: Nanoseconds) -> Sent:
        size = len(frame) + _FRAME_OVERHEAD
        has_room = self._held_bytes + size <= HELD_BYTES
        through = self._through_at(max(0, len(frame) - HEADER_LENGTH), now) if has_room else None
        if through is None:
            self.counters.full += 1
            return Sent.FULL
        heappush(self._held, (self._due(through), next(self._tickets), frame))
        self._held_bytes += size
        return Sent.HELD

    def _through_at(self, octets: int, now: Nanoseconds) -> Nanoseconds | None:
        """When the frame's last bit has passed at the rate; None where the queue is full."""
        rate, waiting = self.impairment.rate, self._waiting
        if not rate:
            return now
        while waiting and waiting[0] <= now:
            waiting.popleft()
        if len(waiting) >= self.impairment.queue:
            return None
        self._occupied_until = max(self._occupied_until, now * rate) + octets * 8 * SECOND
        through = -(-self._occupied_until // rate)
        waiting.append(through)
        return through

    def _due(self, through: Nanoseconds) -> Nanoseconds:
        impairment = self.impairment
        if self._happens(impairment.reorder):
            self.counters.reordered += through < self._last_due
            return through
        delay = impairment.delay
        if impairment.jitter:
            delay += self._normal(impairment.jitter)
        self._last_due = max(self._last_due, through + max(0, delay))
        return self._last_due

    # Chance

    def _happens(self, millionths: int) -> bool:
        return millionths > 0 and int(self._random() * MILLION) < millionths

    def _normal(self, deviation: int) -> int:
        """A draw around zero: the sum of twelve even ones (Irwin and Hall), which ends at six
        deviations."""
        draws = sum(int(self._random() * _EVEN) for _ in range(_DRAWS))
        return (draws - _DRAWS * _EVEN // 2) * deviation // _EVEN

    def _turn_a_bit(self, packet: bytearray) -> None:
        """The offload header goes: it may say that the checksum has been verified."""
        bits = (len(packet) - HEADER_LENGTH) * 8
        if bits <= 0:
            return
        at = int(self._random() * bits)
        packet[HEADER_LENGTH + at // 8] ^= 1 << at % 8
        packet[:HEADER_LENGTH] = FINISHED
        self.counters.corrupted += 1


class ImpairedDevice:
    """Another device behind a bad line."""

    def __init__(
        self, device: Device, impairments: Impairments, clock: Callable[[], Nanoseconds]
    ) -> None:
        self.device = device
        """The device itself."""
        self.impairments = impairments
        self.name = device.name
        self.kind = device.kind
        self.offloads = device.offloads if impairments.outgoing.is_none else Offloads.NONE
        self.incoming = self._line(impairments.incoming, "in")
        self.outgoing = self._line(impairments.outgoing, "out")
        self._clock = clock

    def fileno(self) -> int:
        """The device's own: held frames do not poll, they have deadlines."""
        return self.device.fileno()

    def receive(self, limit: int) -> Iterator[memoryview]:
        """Up to `limit` frames that have come through the line; see `Device.receive`."""
        return self.device.receive(limit) if self.incoming.is_idle else self._come_through(limit)

    def send(self, frame: Buffer) -> Sent:
        """Give `frame` to the line; see `Device.send`.

        HELD where `send_due` will say how it ended, SENT for one that the line has lost.
        """
        if self.outgoing.is_idle:
            return self.device.send(frame)
        return self.outgoing.enter(frame, self._clock())

    def send_due(self, now: Nanoseconds) -> Iterator[tuple[int, Sent]]:
        """Send what is due: of each frame how many bytes of Ethernet it has, and how it ended."""
        for frame in self.outgoing.leave(now):
            yield len(frame) - HEADER_LENGTH, self.device.send(frame)

    def next_deadline(self) -> Nanoseconds | None:
        """When the next frame of either direction is due, or None where none is held."""
        deadlines = (self.incoming.next_deadline(), self.outgoing.next_deadline())
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def raw(self) -> RawDescriptor | None:
        """None: frames have to pass by the line."""
        return None

    def overcome(self, error: OSError) -> bool:
        """The device's own word."""
        return self.device.overcome(error)

    def open(self) -> None:
        """Impair nothing any more; what is held is due at once."""
        self.incoming.open()
        self.outgoing.open()

    def close(self) -> None:
        """Close the device. What is held is lost."""
        self.device.close()

    def _line(self, impairment: Impairment, direction: str) -> Line:
        return Line(impairment, Random(f"{self.impairments.seed} {direction} {self.name}"))

    def _come_through(self, limit: int) -> Iterator[memoryview]:
        """What is due first; the device is asked for no more than there is room for then."""
        now = self._clock()
        for frame in self.incoming.leave(now, limit):
            limit -= 1
            yield memoryview(frame)
        for arrived in self.device.receive(limit):
            for packet in _packets(arrived):
                self.incoming.enter(packet, now)
        for frame in self.incoming.leave(now, limit):
            yield memoryview(frame)


def _packets(frame: MutableBuffer) -> Sequence[Buffer]:
    """What `frame` is on a wire; itself where its header lies, for the switch to judge."""
    if len(frame) < HEADER_LENGTH:
        return (frame,)
    packets = adapt(frame, Offloads.NONE)
    return (frame,) if isinstance(packets, Malformed) else packets
