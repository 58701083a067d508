"""Frames of flows that are known: what most frames are.

One frame is received again and again; only its headers are written anew each time, as nothing
behind them is ever touched. The first case is the devices with nothing between them, so that
their own share can be seen.
"""

from __future__ import annotations

from bench.engine.case import Case
from bench.engine.frames import (
    FAR,
    GATEWAY,
    ROUTER,
    SEGMENT,
    SEGMENTS,
    SMALL,
    UPLINK,
    A,
    B,
    handshake,
    super_frame,
    tcp_frame,
    udp_frame,
)
from bench.engine.rig import TRACKED, UNTRACKED, Bench, Timed, time_devices
from vswitch.wire import tcp

DEVICES_ALONE = "the devices alone"
OUTWARDS = "hit, NAPT outwards"
INWARDS = "hit, NAPT inwards"
TRACKED_SEGMENT = "hit, NAPT, TCP in its window"
UNTRACKED_SEGMENT = "hit, NAPT, TCP without window tracking"
SUPER_FRAME = f"hit, NAPT, super-frame of {SEGMENTS} segments"


def devices_alone(count: int) -> Timed:
    return time_devices(count, [udp_frame(A, B[0], B[1], (5000, 5001))])


def bridged(count: int) -> Timed:
    bench = Bench()
    frame = udp_frame(A, B[0], B[1], (5000, 5001))
    return bench.time_hits(count, bench.a, bench.a_port, [frame], bench.b)


def translated_out(count: int) -> Timed:
    bench = Bench()
    frame = udp_frame(A, GATEWAY.mac, FAR, (5000, 53))
    return bench.time_hits(count, bench.a, bench.a_port, [frame], bench.out)


def translated_in(count: int) -> Timed:
    bench = Bench()
    bench.give(bench.a, bench.a_port, udp_frame(A, GATEWAY.mac, FAR, (5000, 53)))
    answer = udp_frame((ROUTER[0], FAR), UPLINK.mac, UPLINK.address.address, (53, 5000))
    return bench.time_hits(count, bench.out, bench.out_port, [answer], bench.a)


def translated_segment(count: int) -> Timed:
    return _segments(count, Bench(TRACKED))


def untracked_segment(count: int) -> Timed:
    return _segments(count, Bench(UNTRACKED))


def _segments(count: int, bench: Bench) -> Timed:
    _open(bench)
    data = tcp_frame(A[0], GATEWAY.mac, (A[1], FAR), (5000, 443), tcp.ACK, bytes(SMALL))
    return bench.time_hits(count, bench.a, bench.a_port, [data], bench.out)


def translated_super_frame(count: int) -> Timed:
    bench = Bench()
    _open(bench)
    payload = bytes(SEGMENT * SEGMENTS)
    data = tcp_frame(A[0], GATEWAY.mac, (A[1], FAR), (5000, 443), tcp.ACK, payload)
    return bench.time_hits(count, bench.a, bench.a_port, [super_frame(data)], bench.out)


def _open(bench: Bench) -> None:
    syn, answer, _ = handshake(5000)
    bench.give(bench.a, bench.a_port, syn)
    bench.give(bench.out, bench.out_port, answer)


HIT_CASES = (
    Case(DEVICES_ALONE, "frame", devices_alone),
    Case("hit, bridged", "frame", bridged),
    Case(OUTWARDS, "frame", translated_out),
    Case(INWARDS, "frame", translated_in),
    Case(TRACKED_SEGMENT, "frame", translated_segment),
    Case(UNTRACKED_SEGMENT, "frame", untracked_segment),
    Case(SUPER_FRAME, "frame", translated_super_frame),
)

TRANSLATED = (OUTWARDS, INWARDS, TRACKED_SEGMENT, UNTRACKED_SEGMENT, SUPER_FRAME)
"""Those on the path of translation."""
