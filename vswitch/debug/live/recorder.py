"""The flight recorder: what passed the switch last, kept so that it can be asked for afterwards.

Theory of operation. The recorder is there at all times, so what is done for a frame has to be next
to nothing. The fast path writes by itself, into a ring that is made here (`fastpath.ring`), one
record of a fixed size for each frame that comes in and for each that leaves: when, where, how long,
which connection, and the first bytes of the frame. What was decided about is written at the
recorder's word, with what became of it. Nothing is formatted and nothing is allocated that stays;
the oldest record is overwritten. The trail of a decision is kept as the pipeline left it, in a
queue of its own that is as bounded, and is put into words when somebody asks.

`snapshot` copies the ring; `Snapshot.sights` reads the copy while the switch goes on, oldest first,
as the same `Sight`s that a witness would have told. What was sent belongs to what came in before
it, as with a witness; a frame whose beginning is overwritten is told without it.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from vswitch.dataplane.drops import DropReason, Reason
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.verdict import Fate, Finding, Verdict
from vswitch.debug.live.stream import Flows, PortLabel, SightWriter, label_of
from vswitch.debug.sight import Direction, Sight
from vswitch.debug.witness import Cause, Causes
from vswitch.fastpath.ring import RECORD, SNAP_LENGTH, Kind, Ring, RingContent
from vswitch.units import KIBIBYTE, Nanoseconds
from vswitch.wire.buffer import Buffer
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import HEADER_LENGTH

TRAIL_SHARE = 4
"""One byte in four is for the trails of decisions."""

TRAIL_BYTES = 2 * KIBIBYTE
"""What a trail takes: between four and eight findings of some 250 bytes."""

PORTS_REMEMBERED = 1024
"""Ports whose names are known after they are gone."""

_PIECE = 128
"""Sights that are packed at a time, while the frames that pass have to wait."""

_WHEN = struct.Struct("<q")
"""What a record begins with."""

_FATES = tuple(Fate)
_REASONS: tuple[Reason | None, ...] = (None, *DropReason, *Malformed)
_FATE_CODES = {fate: code for code, fate in enumerate(_FATES)}
_REASON_CODES = {reason: code for code, reason in enumerate(_REASONS)}


class Recorder:
    """The ring of one switch, with the trails of what was decided. `size` is in bytes, and the
    memory that all of it may come to take."""

    def __init__(self, switch: Switch, size: int) -> None:
        self._switch = switch
        trails = max(1, size // TRAIL_SHARE // TRAIL_BYTES)
        self._trails: deque[tuple[int, tuple[Finding, ...]]] = deque(maxlen=trails)
        self._ring = Ring(size - size // TRAIL_SHARE)
        self._labels: dict[int, PortLabel] = {}
        switch.record(self, self._ring)

    @property
    def resets(self) -> int:
        """TCP segments with RST that came in."""
        return self._ring.resets

    def snapshot(self) -> Snapshot:
        """All that is in the ring now."""
        labels = dict(self._labels)
        labels |= {number: label_of(self._switch, number) for number in self._switch.tables.ports}
        return Snapshot(self._ring.read(), dict(self._trails), labels)

    def decided(self, port: int, frame: Buffer, verdict: Verdict, now: Nanoseconds) -> None:
        """A frame that the pipeline has decided about: the switch tells."""
        if port not in self._labels:
            self._learn_name(port)
        flow = verdict.connection.number if verdict.connection else 0
        fate, reason = _FATE_CODES[verdict.fate], _REASON_CODES[verdict.reason]
        place = self._switch.fastpath.record(port, frame, flow, now, fate, reason)
        self._trails.append((place, verdict.trail))

    def _learn_name(self, port: int) -> None:
        """The first frame of a port is always decided about, so every name is heard of here."""
        if len(self._labels) >= PORTS_REMEMBERED:
            del self._labels[next(iter(self._labels))]
        self._labels[port] = label_of(self._switch, port)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the recorder held at one moment."""

    ring: RingContent
    trails: dict[int, tuple[Finding, ...]]
    """By place in the ring; of a place that was used again only the last."""
    labels: dict[int, PortLabel]

    def __len__(self) -> int:
        """How many sights there are."""
        return len(self.ring.records) // RECORD.size

    def label(self, port: int) -> PortLabel:
        """What to call a port, which may be gone."""
        known = self.labels.get(port)
        return known or PortLabel(f"port {port}", "", f"port {port}, which is gone")

    def sights(self) -> Iterator[Sight]:
        """All of it, oldest first."""
        causes, (records, oldest, _) = self._before_the_oldest(), self.ring
        places = *range(oldest, len(records), RECORD.size), *range(0, oldest, RECORD.size)
        for at in places:
            when, number, size, port, kind, fate_code, reason_code, kept = RECORD.unpack_from(
                records, at
            )
            if kind == Kind.DECIDED:
                words = tuple(str(finding) for finding in self.trails.get(at, ()))
                causes.received(Cause(_FATES[fate_code], number, words), when)
            elif kind == Kind.HIT:
                causes.received(Cause(Fate.FORWARDED, number, ()), when)
            else:
                causes.sent(number, when)
            cause = causes.present
            yield Sight(
                when=when,
                port=port,
                direction=Direction.SENT if kind == Kind.LEFT else Direction.RECEIVED,
                frame=kept[:size],
                original_length=size - HEADER_LENGTH,
                flow=cause.flow,
                fate=cause.fate,
                reason=_REASONS[reason_code],
                words=cause.words,
            )

    def _before_the_oldest(self) -> Causes:
        """What the oldest record belongs to if it was sent: nothing, or what is overwritten."""
        if not self.ring.is_round:
            return Causes()
        (when,) = _WHEN.unpack_from(self.ring.records, self.ring.oldest)
        return Causes(Cause(Fate.FORWARDED, 0, ()), when)


def pcapng_of(snapshot: Snapshot, flows: Flows, clock_offset: Nanoseconds) -> Iterator[bytes]:
    """A snapshot as a pcapng file, in pieces that take a millisecond each.

    `clock_offset` is what makes the switch's clock count from 1970.
    """
    stream = BytesIO()
    writer = SightWriter(stream, flows, clock_offset, SNAP_LENGTH)
    interfaces: dict[int, int] = {}
    for count, sight in enumerate(snapshot.sights(), 1):
        interface = interfaces.get(sight.port)
        if interface is None:
            interface = interfaces[sight.port] = writer.add_port(snapshot.label(sight.port))
        writer.write(interface, sight)
        if count % _PIECE == 0:
            yield stream.getvalue()
            stream.seek(0)
            stream.truncate()
    yield stream.getvalue()
