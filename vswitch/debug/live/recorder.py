"""The flight recorder: what passed the switch last, kept so that it can be asked for afterwards.

Theory of operation. The recorder is the switch's observer at all times, so what it does for a frame
has to be next to nothing. A frame that comes in and a frame that leaves each become one record of a
fixed size in one ring of bytes: when, where, how long, which connection, what became of it, and the
first bytes of the frame. Nothing is formatted and nothing is allocated that stays; the oldest
record is overwritten. The trail of a decision is kept as the pipeline left it, in a queue of its
own that is as bounded, and is put into words when somebody asks.

`snapshot` copies the ring; `Snapshot.sights` reads the copy while the switch goes on, oldest first,
as the same `Sight`s that a witness would have told. What was sent belongs to what came in before
it, as with a witness; a frame whose beginning is overwritten is told without it.

Whoever else wants to read along does so by `observe`, as with the switch itself.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from vswitch.dataplane.drops import DropReason, Reason
from vswitch.dataplane.observer import Observer
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.verdict import Fate, Finding, Verdict
from vswitch.debug.live.stream import Flows, PortLabel, SightWriter, label_of
from vswitch.debug.sight import Direction, Sight
from vswitch.debug.witness import Cause, Causes
from vswitch.units import KIBIBYTE, Nanoseconds
from vswitch.wire import ethernet, ipv4, tcp
from vswitch.wire.buffer import Buffer
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import HEADER_LENGTH
from vswitch.wire.values import EtherType, Protocol

SNAP_LENGTH = 128
"""Bytes of Ethernet that are kept of a frame: all headers, options among them, and a DNS question
or the line that an HTTP request begins with."""

TRAIL_SHARE = 4
"""One byte in four is for the trails of decisions."""

TRAIL_BYTES = 2 * KIBIBYTE
"""What a trail takes: between four and eight findings of some 250 bytes."""

PORTS_REMEMBERED = 1024
"""Ports whose names are known after they are gone."""

_PIECE = 128
"""Sights that are packed at a time, while the frames that pass have to wait."""

_RECORD = struct.Struct(f"<qQIIBBB{HEADER_LENGTH + SNAP_LENGTH}s")
"""When, connection, original length, port, kind, fate, reason, frame."""

_WHEN = struct.Struct("<q")
_KEPT = HEADER_LENGTH + SNAP_LENGTH
_HIT, _DECIDED, _SENT = range(3)
_pack_into = _RECORD.pack_into
_SIZE = _RECORD.size

_FATES = tuple(Fate)
_REASONS: tuple[Reason | None, ...] = (None, *DropReason, *Malformed)
_FATE_CODES = {fate: code for code, fate in enumerate(_FATES)}
_REASON_CODES = {reason: code for code, reason in enumerate(_REASONS)}

_IP = ethernet.START + ethernet.HEADER_LENGTH
_ETHERTYPE = slice(ethernet.START + ethernet.ETHERTYPE, _IP)
_IPV4 = int(EtherType.IPV4).to_bytes(2, "big")
_SHORTEST_SEGMENT = _IP + ipv4.HEADER_LENGTH + tcp.HEADER_LENGTH


class Recorder:
    """The ring of one switch. Implements `dataplane.observer.Observer`."""

    def __init__(self, switch: Switch, size: int) -> None:
        """`size` is in bytes, and the memory that all of it may come to take."""
        self.resets = 0
        """TCP segments with RST that came in. None of them passes by the fast path."""
        self._switch = switch
        trails = max(1, size // TRAIL_SHARE // TRAIL_BYTES)
        self._trails: deque[tuple[int, tuple[Finding, ...]]] = deque(maxlen=trails)
        self._end = max(1, (size - size // TRAIL_SHARE) // _SIZE) * _SIZE
        self._ring = bytearray(self._end)
        self._at = 0
        self._is_round = False
        self._labels: dict[int, PortLabel] = {}
        switch.observe(self)

    def observe(self, observer: Observer | None) -> None:
        """Let `observer` read along too; None ends that."""
        self._switch.observe(self if observer is None else _Both(self, observer))

    def snapshot(self) -> Snapshot:
        """All that is in the ring now."""
        is_round, at = self._is_round, self._at
        ring = bytes(self._ring) if is_round else bytes(memoryview(self._ring)[:at])
        labels = dict(self._labels)
        labels |= {number: label_of(self._switch, number) for number in self._switch.tables.ports}
        return Snapshot(ring, at if is_round else 0, is_round, dict(self._trails), labels)

    # What the switch calls

    def hit(self, port: int, frame: Buffer, flow: int, now: Nanoseconds) -> None:
        """A frame for which the fast path has a program."""
        at = self._at
        _pack_into(self._ring, at, now, flow, len(frame), port, _HIT, 0, 0, bytes(frame[:_KEPT]))
        at += _SIZE
        self._at = at if at < self._end else self._begin_again()

    def decided(self, port: int, frame: Buffer, verdict: Verdict, now: Nanoseconds) -> None:
        """A frame that the pipeline has decided about."""
        if port not in self._labels:
            self._learn_name(port)
        if _is_reset(frame):
            self.resets += 1
        at = self._at
        self._trails.append((at, verdict.trail))
        _pack_into(
            self._ring,
            at,
            now,
            verdict.connection.number if verdict.connection else 0,
            len(frame),
            port,
            _DECIDED,
            _FATE_CODES[verdict.fate],
            _REASON_CODES[verdict.reason],
            bytes(frame[:_KEPT]),
        )
        at += _SIZE
        self._at = at if at < self._end else self._begin_again()

    def sent(self, port: int, frame: Buffer, flow: int, now: Nanoseconds) -> None:
        """A frame that leaves."""
        at = self._at
        _pack_into(self._ring, at, now, flow, len(frame), port, _SENT, 0, 0, bytes(frame[:_KEPT]))
        at += _SIZE
        self._at = at if at < self._end else self._begin_again()

    def _begin_again(self) -> int:
        self._is_round = True
        return 0

    def _learn_name(self, port: int) -> None:
        """The first frame of a port is always decided about, so every name is heard of here."""
        if len(self._labels) >= PORTS_REMEMBERED:
            del self._labels[next(iter(self._labels))]
        self._labels[port] = label_of(self._switch, port)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the recorder held at one moment."""

    ring: bytes
    oldest: int
    """Where in the ring its first record is."""
    is_round: bool
    """Whether there was more, which is overwritten."""
    trails: dict[int, tuple[Finding, ...]]
    """By place in the ring; of a place that was used again only the last."""
    labels: dict[int, PortLabel]

    def __len__(self) -> int:
        """How many sights there are."""
        return len(self.ring) // _SIZE

    def label(self, port: int) -> PortLabel:
        """What to call a port, which may be gone."""
        known = self.labels.get(port)
        return known or PortLabel(f"port {port}", "", f"port {port}, which is gone")

    def sights(self) -> Iterator[Sight]:
        """All of it, oldest first."""
        causes = self._before_the_oldest()
        for at in (*range(self.oldest, len(self.ring), _SIZE), *range(0, self.oldest, _SIZE)):
            when, number, size, port, kind, fate_code, reason_code, kept = _RECORD.unpack_from(
                self.ring, at
            )
            if kind == _DECIDED:
                words = tuple(str(finding) for finding in self.trails.get(at, ()))
                causes.received(Cause(_FATES[fate_code], number, words), when)
            elif kind == _HIT:
                causes.received(Cause(Fate.FORWARDED, number, ()), when)
            else:
                causes.sent(number, when)
            cause = causes.present
            yield Sight(
                when=when,
                port=port,
                direction=Direction.SENT if kind == _SENT else Direction.RECEIVED,
                frame=kept[:size],
                original_length=size - HEADER_LENGTH,
                flow=cause.flow,
                fate=cause.fate,
                reason=_REASONS[reason_code],
                words=cause.words,
            )

    def _before_the_oldest(self) -> Causes:
        """What the oldest record belongs to if it was sent: nothing, or what is overwritten."""
        if not self.is_round:
            return Causes()
        (when,) = _WHEN.unpack_from(self.ring, self.oldest)
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


class _Both:
    """The recorder and one observer more, told in this order."""

    def __init__(self, recorder: Recorder, other: Observer) -> None:
        self._recorder = recorder
        self._other = other

    def hit(self, port: int, frame: Buffer, flow: int, now: Nanoseconds) -> None:
        self._recorder.hit(port, frame, flow, now)
        self._other.hit(port, frame, flow, now)

    def decided(self, port: int, frame: Buffer, verdict: Verdict, now: Nanoseconds) -> None:
        self._recorder.decided(port, frame, verdict, now)
        self._other.decided(port, frame, verdict, now)

    def sent(self, port: int, frame: Buffer, flow: int, now: Nanoseconds) -> None:
        self._recorder.sent(port, frame, flow, now)
        self._other.sent(port, frame, flow, now)


def _is_reset(frame: Buffer) -> bool:
    """Whether this is an untagged TCP segment with RST."""
    if len(frame) < _SHORTEST_SEGMENT or frame[_ETHERTYPE] != _IPV4:
        return False
    if frame[_IP + ipv4.PROTOCOL] != Protocol.TCP:
        return False
    flags = _IP + ((frame[_IP] & 0x0F) << 2) + tcp.FLAGS
    return flags < len(frame) and bool(frame[flags] & tcp.RST)
