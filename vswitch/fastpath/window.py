"""The windows of a TCP connection: can this segment be part of what its two ends are doing?

Theory of operation. A segment that an end would take begins within the window that this end has
announced, and acknowledges what this end has sent. Who is not on the path can only guess both.
A `Window` follows the sequence space of one connection, seen from between the ends, and says
whether a segment fits. One that does not is not evil (it may be an old duplicate), so nothing is
dropped for it: whoever asks forwards the segment and lets it change nothing.

Of each direction four numbers are known: the end of what was `sent`, the `limit` up to which the
other end has let it send, the `widest` window that it has announced, and the highest number that it
has `acknowledged`. A segment fits if

1. it begins at the limit or before,
2. it ends at most the other end's widest window, and one, before what was sent,
3. it acknowledges at most what the other end has sent,
4. and at least that less twice its own widest window, and one.

Wherever segments are lost, doubled or overtaken, what its receiver would use fits. A limit comes by
here before it comes to the one whom it limits (1). An end ignores what lies before the number that
it has acknowledged last; the limit is at most its widest window behind that, and a window of zero
is probed with one octet more (2). An end can only acknowledge what has come by here (3). Its peer
ignores acknowledgments that are more than the widest window below its oldest octet in flight (RFC
5961, 5.2), and what is in flight is no more than that again (4). Windows count as `GENEROUS` at
least. SACK blocks and the urgent pointer move none of these numbers.

All of it rests on having seen how both directions began. Of a connection that is met in the middle
nobody knows what is in flight, or how windows are scaled: there everything fits and is noted.

What a blind guess achieves: let W be the widest window of the receiver and V that of the sender,
as they count. Rules 1 and 2 leave 2W + 2 + n numbers to a segment of n octets, rules 3 and 4 leave
2V + 2, so it fits with a probability of at most (2W + 2 + n) * (2V + 2) / 2**64. For a bare ACK and
windows that count as `GENEROUS` that is one in a thousand million.

Read first: Guido van Rooij, "Real Stateful TCP Packet Filtering in IP Filter" (2001), and what
Linux made of it (`nf_conntrack_proto_tcp.c`); RFC 9293, 3.4 and 3.10.7; RFC 7323, 2; RFC 5961.
"""

from __future__ import annotations

import struct
from enum import Enum, auto

from vswitch.wire.buffer import MutableBuffer

GENEROUS = 66_000
"""What every window counts as at least, so that keepalives, tiny buffers and reordering among the
first segments are no special cases. Linux's MAXACKWINCONST: a little over an unscaled window."""

WIDEST = (1 << 30) - 1
"""No window is wider, with the greatest scale (RFC 7323, 2.2)."""

GREATEST_SCALE = 14
"""RFC 7323, 2.3. It also stands in for the scale of who was not heard when it was announced."""

_SPACE = 0xFFFF_FFFF
"""Sequence numbers count modulo one more than this."""

_AHEAD = 0x7FFF_FFFF
"""A difference up to this one is an advance, a greater one a step back (RFC 9293, 3.4)."""

# The state: a record per direction, the shifts by which each one's windows count, the scales that
# they have announced, and flags.
_RECORD = struct.Struct("=IIII")
_WORD = struct.Struct("=I")
_LIMIT, _WIDEST, _ACKNOWLEDGED = 4, 8, 12
_SHIFT = 2 * _RECORD.size
_SCALE = _SHIFT + 2
_FLAGS = _SCALE + 2
_HEARD = 1
_BEGUN = 4
_BEGUN_BOTH = 12
_UNSCALED = 16
"""Flags of the original direction: something was sent, its SYN was seen, that had no scale. Those
of the reply are twice as much."""

_FRESH = (
    2 * _RECORD.pack(0, 0, GENEROUS, 0)
    + bytes((GREATEST_SCALE, GREATEST_SCALE, GREATEST_SCALE, GREATEST_SCALE))
    + bytes(1)
)


class Fit(Enum):
    """What a segment is to a connection."""

    WITHIN = auto()
    OUTSIDE = auto()
    """Its receiver would not use it."""


class Exactness(Enum):
    """What a reset is to its receiver (RFC 5961, 3.2)."""

    EXACT = auto()
    """It has the number that the receiver expects: it is obeyed."""
    IN_WINDOW = auto()
    """It is answered with a challenge, and the connection goes on unless an exact one follows."""
    OUTSIDE = auto()
    """It is ignored."""


_WITHIN, _OUTSIDE = Fit.WITHIN, Fit.OUTSIDE


class Window:
    """The sequence space of one connection. Directions are 0 (original) and 1 (reply).

    Sequence and acknowledgment numbers are as in the header (0..2**32 - 1), windows as well, before
    scaling. `end` is the number behind the segment's last octet, where SYN and FIN count as one
    octet each. All that is known is in the octets of `state`, which a compiled fast
    path keeps itself.
    """

    __slots__ = ("state",)

    def __init__(self, state: MutableBuffer | None = None) -> None:
        """Go on with `state`, which the caller keeps, or begin anew."""
        self.state: MutableBuffer = bytearray(_FRESH) if state is None else state

    def begin(
        self,
        direction: int,
        sequence: int,
        end: int,
        acknowledgment: int | None,
        window: int,
        scale: int | None,
    ) -> None:
        """Note a SYN: `acknowledgment` is None without ACK, `scale` None without that option.

        One that is sent again may have less data or fewer options; one with another initial
        sequence number begins its direction anew. Ask `answers` first about one with ACK.
        """
        state, own, peer = self.state, direction << 4, 16 - (direction << 4)
        sent, limit, widest, acknowledged = _RECORD.unpack_from(state, own)
        peer_sent, peer_limit, peer_widest, peer_acknowledged = _RECORD.unpack_from(state, peer)
        again = bool(self._has(_BEGUN, direction)) and (sent - sequence) & _SPACE <= GENEROUS
        self._note_scale(direction, scale, again=again)
        if not again:
            sent, widest = end, GENEROUS
            limit = (end + peer_widest) & _SPACE
            peer_acknowledged = (sequence + 1) & _SPACE
        sent = _later(sent, end)
        widest = max(widest, window)
        if acknowledgment is not None:
            acknowledged = acknowledgment
            if not self._has(_HEARD, 1 - direction):
                peer_sent = peer_limit = acknowledgment
        reach = peer_sent if acknowledgment is None else acknowledgment
        peer_limit = _later(peer_limit, (reach + widest) & _SPACE)
        _RECORD.pack_into(state, own, sent, limit, widest, acknowledged)
        _RECORD.pack_into(state, peer, peer_sent, peer_limit, peer_widest, peer_acknowledged)
        state[_FLAGS] |= (_HEARD | _BEGUN) << direction

    def answers(self, direction: int, acknowledgment: int) -> Fit:
        """Whether a SYN with ACK acknowledges the SYN of the other end, where that was seen."""
        first = self.expects(1 - direction)
        offered = (self.sent(1 - direction) - first) & _SPACE
        if self._has(_BEGUN, 1 - direction) and (acknowledgment - first) & _SPACE > offered:
            return Fit.OUTSIDE
        return Fit.WITHIN

    def judge(
        self, direction: int, sequence: int, end: int, acknowledgment: int, window: int
    ) -> Fit:
        """What `accept` would say. Nothing is noted."""
        copy = Window(bytearray(self.state))
        return copy.accept(direction, sequence, end, acknowledgment, window)

    def accept(
        self, direction: int, sequence: int, end: int, acknowledgment: int, window: int
    ) -> Fit:
        """Judge a segment with ACK and without SYN, and note it where it fits.

        Where the SYN of either direction was not seen, all of it is believed, but for an
        acknowledgment of what the other end has not sent since its SYN.
        """
        state = self.state
        if state[_FLAGS] & _BEGUN_BOTH != _BEGUN_BOTH:
            return self._accept_midway(direction, sequence, end, acknowledgment, window)
        own = direction << 4
        peer = 16 - own
        sent, limit, widest, acknowledged = _RECORD.unpack_from(state, own)
        peer_sent, peer_limit, peer_widest, _ = _RECORD.unpack_from(state, peer)
        if (
            (limit - sequence) & _SPACE > _AHEAD
            or (end - sent + peer_widest + 1) & _SPACE > _AHEAD
            or (peer_sent - acknowledgment) & _SPACE > 2 * widest + 1
        ):
            return _OUTSIDE
        if end != sent and (end - sent) & _SPACE <= _AHEAD:
            _WORD.pack_into(state, own, end)
            excess = (end - limit) & _SPACE
            if 0 < excess <= _AHEAD:
                # What was sent and the limit must not be further apart than rule 2 bears.
                _WORD.pack_into(state, peer + _WIDEST, min(peer_widest + excess, WIDEST))
        if acknowledgment != acknowledged and (acknowledgment - acknowledged) & _SPACE <= _AHEAD:
            _WORD.pack_into(state, own + _ACKNOWLEDGED, acknowledgment)
        window <<= state[_SHIFT + direction]
        if window > widest:
            _WORD.pack_into(state, own + _WIDEST, window)
        reach = (acknowledgment + (window or 1)) & _SPACE
        if reach != peer_limit and (reach - peer_limit) & _SPACE <= _AHEAD:
            _WORD.pack_into(state, peer + _LIMIT, reach)
        return _WITHIN

    def reset_fits(
        self, direction: int, sequence: int, acknowledgment: int | None = None
    ) -> Exactness:
        """What a RST is to its receiver, `acknowledgment` being None where it has no ACK.

        The receiver expects the number that it has acknowledged last or, where it has received
        more than its acknowledgments say, the end of what was sent. Who has sent a SYN and heard
        nothing obeys a reset that acknowledges it (RFC 9293, 3.10.7.3).
        """
        if not self._has(_HEARD, direction):
            if acknowledgment is None or self.answers(direction, acknowledgment) is Fit.OUTSIDE:
                return Exactness.OUTSIDE
            return Exactness.EXACT
        sent, limit, _, _ = _RECORD.unpack_from(self.state, direction << 4)
        expected = self.expects(direction)
        if sequence in (expected, sent):
            return Exactness.EXACT
        if (sequence - expected) & _SPACE < (limit - expected) & _SPACE:
            return Exactness.IN_WINDOW
        return Exactness.OUTSIDE

    def expects(self, direction: int) -> int:
        """The sequence number that the receiver of `direction` expects next, as far as is known.

        A reset sent to it with this number, acknowledging what it has `sent`, is obeyed.
        """
        expected: int = _WORD.unpack_from(self.state, 16 - (direction << 4) + _ACKNOWLEDGED)[0]
        return expected

    def sent(self, direction: int) -> int:
        """The number behind the last octet that was sent in `direction`."""
        end: int = _WORD.unpack_from(self.state, direction << 4)[0]
        return end

    def _has(self, flag: int, direction: int) -> int:
        return self.state[_FLAGS] & flag << direction

    def _note_scale(self, direction: int, scale: int | None, *, again: bool) -> None:
        """Windows are scaled only where both ends have announced a scale (RFC 7323, 2.2)."""
        state = self.state
        known = again and not self._has(_UNSCALED, direction)
        if scale is not None:
            scale, at = min(scale, GREATEST_SCALE), _SCALE + direction
            state[at] = max(scale, state[at]) if known else scale
            state[_FLAGS] &= ~(_UNSCALED << direction)
        elif not known:
            state[_FLAGS] |= _UNSCALED << direction
        unscaled = state[_FLAGS] & (_UNSCALED | _UNSCALED << 1)
        for one in (0, 1):
            state[_SHIFT + one] = 0 if unscaled else state[_SCALE + one]

    def _accept_midway(
        self, direction: int, sequence: int, end: int, acknowledgment: int, window: int
    ) -> Fit:
        """The same where not both ends have been seen to begin."""
        state, own, peer = self.state, direction << 4, 16 - (direction << 4)
        sent, limit, widest, acknowledged = _RECORD.unpack_from(state, own)
        peer_sent, peer_limit, peer_widest, peer_acknowledged = _RECORD.unpack_from(state, peer)
        behind = (peer_sent - acknowledgment) & _SPACE
        if self._has(_BEGUN, 1 - direction) and behind > 2 * widest + 1:
            return Fit.OUTSIDE
        widest = max(min(window << state[_SHIFT + direction], WIDEST), widest)
        if not self._has(_HEARD, direction):
            sent, limit, acknowledged = end, end, acknowledgment
        if not self._has(_HEARD, 1 - direction):
            peer_sent, peer_limit, peer_acknowledged = acknowledgment, acknowledgment, sequence
        sent, limit = _later(sent, end), _later(limit, (end + peer_widest) & _SPACE)
        acknowledged = _later(acknowledged, acknowledgment)
        peer_limit = _later(peer_limit, (acknowledgment + widest) & _SPACE)
        _RECORD.pack_into(state, own, sent, limit, widest, acknowledged)
        _RECORD.pack_into(state, peer, peer_sent, peer_limit, peer_widest, peer_acknowledged)
        state[_FLAGS] |= _HEARD << direction
        return Fit.WITHIN


def _later(one: int, other: int) -> int:
    """The sequence number that comes after the other."""
    return other if (other - one) & _SPACE <= _AHEAD else one
