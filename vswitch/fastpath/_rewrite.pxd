"""What a plan does to a frame, and what has to be known of one before: compiled.

`routine` says what each number means and why it is enough; `soundness` which checksums are looked
at. Whoever calls has seen to it that a frame reaches as far as its plan does (`plan_t.reach`).
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from vswitch.fastpath._key cimport (
    CHECKSUM_START,
    DATA_VALID,
    FLAGS,
    GSO_SIZE,
    GSO_TYPE,
    GSO_UDP_L4,
    IP,
    NEEDS_CSUM,
    START,
    TCP,
    TRANSPORT,
    UDP,
)
from vswitch.fastpath._octets cimport be16, folded, le16, ones_sum, put_be16

cdef enum:
    PATCH = 12
    ONES = 0xFFFF


cdef struct plan_t:
    size_t identity
    size_t packet_limit
    size_t reach
    uint16_t network
    uint16_t apart
    uint16_t transport_checksum
    uint16_t zero
    uint16_t mss_limit
    uint8_t protocol
    uint8_t tracks
    uint8_t direction
    uint8_t has_stations
    uint8_t stations[12]
    uint8_t hops
    uint8_t together
    uint8_t apart_from
    uint8_t apart_length
    uint8_t zero_is_none
    uint32_t outputs_count
    uint16_t *outputs


cdef struct task_t:
    # What one flow has of its own.
    plan_t *plan
    uint16_t header
    uint16_t finished
    uint16_t unfinished
    uint8_t patch[PATCH]


cdef inline bint is_within(const plan_t *plan, const uint8_t *frame, size_t length) noexcept nogil:
    """Whether a plan may be carried out on a frame that nobody has made a key of: all that it
    looks at is within it, and its IPv4 header has no options."""
    if length < max(plan.reach, <size_t>(TRANSPORT + 20)) or frame[IP] != 0x45:
        return False
    return plan.protocol != TCP or length >= TRANSPORT + <size_t>(frame[TRANSPORT + 12] >> 4 << 2)


cdef inline void rewrite(const task_t *task, uint8_t *frame) noexcept nogil:
    """Carry out, in place, everything but the sending."""
    cdef const plan_t *plan = task.plan
    cdef uint8_t *at
    cdef uint32_t field
    if plan.has_stations:
        memcpy(frame + START, plan.stations, 12)
    if plan.network:
        at = frame + plan.network + 8
        at[0] -= plan.hops
        put_be16(at + 2, (be16(at + 2) + ONES - task.header) % ONES)
        memcpy(at + 4, task.patch, plan.together)
    if plan.apart_length:
        memcpy(frame + plan.apart, task.patch + plan.apart_from, plan.apart_length)
    if plan.transport_checksum:
        at = frame + plan.transport_checksum
        field = be16(at)
        if frame[FLAGS] & NEEDS_CSUM:
            field += task.unfinished
            field = (field & ONES) + (field >> 16)
        elif field or not plan.zero_is_none:
            field = (field + ONES - task.finished) % ONES
            if not field:
                field = plan.zero
        put_be16(at, field)


cdef inline size_t longest_packet(const uint8_t *frame, size_t length) noexcept nogil:
    """Octets, from the start of Ethernet, of the longest packet that a frame stands for."""
    cdef size_t start, headers, at
    if frame[GSO_TYPE] == 0:
        return length - START
    if frame[FLAGS] & NEEDS_CSUM:
        start = le16(frame + CHECKSUM_START)
    else:
        start = _transport_start(frame, length)
    headers = start + 8
    if frame[GSO_TYPE] != GSO_UDP_L4:
        at = START + start + 12
        if at >= length:
            return length - START
        headers = start + (frame[at] >> 4 << 2)
    return min(length - START, headers + le16(frame + GSO_SIZE))


cdef inline size_t _transport_start(const uint8_t *frame, size_t length) noexcept nogil:
    cdef size_t payload = IP
    cdef uint32_t ethertype
    if length < IP:
        return length
    ethertype = be16(frame + IP - 2)
    if ethertype == 0x8100:
        payload += 4
        if length < payload:
            return length
        ethertype = be16(frame + payload - 2)
    if payload >= length:
        return length
    return payload + ((frame[payload] & 0x0F) * 4 if ethertype == 0x0800 else 40) - START


cdef inline bint is_looked_at(const uint8_t *frame, uint8_t protocol) noexcept nogil:
    """Whether a checksum of this protocol is finished and nobody has verified it."""
    return (protocol == TCP or protocol == UDP) and not frame[FLAGS] & (NEEDS_CSUM | DATA_VALID)


cdef inline bint is_wrong(const uint8_t *frame, size_t size, uint8_t protocol) noexcept nogil:
    """Whether it is wrong, in a packet without options. It reads nothing behind `size`."""
    cdef uint32_t length
    if frame[GSO_TYPE] or size < TRANSPORT + 8:
        return False
    if protocol == UDP:
        length = be16(frame + TRANSPORT + 4)
        if be16(frame + TRANSPORT + 6) == 0:
            return False
    else:
        length = be16(frame + IP + 2) - 20
    if length > size - TRANSPORT:
        return False
    # The addresses, which the pseudo header has, are right in front of the transport header.
    return folded(
        <uint64_t>ones_sum(frame + IP + 12, 8 + length) + protocol + length
    ) != ONES
