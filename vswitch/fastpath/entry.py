"""What is kept for one flow key: a flat record, and the plan that it shares with other flows.

Theory of operation. There may be millions of entries, so one is a single object whose octets hold
all that is the flow's own, as a compiled fast path would have it in a struct: what it has seen, its
two numbers, the generation in which it was made, and what its routine adds to the plan. With the
reference to that plan it takes 144 bytes, where Python objects would take twice as much.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from vswitch.fastpath.routine import Plan, Routine
from vswitch.units import Nanoseconds

SEEN = struct.Struct("=QQQB")
"""Frames, bytes of Ethernet, when the last one came, the TCP flags of all of them."""

RECORD = struct.Struct(SEEN.format + "QQIHHH12s")
"""The same, and flow, tracked connection, generation; the routine's differences and patch."""

_TASK = struct.Struct("=" + RECORD.format.removeprefix(SEEN.format))


@dataclass(frozen=True, slots=True)
class FlowCounters:
    """What one entry has seen. `last_used` is zero where no frame has hit it."""

    frames: int
    bytes: int
    tcp_flags: int
    last_used: Nanoseconds


class Entry(bytearray):
    """One flow: its record, as `RECORD` describes it, and its plan."""

    __slots__ = ("plan",)

    plan: Plan

    def __init__(self, routine: Routine, flow: int, generation: int) -> None:
        super().__init__(RECORD.size)
        self.plan = routine.plan
        _TASK.pack_into(
            self,
            SEEN.size,
            flow,
            routine.tracked,
            generation,
            routine.header,
            routine.finished,
            routine.unfinished,
            routine.patch,
        )

    def inherit(self, other: Entry) -> None:
        """Go on with the counters of an entry of the same flow."""
        self[: SEEN.size] = other[: SEEN.size]

    def counters(self) -> FlowCounters:
        """What it has seen so far."""
        frames, octets, last_used, tcp_flags = SEEN.unpack_from(self)
        return FlowCounters(frames, octets, tcp_flags, last_used)
