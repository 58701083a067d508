"""Segments against the window of their connection, compiled: see `window` for the rules.

The record is the one of `window.Window`, octet for octet, so that either can go on with it.
"""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

cdef enum:
    WINDOW_BYTES = 37
    WIDEST = 0x3FFFFFFF
    AHEAD = 0x7FFFFFFF
    HEARD = 1
    BEGUN = 4
    BEGUN_BOTH = 12
    UNSCALED = 16
    GENEROUS = 66000
    GREATEST_SCALE = 14


cdef struct way_t:
    uint32_t sent
    uint32_t limit
    uint32_t widest
    uint32_t acknowledged


cdef struct window_t:
    way_t ways[2]
    uint8_t shift[2]
    uint8_t scale[2]
    uint8_t flags


cdef inline bint accept(
    window_t *window,
    int direction,
    uint32_t sequence,
    uint32_t end,
    uint32_t acknowledgment,
    uint32_t announced,
) noexcept nogil:
    """Judge a segment with ACK and without SYN, and note it where it fits."""
    cdef way_t *own = &window.ways[direction]
    cdef way_t *peer = &window.ways[1 - direction]
    cdef uint32_t excess, reach
    if window.flags & BEGUN_BOTH != BEGUN_BOTH:
        return _accept_midway(window, direction, sequence, end, acknowledgment, announced)
    if (
        own.limit - sequence > <uint32_t>AHEAD
        or end - own.sent + peer.widest + 1 > <uint32_t>AHEAD
        or peer.sent - acknowledgment > 2 * own.widest + 1
    ):
        return False
    if end != own.sent and end - own.sent <= <uint32_t>AHEAD:
        own.sent = end
        excess = end - own.limit
        if 0 < excess <= <uint32_t>AHEAD:
            peer.widest = <uint32_t>min(<uint64_t>peer.widest + excess, <uint64_t>WIDEST)
    if acknowledgment - own.acknowledged <= <uint32_t>AHEAD:
        own.acknowledged = acknowledgment
    announced <<= window.shift[direction]
    if announced > own.widest:
        own.widest = announced
    reach = acknowledgment + (announced if announced else 1)
    if reach - peer.limit <= <uint32_t>AHEAD:
        peer.limit = reach
    return True


cdef inline uint32_t _later(uint32_t one, uint32_t other) noexcept nogil:
    return other if other - one <= <uint32_t>AHEAD else one


cdef inline bint _accept_midway(
    window_t *window,
    int direction,
    uint32_t sequence,
    uint32_t end,
    uint32_t acknowledgment,
    uint32_t announced,
) noexcept nogil:
    """The same where not both ends have been seen to begin."""
    cdef way_t *own = &window.ways[direction]
    cdef way_t *peer = &window.ways[1 - direction]
    cdef bint peer_begun = window.flags & BEGUN << (1 - direction) != 0
    if peer_begun and peer.sent - acknowledgment > 2 * own.widest + 1:
        return False
    own.widest = max(min(announced << window.shift[direction], <uint32_t>WIDEST), own.widest)
    if not window.flags & HEARD << direction:
        own.sent = own.limit = end
        own.acknowledged = acknowledgment
    if not window.flags & HEARD << (1 - direction):
        peer.sent = peer.limit = acknowledgment
        peer.acknowledged = sequence
    own.sent = _later(own.sent, end)
    own.limit = _later(own.limit, end + peer.widest)
    own.acknowledged = _later(own.acknowledged, acknowledgment)
    peer.limit = _later(peer.limit, acknowledgment + own.widest)
    window.flags |= HEARD << direction
    return True


cdef inline bint answers(
    const window_t *window, int direction, uint32_t acknowledgment
) noexcept nogil:
    """Whether a SYN with ACK acknowledges the SYN of the other end, where that was seen."""
    cdef uint32_t first = window.ways[direction].acknowledged
    cdef uint32_t offered = window.ways[1 - direction].sent - first
    cdef bint peer_begun = window.flags & BEGUN << (1 - direction) != 0
    return not (peer_begun and acknowledgment - first > offered)


cdef inline void begin(
    window_t *window,
    int direction,
    uint32_t sequence,
    uint32_t end,
    bint acknowledges,
    uint32_t acknowledgment,
    uint32_t announced,
    int scale,
) noexcept nogil:
    """Note a SYN, with or without ACK; `scale` is -1 where it has no such option."""
    cdef way_t *own = &window.ways[direction]
    cdef way_t *peer = &window.ways[1 - direction]
    cdef bint again = (
        window.flags & BEGUN << direction != 0 and own.sent - sequence <= <uint32_t>GENEROUS
    )
    _note_scale(window, direction, scale, again)
    if not again:
        own.sent = end
        own.widest = GENEROUS
        own.limit = end + peer.widest
        peer.acknowledged = sequence + 1
    own.sent = _later(own.sent, end)
    own.widest = max(own.widest, announced)
    if acknowledges:
        own.acknowledged = acknowledgment
        if not window.flags & HEARD << (1 - direction):
            peer.sent = peer.limit = acknowledgment
    else:
        acknowledgment = peer.sent
    peer.limit = _later(peer.limit, acknowledgment + own.widest)
    window.flags |= (HEARD | BEGUN) << direction


cdef inline void _note_scale(
    window_t *window, int direction, int scale, bint again
) noexcept nogil:
    """Windows are scaled only where both ends have announced a scale (RFC 7323, 2.2)."""
    cdef bint known = again and not window.flags & UNSCALED << direction
    cdef bint unscaled
    if scale >= 0:
        scale = min(scale, <int>GREATEST_SCALE)
        if known:
            scale = max(scale, <int>window.scale[direction])
        window.scale[direction] = <uint8_t>scale
        window.flags &= ~(UNSCALED << direction)
    elif not known:
        window.flags |= UNSCALED << direction
    unscaled = window.flags & (UNSCALED | UNSCALED << 1) != 0
    window.shift[0] = 0 if unscaled else window.scale[0]
    window.shift[1] = 0 if unscaled else window.scale[1]


cdef inline bint is_exact_reset(
    const window_t *window,
    int direction,
    uint32_t sequence,
    uint32_t acknowledgment,
    bint acknowledges,
) noexcept nogil:
    """Whether a RST is one that its receiver obeys."""
    if not window.flags & HEARD << direction:
        return acknowledges and answers(window, direction, acknowledgment)
    return sequence in (window.ways[1 - direction].acknowledged, window.ways[direction].sent)
