"""DHCPv4 messages from the client's end: what a server says, and what it is asked with.

Theory of operation. dpkt knows the header and cuts the options apart; here they get types. A
`Reply` is read from the data of a UDP datagram, and its parse is the only place where lengths are
checked: an option that has not the size of its kind counts as not there. What a client sends is
made by `build`. The same from the server's end is in `dhcp_service`, which reads by `unpack`, too.

dpkt was chosen over pyroute2's message classes: it hands out each option's bytes, so an option that
occurs twice can be joined (RFC 3396) and one that lies can be passed over, where pyroute2 decodes
while it reads, stops at the first that it does not like, has times of leases as signed numbers, and
comes with all of its netlink. dpkt has two weaknesses, both met here: an option code without a
length is an IndexError, and its work grows with the square of the message's length, so a message
that is longer than a frame holds is refused unread. It loads all of its protocols at once,
and most switches never speak DHCP, so the functions that need it import it.

Read first: RFC 2131 sections 2 and 4.1, RFC 2132, RFC 3396.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from typing import TYPE_CHECKING, NamedTuple

from vswitch.wire.buffer import Buffer
from vswitch.wire.values import IPV4_LENGTH, MAC_LENGTH, IpAddress, MacAddress

if TYPE_CHECKING:
    from dpkt import dhcp as packets

CLIENT_PORT = 68
SERVER_PORT = 67

SHORTEST = 300
"""Bytes that a message is filled up to: relays may drop shorter ones (RFC 1542, 2.1)."""

LONGEST = 1472
"""Bytes of the longest message: what one datagram of an Ethernet frame holds."""

INFINITE = 0xFFFFFFFF
"""A time of a lease in seconds that never ends (RFC 2131, 3.3)."""

ETHERNET = 1
"""Ethernet's number as a hardware type, and as the type of a client identifier (RFC 2132, 9.14)."""

UNSPECIFIED = IpAddress(bytes(IPV4_LENGTH))
"""In the place of an address: none."""

_HEADER_LENGTH = 240  # the magic number, with which the options begin, included
_OVERLOADS_FILE = 1  # bits of option 52 (RFC 2132, 9.3)
_OVERLOADS_NAME = 2
_NUMBERS = {1: struct.Struct(">B"), 2: struct.Struct(">H"), 4: struct.Struct(">I")}


class MessageType(IntEnum):
    """What a message is (RFC 2132, 9.6)."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


class Option(IntEnum):
    """The options that are read or written here (RFC 2132)."""

    SUBNET_MASK = 1
    ROUTERS = 3
    NAME_SERVERS = 6
    HOST_NAME = 12
    DOMAIN_NAME = 15
    INTERFACE_MTU = 26
    BROADCAST_ADDRESS = 28
    TIME_SERVERS = 42
    REQUESTED_ADDRESS = 50
    LEASE_TIME = 51
    OVERLOAD = 52
    MESSAGE_TYPE = 53
    SERVER_IDENTIFIER = 54
    PARAMETER_REQUEST_LIST = 55
    MESSAGE = 56
    MAXIMUM_MESSAGE_SIZE = 57
    RENEWAL_TIME = 58
    REBINDING_TIME = 59
    CLIENT_IDENTIFIER = 61
    BOOT_SERVER = 66
    BOOT_FILE = 67
    RAPID_COMMIT = 80
    """RFC 4039."""
    DOMAIN_SEARCH = 119
    """RFC 3397."""
    CLASSLESS_ROUTES = 121
    """RFC 3442."""


class BadMessage(Enum):
    """Why bytes are not the message of a server, or of a client; the value says it in words."""

    TRUNCATED = "DHCP message ends within its header or within an option's"
    TOO_LONG = "DHCP message is longer than a frame of Ethernet holds"
    NOT_A_REPLY = "DHCP message is a client's, not a server's"
    NOT_A_REQUEST = "DHCP message is a server's, not a client's"
    NO_STATION = "DHCP message is from nobody, or from a group"
    NOT_ETHERNET = "DHCP message is not about a station on Ethernet"
    NO_OPTIONS = "DHCP message lacks the magic number that options begin with"
    NO_TYPE = "DHCP message does not say of which type it is"


class Direction(IntEnum):
    """Who speaks (RFC 2131, 2: the field `op`)."""

    REQUEST = 1
    REPLY = 2


@dataclass(frozen=True, slots=True)
class Options:
    """What either says beside the header."""

    options: Mapping[int, bytes]
    """By code, each once: the pieces of one that was cut are joined (RFC 3396)."""

    def address_of(self, option: Option) -> IpAddress | None:
        """The one address that an option holds."""
        octets = self.options.get(option, b"")
        return IpAddress(octets) if len(octets) == IPV4_LENGTH else None

    def addresses_of(self, option: Option) -> tuple[IpAddress, ...]:
        """The addresses that an option lists, in the server's order; none where it is cut off."""
        octets = self.options.get(option, b"")
        if len(octets) % IPV4_LENGTH:
            return ()
        starts = range(0, len(octets), IPV4_LENGTH)
        return tuple(IpAddress(octets[start : start + IPV4_LENGTH]) for start in starts)

    def number_of(self, option: Option, size: int) -> int | None:
        """The number of `size` bytes (1, 2 or 4) that an option holds."""
        octets = self.options.get(option, b"")
        if len(octets) != size:
            return None
        number: int = _NUMBERS[size].unpack(octets)[0]
        return number


@dataclass(frozen=True, slots=True)
class Reply(Options):
    """What a server says."""

    type: MessageType
    transaction: int
    """What it answers: the number that the client chose."""
    client: MacAddress
    """The station that it is for."""
    address: IpAddress
    """The address that the client is to have; unspecified where it is to have none."""

    @staticmethod
    def parse(data: Buffer) -> Reply | BadMessage:
        """Read the data of a datagram; whatever the bytes are, this does not raise."""
        unpacked = unpack(data, Direction.REPLY)
        if isinstance(unpacked, BadMessage):
            return unpacked
        kind, message, options = unpacked
        address = IpAddress(message.yiaddr.to_bytes(IPV4_LENGTH, "big"))
        return Reply(options, kind, message.xid, MacAddress(message.chaddr), address)


class Unpacked(NamedTuple):
    """A sound message: its type, its header as dpkt has it, and all of its options."""

    type: MessageType
    header: packets.DHCP
    options: dict[int, bytes]


def unpack(data: Buffer, direction: Direction) -> Unpacked | BadMessage:
    """Take a message apart that is to go in a direction. Whatever the bytes are, this does not
    raise."""
    if len(data) > LONGEST:
        return BadMessage.TOO_LONG
    import dpkt
    from dpkt import dhcp as packets

    wire = bytes(data)
    try:
        message = packets.DHCP(wire)
        options = _options(message, wire)
    except (dpkt.Error, IndexError):
        return BadMessage.TRUNCATED
    if message.op != direction:
        is_reply = direction is Direction.REPLY
        return BadMessage.NOT_A_REPLY if is_reply else BadMessage.NOT_A_REQUEST
    if (message.hrd, message.hln) != (ETHERNET, MAC_LENGTH):
        return BadMessage.NOT_ETHERNET
    if message.magic != packets.DHCP_MAGIC:
        return BadMessage.NO_OPTIONS
    try:
        (kind,) = options.get(Option.MESSAGE_TYPE, b"")
        return Unpacked(MessageType(kind), message, options)
    except ValueError:
        return BadMessage.NO_TYPE


def _options(message: packets.DHCP, wire: bytes) -> dict[int, bytes]:
    """All options, those in the fields for the server's and the file's name included.

    `wire` is what `message` was read from. Behind its header, either field reads as options do.
    """
    options: dict[int, bytes] = {}
    _join(options, message)
    overload = options.get(Option.OVERLOAD, b"")
    fields = overload[0] if len(overload) == 1 else 0
    header = wire[:_HEADER_LENGTH]
    if fields & _OVERLOADS_FILE:
        _join(options, type(message)(header + message.file))
    if fields & _OVERLOADS_NAME:
        _join(options, type(message)(header + message.sname))
    return options


def _join(options: dict[int, bytes], message: packets.DHCP) -> None:
    for code, octets in message.opts:
        options[code] = options.get(code, b"") + octets


def build(
    kind: MessageType,
    transaction: int,
    client: MacAddress,
    options: Mapping[Option, bytes],
    *,
    seconds: int = 0,
    client_address: IpAddress = UNSPECIFIED,
) -> bytes:
    """A client's message.

    `seconds` (0..65535) says for how long the client has been at it. `client_address` is the one
    that the client has and answers ARP for. Each option has at most 255 bytes.
    """
    from dpkt import dhcp as packets

    message = packets.DHCP(
        op=packets.DHCP_OP_REQUEST,
        xid=transaction,
        secs=seconds,
        ciaddr=int.from_bytes(client_address, "big"),
        chaddr=bytes(client),
        opts=((Option.MESSAGE_TYPE, bytes([kind])), *options.items()),
    )
    return bytes(message).ljust(SHORTEST, b"\0")
