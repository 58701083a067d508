"""From capture files to frames that arrive at ports, in the order of time.

Theory of operation. A capture from the field is not made for a replay. Where going on makes sense
it is gone on, and what was met is counted under a `Remark`: a time stamp that lies before its
predecessor's is taken for the predecessor's, frames that were cut short arrive as they are, and
frames that the file marks as sent by whoever captured them do not arrive at all. What cannot be
meant is a `CaptureError`.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from enum import Enum

from vswitch.debug.cases.recording import Recorded, recorded
from vswitch.debug.files.reading import CaptureError, CaptureReader, Interface, printable
from vswitch.debug.sight import Direction
from vswitch.devices.memory import BUFFER_LENGTH
from vswitch.units import Nanoseconds

PortOf = Callable[[Interface], str | None]
"""The port that an interface of a file stands for, None for none."""


class Remark(Enum):
    """What was met in a capture and gone on with; the value names the packets that are counted."""

    BACKWARDS = "packets with a time stamp before their predecessor's, or before the clock's start"
    CUT_SHORT = "packets cut short by the capture"
    LEAVING = "packets left out: marked as sent, not received, by whoever captured them"


def arrivals(
    reader: CaptureReader,
    port_of: PortOf,
    remarks: Counter[Remark],
    start: Nanoseconds | None = None,
) -> Iterator[Recorded]:
    """The frames of one file that arrive, with times that never run backwards.

    Raises CaptureError.
    """
    latest = start
    for packet in reader:
        port = port_of(packet.interface)
        if port is None:
            words = (
                f'is from interface "{printable(packet.interface.name)}", which stands for no port'
            )
            raise CaptureError(f"{reader.name}: packet {packet.number}: {words}")
        if packet.direction is Direction.SENT:
            remarks[Remark.LEAVING] += 1
            continue
        arrival = recorded(packet, port, reader.name)
        if len(arrival.frame) > BUFFER_LENGTH:
            words = f"has {len(packet.data)} bytes: more than any device takes"
            raise CaptureError(f"{reader.name}: packet {packet.number}: {words}")
        if packet.original_length > len(packet.data):
            remarks[Remark.CUT_SHORT] += 1
        if latest is not None and arrival.when < latest:
            remarks[Remark.BACKWARDS] += 1
            arrival = Recorded(arrival.number, latest, port, arrival.frame, arrival.comment)
        latest = arrival.when
        yield arrival


def merged(sources: Iterable[Iterator[Recorded]]) -> Iterator[Recorded]:
    """The arrivals of several files by time; of equal times the first file's first."""
    return heapq.merge(*sources, key=lambda arrival: arrival.when)
