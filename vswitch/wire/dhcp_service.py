"""DHCPv4 messages from the server's end: what a client asks, and what it is answered with.

Theory of operation. `Request` is read as `dhcp.Reply` is, from the data of a UDP datagram. An
answer is made by `build`, from options in the order in which they matter: the header and its sizes
are packed by dpkt. Where a client takes less than there is to say, options overflow into the
fields for the file's and the server's name (option 52), where these are not needed, and what fits
nowhere is left out. One that is longer than 255 bytes is cut into pieces (RFC 3396).

Here are also the values of options that are no plain numbers or addresses. The search list is
compressed as names in DNS are, by dnspython, which is loaded where somebody has configured one.

Read first: RFC 2131 sections 2 and 4.1, RFC 3396, RFC 3397, RFC 3442.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from io import BytesIO
from itertools import chain

from vswitch.units import SECOND, Nanoseconds
from vswitch.wire.buffer import Buffer
from vswitch.wire.dhcp import (
    INFINITE,
    SHORTEST,
    UNSPECIFIED,
    BadMessage,
    Direction,
    MessageType,
    Option,
    Options,
    unpack,
)
from vswitch.wire.values import IPV4_LENGTH, IpAddress, IpNetwork, MacAddress

LEAST_SIZE = 548
"""Bytes of a message that every client takes: a datagram of 576 (RFC 2131, 2)."""

FILE_LENGTH = 128
NAME_LENGTH = 64
"""Bytes of the fields for the file's and the server's name."""

_HEADER_LENGTH = 240  # the magic number, with which the options begin, included
_HEADERS = 28  # IPv4's and UDP's, which option 57 counts
_CODE_AND_LENGTH = 2
_END = 1
_PIECE = 255
_OVERLOAD_LENGTH = 3
_BROADCAST_FLAG = 0x8000
_OVERLOADS_FILE = 1
_OVERLOADS_NAME = 2


@dataclass(frozen=True, slots=True)
class Request(Options):
    """What a client asks."""

    type: MessageType
    transaction: int
    """The number by which it knows its answer."""
    client: MacAddress
    """The station that is to be configured, whoever has sent the frame."""
    address: IpAddress
    """The one that the client has and answers ARP for (`ciaddr`); unspecified where it has none."""
    relay: IpAddress
    """The agent that has passed it on (`giaddr`); unspecified where none has."""
    wants_broadcast: bool
    """Whether the client takes no frames to an address that it does not have yet."""

    @staticmethod
    def parse(data: Buffer) -> Request | BadMessage:
        """Read the data of a datagram; whatever the bytes are, this does not raise."""
        unpacked = unpack(data, Direction.REQUEST)
        if isinstance(unpacked, BadMessage):
            return unpacked
        kind, header, options = unpacked
        station = MacAddress(header.chaddr)
        if station.is_multicast or station.is_zero:
            return BadMessage.NO_STATION
        return Request(
            options,
            kind,
            header.xid,
            station,
            IpAddress(header.ciaddr.to_bytes(IPV4_LENGTH, "big")),
            IpAddress(header.giaddr.to_bytes(IPV4_LENGTH, "big")),
            bool(header.flags & _BROADCAST_FLAG),
        )

    @property
    def identifier(self) -> bytes:
        """What the client calls itself; empty where it does not."""
        return self.options.get(Option.CLIENT_IDENTIFIER, b"")

    @property
    def parameters(self) -> bytes | None:
        """The codes of the options that it asks for, most wanted first; None where it does not
        say."""
        return self.options.get(Option.PARAMETER_REQUEST_LIST)

    @property
    def longest_answer(self) -> int:
        """Bytes of the longest message that it takes, without IPv4's and UDP's headers."""
        said = self.number_of(Option.MAXIMUM_MESSAGE_SIZE, 2) or 0
        return max(LEAST_SIZE, said - _HEADERS)


@dataclass(frozen=True, slots=True)
class Boot:
    """What the header says of where a client boots from."""

    server: IpAddress = UNSPECIFIED
    name: bytes = b""
    """Of the server; at most 63 bytes."""
    file: bytes = b""
    """At most 127 bytes."""


NOWHERE = Boot()


def build(
    kind: MessageType,
    request: Request,
    options: Mapping[Option, bytes],
    *,
    longest: int,
    address: IpAddress = UNSPECIFIED,
    client_address: IpAddress = UNSPECIFIED,
    boot: Boot = NOWHERE,
) -> bytes:
    """A server's answer to a request, of at most `longest` bytes, but 300 at least.

    `address` is the one that the client is to have, `client_address` the one that it has. Of
    options that do not fit all together, the first ones are there.
    """
    from dpkt import dhcp as packets

    fields = _lay_out({Option.MESSAGE_TYPE: bytes([kind]), **options}, longest, boot)
    message = packets.DHCP(
        op=packets.DHCP_OP_REPLY,
        xid=request.transaction,
        flags=_BROADCAST_FLAG if request.wants_broadcast else 0,
        ciaddr=int.from_bytes(client_address, "big"),
        yiaddr=int.from_bytes(address, "big"),
        siaddr=int.from_bytes(boot.server, "big"),
        chaddr=bytes(request.client),
        sname=_packed(fields.name) if fields.name else boot.name,
        file=_packed(fields.file) if fields.file else boot.file,
        opts=fields.options,
    )
    return bytes(message).ljust(SHORTEST, b"\0")


_Pieces = list[tuple[int, bytes]]


@dataclass(slots=True)
class _Fields:
    """Which options stand where."""

    options: _Pieces
    file: _Pieces
    name: _Pieces


def _lay_out(options: Mapping[Option, bytes], longest: int, boot: Boot) -> _Fields:
    """The first of all options is that of the type, which stands where everybody finds it."""
    room = longest - _HEADER_LENGTH - _END
    every = [_cut(code, octets) for code, octets in options.items()]
    if _size(chain.from_iterable(every)) <= room:
        return _Fields(list(chain.from_iterable(every)), [], [])
    fields = _Fields([], [], [])
    rooms = [
        (fields.options, room - _OVERLOAD_LENGTH),
        (fields.file, 0 if boot.file else FILE_LENGTH - _END),
        (fields.name, 0 if boot.name else NAME_LENGTH - _END),
    ]
    for pieces in every:
        for there, space in rooms:
            if _size(there) + _size(pieces) <= space:
                there += pieces
                break
    overloaded = bool(fields.file) * _OVERLOADS_FILE | bool(fields.name) * _OVERLOADS_NAME
    if overloaded:
        fields.options.insert(1, (Option.OVERLOAD, bytes([overloaded])))
    return fields


def _cut(code: Option, octets: bytes) -> _Pieces:
    starts = range(0, max(1, len(octets)), _PIECE)
    return [(code, octets[start : start + _PIECE]) for start in starts]


def _size(pieces: Iterable[tuple[int, bytes]]) -> int:
    return sum(_CODE_AND_LENGTH + len(octets) for _, octets in pieces)


def _packed(pieces: _Pieces) -> bytes:
    """A field that holds options, with the end of them."""
    from dpkt import dhcp as packets

    octets: bytes = packets.DHCP(opts=pieces).pack_opts()
    return octets


# Values of options


def seconds(time: Nanoseconds) -> bytes:
    """A time, as of a lease: one that would pass for a time without end is shortened."""
    return min(time // SECOND, INFINITE - 1).to_bytes(4, "big")


def classless_routes(routes: Iterable[tuple[IpNetwork, IpAddress]]) -> bytes:
    """The value of option 121: each destination with no more octets than its prefix needs, and the
    router to it."""
    return b"".join(
        bytes([destination.prefix_length])
        + destination.address[: (destination.prefix_length + 7) // 8]
        + router
        for destination, router in routes
    )


def search_list(domains: Iterable[str]) -> bytes:
    """The value of option 119, compressed. Raises ValueError where one of them is no domain."""
    import dns.exception
    import dns.name

    written = BytesIO()
    places: dict[dns.name.Name, int] = {}
    for domain in domains:
        try:
            dns.name.from_text(domain).to_wire(written, places)
        except (dns.exception.DNSException, UnicodeError):
            raise ValueError(f'"{domain}" is not a domain (like example.org)') from None
    return written.getvalue()
