"""A program made ready for one flow: every offset found, every checksum difference summed.

Theory of operation. All frames of a flow carry the same addresses and ports, so what a rewrite
adds to their checksums is the same for each of them and is summed once, here (RFC 1624). What is
left per frame is to write a few bytes and to add a few constants. Two differences are kept for the
transport checksum: where the checksum is finished, addresses and ports count; where the virtio-net
header says NEEDS_CSUM the field holds the sum of the pseudo-header alone, so only addresses do.

Most of it many flows have in common: where things stand, which stations and which port come next.
That is a `Plan`, which they share. What each flow has of its own is a `Routine`: the addresses and
ports to write, and three differences. From the time to live to the destination, and in a header
without options on to the ports, all is written in one piece, what stays the same included.

What a protocol has besides addresses is in one table. TCP, UDP, UDP-Lite (RFC 3828) and DCCP (RFC
4340) have ports, and checksums that cover a pseudo header. ICMP queries have an identifier and
a checksum without pseudo header. SCTP's ports stay as they are, and its CRC covers no address; of
everything else only addresses are known. A zero in the field of UDP means that there is no
checksum, in that of UDP-Lite that the datagram is broken: either stays.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from vswitch.fastpath.clamp import clamp_mss
from vswitch.fastpath.program import (
    ClampMss,
    DecrementTtl,
    FitMtu,
    Output,
    Program,
    SetDestination,
    SetSource,
    SetStations,
    Track,
)
from vswitch.wire import checksum, ethernet, icmp, ipv4, ipv6, offload, tcp, udp
from vswitch.wire.buffer import Buffer, MutableBuffer
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import EtherType, Protocol

PATCH_LENGTH = 12
"""Bytes of a patch: source and destination address, source and destination port."""

_NO_LIMIT = 1 << 30
_ONES = 0xFFFF
"""One's-complement sums count modulo this."""

_TTL_DIFFERENCE = _ONES - 0x0100
"""What a header's sum changes by when the high byte of one of its words goes down by one."""

_STATIONS = slice(ethernet.START, ethernet.START + ethernet.ETHERTYPE)
_HEAD = struct.Struct(">BBH")
"""Time to live, protocol and checksum, which stand in front of the addresses."""

_ADDRESSES = 8
"""Bytes of a patch that are addresses."""

_NUMBERS = struct.Struct(">QI")
"""Addresses and ports of a patch as numbers, which are congruent to the sums of their words, modulo
`_ONES`: see `wire.checksum`."""

_VLAN = int(EtherType.VLAN)
_ICMP = int(Protocol.ICMP)
_QUESTIONS = frozenset(
    {
        int(icmp.Type.ECHO_REQUEST),
        int(icmp.Type.TIMESTAMP_REQUEST),
        int(icmp.Type.INFORMATION_REQUEST),
        int(icmp.Type.ADDRESS_MASK_REQUEST),
    }
)
"""ICMP queries whose identifier is their source's; that of the answers is the destination's."""


class _Header(NamedTuple):
    """What of a transport header may be rewritten. Offsets count from its start."""

    ports: int
    """Where the ports or the identifier stand."""
    length: int
    """How many bytes they have, 0 where there are none."""
    checksum: int
    """Where the checksum stands, 0 where there is none to update."""
    covers_addresses: bool
    zero_is_none: bool
    """Whether a checksum of zero is none, and stays."""
    zero: int
    """What is written where the checksum comes out as zero. All ones say the same, where a zero
    means that there is none, and in an ICMP message that has become all zeros."""


_NOTHING = _Header(0, 0, 0, covers_addresses=False, zero_is_none=False, zero=0)
_QUERY = _Header(
    icmp.IDENTIFIER,
    2,
    icmp.CHECKSUM,
    covers_addresses=False,
    zero_is_none=False,
    zero=_ONES,
)
_SEGMENT = _Header(
    tcp.SOURCE_PORT, 4, tcp.CHECKSUM, covers_addresses=True, zero_is_none=False, zero=0
)
_DATAGRAM = _Header(
    udp.SOURCE_PORT, 4, udp.CHECKSUM, covers_addresses=True, zero_is_none=True, zero=_ONES
)
_HEADERS = {
    int(Protocol.TCP): _SEGMENT,
    int(Protocol.UDP): _DATAGRAM,
    int(Protocol.UDP_LITE): _DATAGRAM,
    int(Protocol.DCCP): _SEGMENT._replace(checksum=6),
}


@dataclass(frozen=True, slots=True)
class Plan:
    """What the frames of many flows need done. Offsets count from the start of the buffer, and zero
    says that there is nothing to do."""

    packet_limit: int
    """The longest packet that fits, counted from the start of Ethernet, in bytes."""
    protocol: int
    """Of the IPv4 packet, 0 where nobody looks at one."""
    direction: int | None
    """Of the connection that is tracked, None where none is."""
    stations: bytes
    """What is written over the addresses of Ethernet; empty where they stay."""
    network: int
    """Where the IPv4 header begins."""
    hops: int
    """By how much the time to live goes down."""
    piece: struct.Struct
    """The IPv4 header from there on, and as much of a patch as follows immediately."""
    apart: slice | None
    """Where the rest of it stands, None where nothing is left."""
    rest: slice
    """That rest, in the patch."""
    transport_checksum: int
    zero_is_none: bool
    zero: int
    mss_limit: int
    """What a SYN may ask for, 0 where that is its own business."""
    outputs: tuple[int, ...]

    def rewrite(
        self, frame: MutableBuffer, patch: bytes, header: int, finished: int, unfinished: int
    ) -> None:
        """Carry out, in place, everything but the sending: see `Routine` for the arguments."""
        if self.stations:
            frame[_STATIONS] = self.stations
        if self.network:
            at = self.network + ipv4.TTL
            ttl, protocol, field = _HEAD.unpack_from(frame, at)
            field = (field - header) % _ONES
            self.piece.pack_into(frame, at, ttl - self.hops, protocol, field, patch)
        if self.apart is not None:
            frame[self.apart] = patch[self.rest]
        at = self.transport_checksum
        if at:
            field = frame[at] << 8 | frame[at + 1]
            if frame[offload.FLAGS] & offload.NEEDS_CSUM:
                field = checksum.update_partial(field, unfinished)
            elif field or not self.zero_is_none:
                field = (field - finished) % _ONES or self.zero
            frame[at] = field >> 8
            frame[at + 1] = field & 0xFF


class Routine(NamedTuple):
    """What one flow has of its own, with its plan."""

    plan: Plan
    patch: bytes
    """Addresses and ports as they are to be, `PATCH_LENGTH` bytes; zeros where there are none."""
    header: int
    """The difference of the IPv4 header."""
    finished: int
    """That of a transport checksum that is finished."""
    unfinished: int
    """That of one that holds the sum of the pseudo header alone."""
    tracked: int
    """The number of the connection that the plan's direction is one of."""

    @property
    def outputs(self) -> tuple[int, ...]:
        """The numbers of the ports that a frame leaves by."""
        return self.plan.outputs

    def another(self, old: bytes, new: bytes, tracked: int) -> Routine:
        """The routine of another flow of TCP or UDP that has the same plan: `old` are addresses and
        ports as its frames have them, `new` what they become."""
        ttl = _TTL_DIFFERENCE if self.plan.hops else 0
        return _of_ends(self.plan, old, new, ttl, tracked, covers_addresses=True)

    def run(self, frame: MutableBuffer) -> None:
        """Carry out, in place, everything but the sending, on the frame that this is made for."""
        if self.plan.mss_limit:
            clamp_mss(frame, self.plan.network, self.plan.mss_limit)
        self.plan.rewrite(frame, self.patch, self.header, self.finished, self.unfinished)


def longest_packet(frame: Buffer) -> int:
    """Bytes, from the start of Ethernet, of the longest packet that `frame` stands for.

    Of a super-frame that is one segment with its headers. Their length is read from the transport
    header, as the virtio-net header's own word for it is no more than a hint (virtio 1.2, 5.1.6.2).
    """
    length = len(frame) - offload.HEADER_LENGTH
    if frame[offload.GSO_TYPE] == offload.GSO_NONE:
        return length
    flags, gso_type, _, gso_size, checksum_start, _ = offload.fields(frame)
    start = checksum_start if flags & offload.NEEDS_CSUM else _transport_start(frame)
    headers = start + udp.HEADER_LENGTH
    if gso_type != offload.GSO_UDP_L4:
        at = ethernet.START + start + tcp.DATA_OFFSET
        if at >= len(frame):
            return length
        headers = start + (frame[at] >> 4 << 2)
    return min(length, headers + gso_size)


def _transport_start(frame: Buffer) -> int:
    """Bytes before the transport header where only the packet tells: its checksum is finished."""
    link = ethernet.Ethernet.parse(frame)
    if isinstance(link, Malformed) or link.payload >= len(frame):
        return len(frame)
    is_ipv4 = link.ethertype == EtherType.IPV4
    header = (frame[link.payload] & 0x0F) * 4 if is_ipv4 else ipv6.HEADER_LENGTH
    return link.payload + header - ethernet.START


def prepare(program: Program, frame: Buffer) -> Routine:
    """The routine of `program` for the flow of `frame`.

    The pipeline has parsed the frame before it made a program, so where the program looks at IPv4
    that header is whole, and where it rewrites addresses so is the transport's.
    """
    mtu = tracked = mss_limit = 0
    stations = b""
    direction = None
    decrements = False
    source = destination = None
    outputs: tuple[int, ...] = ()
    for action in program.actions:
        match action:
            case FitMtu():
                mtu = action.mtu
            case Track():
                tracked, direction = action.flow, action.direction
            case SetStations():
                stations = action.destination + action.source
            case DecrementTtl():
                decrements = True
            case SetSource():
                source = action
            case SetDestination():
                destination = action
            case ClampMss():
                mss_limit = action.limit
            case Output():
                outputs += (action.port,)
    rewrites = bool(source or destination)
    layers = _NO_LAYERS
    if rewrites or decrements or mss_limit:
        layers = _layers(frame, rewrites=rewrites)
    plan = _plan(layers, mtu, direction, stations, decrements, mss_limit, outputs)
    old = _addresses_and_ports(frame, layers)
    ttl = _TTL_DIFFERENCE if decrements else 0
    if not rewrites:
        return Routine(plan, old, ttl, 0, 0, tracked)
    new = _patched(old, layers, source, destination)
    return _of_ends(plan, old, new, ttl, tracked, covers_addresses=layers.header.covers_addresses)


def _of_ends(
    plan: Plan, old: bytes, new: bytes, ttl: int, tracked: int, *, covers_addresses: bool
) -> Routine:
    """The routine that makes one patch of another. `ttl` is a difference, too."""
    new_addresses, new_ports = _NUMBERS.unpack(new)
    old_addresses, old_ports = _NUMBERS.unpack(old)
    addresses, ports = new_addresses - old_addresses, new_ports - old_ports
    transport = ports + addresses if covers_addresses else ports
    return Routine(
        plan, new, (addresses + ttl) % _ONES, transport % _ONES, addresses % _ONES, tracked
    )


class _Layers(NamedTuple):
    """Where the headers of a packet are, and what the transport's is like."""

    network: int
    transport: int
    protocol: int
    kind: int
    """The type of an ICMP message."""
    header: _Header


_NO_LAYERS = _Layers(0, 0, 0, 0, _NOTHING)


def _layers(frame: Buffer, *, rewrites: bool) -> _Layers:
    """Of the transport header nothing is looked at unless something is rewritten."""
    network = ethernet.START + ethernet.HEADER_LENGTH
    if (frame[network - 2] << 8 | frame[network - 1]) == _VLAN:
        network += ethernet.TAG_LENGTH
    transport = network + ((frame[network] & 0x0F) << 2)
    protocol = frame[network + ipv4.PROTOCOL]
    if not rewrites:
        return _Layers(network, transport, protocol, 0, _NOTHING)
    if protocol != _ICMP:
        return _Layers(network, transport, protocol, 0, _HEADERS.get(protocol, _NOTHING))
    kind = frame[transport + icmp.TYPE]
    header = _QUERY if kind in icmp.QUERIES else _NOTHING
    return _Layers(network, transport, protocol, kind, header)


@lru_cache(maxsize=4096)
def _plan(
    layers: _Layers,
    mtu: int,
    direction: int | None,
    stations: bytes,
    decrements: bool,
    mss_limit: int,
    outputs: tuple[int, ...],
) -> Plan:
    network, transport, header = layers.network, layers.transport, layers.header
    ahead = network - ethernet.START if network else ethernet.HEADER_LENGTH
    ports, behind = transport + header.ports, network + ipv4.OPTIONS
    together = header.length if ports == behind else 0
    left = slice(_ADDRESSES + together, _ADDRESSES + header.length)
    return Plan(
        packet_limit=mtu + ahead if mtu else _NO_LIMIT,
        protocol=layers.protocol,
        direction=direction,
        stations=stations,
        network=network,
        hops=int(decrements),
        piece=struct.Struct(f"{_HEAD.format}{_ADDRESSES + together}s"),
        apart=slice(ports, ports + header.length) if left.start < left.stop else None,
        rest=left,
        transport_checksum=transport + header.checksum if header.checksum else 0,
        zero_is_none=header.zero_is_none,
        zero=header.zero,
        mss_limit=mss_limit,
        outputs=outputs,
    )


def _addresses_and_ports(frame: Buffer, layers: _Layers) -> bytes:
    """What a patch replaces."""
    addresses = layers.network + ipv4.SOURCE
    ports = layers.transport + layers.header.ports
    old = bytes(frame[addresses : addresses + _ADDRESSES])
    return (old + frame[ports : ports + layers.header.length]).ljust(PATCH_LENGTH, b"\0")


def _patched(
    old: bytes, layers: _Layers, source: SetSource | None, destination: SetDestination | None
) -> bytes:
    new = bytearray(old)
    if source:
        new[0:4] = source.address
    if destination:
        new[4:8] = destination.address
    if layers.header is _QUERY:
        owner = source if layers.kind in _QUESTIONS else destination
        if owner:
            new[8:10] = owner.port.to_bytes(2, "big")
    else:
        if source:
            new[8:10] = source.port.to_bytes(2, "big")
        if destination:
            new[10:12] = destination.port.to_bytes(2, "big")
    return bytes(new)
