"""What a connection takes in memory, everything included.

Theory of operation. A switch whose endpoints have each sent datagrams from many ports, and had an
answer to each, keeps a mapping, a connection and two programs for every port. What it has resident
more than before, by the kernel's count, is divided by their number: that has in it what Python's
allocator rounds up and what tables keep free. It is done in a process of its own, so that nothing
is put where something was freed before.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from bench.engine import (
    FAR,
    FIRST_PORT,
    GATEWAY,
    UPLINK,
    Bench,
    Station,
    Treadmill,
    expect,
    udp_frame,
)
from vswitch.devices.base import Sent
from vswitch.fastpath.twin import BATCH
from vswitch.wire import ethernet, ipv4
from vswitch.wire.buffer import Buffer
from vswitch.wire.values import IpAddress, MacAddress

MOST_IN_MEMORY = 1_000_000
PORTS_EACH = 50_000
"""Connections of one endpoint, and by one external address."""

MANY_ADDRESSES = tuple(
    IpAddress.parse(f"203.0.113.{last}") for last in range(2, 1 + MOST_IN_MEMORY // PORTS_EACH)
)
"""What the uplink may need besides its first address."""

BYTES_A_CONNECTION = 600
"""What a connection may take."""

STATIONS = slice(ethernet.START, ethernet.START + ethernet.ETHERTYPE)
ENDS = slice(
    ethernet.START + ethernet.HEADER_LENGTH + ipv4.SOURCE,
    ethernet.START + ethernet.HEADER_LENGTH + ipv4.OPTIONS + 4,
)
"""Addresses and ports of a frame without tag and options."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What so many connections have taken, in bytes."""

    connections: int
    taken: int

    @property
    def each(self) -> float:
        """Bytes per connection."""
        return self.taken / self.connections


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


def measure(connections: int) -> Memory:
    """What so many UDP connections take whose both directions the fast path knows.

    ValueError for more than `MOST_IN_MEMORY`.
    """
    if connections > MOST_IN_MEMORY:
        raise ValueError(f"at most {MOST_IN_MEMORY} connections have a port of their own")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(fill, connections).result()


def fill(connections: int) -> Memory:
    """The same in this process."""
    mirror = Mirror("outside")
    endpoints = [_endpoint(number) for number in range(-(-connections // PORTS_EACH))]
    also = MANY_ADDRESSES[: len(endpoints) - 1]
    bench = Bench(out=mirror, uplink=replace(UPLINK, also=also))
    for endpoint in endpoints:
        bench.meet(bench.a, bench.a_port, endpoint, GATEWAY)
    mirror.take_answers()
    gc.collect()
    before = _resident()
    for start in range(0, connections, BATCH):
        numbers = range(start, min(start + BATCH, connections))
        frames = [_question(endpoints, number) for number in numbers]
        bench.give(bench.a, bench.a_port, *frames)
        bench.give(mirror, bench.out_port, *mirror.take_answers())
    gc.collect()
    taken = _resident() - before
    expect("connections", len(bench.switch.tables.connections), connections)
    expect("entries", len(bench.switch.fastpath), 2 * connections)
    expect("answers", bench.a.sent, connections + len(endpoints) + 1)
    return Memory(connections, taken)


def _endpoint(number: int) -> Station:
    mac = MacAddress(b"\x02\x00\x00\x01" + number.to_bytes(2, "big"))
    return mac, IpAddress(b"\x0a\x00\x01" + bytes((number,)))


def _question(endpoints: Sequence[Station], number: int) -> bytes:
    endpoint, port = divmod(number, PORTS_EACH)
    return udp_frame(endpoints[endpoint], GATEWAY.mac, FAR, (FIRST_PORT + port, 53))


def _resident() -> int:
    """Bytes of this process that are in memory."""
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
