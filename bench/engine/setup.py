"""First frames: what a new connection costs on its way through the pipeline."""

from __future__ import annotations

import gc
from time import process_time_ns

from bench.engine.case import Case
from bench.engine.frames import FAR, GATEWAY, A, handshake, udp_frame
from bench.engine.rig import NOW, Bench, Timed, expect, rounds_of
from vswitch.fastpath.twin import BATCH

NEW_UDP = "new UDP connection: one datagram"
NEW_TCP = "new TCP connection: SYN, SYN+ACK, ACK"

FIRST_PORT = 1024
MOST_CONNECTIONS = 0x10000 - FIRST_PORT
"""One inside host has no more source ports that NAPT can keep."""


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


NEW_CASES = (
    Case(NEW_UDP, "connection", new_udp_connections),
    Case(NEW_TCP, "connection", new_tcp_connections),
)
