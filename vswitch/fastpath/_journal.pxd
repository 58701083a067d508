"""What the loop has to tell Python, in the order in which it happened.

Theory of operation. A note is a fixed head and the octets of a frame behind it. The journal is as
long as it has to be within one batch; what may be written into it is bounded by who writes.
"""

from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

cdef enum note_kind_t:
    MISS  # a frame that nothing is known about
    HIT  # a frame that came in, for who observes
    LEFT  # one that leaves, for who observes
    TO_SEND  # one that fits its device, which has no descriptor
    TO_FIT  # one whose offload header is not in order
    MOVED  # a connection in another state: direction as the port, state as the only octet
    GONE  # a device that answered so when it was sent to
    TROUBLE  # an error of receiving: its number as the flow


cdef struct note_t:
    size_t length
    uint64_t flow
    uint64_t now
    uint16_t port
    uint8_t kind


cdef struct journal_t:
    uint8_t *octets
    size_t used
    size_t room
    bint is_torn  # there was no memory for a note


cdef inline void write_note(
    journal_t *journal,
    note_kind_t kind,
    uint16_t port,
    const uint8_t *frame,
    size_t length,
    uint64_t flow,
    uint64_t now,
) noexcept nogil:
    """Add a note to the end."""
    cdef size_t needed = sizeof(note_t) + (length + 7 & ~<size_t>7)
    cdef size_t room = 2 * (journal.used + needed)
    cdef uint8_t *octets
    cdef note_t *note
    if journal.used + needed > journal.room:
        octets = <uint8_t *>realloc(journal.octets, room)
        if octets == NULL:
            journal.is_torn = True
            return
        journal.octets, journal.room = octets, room
    note = <note_t *>(journal.octets + journal.used)
    note.kind, note.port, note.length, note.flow, note.now = kind, port, length, flow, now
    if length:
        memcpy(journal.octets + journal.used + sizeof(note_t), frame, length)
    journal.used += needed


cdef inline note_t *next_note(const journal_t *journal, size_t *at, uint8_t **octets) noexcept nogil:
    """The note at a place, its octets, and the place of the following one; NULL at the end."""
    cdef note_t *note
    if at[0] >= journal.used:
        return NULL
    note = <note_t *>(journal.octets + at[0])
    octets[0] = journal.octets + at[0] + sizeof(note_t)
    at[0] += sizeof(note_t) + (note.length + 7 & ~<size_t>7)
    return note


cdef inline void discard(journal_t *journal) noexcept nogil:
    """Give the memory back."""
    free(journal.octets)
    memset(journal, 0, sizeof(journal_t))
