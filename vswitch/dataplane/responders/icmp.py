"""ICMP in the switch's own name (RFC 792, RFC 1812 4.3): answers to echo, and errors.

An error quotes as much of the packet as fits 576 bytes (RFC 1812, 4.3.2.3), just as it arrived.
What leaves whole has DF, and so needs no identification of its own (RFC 6864, 4.1). `is_answerable`
says about which packets an error must never be sent (RFC 1812, 4.3.2.7).
"""

from __future__ import annotations

from vswitch.dataplane.topology import Interface
from vswitch.wire import ethernet, icmp, ipv4
from vswitch.wire.ethernet import Ethernet
from vswitch.wire.icmp import Icmp, Type, Unreachable
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.values import EtherType, IpAddress, Protocol

_ERROR_LIMIT = 576
"""RFC 1812, 4.3.2.3: the whole error, with its IPv4 header, in bytes."""

_INTERNETWORK_CONTROL = 0xC0
_TYPE_OF_SERVICE = 0x1C
"""RFC 1812, 4.3.2.5: an error has precedence 6, and the type of service of what it is about."""

_QUOTE_LIMIT = _ERROR_LIMIT - ipv4.HEADER_LENGTH - icmp.HEADER_LENGTH


def echo_reply(frame: Ethernet, packet: Ipv4, query: Icmp, *, is_atomic: bool) -> bytearray:
    """The answer to an echo request for an address of the switch; an atomic one leaves whole."""
    rest = query.identifier << 16 | query.sequence
    data = bytes(frame.frame[query.payload : packet.end])
    message = icmp.build(Type.ECHO_REPLY, 0, rest, data)
    answer = ipv4.build(
        packet.destination,
        packet.source,
        Protocol.ICMP,
        message,
        dont_fragment=is_atomic,
        tos=packet.tos,
    )
    return ethernet.build(frame.source, frame.destination, EtherType.IPV4, answer)


def is_answerable(frame: Ethernet, packet: Ipv4) -> bool:
    """Whether an error may be sent about a packet."""
    if frame.destination.is_multicast or packet.fragment_offset:
        return False
    is_message = packet.protocol == Protocol.ICMP and packet.end > packet.payload
    if is_message and frame.frame[packet.payload] not in icmp.QUERIES:
        return False
    return not _is_no_host(packet.source) and not packet.destination.is_multicast


def error(
    frame: Ethernet, packet: Ipv4, interface: Interface, kind: Type, code: int, rest: int = 0
) -> bytearray:
    """A router's error about `packet`, back to where the frame came from."""
    return _error(frame, packet, interface.address.address, kind, code, rest)


def unreachable(frame: Ethernet, packet: Ipv4, code: Unreachable) -> bytearray:
    """A host's error about `packet`, from the address that it was sent to."""
    kind = Type.DESTINATION_UNREACHABLE
    return _error(frame, packet, packet.destination, kind, code, 0)


def _error(
    frame: Ethernet, packet: Ipv4, source: IpAddress, kind: Type, code: int, rest: int
) -> bytearray:
    quote = bytes(frame.frame[packet.offset : min(packet.end, packet.offset + _QUOTE_LIMIT)])
    message = icmp.build(kind, code, rest, quote)
    tos = _INTERNETWORK_CONTROL | packet.tos & _TYPE_OF_SERVICE
    answer = ipv4.build(source, packet.source, Protocol.ICMP, message, dont_fragment=True, tos=tos)
    return ethernet.build(frame.source, frame.destination, EtherType.IPV4, answer)


def _is_no_host(address: IpAddress) -> bool:
    return (
        address.is_unspecified
        or address.is_loopback
        or address.is_multicast
        or address.is_limited_broadcast
    )
