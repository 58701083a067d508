"""The kernel's descriptors: frames by read(2) and write(2), or by a packet socket; compiled.

`devices.tun` and `devices.afpacket` say what these descriptors are and how they behave. Every call
is one attempt and never waits. A negative answer is an error number of errno(3) with its sign.
"""

from libc.errno cimport errno
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memmove, memset

from vswitch.fastpath._key cimport (
    CHECKSUM_START,
    FLAGS,
    GSO_TYPE,
    NEEDS_CSUM,
    START,
)
from vswitch.fastpath._octets cimport le16, put_be16, put_le16

cdef extern from "<unistd.h>" nogil:
    ssize_t read(int fd, void *into, size_t length)
    ssize_t write(int fd, const void *octets, size_t length)

cdef extern from "<sys/socket.h>" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len
    struct msghdr:
        void *msg_name
        iovec *msg_iov
        size_t msg_iovlen
        void *msg_control
        size_t msg_controllen
    struct cmsghdr:
        int cmsg_level
        int cmsg_type
    cmsghdr *CMSG_FIRSTHDR(msghdr *message)
    unsigned char *CMSG_DATA(cmsghdr *control)
    ssize_t recvmsg(int fd, msghdr *message, int flags)
    ssize_t send(int fd, const void *octets, size_t length, int flags)

cdef extern from "<linux/if_packet.h>" nogil:
    enum:
        PACKET_AUXDATA
        TP_STATUS_VLAN_VALID
    struct tpacket_auxdata:
        uint32_t tp_status
        uint16_t tp_vlan_tci
        uint16_t tp_vlan_tpid

cdef enum:
    SOL_PACKET = 263
    TAG = 4
    BEFORE_TAG = START + 12
    LONGEST = START + 65536 + 64
    ROOM = TAG + LONGEST


cdef enum form_t:
    BY_DEVICE  # no descriptor that can be used from here: the device's own methods are
    TUN
    TUN_WITHOUT_HEADER
    PACKET


cdef inline ssize_t receive(form_t form, int fd, uint8_t *room, uint8_t **frame) noexcept nogil:
    """One frame into `room`, which has ROOM octets: its length, and where in there it begins."""
    cdef ssize_t length
    if form == PACKET:
        return _receive_packet(fd, room, frame)
    frame[0] = room
    if form == TUN:
        length = read(fd, room, LONGEST)
    else:
        memset(room, 0, START)
        length = read(fd, room + START, LONGEST - START)
        if length >= 0:
            length += START
    return length if length >= 0 else -errno


cdef inline ssize_t _receive_packet(int fd, uint8_t *room, uint8_t **frame) noexcept nogil:
    cdef uint8_t control[64]
    cdef tpacket_auxdata auxiliary
    cdef iovec part
    cdef msghdr message
    cdef cmsghdr *first
    cdef ssize_t length
    part.iov_base, part.iov_len = room + TAG, LONGEST
    memset(&message, 0, sizeof(message))
    message.msg_iov, message.msg_iovlen = &part, 1
    message.msg_control, message.msg_controllen = control, sizeof(control)
    length = recvmsg(fd, &message, 0)
    if length < 0:
        return -errno
    frame[0] = room + TAG
    first = CMSG_FIRSTHDR(&message)
    if first == NULL or first.cmsg_level != SOL_PACKET or first.cmsg_type != PACKET_AUXDATA:
        return length
    memcpy(&auxiliary, CMSG_DATA(first), sizeof(auxiliary))
    if not auxiliary.tp_status & TP_STATUS_VLAN_VALID or length < BEFORE_TAG:
        return length
    frame[0] = room
    _put_tag_back(room, auxiliary.tp_vlan_tpid, auxiliary.tp_vlan_tci)
    return length + TAG


cdef inline void _put_tag_back(uint8_t *frame, uint32_t ethertype, uint32_t control) noexcept nogil:
    memmove(frame, frame + TAG, BEFORE_TAG)
    put_be16(frame + BEFORE_TAG, ethertype)
    put_be16(frame + BEFORE_TAG + 2, control)
    if frame[GSO_TYPE]:
        put_le16(frame + 2, min(le16(frame + 2) + TAG, 0xFFFF))
    if frame[FLAGS] & NEEDS_CSUM:
        put_le16(frame + CHECKSUM_START, min(le16(frame + CHECKSUM_START) + TAG, 0xFFFF))


cdef inline int transmit(form_t form, int fd, const uint8_t *frame, size_t length) noexcept nogil:
    """One frame out: zero, or an error number with its sign."""
    cdef ssize_t done
    if form == PACKET:
        done = send(fd, frame, length, 0)
    elif form == TUN:
        done = write(fd, frame, length)
    elif length < START:
        return -22  # EINVAL: there is not even the virtio-net header that is left away
    else:
        done = write(fd, frame + START, length - START)
    return 0 if done >= 0 else -errno
