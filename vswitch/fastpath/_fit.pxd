"""Making a frame fit a device: checksums finished and super-frames cut, compiled.

Theory of operation. `wire.segment` and `wire.offload` say what is to be done. Here it is done for
frames that are in order in every respect; whatever is not is left to them, who know what to call
it. What a cut has in common for all pieces is found once, and each piece is made in one buffer.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from vswitch.fastpath._key cimport (
    CHECKSUM_OFFSET,
    CHECKSUM_START,
    FLAGS,
    GSO_ECN,
    GSO_SIZE,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_TYPE,
    GSO_UDP_L4,
    IP,
    NEEDS_CSUM,
    START,
    TCP,
    UDP,
)
from vswitch.fastpath._octets cimport be16, be32, folded, le16, ones_sum, put_be16, put_be32

cdef enum:
    LONGEST_PIECE = 1 << 17
    SMALLEST_TCP_SEGMENT = 8
    MOST_DATAGRAMS = 128
    ONLY_ON_FIRST = 0x80  # CWR
    ONLY_ON_LAST = 0x09  # FIN and PSH


cdef struct cut_t:
    # Places count from the start of the buffer.
    size_t network
    size_t transport
    size_t payload
    size_t end
    size_t size
    size_t field
    uint32_t addresses
    uint8_t protocol
    bint is_ipv4


cdef inline bint complete(uint8_t *frame, size_t length) noexcept nogil:
    """Finish an unfinished checksum in place; False, and nothing done, where its place is a lie."""
    cdef size_t start = START + le16(frame + CHECKSUM_START)
    cdef size_t offset = le16(frame + CHECKSUM_OFFSET)
    cdef uint32_t value
    if frame[GSO_TYPE] or start + offset + 2 > length:
        return False
    value = 0xFFFF - ones_sum(frame + start, length - start)
    if value == 0 and offset == 6:
        value = 0xFFFF
    put_be16(frame + start + offset, value)
    memset(frame, 0, START)
    return True


cdef inline bint measure(const uint8_t *frame, size_t length, cut_t *cut) noexcept nogil:
    """Where a super-frame is to be cut; False where it is not in order."""
    cdef uint32_t ethertype, gso_type = frame[GSO_TYPE] & ~GSO_ECN
    cdef size_t header
    cut.network = IP
    if length < IP + 4:
        return False
    ethertype = be16(frame + IP - 2)
    if ethertype == 0x8100:
        cut.network += 4
        ethertype = be16(frame + IP + 2)
    cut.is_ipv4 = ethertype == 0x0800
    if not _measure_packet(frame, length, ethertype, cut):
        return False
    cut.size = le16(frame + GSO_SIZE)
    if cut.protocol == TCP:
        if gso_type != <uint32_t>(GSO_TCPV4 if cut.is_ipv4 else GSO_TCPV6):
            return False
        if cut.end - cut.transport < 20 or cut.size < SMALLEST_TCP_SEGMENT:
            return False
        header = frame[cut.transport + 12] >> 4 << 2
        if header < 20 or header > cut.end - cut.transport:
            return False
        cut.field = 16
    else:
        header = 8
        if gso_type != GSO_UDP_L4 or not cut.size or cut.end - cut.transport < header:
            return False
        if cut.end - cut.transport - header > cut.size * MOST_DATAGRAMS:
            return False
        cut.field = 6
    cut.payload = cut.transport + header
    if frame[FLAGS] & NEEDS_CSUM:
        if START + le16(frame + CHECKSUM_START) != cut.transport:
            return False
        if le16(frame + CHECKSUM_OFFSET) != cut.field:
            return False
    return True


cdef inline bint _measure_packet(
    const uint8_t *frame, size_t length, uint32_t ethertype, cut_t *cut
) noexcept nogil:
    """The bounds of a packet whose transport header follows that of IP directly."""
    cdef const uint8_t *packet = frame + cut.network
    cdef size_t left = length - cut.network, header, total
    if ethertype == 0x0800:
        if left < 20 or packet[0] >> 4 != 4:
            return False
        header = (packet[0] & 0x0F) << 2
        total = be16(packet + 2)
        if header < 20 or total < header or total > left or be16(packet + 6) & 0x3FFF:
            return False
        cut.protocol = packet[9]
        cut.addresses = ones_sum(packet + 12, 8)
    elif ethertype == 0x86DD:
        if left < 40 or packet[0] >> 4 != 6:
            return False
        header = 40
        total = header + be16(packet + 4)
        if total > left:
            return False
        cut.protocol = packet[6]
        cut.addresses = ones_sum(packet + 8, 32)
    else:
        return False
    cut.transport = cut.network + header
    cut.end = cut.network + total
    return cut.protocol == TCP or cut.protocol == UDP


cdef inline size_t pieces(const cut_t *cut) noexcept nogil:
    """How many pieces there are: one where there is nothing to cut."""
    cdef size_t octets = cut.end - cut.payload
    return (octets + cut.size - 1) // cut.size if octets else 1


cdef inline size_t piece(
    const cut_t *cut, const uint8_t *frame, size_t index, uint8_t *into
) noexcept nogil:
    """Make one piece, finished; its length. The first comes first: it needs all headers copied."""
    cdef size_t begin = cut.payload + index * cut.size
    cdef size_t octets = min(cut.size, cut.end - begin)
    cdef size_t length = cut.payload + octets
    cdef uint8_t *packet = into + cut.network
    cdef uint8_t *transport = into + cut.transport
    cdef uint32_t value, flags
    memset(into, 0, START)
    memcpy(into + START, frame + START, cut.payload - START)
    memcpy(into + cut.payload, frame + begin, octets)
    if cut.is_ipv4:
        put_be16(packet + 2, <uint32_t>(length - cut.network))
        put_be16(packet + 4, <uint32_t>(be16(packet + 4) + index))
        put_be16(packet + 10, 0)
        put_be16(packet + 10, 0xFFFF - ones_sum(packet, cut.transport - cut.network))
    else:
        put_be16(packet + 4, <uint32_t>(length - cut.transport))
    if cut.protocol == TCP:
        flags = transport[13]
        if index > 0:
            flags &= ~<uint32_t>ONLY_ON_FIRST
        if begin + octets < cut.end:
            flags &= ~<uint32_t>ONLY_ON_LAST
        transport[13] = <uint8_t>flags
        put_be32(transport + 4, <uint32_t>(be32(frame + cut.transport + 4) + index * cut.size))
    else:
        put_be16(transport + 4, <uint32_t>(length - cut.transport))
    put_be16(transport + cut.field, 0)
    value = 0xFFFF - folded(
        <uint64_t>ones_sum(transport, length - cut.transport)
        + cut.addresses
        + cut.protocol
        + (length - cut.transport)
    )
    if value == 0 and cut.protocol == UDP:
        value = 0xFFFF
    put_be16(transport + cut.field, value)
    return length
