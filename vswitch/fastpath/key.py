"""The flow key: which frames may share one program?

Theory of operation. `extract` answers with the bytes under which a frame's program is kept, or
with None, which sends the frame to the pipeline. Two frames with one key are alike in everything
that a program touches or a decision rests on, so the key is where each frame is checked: whatever
no program may handle has no key.

There are two kinds, told apart by the destination station:

* To the gateway's station the switch routes, so the flow is the transport flow: port, protocol,
  sending station, addresses, ports (of an ICMP query: type and identifier). Without a key are: what
  is not IPv4, headers with options, wrong header checksums, lengths that lie, an unfinished
  checksum anywhere but in its place, fragments, a TTL about to expire, ICMP errors, and TCP
  segments whose flags contradict each other.
* To any other station it bridges, so the flow is the pair of stations in a VLAN on a port.
  Group addresses have no key: a flood is decided anew each time. Nor has what leads to a DHCP
  client's port, whether in a VLAN or not: who may say that is a question of each such frame.

Keys of the two kinds differ in their first byte. IPv6 to the gateway's station has no key, as
nothing routes it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import NamedTuple

from vswitch.wire import dhcp, ethernet, icmp, ipv4, offload, tcp, udp
from vswitch.wire.buffer import Buffer
from vswitch.wire.checksum import ones_sum
from vswitch.wire.values import EtherType, MacAddress, Protocol

_BRIDGED = b"B"
_ROUTED_IPV4 = b"4"

# Where the sender stands in a key: behind kind, port, VLAN and the destination, or behind kind,
# port and protocol.
_BRIDGED_SENDER = slice(11, 17)
_ROUTED_SENDER = slice(4, 10)

ENDS = slice(10, 22)
"""Addresses and ports in a routed key of TCP or UDP, in the order of the packet."""
SOURCE_PORT = slice(18, 20)
"""The source port among them."""

# Absolute offsets in a frame that is untagged and whose IPv4 header has no options: all that a
# routed key is made of stands at a fixed place.
_GROUP_BIT = 0x01
_DESTINATION = ethernet.START
_ETHERTYPE = _DESTINATION + ethernet.ETHERTYPE
_VLAN_TAG = _ETHERTYPE + 2
_STATIONS = struct.Struct(">6s6s")
_IP = _ETHERTYPE + 2
_TRANSPORT = _IP + ipv4.HEADER_LENGTH

_HEADERS = struct.Struct(">HBxH2xHBB2x12sH")
"""From the EtherType on: that, version and header length, total length, flags and fragment offset,
time to live, protocol, addresses and ports, the length of a datagram."""

_IPV4_HEADER = struct.Struct(">QQI")
"""Any word size will do for a one's-complement sum (RFC 1071, 2)."""

_PORTS = 8
"""Where they stand behind the addresses; in place of the first byte ICMP has its type."""

_WITHOUT_OPTIONS = 0x45
"""Version 4, a header of five words."""

_VLAN_ETHERTYPE = b"\x81\x00"
_IPV4_ETHERTYPE = b"\x08\x00"
_DHCP_CLIENT = dhcp.CLIENT_PORT.to_bytes(2, "big")
_UNTAGGED = b"\x00\x00"
_FRAGMENTED = ipv4.MORE_FRAGMENTS | ipv4.FRAGMENT_OFFSET_MASK
_MAKES_SENSE = tuple(not tcp.is_contradictory(flags) for flags in range(256))
_RIGHT = 0xFFFF
"""The sum of what its checksum is right for."""

_ECHO = (icmp.Type.ECHO_REPLY, icmp.Type.ECHO_REQUEST)

_IPV4 = int(EtherType.IPV4)
_TCP = int(Protocol.TCP)
_UDP = int(Protocol.UDP)
_ICMP = int(Protocol.ICMP)
_OCTETS = tuple(bytes((value,)) for value in range(256))

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


class Sender(NamedTuple):
    """Whose frames have a key: the port that they come in by, and the station that sends them."""

    port: int
    vlan: int
    mac: bytes


def is_bridged(key: bytes) -> bool:
    """Whether `key` is one of a pair of stations."""
    return key[:1] == _BRIDGED


def sender(key: bytes) -> Sender:
    """Who sends the frames that have `key`."""
    port = key[1] << 8 | key[2]
    if is_bridged(key):
        return Sender(port, key[3] << 8 | key[4], key[_BRIDGED_SENDER])
    return Sender(port, 0, key[_ROUTED_SENDER])


def extract(context: KeyContext, frame: Buffer) -> bytes | None:
    """The key of `frame`, or None where only the pipeline may decide about it.

    A frame that has a routed key holds, untagged, an IPv4 header without options whose checksum is
    right, and behind it, within the IPv4 total length, a whole TCP, UDP or ICMP header.
    """
    length = len(frame)
    if length < _VLAN_TAG:
        return None
    destination, source = _STATIONS.unpack_from(frame, _DESTINATION)
    if destination == context.gateway:
        return _routed(context, source, frame, length)
    if destination[0] & _GROUP_BIT:
        return None
    ethertype = frame[_ETHERTYPE:_VLAN_TAG]
    if ethertype != _VLAN_ETHERTYPE:
        if ethertype == _IPV4_ETHERTYPE and _leads_to_dhcp_client(frame, _IP, length):
            return None
        return b"".join((context.bridged, _UNTAGGED, destination, source))
    if length < _VLAN_TAG + 4:
        return None
    inner = _VLAN_TAG + ethernet.TAG_LENGTH
    if frame[inner - 2 : inner] == _IPV4_ETHERTYPE and _leads_to_dhcp_client(frame, inner, length):
        return None
    vlan = bytes((frame[_VLAN_TAG] & 0x0F, frame[_VLAN_TAG + 1]))
    return b"".join((context.bridged, vlan, destination, source))


def _leads_to_dhcp_client(frame: Buffer, packet: int, length: int) -> bool:
    """Whether an IPv4 packet has, where UDP has its destination port, that of a DHCP client."""
    if length < packet + ipv4.HEADER_LENGTH or frame[packet + ipv4.PROTOCOL] != _UDP:
        return False
    port = packet + ((frame[packet] & 0x0F) << 2) + udp.DESTINATION_PORT
    return frame[port : port + 2] == _DHCP_CLIENT


def _routed(context: KeyContext, station: bytes, frame: Buffer, length: int) -> bytes | None:
    if length < _TRANSPORT + 8:
        return None
    ethertype, first, payload, fragment, ttl, protocol, ends, datagram = _HEADERS.unpack_from(
        frame, _ETHERTYPE
    )
    if (
        ethertype != _IPV4
        or first != _WITHOUT_OPTIONS
        or fragment & _FRAGMENTED
        or ttl < 2
        or sum(_IPV4_HEADER.unpack_from(frame, _IP)) % 0xFFFF
    ):
        return None
    payload -= ipv4.HEADER_LENGTH
    if payload > length - _TRANSPORT:
        return None
    unfinished = frame[offload.FLAGS] & offload.NEEDS_CSUM
    if protocol == _TCP:
        if payload < tcp.HEADER_LENGTH:
            return None
        if unfinished and frame[_CHECKSUM_PLACE] != _TCP_CHECKSUM:
            return None
        header = frame[_TRANSPORT + tcp.DATA_OFFSET] >> 4 << 2
        if not tcp.HEADER_LENGTH <= header <= payload:
            return None
        if not _MAKES_SENSE[frame[_TRANSPORT + tcp.FLAGS]]:
            return None
    elif protocol == _UDP:
        if unfinished and frame[_CHECKSUM_PLACE] != _UDP_CHECKSUM:
            return None
        if not udp.HEADER_LENGTH <= datagram <= payload:
            return None
    elif protocol == _ICMP and not unfinished:
        kind = _TRANSPORT + icmp.TYPE
        if payload < icmp.HEADER_LENGTH or frame[kind] not in _ECHO or frame[kind + icmp.CODE]:
            return None
        if ones_sum(frame[_TRANSPORT : _TRANSPORT + payload]) != _RIGHT:
            return None
        at = _TRANSPORT + icmp.IDENTIFIER
        ends = ends[: _PORTS + 1] + frame[at : at + 2]
    else:
        return None
    return b"".join((context.routed, _OCTETS[protocol], station, ends))
