"""Keep TCP's segments short enough for the path (RFC 9293, 3.7.1; RFC 4459, 3.2).

A SYN says in its MSS option how much data per segment its sender takes. A router that knows of a
narrower link lowers the number, so that nobody has to find out by ICMP, which many networks lose.
It never raises it and adds no option: without one a peer sends no more than 536 bytes. Options
whose lengths lie are left to the receiver.
"""

from __future__ import annotations

from vswitch.wire import checksum, offload, tcp
from vswitch.wire.buffer import MutableBuffer
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.malformed import Malformed
from vswitch.wire.tcp import Tcp
from vswitch.wire.values import Protocol


def clamp_mss(frame: MutableBuffer, network: int, limit: int) -> None:
    """Lower the MSS option of the TCP segment in the IPv4 packet at `network` to `limit` bytes.

    A segment that is no SYN, and one that asks for no more, is left alone.
    """
    packet = Ipv4.parse(frame, network)
    if isinstance(packet, Malformed) or packet.protocol != Protocol.TCP:
        return
    segment = Tcp.parse(frame, packet.payload, packet.end)
    if isinstance(segment, Malformed) or not segment.flags & tcp.SYN:
        return
    for option in segment.iter_options():
        at = option.at
        asks = option.kind == tcp.MAXIMUM_SEGMENT_SIZE and option.length == 2
        if asks and frame[at] << 8 | frame[at + 1] > limit:
            _replace(frame, segment.offset, at, limit)


def _replace(frame: MutableBuffer, transport: int, at: int, value: int) -> None:
    # Sums are over words that begin at an even distance; an option may begin at an odd one.
    start = at - (at - transport & 1)
    words = slice(start, start + 4)
    before = bytes(frame[words])
    frame[at] = value >> 8
    frame[at + 1] = value & 0xFF
    if not frame[offload.FLAGS] & offload.NEEDS_CSUM:
        difference = checksum.difference(before, frame[words])
        checksum.update_at(frame, transport + tcp.CHECKSUM, difference)
