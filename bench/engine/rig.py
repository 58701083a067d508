"""A whole switch between devices that do next to nothing.

The devices hand out frames that were made beforehand and count what is sent; what remains is the
price of a frame. `Bench.time_hits` asks at the end whether the frames went the way that they were
meant to go: a benchmark that measured a drop raises `WrongPathError`. Endpoints have no quotas
here, as one does the work of all.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from random import Random
from time import process_time_ns

from bench.engine.frames import GATEWAY, ROUTER, UPLINK, A, B, Station
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Interface, Network, Port, Side
from vswitch.devices.base import Form, RawDescriptor, Sent
from vswitch.fastpath.twin import BATCH
from vswitch.translation import Limits, Quotas, Translation
from vswitch.units import SECOND, Nanoseconds
from vswitch.wire import arp, ethernet, ipv4
from vswitch.wire.buffer import Buffer
from vswitch.wire.offload import Offloads
from vswitch.wire.values import BROADCAST, EtherType, IpAddress, MacAddress

NOW: Nanoseconds = 1000 * SECOND

HEADERS = 96
"""Bytes at the start of a frame: more than all headers that a switch may rewrite here."""

UNLIMITED = Limits(connections=1 << 24, memory=1 << 40)
TRACKED = Translation(quotas=Quotas(mappings=0, connections=0))
UNTRACKED = Translation(quotas=Quotas(mappings=0, connections=0), window_tracking=False)

STATIONS = slice(ethernet.START, ethernet.START + ethernet.ETHERTYPE)
ENDS = slice(
    ethernet.START + ethernet.HEADER_LENGTH + ipv4.SOURCE,
    ethernet.START + ethernet.HEADER_LENGTH + ipv4.OPTIONS + 4,
)
"""Addresses and ports of a frame without tag and options."""


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


class Treadmill:
    """A device that hands out what it was loaded with and counts what it is sent.

    One that `drains` gives a loop that is compiled a descriptor to write to, which swallows
    everything: then no Python is called for a frame that leaves.
    """

    kind = "memory"
    offloads = Offloads.ALL

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent = 0
        self._frames: Iterator[memoryview] = iter(())
        self._drain: RawDescriptor | None = None

    def drain(self) -> None:
        descriptor = os.open(os.devnull, os.O_WRONLY)
        self._drain = RawDescriptor(descriptor, Form.TUN, descriptor)

    def raw(self) -> RawDescriptor | None:
        return self._drain

    def overcome(self, error: OSError) -> bool:  # noqa: ARG002
        return False

    def load(self, frames: Iterator[memoryview]) -> None:
        self._frames = frames

    def fileno(self) -> int:
        return -1

    def receive(self, limit: int) -> Iterator[memoryview]:
        return islice(self._frames, limit)

    def send(self, frame: Buffer) -> Sent:  # noqa: ARG002
        self.sent += 1
        return Sent.SENT

    def close(self) -> None:
        self._frames = iter(())
        if self._drain is not None:
            os.close(self._drain.descriptor)
            self._drain = None


class Mirror(Treadmill):
    """A device behind which everybody answers each datagram with the same one."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._answers: list[memoryview] = []

    def send(self, frame: Buffer) -> Sent:
        # What a checksum sums stays the same, in another order.
        stations, ends = bytes(frame[STATIONS]), bytes(frame[ENDS])
        answer = bytearray(frame)
        answer[STATIONS] = stations[6:] + stations[:6]
        answer[ENDS] = ends[4:8] + ends[:4] + ends[10:] + ends[8:10]
        self._answers.append(memoryview(answer))
        return super().send(frame)

    def take_answers(self) -> list[memoryview]:
        """The answers that have not been taken yet."""
        answers, self._answers = self._answers, []
        return answers


class Bench:
    """A switch with endpoints A and B inside and a router outside, all of whom it has met."""

    def __init__(
        self,
        translation: Translation = TRACKED,
        out: Treadmill | None = None,
        uplink: Interface = UPLINK,
    ) -> None:
        self.switch = Switch(Random(1), UNLIMITED)
        self._numbers: dict[Treadmill, int] = {}
        self.front = self.add_network("front", Side.INSIDE, GATEWAY, translation=translation)
        outside = self.add_network("outside", Side.OUTSIDE, uplink, ROUTER[1])
        self.a, self.a_port = self.connect(Treadmill("a"), self.front)
        self.b, self.b_port = self.connect(Treadmill("b"), self.front)
        self.out, self.out_port = self.connect(out or Treadmill("outside"), outside)
        self.meet(self.a, self.a_port, A, GATEWAY)
        self.meet(self.b, self.b_port, B, GATEWAY)
        self.meet(self.out, self.out_port, ROUTER, UPLINK)

    def add_network(
        self,
        name: str,
        side: Side,
        interface: Interface | None,
        next_hop: IpAddress | None = None,
        translation: Translation = TRACKED,
    ) -> Network:
        """A network more; without `interface`, one that is only bridged."""
        number = self.switch.new_network_number()
        network = Network(
            number, name, side, interface, next_hop, mtu=1500, translation=translation
        )
        self.switch.add_network(network)
        return network

    def connect(self, device: Treadmill, network: Network) -> tuple[Treadmill, Port]:
        """Let `device` be a port on a network."""
        port = self.switch.add_port(device.name, network.number, device)
        self._numbers[device] = port.number
        return device, port

    def give(self, device: Treadmill, port: Port, *frames: Buffer) -> None:
        """Let these frames be received, each once."""
        device.load(iter([memoryview(bytearray(frame)) for frame in frames]))
        for _ in range(0, len(frames), BATCH):
            self.switch.serve(port.number, NOW)

    def time_hits(
        self,
        count: int,
        device: Treadmill,
        port: Port,
        frames: Sequence[Buffer],
        leaves_by: Treadmill,
    ) -> Timed:
        """Receive `frames` in turn, `count` in all, after one turn that makes their flows known.

        They are equally long.
        """
        device.load(repeated(frames))
        serve, number = self.switch.serve, port.number
        for _ in range(rounds_of(len(frames))):
            serve(number, NOW)
        leaves_by.drain()
        output = self._numbers[leaves_by]
        self.switch.fastpath.replace_device(output, leaves_by)
        decided, sent = self._decided(), self._sent(output)
        rounds = rounds_of(count)
        begun = process_time_ns()
        for _ in range(rounds):
            serve(number, NOW)
        taken = process_time_ns() - begun
        expect("decided by the pipeline", self._decided() - decided, 0)
        expect("sent", self._sent(output) - sent, rounds * BATCH)
        leaves_by.close()
        return Timed(rounds * BATCH, taken)

    def _sent(self, port: int) -> int:
        return self.switch.fastpath.port_counters(port).sent_frames

    def _decided(self) -> int:
        return sum(self.switch.counters.fates.values())

    def meet(self, device: Treadmill, port: Port, who: Station, whom: Interface) -> None:
        """Let a station ask for the switch by ARP: both know each other afterwards."""
        mac, address = who
        nobody = MacAddress(bytes(6))
        request = arp.build(arp.Operation.REQUEST, mac, address, nobody, whom.address.address)
        self.give(device, port, ethernet.build(BROADCAST, mac, EtherType.ARP, request))


def repeated(frames: Sequence[Buffer]) -> Iterator[memoryview]:
    """These frames in turn without end, their headers as they were at first each time."""
    buffer = memoryview(bytearray(frames[0]))
    length = min(HEADERS, len(buffer))
    for headers in cycle([bytes(frame[:length]) for frame in frames]):
        buffer[:length] = headers
        yield buffer


def time_devices(count: int, frames: Sequence[Buffer]) -> Timed:
    """The same without a switch: what the devices themselves cost."""
    device, other = Treadmill("a"), Treadmill("b")
    device.load(repeated(frames))
    rounds = rounds_of(count)
    begun = process_time_ns()
    for _ in range(rounds):
        for frame in device.receive(BATCH):
            other.send(frame)
    return Timed(rounds * BATCH, process_time_ns() - begun)


def rounds_of(count: int) -> int:
    """Rounds of a whole batch that make up at least `count` frames."""
    return -(-count // BATCH)


def expect(what: str, found: int, expected: int) -> None:
    """Raise WrongPathError where a count is not what the case is about."""
    if found != expected:
        raise WrongPathError(f"{what}: {found} instead of {expected}")
