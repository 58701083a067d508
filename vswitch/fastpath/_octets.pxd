"""Octets in network order, and their one's-complement sums (RFC 1071): `wire.checksum`, compiled.

Nothing here knows how long a buffer is: who calls has held every length against it.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef extern from "arpa/inet.h" nogil:
    uint16_t ntohs(uint16_t value)


cdef inline uint32_t be16(const uint8_t *at) noexcept nogil:
    return <uint32_t>at[0] << 8 | at[1]


cdef inline uint32_t be32(const uint8_t *at) noexcept nogil:
    return be16(at) << 16 | be16(at + 2)


cdef inline uint32_t le16(const uint8_t *at) noexcept nogil:
    return <uint32_t>at[1] << 8 | at[0]


cdef inline void put_be16(uint8_t *at, uint32_t value) noexcept nogil:
    at[0] = <uint8_t>(value >> 8)
    at[1] = <uint8_t>value


cdef inline void put_be32(uint8_t *at, uint32_t value) noexcept nogil:
    put_be16(at, value >> 16)
    put_be16(at + 2, value)


cdef inline void put_le16(uint8_t *at, uint32_t value) noexcept nogil:
    at[0] = <uint8_t>value
    at[1] = <uint8_t>(value >> 8)


cdef inline uint32_t folded(uint64_t total) noexcept nogil:
    """A sum of words as 0..0xffff, and 0 only where all that was summed is zero."""
    total = <uint32_t>total + (total >> 32)
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return <uint32_t>((total & 0xFFFF) + (total >> 16))


cdef inline uint32_t ones_sum(const uint8_t *at, size_t length) noexcept nogil:
    """The folded sum of big-endian words; an odd last byte is a high byte.

    Words are summed as this machine reads them, several at once, and the sum is turned round (RFC
    1071, 2)."""
    cdef uint64_t total = 0, eight
    cdef uint32_t four
    cdef uint16_t two
    while length >= 8:
        memcpy(&eight, at, 8)
        total += <uint32_t>eight + (eight >> 32)
        at += 8
        length -= 8
    if length >= 4:
        memcpy(&four, at, 4)
        total += four
        at += 4
        length -= 4
    if length >= 2:
        memcpy(&two, at, 2)
        total += two
        at += 2
        length -= 2
    if length:
        two = 0
        memcpy(&two, at, 1)
        total += two
    return ntohs(<uint16_t>folded(total))
