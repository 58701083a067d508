"""What the fast path follows of a connection: its state and, for TCP, its windows.

Theory of operation. Most frames that mean something to a connection mean what the table of
`states` says, so the fast path moves the state along by itself, and tells whoever asks what has
moved. A frame that it must not judge alone is a miss: a SYN that begins or begins anew, a segment
that its receiver would not use, a reset that is not exact (RFC 5961, 3). So a TCP connection is
decided about once, at its first SYN.

Read first: `states`, `window`; RFC 7857, 2.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from vswitch.fastpath.states import Direction, State, after
from vswitch.fastpath.window import Exactness, Fit, Window
from vswitch.wire import ethernet, ipv4, tcp
from vswitch.wire.buffer import Buffer
from vswitch.wire.malformed import Malformed
from vswitch.wire.tcp import Tcp

# A frame that has a routed key is untagged, and its IPv4 header has no options.
_TRANSPORT = ethernet.START + ethernet.HEADER_LENGTH + ipv4.HEADER_LENGTH
_TOTAL_LENGTH = _TRANSPORT - ipv4.HEADER_LENGTH + ipv4.TOTAL_LENGTH
_SEGMENT = struct.Struct(f">H{_TRANSPORT + tcp.SEQUENCE - _TOTAL_LENGTH - 2}xIIBBH")
"""From the total length on: that, sequence, acknowledgment, data offset, flags, window."""

_SEQUENCES = 0xFFFF_FFFF

WAYS = tuple(Direction)
"""The directions, by the numbers that they have in programs."""


class Move(NamedTuple):
    """A connection that a frame has moved along."""

    flow: int
    direction: Direction
    """Of that frame."""
    state: State
    """What it is now."""


class Track:
    """One connection. `window` is None where its sequence numbers are not followed."""

    __slots__ = ("state", "window")

    def __init__(self, state: State) -> None:
        self.state = state
        self.window: Window | None = None

    def note(self, direction: int) -> bool:
        """Note a frame of a protocol without segments: there is none that may not pass."""
        self.state = after(self.state, WAYS[direction], None)
        return True

    def note_segment(self, direction: int, frame: Buffer) -> bool:
        """Note a TCP segment that has a key, or answer False and leave everything as it was."""
        total, sequence, acknowledgment, offset, flags, announced = _SEGMENT.unpack_from(
            frame, _TOTAL_LENGTH
        )
        window, state = self.window, after(self.state, WAYS[direction], flags)
        if flags & tcp.SYN:
            if self.state is not State.OPENING or state is self.state or not flags & tcp.ACK:
                return False
            if window is not None and not begin(window, direction, frame):
                return False
        elif window is None:
            pass
        elif flags & tcp.RST:
            acknowledged = acknowledgment if flags & tcp.ACK else None
            exactness = window.reset_fits(direction, sequence, acknowledged)
            if exactness is not Exactness.EXACT or state is self.state:
                return False
        else:
            length = total - ipv4.HEADER_LENGTH - (offset >> 4 << 2) + (flags & tcp.FIN)
            end = (sequence + length) & _SEQUENCES
            fit = window.accept(direction, sequence, end, acknowledgment, announced)
            if fit is Fit.OUTSIDE:
                return False
        self.state = state
        return True


def begin(window: Window, direction: int, frame: Buffer) -> bool:
    """Note the SYN in a frame that has a routed key, but for one that answers another SYN."""
    end = _TOTAL_LENGTH - ipv4.TOTAL_LENGTH + (frame[_TOTAL_LENGTH] << 8 | frame[_TOTAL_LENGTH + 1])
    segment = Tcp.parse(frame, _TRANSPORT, end)
    if isinstance(segment, Malformed):
        return False
    acknowledgment = segment.acknowledgment if segment.flags & tcp.ACK else None
    if acknowledgment is not None and window.answers(direction, acknowledgment) is Fit.OUTSIDE:
        return False
    window.begin(
        direction,
        segment.sequence,
        segment.next_sequence,
        acknowledgment,
        segment.window,
        segment.window_scale,
    )
    return True
