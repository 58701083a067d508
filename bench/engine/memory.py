"""A switch with very many connections, and what one of them takes in memory, everything included.

Endpoints have each sent datagrams from many ports, and had an answer to each, so the switch keeps a
mapping, a connection and two programs for every port. What is resident more than before, by the
kernel's count, divided by their number has in it what Python's allocator rounds up and what tables
keep free. Weigh in a process of its own: else things are put where something was freed before.
"""

from __future__ import annotations

import gc
import os
from dataclasses import dataclass, replace
from pathlib import Path

from bench.engine.frames import FAR, GATEWAY, UPLINK, Station, udp_frame
from bench.engine.rig import Bench, Mirror, expect
from bench.engine.setup import FIRST_PORT
from vswitch.fastpath.twin import BATCH
from vswitch.wire.values import IpAddress, MacAddress

MOST_IN_MEMORY = 1_000_000
PORTS_EACH = 50_000
"""Connections of one endpoint, and by one external address."""

MANY_ADDRESSES = tuple(
    IpAddress.parse(f"203.0.113.{last}") for last in range(2, 1 + MOST_IN_MEMORY // PORTS_EACH)
)
"""What the uplink may need besides its first address."""


@dataclass(frozen=True, slots=True)
class Filled:
    """A switch that has so many connections, and what they have taken, in bytes."""

    bench: Bench
    connections: int
    taken: int

    @property
    def each(self) -> float:
        """Bytes per connection."""
        return self.taken / self.connections


def fill(connections: int) -> Filled:
    """Open so many UDP connections, both of whose directions the fast path knows.

    ValueError for more than `MOST_IN_MEMORY`.
    """
    if connections > MOST_IN_MEMORY:
        raise ValueError(f"at most {MOST_IN_MEMORY} connections have a port of their own")
    mirror = Mirror("outside")
    endpoints = [endpoint(number) for number in range(-(-connections // PORTS_EACH))]
    also = MANY_ADDRESSES[: len(endpoints) - 1]
    bench = Bench(out=mirror, uplink=replace(UPLINK, also=also))
    for each in endpoints:
        bench.meet(bench.a, bench.a_port, each, GATEWAY)
    mirror.take_answers()
    gc.collect()
    before = _resident()
    for start in range(0, connections, BATCH):
        numbers = range(start, min(start + BATCH, connections))
        frames = [question(number) for number in numbers]
        bench.give(bench.a, bench.a_port, *frames)
        bench.give(mirror, bench.out_port, *mirror.take_answers())
    gc.collect()
    taken = _resident() - before
    expect("connections", len(bench.switch.tables.connections), connections)
    expect("entries", len(bench.switch.fastpath), 2 * connections)
    expect("answers", bench.a.sent, connections + len(endpoints) + 1)
    return Filled(bench, connections, taken)


def endpoint(number: int) -> Station:
    """One of those who open connections."""
    mac = MacAddress(b"\x02\x00\x00\x01" + number.to_bytes(2, "big"))
    return mac, IpAddress(b"\x0a\x00\x01" + bytes((number,)))


def question(number: int) -> bytes:
    """The frame that opens the connection with this number."""
    who, port = divmod(number, PORTS_EACH)
    return udp_frame(endpoint(who), GATEWAY.mac, FAR, (FIRST_PORT + port, 53))


def _resident() -> int:
    """Bytes of this process that are in memory."""
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
