"""The engine alone: frames in memory, no kernel, no privileges, the steady figure.

Theory of operation. A whole `Switch` runs behind devices that do next to nothing: they hand out
frames that were made beforehand and count what is sent. What remains is the price of a frame. The
first row is these devices with nothing between them, so that their own share can be seen.

On a hit path one frame is received again and again; only its headers are written anew each time,
as nothing behind them is ever touched. On the slow path every frame is the first of its flow. Each
case begins with a fresh switch, and ends with the question whether the frames went the way that
the case is named for: a benchmark that measured a drop raises `WrongPathError`.

What is measured is CPU time, so that a process that takes turns with the benchmark is not counted
(one that shares its caches still is), and the rounds of all cases alternate. Python's garbage
collector runs as it does in the daemon. Endpoints have no quotas here, as one does the work of all.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random
from time import process_time_ns

from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Interface, Network, Port, Side
from vswitch.devices.base import RawDescriptor, Sent
from vswitch.fastpath.twin import BATCH
from vswitch.translation import Limits, Quotas, Translation
from vswitch.units import SECOND, Nanoseconds
from vswitch.wire import arp, ethernet, ipv4, offload, tcp, udp
from vswitch.wire.buffer import Buffer
from vswitch.wire.offload import OffloadHeader, Offloads
from vswitch.wire.values import BROADCAST, EtherType, IpAddress, IpInterface, MacAddress, Protocol

NOW: Nanoseconds = 1000 * SECOND
HEADERS = 96
"""Bytes at the start of a frame: more than all headers that a switch may rewrite here."""

SMALL = 18
"""Bytes of UDP payload that make the shortest Ethernet frame."""

SEGMENT = 1448
SEGMENTS = 45
"""TCP segments in a super-frame: what fits into an IPv4 packet."""

FIRST_PORT = 1024
MOST_CONNECTIONS = 0x10000 - FIRST_PORT
"""One inside host has no more source ports that NAPT can keep."""

NEW = 20_000
"""Nanoseconds that the first frame of a connection may take."""

HIT = 8_000
"""Nanoseconds that a frame of a known flow may take in the reference."""

UNLIMITED = Limits(connections=1 << 24, memory=1 << 40)
TRACKED = Translation(quotas=Quotas(mappings=0, connections=0))
UNTRACKED = Translation(quotas=Quotas(mappings=0, connections=0), window_tracking=False)

A = (MacAddress.parse("02:00:00:00:01:10"), IpAddress.parse("10.0.0.2"))
B = (MacAddress.parse("02:00:00:00:01:11"), IpAddress.parse("10.0.0.3"))
ROUTER = (MacAddress.parse("02:00:00:00:ff:10"), IpAddress.parse("203.0.113.254"))
GATEWAY = Interface(MacAddress.parse("02:00:00:00:01:01"), IpInterface.parse("10.0.0.1/16"))
UPLINK = Interface(MacAddress.parse("02:00:00:00:ff:01"), IpInterface.parse("203.0.113.1/24"))
FAR = IpAddress.parse("198.51.100.80")

Station = tuple[MacAddress, IpAddress]


class WrongPathError(Exception):
    """The frames did not go the way that was to be measured."""


@dataclass(frozen=True, slots=True)
class Timed:
    """What one round of a case took."""

    items: int
    nanoseconds: int

    @property
    def each(self) -> float:
        """Nanoseconds per item."""
        return self.nanoseconds / self.items


@dataclass(frozen=True, slots=True)
class Case:
    """One thing to measure. `run` takes a number of items and works on about as many."""

    name: str
    item: str
    run: Callable[[int], Timed]
    target: int | None = None
    """Nanoseconds that an item is to take at most, where the project has said so."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """A case and what its rounds took, in nanoseconds per item."""

    name: str
    item: str
    each: tuple[float, ...]
    target: int | None = None


class Treadmill:
    """A device that hands out what it was loaded with and counts what it is sent."""

    kind = "memory"
    offloads = Offloads.ALL

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent = 0
        self._frames: Iterator[memoryview] = iter(())

    def load(self, frames: Iterator[memoryview]) -> None:
        self._frames = frames

    def fileno(self) -> int:
        return -1

    def receive(self, limit: int) -> Iterator[memoryview]:
        return islice(self._frames, limit)

    def send(self, frame: Buffer) -> Sent:  # noqa: ARG002
        self.sent += 1
        return Sent.SENT

    def raw(self) -> RawDescriptor | None:
        return None

    def overcome(self, error: OSError) -> bool:  # noqa: ARG002
        return False

    def close(self) -> None:
        self._frames = iter(())


class Bench:
    """A switch with endpoints A and B inside and a router outside, all of whom it has met."""

    def __init__(
        self,
        translation: Translation = TRACKED,
        out: Treadmill | None = None,
        uplink: Interface = UPLINK,
    ) -> None:
        self.switch = Switch(Random(1), UNLIMITED)
        front = self._network("front", Side.INSIDE, GATEWAY, None, translation)
        outside = self._network("outside", Side.OUTSIDE, uplink, ROUTER[1], translation)
        self.a, self.a_port = self._connect(Treadmill("a"), front)
        self.b, self.b_port = self._connect(Treadmill("b"), front)
        self.out, self.out_port = self._connect(out or Treadmill("outside"), outside)
        self.meet(self.a, self.a_port, A, GATEWAY)
        self.meet(self.b, self.b_port, B, GATEWAY)
        self.meet(self.out, self.out_port, ROUTER, UPLINK)

    def give(self, device: Treadmill, port: Port, *frames: Buffer) -> None:
        """Let these frames be received, each once."""
        device.load(iter([memoryview(bytearray(frame)) for frame in frames]))
        for _ in range(0, len(frames), BATCH):
            self.switch.serve(port.number, NOW)

    def time_hits(
        self, count: int, device: Treadmill, port: Port, frame: Buffer, leaves_by: Treadmill
    ) -> Timed:
        """Receive one frame `count` times after a first round that makes its flow known."""
        device.load(repeated(frame))
        serve, number = self.switch.serve, port.number
        serve(number, NOW)
        decided, sent = self._decided(), leaves_by.sent
        rounds = rounds_of(count)
        begun = process_time_ns()
        for _ in range(rounds):
            serve(number, NOW)
        taken = process_time_ns() - begun
        expect("decided by the pipeline", self._decided() - decided, 0)
        expect("sent", leaves_by.sent - sent, rounds * BATCH)
        return Timed(rounds * BATCH, taken)

    def _decided(self) -> int:
        return sum(self.switch.counters.fates.values())

    def meet(self, device: Treadmill, port: Port, who: Station, whom: Interface) -> None:
        """Let a station ask for the switch by ARP: both know each other afterwards."""
        mac, address = who
        nobody = MacAddress(bytes(6))
        request = arp.build(arp.Operation.REQUEST, mac, address, nobody, whom.address.address)
        self.give(device, port, ethernet.build(BROADCAST, mac, EtherType.ARP, request))

    def _network(
        self,
        name: str,
        side: Side,
        interface: Interface,
        next_hop: IpAddress | None,
        translation: Translation,
    ) -> Network:
        number = self.switch.new_network_number()
        network = Network(
            number, name, side, interface, next_hop, mtu=1500, translation=translation
        )
        self.switch.add_network(network)
        return network

    def _connect(self, device: Treadmill, network: Network) -> tuple[Treadmill, Port]:
        return device, self.switch.add_port(device.name, network.number, device)


def repeated(frame: Buffer) -> Iterator[memoryview]:
    """One frame without end, its headers as they were at first each time."""
    buffer = memoryview(bytearray(frame))
    headers = bytes(frame[:HEADERS])
    length = len(headers)
    while True:
        buffer[:length] = headers
        yield buffer


def rounds_of(count: int) -> int:
    """Rounds of a whole batch that make up at least `count` frames."""
    return -(-count // BATCH)


def expect(what: str, found: int, expected: int) -> None:
    """Raise WrongPathError where a count is not what the case is about."""
    if found != expected:
        raise WrongPathError(f"{what}: {found} instead of {expected}")


# The frames


def udp_frame(
    source: Station, to: MacAddress, destination: IpAddress, ports: tuple[int, int]
) -> bytes:
    datagram = udp.build(source[1], destination, *ports, bytes(SMALL))
    packet = ipv4.build(source[1], destination, Protocol.UDP, datagram)
    return bytes(ethernet.build(to, source[0], EtherType.IPV4, packet))


def tcp_frame(
    mac: MacAddress,
    to: MacAddress,
    addresses: tuple[IpAddress, IpAddress],
    ports: tuple[int, int],
    flags: int,
    payload: bytes = b"",
) -> bytes:
    """A SYN has the number 0; what comes after it has 1, and acknowledges as much."""
    segment = tcp.build(
        *addresses,
        *ports,
        sequence=int(not flags & tcp.SYN),
        acknowledgment=int(bool(flags & tcp.ACK)),
        flags=flags,
        payload=payload,
    )
    packet = ipv4.build(*addresses, Protocol.TCP, segment)
    return bytes(ethernet.build(to, mac, EtherType.IPV4, packet))


def super_frame(frame: bytes) -> bytes:
    """A TCP frame as a kernel hands it over that leaves the checksum and the cutting to others."""
    start = ethernet.HEADER_LENGTH + ipv4.HEADER_LENGTH
    header = OffloadHeader(
        flags=offload.NEEDS_CSUM,
        gso_type=offload.GSO_TCPV4,
        header_length=start + tcp.HEADER_LENGTH,
        gso_size=SEGMENT,
        checksum_start=start,
        checksum_offset=tcp.CHECKSUM,
    )
    return header.pack() + frame[offload.HEADER_LENGTH :]


def handshake(port: int) -> tuple[bytes, bytes, bytes]:
    """SYN from A, SYN and ACK from the far host, ACK from A; NAPT keeps the port."""
    outward, inward = (A[1], FAR), (FAR, UPLINK.address.address)
    there, back = (port, 443), (443, port)
    return (
        tcp_frame(A[0], GATEWAY.mac, outward, there, tcp.SYN),
        tcp_frame(ROUTER[0], UPLINK.mac, inward, back, tcp.SYN | tcp.ACK),
        tcp_frame(A[0], GATEWAY.mac, outward, there, tcp.ACK),
    )


# The cases


def devices_alone(count: int) -> Timed:
    device, other = Treadmill("a"), Treadmill("b")
    device.load(repeated(udp_frame(A, B[0], B[1], (5000, 5001))))
    rounds = rounds_of(count)
    begun = process_time_ns()
    for _ in range(rounds):
        for frame in device.receive(BATCH):
            other.send(frame)
    return Timed(rounds * BATCH, process_time_ns() - begun)


def bridged(count: int) -> Timed:
    bench = Bench()
    frame = udp_frame(A, B[0], B[1], (5000, 5001))
    return bench.time_hits(count, bench.a, bench.a_port, frame, bench.b)


def translated_out(count: int) -> Timed:
    bench = Bench()
    frame = udp_frame(A, GATEWAY.mac, FAR, (5000, 53))
    return bench.time_hits(count, bench.a, bench.a_port, frame, bench.out)


def translated_in(count: int) -> Timed:
    bench = Bench()
    bench.give(bench.a, bench.a_port, udp_frame(A, GATEWAY.mac, FAR, (5000, 53)))
    answer = udp_frame((ROUTER[0], FAR), UPLINK.mac, UPLINK.address.address, (53, 5000))
    return bench.time_hits(count, bench.out, bench.out_port, answer, bench.a)


def translated_segment(count: int) -> Timed:
    return _segments(count, Bench(TRACKED))


def untracked_segment(count: int) -> Timed:
    return _segments(count, Bench(UNTRACKED))


def _segments(count: int, bench: Bench) -> Timed:
    _open(bench)
    data = tcp_frame(A[0], GATEWAY.mac, (A[1], FAR), (5000, 443), tcp.ACK, bytes(SMALL))
    return bench.time_hits(count, bench.a, bench.a_port, data, bench.out)


def translated_super_frame(count: int) -> Timed:
    bench = Bench()
    _open(bench)
    payload = bytes(SEGMENT * SEGMENTS)
    data = tcp_frame(A[0], GATEWAY.mac, (A[1], FAR), (5000, 443), tcp.ACK, payload)
    return bench.time_hits(count, bench.a, bench.a_port, super_frame(data), bench.out)


def _open(bench: Bench) -> None:
    syn, answer, _ = handshake(5000)
    bench.give(bench.a, bench.a_port, syn)
    bench.give(bench.out, bench.out_port, answer)


def new_udp_connections(count: int) -> Timed:
    bench = Bench()
    frames = [udp_frame(A, GATEWAY.mac, FAR, (FIRST_PORT + number, 53)) for number in range(count)]
    buffers = [memoryview(bytearray(frame)) for frame in frames]
    sent = bench.out.sent
    bench.a.load(iter(buffers))
    gc.collect()
    begun = process_time_ns()
    for _ in range(rounds_of(count)):
        bench.switch.serve(bench.a_port.number, NOW)
    taken = process_time_ns() - begun
    expect("connections", len(bench.switch.tables.connections), count)
    expect("sent", bench.out.sent - sent, count)
    return Timed(count, taken)


def new_tcp_connections(count: int) -> Timed:
    bench = Bench()
    serve = bench.switch.serve
    steps = _batches_of_handshakes(count)
    sent = bench.out.sent
    gc.collect()
    begun = process_time_ns()
    for syns, answers, acks in steps:
        for device, port, frames in (
            (bench.a, bench.a_port, syns),
            (bench.out, bench.out_port, answers),
            (bench.a, bench.a_port, acks),
        ):
            device.load(iter(frames))
            serve(port.number, NOW)
    taken = process_time_ns() - begun
    expect("connections", len(bench.switch.tables.connections), count)
    expect("sent", bench.out.sent - sent, 2 * count)
    return Timed(count, taken)


def _batches_of_handshakes(count: int) -> list[list[list[memoryview]]]:
    """Batches of whole rounds: the SYNs of one, their answers, and the ACKs to these."""
    ports = range(FIRST_PORT, FIRST_PORT + count)
    return [
        [
            [memoryview(bytearray(frame)) for frame in step]
            for step in zip(*map(handshake, ports[start : start + BATCH]), strict=True)
        ]
        for start in range(0, count, BATCH)
    ]


HIT_CASES = (
    Case("the devices alone", "frame", devices_alone),
    Case("hit, bridged", "frame", bridged),
    Case("hit, NAPT outwards", "frame", translated_out, HIT),
    Case("hit, NAPT inwards", "frame", translated_in, HIT),
    Case("hit, NAPT, TCP in its window", "frame", translated_segment, HIT),
    Case("hit, NAPT, TCP without window tracking", "frame", untracked_segment, HIT),
    Case(f"hit, NAPT, super-frame of {SEGMENTS} segments", "frame", translated_super_frame, HIT),
)

NEW_CASES = (
    Case("new UDP connection: one datagram", "connection", new_udp_connections, NEW),
    Case("new TCP connection: SYN, SYN+ACK, ACK", "connection", new_tcp_connections),
)


def measure(
    rounds: int, frames: int, connections: int, progress: Callable[[str], None]
) -> list[CaseResult]:
    """Run every case in every round. ValueError for more connections than there are ports."""
    if connections > MOST_CONNECTIONS:
        raise ValueError(f"at most {MOST_CONNECTIONS} connections have a port of their own")
    planned: Sequence[tuple[Case, int]] = [
        *((case, frames) for case in HIT_CASES),
        *((case, connections) for case in NEW_CASES),
    ]
    taken: dict[str, list[float]] = {case.name: [] for case, _ in planned}
    for number in range(1, rounds + 1):
        for case, count in planned:
            progress(f"round {number}/{rounds}: {case.name}")
            gc.collect()
            taken[case.name].append(case.run(count).each)
    return [
        CaseResult(case.name, case.item, tuple(taken[case.name]), case.target)
        for case, _ in planned
    ]
