"""Is the transport checksum of a packet wrong?

Theory of operation. A wrong TCP or UDP checksum is not the switch's to repair and no reason to drop
a packet: the receiver finds out. What the switch rewrites it updates by the difference, so a wrong
checksum stays wrong by the same amount. But somebody looking for a bad line or a bad driver wants
to see it counted. Nothing is summed where there is nothing to find: where the checksum is still
unfinished, where somebody has verified it, where a datagram has none.

Read first: RFC 1071; virtio 1.2, 5.1.6.4 (NEEDS_CSUM and DATA_VALID).
"""

from __future__ import annotations

import struct

from vswitch.wire import ipv4, offload, udp
from vswitch.wire.buffer import Buffer
from vswitch.wire.values import Protocol

SETTLED = offload.NEEDS_CSUM | offload.DATA_VALID
"""Flags of the virtio-net header that say that there is nothing to verify."""

_TCP = int(Protocol.TCP)
_UDP = int(Protocol.UDP)

VERIFIED = (_TCP, _UDP)
"""The protocols whose checksums are looked at."""

_ONES = 0xFFFF
_WITHOUT_OPTIONS = 0x45
"""The first byte of an IPv4 header that ends with the addresses."""

_HEADER = struct.Struct(">BxH5xB")
"""Version and header length, total length, protocol."""

_DATAGRAM = struct.Struct(">HH")
"""Length and checksum."""

_LENGTH_OF_DATAGRAM = ipv4.HEADER_LENGTH + udp.LENGTH


def has_wrong_checksum(frame: Buffer, network: int) -> bool:
    """Whether a TCP segment or UDP datagram has a finished checksum, and that is wrong.

    At `network` stands an IPv4 header that has been parsed, and its packet is no fragment. Other
    protocols, and super-frames, whose segments have yet to get their checksums, have none.
    """
    first, total, protocol = _HEADER.unpack_from(frame, network)
    if frame[offload.FLAGS] & SETTLED or protocol not in VERIFIED:
        return False
    if first == _WITHOUT_OPTIONS:
        return is_wrong(frame, network, protocol)
    options = slice(network + ipv4.OPTIONS, network + ((first & 0x0F) << 2))
    bare = bytearray(frame)
    total -= options.stop - options.start
    bare[network : network + 4] = bytes((_WITHOUT_OPTIONS, 0, total >> 8, total & 0xFF))
    del bare[options]
    return is_wrong(bare, network, protocol)


def is_wrong(frame: Buffer, network: int, protocol: int) -> bool:
    """The same for a packet of one of the `VERIFIED` protocols whose header has no options, in
    a frame whose virtio-net header says nothing of what is `SETTLED`."""
    if protocol == _UDP:
        length, field = _DATAGRAM.unpack_from(frame, network + _LENGTH_OF_DATAGRAM)
        if field == udp.NO_CHECKSUM:
            return False
    else:
        total = network + ipv4.TOTAL_LENGTH
        length = (frame[total] << 8 | frame[total + 1]) - ipv4.HEADER_LENGTH
    # The addresses, which the pseudo header has, are right in front of the transport header.
    number = int.from_bytes(
        frame[network + ipv4.SOURCE : network + ipv4.HEADER_LENGTH + length], "big"
    )
    if length & 1:
        number <<= 8
    wrong = (number + protocol + length) % _ONES != 0
    return wrong and frame[offload.GSO_TYPE] == offload.GSO_NONE
