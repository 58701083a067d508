"""The flow key of a frame, compiled: see `key` for what has one, and why.

A key is what `key.extract` answers, followed by zeros, with its length in the last byte.
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset

from vswitch.fastpath._octets cimport be16, folded, ones_sum
from vswitch.fastpath._table cimport KEY_BYTES

cdef enum:
    START = 10  # where Ethernet begins, behind the virtio-net header
    ETHERTYPE = START + 12
    IP = START + 14
    TRANSPORT = IP + 20
    FLAGS = 0
    GSO_TYPE = 1
    GSO_SIZE = 4
    CHECKSUM_START = 6
    CHECKSUM_OFFSET = 8
    NEEDS_CSUM = 1
    DATA_VALID = 2
    GSO_TCPV4 = 1
    GSO_TCPV6 = 4
    GSO_UDP_L4 = 5
    GSO_ECN = 0x80
    TCP = 6
    UDP = 17
    ICMP = 1
    DHCP_CLIENT = 68
    TCP_FIN = 1
    TCP_SYN = 2
    TCP_RST = 4
    TCP_ACK = 16
    CONTROL = TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK
    LENGTH_AT = KEY_BYTES - 1
    BRIDGED = 0x42  # "B"
    ROUTED_IPV4 = 0x34  # "4"
    BRIDGED_SENDER = 11
    ROUTED_SENDER = 4
    BRIDGED_LENGTH = 17
    ROUTED_LENGTH = 22
    QUERY_LENGTH = 21


cdef struct context_t:
    # The port that frames come in by, and the switch's own station there.
    uint8_t port[2]
    uint8_t gateway[6]
    bint has_gateway


cdef inline bint extract(
    const context_t *context, const uint8_t *frame, size_t length, uint64_t *key
) noexcept nogil:
    """Write the key of a frame; False where it has none."""
    cdef uint8_t *octets = <uint8_t *>key
    cdef uint32_t ethertype
    cdef size_t packet = IP
    if length < IP:
        return False
    if context.has_gateway and memcmp(frame + START, context.gateway, 6) == 0:
        return _routed(context, frame, length, octets)
    if frame[START] & 1:
        return False
    memset(octets, 0, KEY_BYTES)
    octets[0] = BRIDGED
    memcpy(octets + 1, context.port, 2)
    ethertype = be16(frame + ETHERTYPE)
    if ethertype == 0x8100:
        if length < IP + 4:
            return False
        octets[3] = frame[IP] & 0x0F
        octets[4] = frame[IP + 1]
        packet = IP + 4
        ethertype = be16(frame + IP + 2)
    if ethertype == 0x0800 and _leads_to_dhcp_client(frame, packet, length):
        return False
    memcpy(octets + 5, frame + START, 12)
    octets[LENGTH_AT] = BRIDGED_LENGTH
    return True


cdef inline bint _leads_to_dhcp_client(
    const uint8_t *frame, size_t packet, size_t length
) noexcept nogil:
    cdef size_t port
    if length < packet + 20 or frame[packet + 9] != UDP:
        return False
    port = packet + ((frame[packet] & 0x0F) << 2) + 2
    return port + 2 <= length and be16(frame + port) == DHCP_CLIENT


cdef inline bint _routed(
    const context_t *context, const uint8_t *frame, size_t length, uint8_t *octets
) noexcept nogil:
    cdef int payload, header, datagram
    cdef uint8_t protocol, unfinished
    if (
        length < TRANSPORT + 8
        or be16(frame + ETHERTYPE) != 0x0800
        or frame[IP] != 0x45
        or be16(frame + IP + 6) & 0x3FFF
        or frame[IP + 8] < 2
        or ones_sum(frame + IP, 20) != 0xFFFF
    ):
        return False
    payload = <int>be16(frame + IP + 2) - 20
    if payload > <int>(length - TRANSPORT):
        return False
    unfinished = frame[FLAGS] & NEEDS_CSUM
    protocol = frame[IP + 9]
    memset(octets, 0, KEY_BYTES)
    if protocol == TCP:
        if payload < 20:
            return False
        if unfinished and not _unfinished_at(frame, 16):
            return False
        header = frame[TRANSPORT + 12] >> 4 << 2
        if header < 20 or header > payload:
            return False
        if _is_contradictory(frame[TRANSPORT + 13]):
            return False
    elif protocol == UDP:
        if unfinished and not _unfinished_at(frame, 6):
            return False
        datagram = be16(frame + TRANSPORT + 4)
        if datagram < 8 or datagram > payload:
            return False
    elif protocol == ICMP and not unfinished:
        if payload < 8 or frame[TRANSPORT] not in (0, 8) or frame[TRANSPORT + 1]:
            return False
        if ones_sum(frame + TRANSPORT, payload) != 0xFFFF:
            return False
    else:
        return False
    octets[0] = ROUTED_IPV4
    memcpy(octets + 1, context.port, 2)
    octets[3] = protocol
    memcpy(octets + 4, frame + START + 6, 6)
    memcpy(octets + 10, frame + IP + 12, 8)
    if protocol == ICMP:
        octets[18] = frame[TRANSPORT]
        memcpy(octets + 19, frame + TRANSPORT + 4, 2)
        octets[LENGTH_AT] = QUERY_LENGTH
    else:
        memcpy(octets + 18, frame + TRANSPORT, 4)
        octets[LENGTH_AT] = ROUTED_LENGTH
    return True


cdef inline bint _is_contradictory(uint8_t flags) noexcept nogil:
    if flags & TCP_SYN:
        return flags & (TCP_FIN | TCP_RST) != 0
    if flags & TCP_FIN and flags & TCP_RST:
        return True
    return not flags & (TCP_ACK | TCP_RST)


cdef inline bint _unfinished_at(const uint8_t *frame, uint8_t field) noexcept nogil:
    """Whether the checksum that the virtio-net header calls unfinished is the transport's."""
    return (
        frame[CHECKSUM_START] == TRANSPORT - START
        and frame[CHECKSUM_START + 1] == 0
        and frame[CHECKSUM_OFFSET] == field
        and frame[CHECKSUM_OFFSET + 1] == 0
    )
