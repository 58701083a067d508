"""The way of DHCP messages to a server of our own and back: out of frames and into them.

Theory of operation. A client that has no address yet speaks from 0.0.0.0 to everybody, one that has
speaks to the server alone; both are read here from the frame, in which nothing has been checked but
Ethernet's header. An answer goes where RFC 2131, 4.1, sends it: to the address that the client has;
else to everybody, where the client wants that or is refused; else to the client's station, at the
address that it is about to have. No address is resolved for that.

`destination_port` is for the pipeline, which asks it of each frame that it decides about on a
network where leases matter: it reads a few bytes and promises nothing.

Read first: RFC 2131 section 4.1.
"""

from __future__ import annotations

import struct
from enum import Enum

from vswitch.dataplane.dhcp.client.frames import EVERYBODY, is_whole
from vswitch.dataplane.dhcp.server.step import Answer
from vswitch.dataplane.topology import Interface
from vswitch.wire import ethernet, ipv4, udp
from vswitch.wire.buffer import Buffer
from vswitch.wire.dhcp import CLIENT_PORT, SERVER_PORT, BadMessage, MessageType
from vswitch.wire.dhcp_service import Request
from vswitch.wire.ethernet import Ethernet
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.malformed import Malformed
from vswitch.wire.udp import Udp
from vswitch.wire.values import BROADCAST, EtherType, Protocol

_WORD = struct.Struct(">H")


class NotSound(Enum):
    """Why a datagram to the server's port holds no message; the value says it in words."""

    IN_PIECES = "it is a fragment, and no client cuts its messages"
    BAD_CHECKSUM = "its checksum is wrong"


Unreadable = Malformed | NotSound | BadMessage


def destination_port(frame: Buffer, packet: int) -> int | None:
    """The port that a frame leads to, if at a glance it holds a UDP datagram or the first piece of
    one; `packet` is where its IPv4 header would begin."""
    if len(frame) < packet + ipv4.HEADER_LENGTH + udp.HEADER_LENGTH:
        return None
    if frame[packet + ipv4.PROTOCOL] != Protocol.UDP:
        return None
    if _WORD.unpack_from(frame, packet + ipv4.FRAGMENT)[0] & ipv4.FRAGMENT_OFFSET_MASK:
        return None
    at = packet + ((frame[packet] & 0x0F) << 2) + udp.DESTINATION_PORT
    port = frame[at : at + _WORD.size]
    return int.from_bytes(port, "big") if len(port) == _WORD.size else None


def is_for(frame: Ethernet, interface: Interface) -> bool:
    """Whether a frame that leads to a server's port leads to the one that has `interface`."""
    packet = Ipv4.parse(frame.frame, frame.payload)
    if isinstance(packet, Malformed) or frame.destination not in (BROADCAST, interface.mac):
        return False
    broadcast = interface.address.network.broadcast
    return packet.destination in (EVERYBODY, broadcast, interface.address.address)


def read(frame: Ethernet) -> Request | Unreadable:
    """What a client says. Whatever the frame is, this does not raise."""
    packet = Ipv4.parse(frame.frame, frame.payload)
    if isinstance(packet, Malformed):
        return packet
    if packet.is_fragment:
        return NotSound.IN_PIECES
    if not packet.has_valid_checksum():
        return Malformed.IPV4_BAD_CHECKSUM
    datagram = Udp.parse(packet.frame, packet.payload, packet.end)
    if isinstance(datagram, Malformed):
        return datagram
    if not is_whole(packet, datagram):
        return NotSound.BAD_CHECKSUM
    return Request.parse(packet.frame[datagram.payload : datagram.end])


def written(answer: Answer, interface: Interface) -> bytearray:
    """The frame that carries an answer, from whoever has `interface`."""
    request, station, address = answer.request, answer.request.client, answer.address
    if answer.kind is MessageType.NAK:
        station, address = BROADCAST, EVERYBODY
    elif not request.address.is_unspecified:
        address = request.address
    elif request.wants_broadcast:
        station, address = BROADCAST, EVERYBODY
    own = interface.address.address
    datagram = udp.build(own, address, SERVER_PORT, CLIENT_PORT, answer.message)
    packet = ipv4.build(own, address, Protocol.UDP, datagram, dont_fragment=True)
    return ethernet.build(station, interface.mac, EtherType.IPV4, packet)
