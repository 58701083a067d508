"""Frames that a fast path may meet: sound ones, and all the ways in which they lie.

Theory of operation. Little is chosen from much: two hosts, two servers and few ports make flows, so
that frames often share a key; and lengths, numbers and offsets come from both sides of each edge
that a fast path has to know. A frame is made with struct and not by a printer of packets, because
the long mode makes millions. What is `sound` is then damaged once or twice.

Chance comes in as an argument, so a seed is all that a finding needs. Stations, addresses and ports
have names here that programs and ports of a test use as well.
"""

from __future__ import annotations

import struct
from random import Random
from typing import NamedTuple

from vswitch.fastpath.program import Action, Program, SetDestination, SetSource
from vswitch.fastpath.routine import prepare
from vswitch.wire import icmp, ipv4, tcp, udp
from vswitch.wire.checksum import checksum, pseudo_header_sum
from vswitch.wire.dhcp import CLIENT_PORT
from vswitch.wire.offload import (
    DATA_VALID,
    FINISHED,
    GSO_ECN,
    GSO_NONE,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP,
    GSO_UDP_L4,
    HEADER_LENGTH,
    NEEDS_CSUM,
    OffloadHeader,
)
from vswitch.wire.values import EtherType, IpAddress, MacAddress, Protocol

HOST = MacAddress.parse("02:00:00:00:00:0a")
NEIGHBOUR = MacAddress.parse("02:00:00:00:00:0b")
GATEWAY = MacAddress.parse("02:00:00:00:01:01")
UPLINK = MacAddress.parse("02:00:00:00:00:fe")
EVERYBODY = MacAddress.parse("ff:ff:ff:ff:ff:ff")

INSIDE = (IpAddress.parse("10.0.0.2"), IpAddress.parse("10.0.0.3"))
OUTSIDE = (IpAddress.parse("198.51.100.1"), IpAddress.parse("0.0.0.0"))
EXTERNAL = (IpAddress.parse("203.0.113.1"), IpAddress.parse("255.255.255.255"))
PORTS = (5000, 80)
_TO_PORTS = (*PORTS, *PORTS, CLIENT_PORT)
"""A DHCP client's among them, which makes a frame one of those that no program sends on."""
NEW_PORTS = (6000, 0)

SOURCES: tuple[Action, ...] = tuple(map(SetSource, EXTERNAL, NEW_PORTS))
DESTINATIONS: tuple[Action, ...] = tuple(map(SetDestination, INSIDE, NEW_PORTS))

_IP = HEADER_LENGTH + 14
_TRANSPORT = _IP + ipv4.HEADER_LENGTH
_CHECKSUM_AT = {Protocol.TCP: tcp.CHECKSUM, Protocol.UDP: udp.CHECKSUM, Protocol.ICMP: 2}
_SUPER = {Protocol.TCP: GSO_TCPV4, Protocol.UDP: GSO_UDP_L4}
_SPACE = 1 << 32


class Flow(NamedTuple):
    """What the frames of one flow have in common."""

    station: MacAddress
    protocol: Protocol
    source: IpAddress
    destination: IpAddress
    ports: tuple[int, int]
    numbers: tuple[int, int]
    """Around which a TCP segment's sequence and acknowledgment numbers are."""


_PROTOCOLS = (Protocol.TCP, Protocol.TCP, Protocol.TCP, Protocol.UDP, Protocol.UDP, Protocol.ICMP,
              Protocol.UDP_LITE)  # fmt: skip


def a_flow(random: Random, station: MacAddress) -> Flow:
    """A flow to a station, which is the gateway's where it is to be routed."""
    addresses = random.choice(INSIDE), random.choice(OUTSIDE)
    ports = random.choice(PORTS), random.choice(_TO_PORTS)
    numbers = random.choice(FIRST_NUMBERS), random.choice(FIRST_NUMBERS)
    return Flow(station, random.choice(_PROTOCOLS), *addresses, ports, numbers)


def answering(flow: Flow, station: MacAddress) -> Flow:
    """The other direction of a flow, to another station."""
    return Flow(
        station,
        flow.protocol,
        flow.destination,
        flow.source,
        flow.ports[::-1],
        flow.numbers[::-1],
    )


# Edges

FIRST_NUMBERS = (999, 4999, _SPACE - 3)
"""Where connections begin."""

_NEAR = (0, 1, 1, 1, 2, 1000, 1461)
_FAR = (
    65_535, 65_536, 65_999, 66_000, 66_000, 66_001, 66_001, 66_002, 66_002, 66_003, 131_999,
    132_000, 132_001, 132_002, 132_003, 65_535 << 7, (65_535 << 7) + 1, 1 << 30, (1 << 31) - 1,
    1 << 31,
)  # fmt: skip
"""One of the narrowest windows, and two, and their neighbours; where ahead becomes behind."""

_WINDOWS = (0, 1, 1000, 65_535)
_SCALES = (None, 0, 7, 7, 14, 15)
_LENGTHS = (0, 0, 1, 2, 3, 8, 9, 100, 1459, 1460, 1461, 3000)
_PIECES = (0, 7, 8, 9, 100, 1459, 1460, 1461, 1461, 0xFFFF)
_FLAGS = (
    tcp.ACK, tcp.ACK, tcp.ACK, tcp.ACK | tcp.PSH, tcp.ACK | tcp.PSH, tcp.ACK | tcp.CWR,
    tcp.SYN, tcp.SYN | tcp.ACK, tcp.FIN | tcp.ACK, tcp.RST,
)  # fmt: skip
_SENSIBLE_FLAGS = (
    tcp.ACK, tcp.ACK, tcp.ACK, tcp.ACK | tcp.PSH, tcp.SYN, tcp.SYN | tcp.ACK, tcp.SYN | tcp.ACK,
    tcp.FIN | tcp.ACK, tcp.RST, tcp.RST | tcp.ACK,
)  # fmt: skip
_SCALING = b"\x02\x04\x05\xb4\x01\x03\x03\x07"
"""The longest segment, and a window scale of 7."""

_OPTIONS = (
    b"",
    b"",
    _SCALING,
    b"\x01\x01\x08\x0a" + bytes(8),
    b"\x02\x04\x05\xb4",
    b"\x02\x04\xff\xff",
)
_FILLS = (b"\x00", b"\xff", bytes(range(256)))
_TTLS = (64, 64, 64, 255, 2, 2, 1)


def a_number(random: Random, first: int, *, near: bool = False) -> int:
    """A sequence number of a connection: soon after its first one, or far enough to matter."""
    if near or random.random() < 0.7:
        return (first + random.choice(_NEAR)) % _SPACE
    return (first + random.choice((1, -1)) * random.choice(_FAR)) % _SPACE


def a_window(random: Random) -> int:
    """What an end announces, before scaling."""
    return random.choice(_WINDOWS)


def a_scale(random: Random) -> int | None:
    """What a SYN says about scaling, if anything."""
    return random.choice(_SCALES)


# Sound frames


def sound(random: Random, flow: Flow) -> bytes:
    """A frame of a flow, with everything in it right, and anything that may be unfinished so."""
    body = bytearray(_transport(random, flow, _payload(random)))
    at = _CHECKSUM_AT.get(flow.protocol, udp.CHECKSUM)
    if flow.protocol is not Protocol.ICMP:
        covered = pseudo_header_sum(flow.source, flow.destination, flow.protocol, len(body))
        struct.pack_into(">H", body, at, covered)
    header = OffloadHeader(random.choice((0, 0, DATA_VALID)))
    if flow.protocol in _SUPER and random.random() < 0.5:
        header = OffloadHeader(NEEDS_CSUM, GSO_NONE, 0, 0, 34, at)
        if random.random() < 0.5:
            gso = _SUPER[flow.protocol] | (GSO_ECN if random.random() < 0.1 else 0)
            header = OffloadHeader(NEEDS_CSUM, gso, 54, random.choice(_PIECES), 34, at)
    else:
        struct.pack_into(">H", body, at, checksum(body))
    return _packet(flow, bytes(body), random.choice(_TTLS), header.pack())


def a_segment(random: Random, flow: Flow) -> bytes:
    """A TCP segment of a connection that makes sense somewhere in it."""
    payload = bytes(random.choice((0, 1, 1000, 1460)))
    flags, options = random.choice(_SENSIBLE_FLAGS), random.choice((b"", _SCALING))
    offset = tcp.HEADER_LENGTH + len(options) << 2
    fields = *flow.ports, *flow.numbers, offset, flags, a_window(random), 0, 0
    body = bytearray(struct.pack(">HHIIBBHHH", *fields) + options + payload)
    covered = pseudo_header_sum(flow.source, flow.destination, flow.protocol, len(body))
    struct.pack_into(">H", body, tcp.CHECKSUM, covered)
    struct.pack_into(">H", body, tcp.CHECKSUM, checksum(body))
    return _packet(flow, bytes(body), 64, FINISHED)


def _payload(random: Random) -> bytes:
    fill, length = random.choice(_FILLS), random.choice(_LENGTHS)
    return (fill * (length // len(fill) + 1))[:length]


def _transport(random: Random, flow: Flow, payload: bytes) -> bytes:
    """A transport header without its checksum, and what it carries."""
    one, other = flow.ports
    match flow.protocol:
        case Protocol.TCP:
            options, flags = random.choice(_OPTIONS), random.choice(_FLAGS)
            offset = tcp.HEADER_LENGTH + len(options) << 2
            far = random.randrange(2)
            seq = a_number(random, flow.numbers[0], near=far == 0)
            ack = a_number(random, flow.numbers[1], near=far == 1)
            head = (one, other, seq, ack, offset, flags, a_window(random), 0, 0)
            return struct.pack(">HHIIBBHHH", *head) + options + payload
        case Protocol.ICMP:
            kind = icmp.Type.ECHO_REPLY if other == PORTS[0] else icmp.Type.ECHO_REQUEST
            return struct.pack(">BBHHH", kind, 0, 0, one, 1) + payload
        case _:
            return struct.pack(">HHHH", one, other, 8 + len(payload), 0) + payload


def _packet(flow: Flow, body: bytes, ttl: int, header: bytes) -> bytes:
    """A frame whose IPv4 header is right."""
    fields = 0x45, 0, ipv4.HEADER_LENGTH + len(body), 7, 0, ttl, flow.protocol, 0
    ip = bytearray(struct.pack(">BBHHHBBH", *fields) + flow.source + flow.destination)
    struct.pack_into(">H", ip, ipv4.CHECKSUM, checksum(ip))
    return header + flow.station + HOST + struct.pack(">H", EtherType.IPV4) + ip + body


def a_stranger(random: Random) -> bytes:
    """A frame that is no IPv4 packet, down to a header with nothing behind it."""
    station = random.choice((GATEWAY, UPLINK, NEIGHBOUR, EVERYBODY))
    ethertype = random.choice((EtherType.ARP, EtherType.IPV6, EtherType.IPV4, 0x88B5, 46))
    payload = random.randbytes(random.choice((0, 1, 2, 19, 20, 28, 60)))
    frame = FINISHED + station + HOST + struct.pack(">H", ethertype) + payload
    if random.random() < 0.2:
        return frame[: random.randint(HEADER_LENGTH, len(frame))]
    return frame


# Frames that lie


def critical_checksums(flow: Flow, actions: tuple[Action, ...]) -> tuple[int, ...]:
    """What the checksum of a frame may be so that a program makes zero of it, or almost."""
    frame = _packet(flow, _transport(Random(0), flow, b""), 64, FINISHED)
    routine = prepare(Program(actions), frame)
    return 0, 0xFFFF, routine.finished, 0xFFFF - routine.unfinished, -routine.unfinished % 0x10000


def odd(random: Random, flow: Flow, critical: tuple[int, ...] = ()) -> bytes:
    """A frame of a flow, sound or not: one that lies may be of another flow, or of none.

    Its checksum is sometimes one of those that are `critical`.
    """
    frame = sound(random, flow)
    if critical and flow.protocol in _CHECKSUM_AT and random.random() < 0.5:
        at = _TRANSPORT + _CHECKSUM_AT[flow.protocol]
        frame = _with_word(frame, at, random.choice(critical))
    for _ in range(random.choice((0, 0, 0, 1, 1, 2))):
        frame = random.choice(_DAMAGES)(random, frame)
    return frame


_OFFSETS = (0, 14, 24, 33, 34, 35, 38, 54, 74, 0x7FFF, 0xFFFF)
_TYPES = (GSO_NONE, GSO_TCPV4, GSO_UDP, GSO_TCPV6, GSO_UDP_L4, GSO_TCPV4 | GSO_ECN, 0x7F)
_LENGTH_FIELDS = (
    0, 7, 8, 9, 19, 20, 21, 27, 28, 29, 39, 40, 41, 48, 120, 1480, 1500, 3028, 3040, 0xFFFF
)  # fmt: skip
_FRAGMENTS = (0x2000, 0x4000, 1, 0x2001, 0x8000)


def _cut(random: Random, frame: bytes) -> bytes:
    return frame[: random.randint(HEADER_LENGTH, 80)]


def _shorten(random: Random, frame: bytes) -> bytes:
    return frame[: max(len(frame) - random.choice((1, 1, 2, 8, 100)), HEADER_LENGTH)]


def _pad(random: Random, frame: bytes) -> bytes:
    return frame + bytes(range(random.choice((1, 2, 46))))


def _overwrite(random: Random, frame: bytes) -> bytes:
    at = random.randrange(min(len(frame), 80))
    return frame[:at] + random.randbytes(1) + frame[at + 1 :]


def _tag(random: Random, frame: bytes) -> bytes:
    at = HEADER_LENGTH + 12
    tag = struct.pack(">HH", random.choice((0x8100, 0x88A8)), random.choice((0, 1, 5, 0xF005)))
    return frame[:at] + tag + frame[at:]


def _pretend(random: Random, frame: bytes) -> bytes:
    """An offload header that has nothing to do with the frame, or only almost."""
    start, field = random.choice(((34, 16), (34, 6), (34, 17), (38, 16), (0, 0)))
    if random.random() < 0.5:
        start, field = random.choice(_OFFSETS), random.choice((0, 2, 6, 16, 17, 0xFFFF))
    flags, kind, size = random.randrange(4), random.choice(_TYPES), random.choice(_PIECES)
    header = OffloadHeader(flags, kind, random.choice(_OFFSETS), size, start, field)
    return header.pack() + frame[HEADER_LENGTH:]


def _lie_about_length(random: Random, frame: bytes) -> bytes:
    """In the header of the packet or of the datagram, often by one byte alone."""
    begin, field = random.choice(((_IP, ipv4.TOTAL_LENGTH), (_TRANSPORT, udp.LENGTH)))
    length = random.choice(_LENGTH_FIELDS)
    if random.random() < 0.5:
        length = max(len(frame) - begin + random.choice((-1, 1)), 0)
    return _with_word(frame, begin + field, length)


def _fragment(random: Random, frame: bytes) -> bytes:
    return _with_word(frame, _IP + ipv4.FRAGMENT, random.choice(_FRAGMENTS))


def _expire(random: Random, frame: bytes) -> bytes:
    protocol = frame[_IP + ipv4.PROTOCOL] if len(frame) > _TRANSPORT else 0
    return _with_word(frame, _IP + ipv4.TTL, random.choice((0, 1, 2)) << 8 | protocol)


def _other_flags(random: Random, frame: bytes) -> bytes:
    """Data offset and flags of a TCP segment."""
    flags = random.choice((tcp.ACK, random.randrange(256)))
    return _with_word(frame, _TRANSPORT + tcp.DATA_OFFSET, random.randrange(16) << 12 | flags)


def _with_word(frame: bytes, at: int, value: int) -> bytes:
    """Another word in an IPv4 packet, the checksum of whose header is right again: what is wrong
    is to be found behind that."""
    if len(frame) < max(at + 2, _TRANSPORT):
        return frame
    changed = bytearray(frame)
    struct.pack_into(">H", changed, at, value)
    if at < _TRANSPORT:
        struct.pack_into(">H", changed, _IP + ipv4.CHECKSUM, 0)
        struct.pack_into(">H", changed, _IP + ipv4.CHECKSUM, checksum(changed[_IP:_TRANSPORT]))
    return bytes(changed)


_DAMAGES = (
    _cut, _shorten, _pad, _overwrite, _tag, _pretend, _lie_about_length, _lie_about_length,
    _fragment, _expire, _other_flags,
)  # fmt: skip
