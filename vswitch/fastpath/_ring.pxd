"""Writing into the ring of the flight recorder, compiled: `ring` has the layout."""

from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from vswitch.fastpath._key cimport IP, START, TCP, TCP_RST
from vswitch.fastpath._octets cimport be16

cdef enum:
    KEPT = START + 128
    RECORD = 8 + 8 + 4 + 4 + 3 + KEPT
    HEAD = 24
    OF_HIT = 0
    OF_DECISION = 1
    OF_LEAVING = 2


cdef struct ring_t:
    uint8_t *octets  # NULL while nothing is recorded
    size_t end


cdef inline uint64_t write_record(
    ring_t *ring,
    uint8_t kind,
    uint32_t port,
    const uint8_t *frame,
    size_t length,
    uint64_t flow,
    uint64_t now,
    uint8_t fate,
    uint8_t reason,
) noexcept nogil:
    """Add a record; its place in what is read. Its numbers are in this machine's order, which is
    that of all machines that this runs on: little-endian."""
    cdef uint64_t head[3]
    cdef uint8_t *at
    cdef uint32_t size = <uint32_t>length
    cdef size_t kept = min(length, <size_t>KEPT)
    cdef uint64_t place
    memcpy(head, ring.octets, HEAD)
    at = ring.octets + head[0]
    place = head[0] - HEAD
    memcpy(at, &now, 8)
    memcpy(at + 8, &flow, 8)
    memcpy(at + 16, &size, 4)
    memcpy(at + 20, &port, 4)
    at[24], at[25], at[26] = kind, fate, reason
    memcpy(at + 27, frame, kept)
    memset(at + 27 + kept, 0, KEPT - kept)
    head[0] += RECORD
    if head[0] == ring.end:
        head[0], head[1] = HEAD, 1
    if kind != OF_LEAVING and _is_reset(frame, length):
        head[2] += 1
    memcpy(ring.octets, head, HEAD)
    return place


cdef inline bint _is_reset(const uint8_t *frame, size_t length) noexcept nogil:
    cdef size_t flags
    if length < IP + 40 or be16(frame + IP - 2) != 0x0800 or frame[IP + 9] != TCP:
        return False
    flags = IP + ((frame[IP] & 0x0F) << 2) + 13
    return flags < length and frame[flags] & TCP_RST != 0
