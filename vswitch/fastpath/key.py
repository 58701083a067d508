"""The flow key: which frames may share one program?

Theory of operation. `extract` answers with the bytes under which a frame's program is kept, or
with None, which sends the frame to the pipeline. Two frames with one key are alike in everything
that a program touches or a decision rests on, so the key is where each frame is checked: whatever
no program may handle has no key.

There are two kinds, told apart by the destination station:

* To the gateway's station the switch routes, so the flow is the transport flow: port, protocol,
  sending station, addresses, ports (of an ICMP query: type and identifier). Without a key are: what
  is not IPv4, headers with options, wrong header checksums, lengths that lie, an unfinished
  checksum anywhere but in its place, fragments, a TTL about to expire, ICMP errors, and every TCP
  segment but one with ACK and without SYN, FIN and RST: the state machine has to see those.
* To any other station it bridges, so the flow is the pair of stations in a VLAN on a port.
  Group addresses have no key: a flood is decided anew each time.

Keys of the two kinds differ in their first byte. IPv6 to the gateway's station has no key, as
nothing routes it.
"""

from __future__ import annotations

from dataclasses import dataclass

from vswitch.wire import ethernet, icmp, ipv4, offload, tcp, udp
from vswitch.wire.buffer import Buffer
from vswitch.wire.values import MacAddress, Protocol

_BRIDGED = b"B"
_ROUTED_IPV4 = b"4"

# Absolute offsets in a frame that is untagged and whose IPv4 header has no options: all that a
# routed key is made of stands at a fixed place.
_GROUP_BIT = 0x01
_DESTINATION = ethernet.START
_SOURCE = _DESTINATION + 6
_ETHERTYPE = _DESTINATION + 12
_VLAN_TAG = _ETHERTYPE + 2
_IP = _ETHERTYPE + 2
_TOTAL_LENGTH = _IP + ipv4.TOTAL_LENGTH
_FRAGMENT = _IP + ipv4.FRAGMENT
_TTL = _IP + ipv4.TTL
_PROTOCOL = _IP + ipv4.PROTOCOL
_ADDRESSES = _IP + ipv4.SOURCE
_TRANSPORT = _IP + ipv4.HEADER_LENGTH
_PORTS_END = _TRANSPORT + 4

_PLAIN_IPV4 = b"\x08\x00\x45"
"""EtherType IPv4, version 4, a header of five words."""

_VLAN_ETHERTYPE = b"\x81\x00"
_UNTAGGED = b"\x00\x00"
_MORE_FRAGMENTS_AND_OFFSET_HIGH = 0x3F
_CONTROL = tcp.FIN | tcp.SYN | tcp.RST | tcp.ACK
_ECHO = (icmp.Type.ECHO_REPLY, icmp.Type.ECHO_REQUEST)

_TCP = int(Protocol.TCP)
_UDP = int(Protocol.UDP)
_ICMP = int(Protocol.ICMP)

_CHECKSUM_PLACE = slice(offload.CHECKSUM_START, offload.HEADER_LENGTH)
_TCP_CHECKSUM, _UDP_CHECKSUM = (
    offload.OffloadHeader(checksum_start=_TRANSPORT - ethernet.START, checksum_offset=field).pack()[
        _CHECKSUM_PLACE
    ]
    for field in (tcp.CHECKSUM, udp.CHECKSUM)
)


@dataclass(frozen=True, slots=True)
class KeyContext:
    """What the key of a frame depends on besides the frame: the port that it came in by."""

    bridged: bytes
    routed: bytes
    gateway: bytes

    @classmethod
    def of(cls, port: int, gateway: MacAddress | None) -> KeyContext:
        """The context of `port`, on whose network the switch itself has the station `gateway`."""
        number = port.to_bytes(2, "big")
        return cls(_BRIDGED + number, _ROUTED_IPV4 + number, bytes(gateway or b""))


def extract(context: KeyContext, frame: Buffer) -> bytes | None:
    """The key of `frame`, or None where only the pipeline may decide about it.

    A frame that has a routed key holds, untagged, an IPv4 header without options whose checksum is
    right, and behind it, within the IPv4 total length, a whole TCP, UDP or ICMP header.
    """
    length = len(frame)
    if length < _VLAN_TAG or frame[_DESTINATION] & _GROUP_BIT:
        return None
    if frame[_DESTINATION:_SOURCE] == context.gateway:
        return _routed(context, frame, length)
    if frame[_ETHERTYPE:_VLAN_TAG] != _VLAN_ETHERTYPE:
        return context.bridged + _UNTAGGED + bytes(frame[_DESTINATION:_ETHERTYPE])
    if length < _VLAN_TAG + 4:
        return None
    vlan = bytes((frame[_VLAN_TAG] & 0x0F, frame[_VLAN_TAG + 1]))
    return context.bridged + vlan + bytes(frame[_DESTINATION:_ETHERTYPE])


def _routed(context: KeyContext, frame: Buffer, length: int) -> bytes | None:
    if (
        length < _TRANSPORT + 8
        or frame[_ETHERTYPE : _IP + 1] != _PLAIN_IPV4
        or frame[_FRAGMENT] & _MORE_FRAGMENTS_AND_OFFSET_HIGH
        or frame[_FRAGMENT + 1]
        or frame[_TTL] < 2
        or int.from_bytes(frame[_IP:_TRANSPORT], "big") % 0xFFFF
    ):
        return None
    payload = (frame[_TOTAL_LENGTH] << 8 | frame[_TOTAL_LENGTH + 1]) - ipv4.HEADER_LENGTH
    if payload > length - _TRANSPORT:
        return None
    protocol = frame[_PROTOCOL]
    unfinished = frame[offload.FLAGS] & offload.NEEDS_CSUM
    if protocol == _TCP:
        if unfinished and frame[_CHECKSUM_PLACE] != _TCP_CHECKSUM:
            return None
        header = frame[_TRANSPORT + tcp.DATA_OFFSET] >> 4 << 2
        if not tcp.HEADER_LENGTH <= header <= payload:
            return None
        if frame[_TRANSPORT + tcp.FLAGS] & _CONTROL != tcp.ACK:
            return None
    elif protocol == _UDP:
        if unfinished and frame[_CHECKSUM_PLACE] != _UDP_CHECKSUM:
            return None
        at = _TRANSPORT + udp.LENGTH
        if not 8 <= (frame[at] << 8 | frame[at + 1]) <= payload:
            return None
    elif protocol == _ICMP and not unfinished:
        return _icmp_query(context, frame, payload)
    else:
        return None
    return b"".join(
        (
            context.routed,
            bytes((protocol,)),
            frame[_SOURCE:_ETHERTYPE],
            frame[_ADDRESSES:_PORTS_END],
        )
    )


def _icmp_query(context: KeyContext, frame: Buffer, payload: int) -> bytes | None:
    if payload < 8 or frame[_TRANSPORT] not in _ECHO or frame[_TRANSPORT + icmp.CODE]:
        return None
    identifier = _TRANSPORT + icmp.IDENTIFIER
    return b"".join(
        (
            context.routed,
            bytes((_ICMP, frame[_TRANSPORT])),
            frame[_SOURCE:_ETHERTYPE],
            frame[_ADDRESSES:_TRANSPORT],
            frame[identifier : identifier + 2],
        )
    )
