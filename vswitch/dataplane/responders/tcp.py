"""TCP in the switch's own name: it has no open port, so every segment is refused (RFC 9293,
3.10.7.1).
"""

from __future__ import annotations

from vswitch.wire import ethernet, ipv4, tcp
from vswitch.wire.ethernet import Ethernet
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.tcp import Tcp
from vswitch.wire.values import EtherType, Protocol


def reset(frame: Ethernet, packet: Ipv4, segment: Tcp) -> tuple[bytearray, ...]:
    """The RST for a segment to a closed port; an RST is never answered."""
    if segment.flags & tcp.RST:
        return ()
    if segment.flags & tcp.ACK:
        sequence, acknowledgment, flags = segment.acknowledgment, 0, tcp.RST
    else:
        sequence, acknowledgment, flags = 0, segment.next_sequence, tcp.RST | tcp.ACK
    answer = tcp.build(
        packet.destination,
        packet.source,
        segment.destination_port,
        segment.source_port,
        sequence=sequence,
        acknowledgment=acknowledgment,
        flags=flags,
        window=0,
    )
    datagram = ipv4.build(
        packet.destination, packet.source, Protocol.TCP, answer, dont_fragment=True
    )
    return (ethernet.build(frame.source, frame.destination, EtherType.IPV4, datagram),)
