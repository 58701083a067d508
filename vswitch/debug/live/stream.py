"""What one reader of a running switch is sent: the frames it chose, as pcapng, while they pass.

Theory of operation. A `LiveStream` is a sink of the witness. A sight that its `Selection` takes is
packed at once and waits in a queue until somebody takes all that waits and sends it (`take`). The
queue is bounded: while a reader is slower than the switch, frames are not packed but counted, per
port, and the stream ends with these counts (`conclude`). So a reader that sleeps costs memory up to
the bound and no time, and a switch never waits for one.

`SightWriter` is how sights become a capture file, for the stream and for the flight recorder alike:
one interface per port, and a comment with the verdict and, for a connection that is translated,
with its translation.

Nothing here does I/O or reads a clock; `daemon.captures` sends what is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, NamedTuple

from vswitch.dataplane.conntrack import Connection
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.verdict import Fate
from vswitch.debug import sight as seen
from vswitch.debug.choices import WHOLE_FRAMES, Judged, Passing
from vswitch.debug.files.bpf import Filter
from vswitch.debug.sight import Sight
from vswitch.fastpath.states import Direction
from vswitch.units import MEBIBYTE, Nanoseconds
from vswitch.wire import ethernet
from vswitch.wire.offload import HEADER_LENGTH
from vswitch.wire.values import IpAddress, MacAddress

QUEUE = 4 * MEBIBYTE
"""Bytes that wait for a reader: 64 super-frames, or some ten thousand short ones. As much again may
be on its way into the socket."""

_FLOWS_REMEMBERED = 4096
"""Connections whose words are kept, so that they are found once and not for every frame."""

_BLOCK = 1024
"""Bytes that a packed frame may take besides its data, nearly all of them the comment."""

_PASSES = {seen.Direction.RECEIVED: Passing.IN, seen.Direction.SENT: Passing.OUT}
_GOING_ON = frozenset({Fate.FORWARDED, Fate.FLOODED})
_DESTINATION = slice(ethernet.START + ethernet.DESTINATION, ethernet.START + ethernet.SOURCE)
_SOURCE = slice(ethernet.START + ethernet.SOURCE, ethernet.START + ethernet.ETHERTYPE)


class PortLabel(NamedTuple):
    """What a capture calls a port."""

    name: str
    network: str
    description: str


@dataclass(frozen=True, slots=True)
class Member:
    """An endpoint on one of its networks, and by what its frames are known at other ports."""

    port: str
    network: int
    address: IpAddress
    mac: MacAddress


@dataclass(frozen=True, slots=True)
class Selection:
    """Which frames a reader wants: those to which all of it applies."""

    port: str | None = None
    network: str | None = None
    members: tuple[Member, ...] = ()
    """The frames of any of them; none: of everybody."""
    judged: Judged | None = None
    passing: Passing = Passing.BOTH
    filter: Filter | None = None


@dataclass(frozen=True, slots=True)
class FlowNote:
    """What is to be said of a connection, once it was looked up."""

    translation: str
    """Such as `source becomes 198.51.100.2:40000`; empty where nothing is translated."""
    words: str
    """The connection and its translation, for a comment."""
    ends: frozenset[tuple[int, IpAddress]]
    """The two sides' networks and addresses."""


class Flows:
    """Notes on a switch's connections, by number."""

    def __init__(self, switch: Switch) -> None:
        self._connections = switch.tables.connections
        self._notes: dict[int, FlowNote] = {}

    def note(self, number: int) -> FlowNote | None:
        """What is to be said of connection `number`; None where it is over, or 0."""
        note = self._notes.get(number)
        if note is not None or not number:
            return note
        connection = self._connections.numbered(number)
        if connection is None:
            return None
        if len(self._notes) >= _FLOWS_REMEMBERED:
            self._notes.clear()
        note = self._notes[number] = _note(connection)
        return note


class SightWriter:
    """Writes sights into a pcapng section on a binary stream.

    `clock_offset` is what makes the switch's clock count from 1970.
    """

    def __init__(
        self, stream: BinaryIO, flows: Flows, clock_offset: Nanoseconds, snap_length: int
    ) -> None:
        from vswitch.debug.files.pcapng import PcapngWriter  # with all of dpkt, for who captures

        self._writer = PcapngWriter(stream)
        self._flows = flows
        self._clock_offset = clock_offset
        self._snap_length = snap_length
        self._end = HEADER_LENGTH + snap_length

    def add_port(self, label: PortLabel) -> int:
        """Declare a port; the answer is the number that `write` wants for its frames."""
        return self._writer.add_interface(
            label.name, label.description, snap_length=self._snap_length
        )

    def write(self, interface: int, sight: Sight) -> None:
        """Write one sight, cut to the snap length."""
        comment = sight.comment
        note = self._flows.note(sight.flow)
        if note is not None and note.translation:
            comment = f"{comment}; {note.words}"
        self._writer.write(
            interface,
            sight.direction,
            sight.frame[: self._end],
            sight.when + self._clock_offset,
            original_length=sight.original_length,
            comment=comment,
        )

    def write_statistics(
        self, interface: int, when: Nanoseconds, *, received: int, dropped: int
    ) -> None:
        """Say how many frames of a port there were, and how many are missing."""
        self._writer.write_statistics(
            interface, when + self._clock_offset, received=received, dropped=dropped
        )


@dataclass(slots=True)
class _Place:
    """A port as this stream knows it. `interface` is None for one that nobody asked for."""

    interface: int | None
    name: str
    seen: int = 0
    lost: int = 0


class LiveStream:
    """One reader's frames. `on_waiting` is called when something waits and nothing did before.

    `count` ends the stream after so many frames; `is_full` says that it came to that.
    """

    def __init__(
        self,
        switch: Switch,
        selection: Selection,
        clock_offset: Nanoseconds,
        *,
        snap_length: int = WHOLE_FRAMES,
        count: int | None = None,
        on_waiting: Callable[[], None] = lambda: None,
    ) -> None:
        self.frames = 0
        self.lost = 0
        self.snap_length = WHOLE_FRAMES if selection.filter else snap_length
        """What the witness has to give: a filter looks at the whole frame."""
        self._switch = switch
        self._selection = selection
        self._captured = snap_length
        self._count = count
        self._on_waiting = on_waiting
        self._flows = Flows(switch)
        self._waiting = BytesIO()
        self._writer = SightWriter(self._waiting, self._flows, clock_offset, snap_length)
        self._places: dict[int, _Place] = {}
        for number in switch.tables.ports:
            self._meet(number)

    @property
    def is_full(self) -> bool:
        """Whether it has all the frames that were asked for."""
        return self._count is not None and self.frames >= self._count

    def see(self, sight: Sight) -> None:
        """The sink: queue a frame where it is wanted and there is room."""
        place = self._places.get(sight.port) or self._meet(sight.port)
        if place.interface is None or self.is_full or not self._is_wanted(sight, place):
            return
        place.seen += 1
        waiting = self._waiting.tell()
        if waiting + min(len(sight.frame), self._captured) + _BLOCK > QUEUE:
            place.lost += 1
            self.lost += 1
            return
        self._writer.write(place.interface, sight)
        self.frames += 1
        if not waiting or self.is_full:
            self._on_waiting()

    def take(self) -> bytes:
        """All that waits; it waits no more."""
        taken = self._waiting.getvalue()
        self._waiting.seek(0)
        self._waiting.truncate()
        return taken

    def conclude(self, when: Nanoseconds) -> bytes:
        """The end of the stream: what still waits, and each port's counts."""
        for place in self._places.values():
            if place.interface is not None:
                self._writer.write_statistics(
                    place.interface, when, received=place.seen, dropped=place.lost
                )
        return self.take()

    def _meet(self, number: int) -> _Place:
        label = label_of(self._switch, number)
        wanted = self._selection.port in (None, label.name) and self._selection.network in (
            None,
            label.network,
        )
        place = _Place(self._writer.add_port(label) if wanted else None, label.name)
        self._places[number] = place
        return place

    def _is_wanted(self, sight: Sight, place: _Place) -> bool:
        chosen = self._selection
        if chosen.passing not in (Passing.BOTH, _PASSES[sight.direction]):
            return False
        if chosen.judged is not None and not self._is_judged(sight, chosen.judged):
            return False
        if chosen.members and not any(self._is_of(sight, place, each) for each in chosen.members):
            return False
        return chosen.filter is None or chosen.filter.matches(sight.frame, sight.original_length)

    def _is_judged(self, sight: Sight, judged: Judged) -> bool:
        match judged:
            case Judged.DROPPED:
                return sight.reason is not None
            case Judged.FORWARDED:
                return sight.fate in _GOING_ON
            case Judged.NATTED:
                note = self._flows.note(sight.flow)
                return note is not None and note.translation != "" and sight.fate in _GOING_ON

    def _is_of(self, sight: Sight, place: _Place, member: Member) -> bool:
        """Whether a frame is at the endpoint's port, or to or from it at any other."""
        if place.name == member.port:
            return True
        if member.mac in (sight.frame[_DESTINATION], sight.frame[_SOURCE]):
            return True
        note = self._flows.note(sight.flow)
        return note is not None and (member.network, member.address) in note.ends


def label_of(switch: Switch, number: int) -> PortLabel:
    """What to call a port of the switch."""
    port = switch.tables.ports[number]
    network = switch.tables.networks[port.network].name
    kind = switch.fastpath.device(number).kind
    return PortLabel(port.name, network, f"{port.name} on {network} ({kind})")


def _note(connection: Connection) -> FlowNote:
    arriving = connection.arriving(Direction.ORIGINAL)
    leaving = connection.leaving(Direction.ORIGINAL)
    changes = []
    if arriving.sender != leaving.sender:
        changes.append(f"source becomes {leaving.source}:{leaving.source_port}")
    if arriving.receiver != leaving.receiver:
        changes.append(f"destination becomes {leaving.destination}:{leaving.destination_port}")
    translation = ", ".join(changes)
    ends = frozenset(
        (each.network, each.source) for each in (connection.original, connection.reply)
    )
    return FlowNote(translation, f"{connection.original}, {translation}", ends)
