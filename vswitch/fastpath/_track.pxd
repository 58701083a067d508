"""What is followed of a connection, compiled: see `track` for what may be noted, and `states`.

States and events are numbered in the order in which `states` has them.
"""

from libc.stdint cimport uint8_t, uint32_t

from vswitch.fastpath._key cimport (
    FLAGS,
    IP,
    NEEDS_CSUM,
    TCP_ACK,
    TCP_FIN,
    TCP_RST,
    TCP_SYN,
    TRANSPORT,
)
from vswitch.fastpath._octets cimport be16, be32, ones_sum, put_be16
from vswitch.fastpath._window cimport accept, answers, begin, is_exact_reset, window_t

cdef enum:
    STATES = 8
    EVENTS = 4
    ON_SYN = 0
    ON_FIN = 1
    ON_RST = 2
    ON_OTHER = 3
    MAXIMUM_SEGMENT_SIZE = 2
    WINDOW_SCALE = 3


cdef struct machine_t:
    # `states.TCP_TRANSITIONS` by state, direction and event.
    uint8_t after[STATES][2][EVENTS]
    uint8_t opening
    uint8_t answered


cdef inline bint note_segment(
    const machine_t *machine,
    window_t *window,
    uint8_t *state,
    int direction,
    const uint8_t *frame,
    size_t length,
) noexcept nogil:
    """Note a TCP segment, or answer False and leave everything as it was.

    `window` is NULL where the sequence numbers of the connection are not followed.
    """
    cdef const uint8_t *segment = frame + TRANSPORT
    cdef uint8_t flags, moved
    cdef uint32_t header, octets, sequence, acknowledgment
    if length < TRANSPORT + 20:
        return False
    flags = segment[13]
    header = segment[12] >> 4 << 2
    sequence, acknowledgment = be32(segment + 4), be32(segment + 8)
    octets = be16(frame + IP + 2) - 20 - header + (flags & TCP_FIN)
    moved = machine.after[state[0]][direction][_event(flags)]
    if flags & TCP_SYN:
        if state[0] != machine.opening or moved == state[0] or not flags & TCP_ACK:
            return False
        if window != NULL:
            if not answers(window, direction, acknowledgment):
                return False
            begin_with(window, direction, frame)
    elif window == NULL:
        pass
    elif flags & TCP_RST:
        if moved == state[0]:
            return False
        if not is_exact_reset(window, direction, sequence, acknowledgment, flags & TCP_ACK != 0):
            return False
    elif not accept(
        window, direction, sequence, sequence + octets, acknowledgment, be16(segment + 14)
    ):
        return False
    state[0] = moved
    return True


cdef inline void begin_with(window_t *window, int direction, const uint8_t *frame) noexcept nogil:
    """Note the SYN in a frame that has a routed key."""
    cdef const uint8_t *segment = frame + TRANSPORT
    cdef uint32_t header = segment[12] >> 4 << 2, sequence = be32(segment + 4)
    cdef uint32_t octets = be16(frame + IP + 2) - 20 - header + (segment[13] & TCP_FIN)
    begin(
        window,
        direction,
        sequence,
        sequence + octets + 1,
        segment[13] & TCP_ACK != 0,
        be32(segment + 8),
        be16(segment + 14),
        _scale(segment, header),
    )


cdef inline int _event(uint8_t flags) noexcept nogil:
    if flags & TCP_RST:
        return ON_RST
    if flags & TCP_SYN:
        return ON_SYN
    return ON_FIN if flags & TCP_FIN else ON_OTHER


cdef inline uint32_t next_option(
    const uint8_t *segment, uint32_t end, uint32_t *at
) noexcept nogil:
    """Where the next option is that has data, and `at` behind it; 0 where there is none.

    The end is the header's, and the segment reaches as far."""
    cdef uint32_t found, length
    while at[0] < end and segment[at[0]] != 0:
        if segment[at[0]] == 1:
            at[0] += 1
            continue
        found = at[0]
        length = segment[found + 1] if found + 1 < end else 0
        if length < 2 or length > end - found:
            return 0
        at[0] += length
        return found
    return 0


cdef inline int _scale(const uint8_t *segment, uint32_t header) noexcept nogil:
    """The shift that a SYN announces, -1 where it announces none."""
    cdef uint32_t at = 20, option = next_option(segment, header, &at)
    while option:
        if segment[option] == WINDOW_SCALE and segment[option + 1] == 3:
            return segment[option + 2]
        option = next_option(segment, header, &at)
    return -1


cdef inline void clamp_mss(uint8_t *frame, size_t length, uint32_t limit) noexcept nogil:
    """Lower the MSS option of a SYN, behind an IPv4 header without options: `clamp`, compiled."""
    cdef uint8_t *segment = frame + TRANSPORT
    cdef uint32_t header = segment[12] >> 4 << 2, at = 20, option, start, octets
    cdef uint32_t before, difference, field
    option = next_option(segment, header, &at)
    while option:
        if (
            segment[option] == MAXIMUM_SEGMENT_SIZE
            and segment[option + 1] == 4
            and be16(segment + option + 2) > limit
        ):
            # Sums are over words that begin at an even distance; an option may begin at an odd one.
            start = (option + 2) & ~<uint32_t>1
            octets = <uint32_t>min(<size_t>4, length - TRANSPORT - start)
            before = ones_sum(segment + start, octets)
            put_be16(segment + option + 2, limit)
            if not frame[FLAGS] & NEEDS_CSUM:
                difference = ones_sum(segment + start, octets) + 0xFFFF - before
                difference = (difference & 0xFFFF) + (difference >> 16)
                field = 0xFFFF - be16(segment + 16) + difference
                put_be16(segment + 16, 0xFFFF - ((field & 0xFFFF) + (field >> 16)))
        option = next_option(segment, header, &at)
