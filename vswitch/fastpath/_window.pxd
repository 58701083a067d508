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
