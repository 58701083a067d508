"""The states of a connection, and what leads from one to another.

Theory of operation. TCP's states are RFC 7857's (2.1, after RFC 6146, 3.5.2), as the table
`TCP_TRANSITIONS`: a NAT has to know who opened, who has finished and whether somebody reset; it
does not need more. All other protocols only know whether there was an answer. Who moves a
connection along is whoever sees its frame: the fast path (`track`) or the pipeline.
"""

from __future__ import annotations

from enum import Enum

from vswitch.wire import tcp


class Direction(Enum):
    """Of a frame within its connection."""

    ORIGINAL = "original"
    REPLY = "reply"

    __hash__ = object.__hash__
    """As good for members, which are one of a kind; Enum's own is Python code that hashes names."""

    @property
    def index(self) -> int:
        """0 for the original one, 1 for that of the replies: what crosses into the fast path."""
        return int(self is Direction.REPLY)

    @property
    def other(self) -> Direction:
        """The other one."""
        return Direction.REPLY if self is Direction.ORIGINAL else Direction.ORIGINAL


class State(Enum):
    """Where a connection is in its life. The first two are those of all protocols but TCP."""

    UNANSWERED = "unanswered"
    ANSWERED = "answered"
    OPENING = "opening"
    """SYN seen from the side that began."""
    ESTABLISHED = "established"
    """SYN seen from both sides."""
    ORIGINAL_CLOSED = "original closed"
    """FIN seen from the side that began: the other may still send."""
    REPLY_CLOSED = "reply closed"
    CLOSING = "closing"
    """FIN seen from both sides."""
    TRANSITORY = "transitory"
    """RST seen: over, unless traffic goes on (RFC 6146, 3.5.2.2)."""

    __hash__ = object.__hash__


class Event(Enum):
    """What a TCP segment means to the state machine."""

    SYN = "SYN"
    FIN = "FIN"
    RST = "RST"
    OTHER = "other"

    __hash__ = object.__hash__

    @classmethod
    def of(cls, flags: int) -> Event:
        """The event of a segment with these flags; contradictory ones are refused before."""
        if flags & tcp.RST:
            return cls.RST
        if flags & tcp.SYN:
            return cls.SYN
        return cls.FIN if flags & tcp.FIN else cls.OTHER


OVER = frozenset({State.CLOSING, State.TRANSITORY})
"""States in which a SYN of the side that began begins the connection anew."""

_ORIGINAL, _REPLY = Direction.ORIGINAL, Direction.REPLY

TCP_TRANSITIONS: dict[tuple[State, Direction, Event], State] = {
    (State.OPENING, _REPLY, Event.SYN): State.ESTABLISHED,
    (State.OPENING, _REPLY, Event.RST): State.TRANSITORY,
    (State.OPENING, _ORIGINAL, Event.RST): State.TRANSITORY,
    (State.ESTABLISHED, _ORIGINAL, Event.FIN): State.ORIGINAL_CLOSED,
    (State.ESTABLISHED, _REPLY, Event.FIN): State.REPLY_CLOSED,
    (State.ESTABLISHED, _ORIGINAL, Event.RST): State.TRANSITORY,
    (State.ESTABLISHED, _REPLY, Event.RST): State.TRANSITORY,
    (State.ORIGINAL_CLOSED, _REPLY, Event.FIN): State.CLOSING,
    (State.ORIGINAL_CLOSED, _ORIGINAL, Event.RST): State.TRANSITORY,
    (State.ORIGINAL_CLOSED, _REPLY, Event.RST): State.TRANSITORY,
    (State.REPLY_CLOSED, _ORIGINAL, Event.FIN): State.CLOSING,
    (State.REPLY_CLOSED, _ORIGINAL, Event.RST): State.TRANSITORY,
    (State.REPLY_CLOSED, _REPLY, Event.RST): State.TRANSITORY,
    (State.CLOSING, _ORIGINAL, Event.SYN): State.OPENING,
    (State.TRANSITORY, _ORIGINAL, Event.SYN): State.OPENING,
    (State.TRANSITORY, _REPLY, Event.SYN): State.ESTABLISHED,
    (State.TRANSITORY, _ORIGINAL, Event.OTHER): State.ESTABLISHED,
    (State.TRANSITORY, _REPLY, Event.OTHER): State.ESTABLISHED,
}
"""Where a segment of a direction leads; what is not listed changes nothing. A SYN after the end
opens the same tuple again, as a client may that meets its own TIME_WAIT port."""


def after(state: State, direction: Direction, tcp_flags: int | None) -> State:
    """The state behind one more frame that counts, a TCP segment with `tcp_flags` or anything
    else."""
    if tcp_flags is None:
        return State.ANSWERED if direction is _REPLY else state
    return TCP_TRANSITIONS.get((state, direction, Event.of(tcp_flags)), state)
