"""The way of DHCP messages into frames and out of them, for the client of an uplink.

Theory of operation. A client has to speak before it has an address, so its messages are not
routed: they go into frames here, from 0.0.0.0 to everybody, or to one server at a station that is
known. What a server sends is read from the frame, wherever its IP header says that it goes: to
everybody, or to the address that the client does not have yet (RFC 2131, 4.1). A frame that a
bridge may look at is not checked in full yet, so everything is checked here.

`is_dhcp` is for the pipeline, which asks it for each frame that it decides about: it reads a few
bytes and promises nothing.

Read first: RFC 2131 section 4.1.
"""

from __future__ import annotations

from dataclasses import dataclass

from vswitch.dataplane.dhcp.client.outcome import Ignored
from vswitch.wire import ethernet, ipv4, offload, udp
from vswitch.wire.buffer import Buffer
from vswitch.wire.checksum import ones_sum, pseudo_header_sum
from vswitch.wire.dhcp import CLIENT_PORT, SERVER_PORT, UNSPECIFIED, Reply
from vswitch.wire.ethernet import Ethernet
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.udp import Udp
from vswitch.wire.values import BROADCAST, EtherType, IpAddress, MacAddress, Protocol

EVERYBODY = IpAddress(b"\xff" * 4)

_IP = ethernet.START + ethernet.HEADER_LENGTH
_ETHERTYPE = slice(ethernet.START + ethernet.ETHERTYPE, _IP)
_STATION = slice(ethernet.START, ethernet.START + ethernet.SOURCE)
_IPV4 = EtherType.IPV4.to_bytes(2, "big")
_PORT = CLIENT_PORT.to_bytes(2, "big")
_SHORTEST = _IP + ipv4.HEADER_LENGTH + udp.HEADER_LENGTH


@dataclass(frozen=True, slots=True)
class Letter:
    """A server's message, and the station that sent its frame."""

    station: MacAddress
    reply: Reply


def is_dhcp(frame: Buffer, mac: MacAddress) -> bool:
    """Is it, at a glance, UDP to a DHCP client's port, to `mac` or to all stations?"""
    if len(frame) < _SHORTEST or frame[_ETHERTYPE] != _IPV4:
        return False
    if frame[_IP + ipv4.PROTOCOL] != Protocol.UDP or frame[_STATION] not in (mac, BROADCAST):
        return False
    port = _IP + ((frame[_IP] & 0x0F) << 2) + udp.DESTINATION_PORT
    return frame[port : port + 2] == _PORT


def read(frame: Buffer, mac: MacAddress) -> Letter | Ignored:
    """What a server says to `mac`. Whatever the frame is, this does not raise."""
    if not is_dhcp(frame, mac):
        return Ignored.NOT_FOR_US
    station = Ethernet(frame, EtherType.IPV4, _IP).source
    packet = Ipv4.parse(frame, _IP)
    if station.is_multicast or station.is_zero or not isinstance(packet, Ipv4):
        return Ignored.MALFORMED
    if packet.is_fragment or not packet.has_valid_checksum():
        return Ignored.MALFORMED
    datagram = Udp.parse(frame, packet.payload, packet.end)
    if not isinstance(datagram, Udp) or not is_whole(packet, datagram):
        return Ignored.MALFORMED
    reply = Reply.parse(frame[datagram.payload : datagram.end])
    if not isinstance(reply, Reply):
        return Ignored.MALFORMED
    return Letter(station, reply) if reply.client == mac else Ignored.NOT_FOR_US


def is_whole(packet: Ipv4, datagram: Udp) -> bool:
    """Is the UDP checksum right, or none, or still to be computed, as where both are one host?"""
    if packet.frame[offload.FLAGS] & offload.NEEDS_CSUM or datagram.checksum == udp.NO_CHECKSUM:
        return True
    total = pseudo_header_sum(packet.source, packet.destination, Protocol.UDP, datagram.length)
    total += ones_sum(packet.frame[datagram.offset : datagram.end])
    return total % 0xFFFF == 0


def broadcast(message: bytes, mac: MacAddress, source: IpAddress = UNSPECIFIED) -> bytearray:
    """The frame that carries a client's message to every server on the link."""
    return unicast(message, mac, source, BROADCAST, EVERYBODY)


def unicast(
    message: bytes,
    mac: MacAddress,
    source: IpAddress,
    station: MacAddress,
    server: IpAddress,
) -> bytearray:
    """The frame that carries a client's message to one server, which is at or behind `station`."""
    datagram = udp.build(source, server, CLIENT_PORT, SERVER_PORT, message)
    packet = ipv4.build(source, server, Protocol.UDP, datagram, dont_fragment=True)
    return ethernet.build(station, mac, EtherType.IPV4, packet)
