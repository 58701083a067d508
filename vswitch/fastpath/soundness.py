"""Is the transport checksum of a packet wrong?

Theory of operation. A wrong TCP or UDP checksum is not the switch's to repair and no reason to drop
a packet: the receiver finds out. What the switch rewrites it updates by the difference, so a wrong
checksum stays wrong by the same amount. But somebody looking for a bad line or a bad driver wants
to see it counted. Nothing is summed where there is nothing to find: where the checksum is still
unfinished, where somebody has verified it, where a datagram has none.

Read first: RFC 1071; virtio 1.2, 5.1.6.4 (NEEDS_CSUM and DATA_VALID).
"""

from __future__ import annotations

from vswitch.wire import ipv4, offload, tcp, udp
from vswitch.wire.buffer import Buffer
from vswitch.wire.values import Protocol

SETTLED = offload.NEEDS_CSUM | offload.DATA_VALID
"""Flags of the virtio-net header that say that there is nothing to verify."""

_ONES = 0xFFFF
_TCP = int(Protocol.TCP)
_UDP = int(Protocol.UDP)


def has_wrong_checksum(frame: Buffer, network: int) -> bool:
    """Whether a TCP segment or UDP datagram has a finished checksum, and that is wrong.

    At `network` stands an IPv4 header that has been parsed, and its packet is no fragment. Other
    protocols, and super-frames, whose segments have yet to get their checksums, have none.
    """
    if frame[offload.FLAGS] & SETTLED or frame[offload.GSO_TYPE] != offload.GSO_NONE:
        return False
    start = network + ((frame[network] & 0x0F) << 2)
    length = _word(frame, network + ipv4.TOTAL_LENGTH) - (start - network)
    protocol = frame[network + ipv4.PROTOCOL]
    if protocol == _UDP:
        length = _word(frame, start + udp.LENGTH)
        if not _word(frame, start + udp.CHECKSUM):
            return False
    elif protocol != _TCP or length < tcp.HEADER_LENGTH:
        return False
    addresses = int.from_bytes(frame[network + ipv4.SOURCE : network + ipv4.OPTIONS], "big")
    covered = int.from_bytes(frame[start : start + length], "big") << ((length & 1) << 3)
    return bool((addresses + covered + protocol + length) % _ONES)


def _word(frame: Buffer, at: int) -> int:
    return frame[at] << 8 | frame[at + 1]
