"""What is asked of a frame whose flow is known, and what is kept of it."""

from __future__ import annotations

import sys
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from tests.harness import assert_checksums_right
from vswitch.devices.memory import MemoryDevice
from vswitch.fastpath import select
from vswitch.fastpath.entry import Entry
from vswitch.fastpath.program import (
    Action,
    DecrementTtl,
    Output,
    Program,
    SetDestination,
    SetSource,
    SetStations,
    Track,
)
from vswitch.fastpath.routine import prepare
from vswitch.fastpath.states import State
from vswitch.fastpath.window import Fit
from vswitch.units import Nanoseconds
from vswitch.wire.buffer import Buffer
from vswitch.wire.checksum import pseudo_header_sum
from vswitch.wire.offload import (
    DATA_VALID,
    GSO_TCPV4,
    HEADER_LENGTH,
    NEEDS_CSUM,
    OffloadHeader,
)
from vswitch.wire.values import IpAddress, MacAddress

pytestmark = pytest.mark.usefixtures("twin")

GATEWAY = MacAddress.parse("02:00:00:00:01:01")
NEXT = MacAddress.parse("02:00:00:00:00:fd")
UPLINK = IpAddress.parse("203.0.113.1")
WEB = IpAddress.parse("10.0.0.80")
IN, OUT = 1, 2
FLOW = 7
NAPT: tuple[Action, ...] = (
    SetStations(NEXT, GATEWAY), DecrementTtl(), SetSource(UPLINK, 6000), Output(OUT),
)  # fmt: skip


class Bench:
    """A flow whose program is kept, from one port to another."""

    def __init__(self, frame: bytes, *actions: Action, flow: int = FLOW) -> None:
        self.fastpath = select()
        self.inward, self.outward = MemoryDevice("in"), MemoryDevice("out")
        self.fastpath.attach(IN, self.inward, GATEWAY)
        self.fastpath.attach(OUT, self.outward, None)
        key = self.fastpath.key(IN, frame)
        assert key is not None
        self.key = key
        self.fastpath.install(key, prepare(Program(actions), frame), flow)

    def run(self, *frames: bytes, now: int = 1) -> list[bytes]:
        """Feed frames and run one round; the misses."""
        for frame in frames:
            self.inward.feed(frame)
        return [bytes(miss) for miss in self.fastpath.run(IN, now)]

    @property
    def wrong_checksums(self) -> int:
        return self.fastpath.port_counters(IN).wrong_checksums


def raw(packet: Packet, header: bytes = bytes(HEADER_LENGTH)) -> bytes:
    return header + bytes(Ether(src="02:00:00:00:00:0a", dst=str(GATEWAY)) / packet)


def segment(
    payload: bytes = b"data", seq: int = 1000, ack: int = 5000, flags: str = "A", **more: object
) -> Packet:
    ip = IP(src="10.0.0.2", dst="198.51.100.1")
    return ip / TCP(sport=5000, dport=80, flags=flags, seq=seq, ack=ack, **more) / payload


def datagram(payload: bytes = b"data", **more: object) -> Packet:
    return IP(src="10.0.0.2", dst="198.51.100.1") / UDP(sport=5000, dport=53, **more) / payload


# Windows


def tracked(direction: int = 0) -> Bench:
    """A flow whose window has seen the handshake: 999 and 4999 are the first numbers."""
    bench = Bench(raw(segment()), Track(FLOW, direction), *NAPT)
    bench.fastpath.track(FLOW, State.ESTABLISHED)
    window = bench.fastpath.open_window(FLOW)
    first, other = (999, 4999) if direction == 0 else (4999, 999)
    window.begin(0, first, first + 1, None, 65535, 7)
    window.begin(1, other, other + 1, first + 1, 65535, 7)
    return bench


FAR = 1 << 30


@pytest.mark.parametrize("direction", [0, 1])
def test_segment_within_its_window_is_a_hit_and_is_noted(direction: int) -> None:
    bench = tracked(direction)
    assert bench.run(raw(segment(b"12345")), raw(segment(b"678", seq=1005))) == []
    window = bench.fastpath.window(FLOW)
    assert window.sent(direction) == 1008
    assert window.expects(1 - direction) == 5000
    assert len(bench.outward.take()) == 2


@pytest.mark.parametrize("direction", [0, 1])
@pytest.mark.parametrize("numbers", [(1000 + FAR, 5000), (1000, 5000 + FAR)])
def test_segment_outside_its_window_is_a_miss_as_it_came(
    direction: int, numbers: tuple[int, int]
) -> None:
    bench = tracked(direction)
    outside = raw(segment(b"data", *numbers))
    before = bytes(bench.fastpath.window(FLOW).state)
    assert bench.run(outside) == [outside]
    assert bench.outward.take() == []
    assert bytes(bench.fastpath.window(FLOW).state) == before


def test_segment_outside_its_window_does_not_count_as_one_of_the_flow() -> None:
    bench = tracked()
    bench.run(raw(segment()), now=5)
    before = bench.fastpath.flow_counters(bench.key)
    bench.run(raw(segment(seq=FAR, flags="AU")), now=9)
    assert bench.fastpath.flow_counters(bench.key) == before
    assert bench.fastpath.last_used(bench.key) == 5


def test_observer_is_not_told_that_a_segment_outside_has_hit() -> None:
    told: list[bytes] = []

    class Observer:
        def hit(self, port: int, frame: Buffer, flow: int, now: Nanoseconds) -> None:
            told.append(bytes(frame))

        def sent(self, port: int, frame: Buffer, flow: int, now: Nanoseconds) -> None:
            pass

    bench = tracked()
    bench.fastpath.observer = Observer()
    within = raw(segment())
    bench.run(within, raw(segment(seq=FAR)))
    assert told == [within]


def test_connection_whose_numbers_are_not_followed_has_no_window() -> None:
    bench = Bench(raw(segment()), Track(FLOW, 0), *NAPT)
    bench.fastpath.track(FLOW, State.ESTABLISHED)
    assert bench.fastpath.window(FLOW) is None
    assert bench.run(raw(segment(seq=FAR))) == []


def test_connection_that_is_not_tracked_any_more_has_no_hits() -> None:
    bench = tracked()
    bench.fastpath.untrack(FLOW)
    assert bench.fastpath.window(FLOW) is None
    assert bench.run(raw(segment())) == [raw(segment())]
    bench.fastpath.untrack(FLOW)


def test_window_of_another_flow_does_not_matter() -> None:
    bench = tracked()
    bench.fastpath.track(FLOW + 1, State.ESTABLISHED)
    other = bench.fastpath.open_window(FLOW + 1)
    other.begin(0, FAR, FAR + 1, None, 65535, None)
    other.begin(1, FAR, FAR + 1, FAR + 1, 65535, None)
    assert bench.run(raw(segment())) == []
    assert bench.run(raw(segment(seq=FAR))) != []


def test_opened_window_forgets_an_earlier_connection() -> None:
    bench = tracked()
    window = bench.fastpath.open_window(FLOW)
    window.begin(1, 5, 6, None, 1000, None)
    assert bench.fastpath.window(FLOW).state == window.state
    bench.fastpath.open_window(FLOW)
    assert bench.run(raw(segment(seq=FAR))) == []


def test_length_of_a_segment_is_what_its_packet_carries() -> None:
    """Neither options nor the padding of a short frame."""
    bench = tracked()
    options = segment(b"12", options=[("Timestamp", (1, 2)), ("NOP", None), ("NOP", None)])
    assert bench.run(raw(options) + bytes(9)) == []
    assert bench.fastpath.window(FLOW).sent(0) == 1002


def test_super_frame_is_as_long_as_all_its_segments() -> None:
    bench = tracked()
    header = OffloadHeader(NEEDS_CSUM, GSO_TCPV4, 54, 1448, 34, 16).pack()
    assert bench.run(raw(segment(bytes(60_000)), header)) == []
    assert bench.fastpath.window(FLOW).sent(0) == 61_000


def test_numbers_wrap_around() -> None:
    bench = Bench(raw(segment()), Track(FLOW, 0), *NAPT)
    bench.fastpath.track(FLOW, State.ESTABLISHED)
    window = bench.fastpath.open_window(FLOW)
    window.begin(0, (1 << 32) - 3, (1 << 32) - 2, None, 65535, None)
    window.begin(1, 4999, 5000, (1 << 32) - 2, 65535, None)
    assert bench.run(raw(segment(b"12345", seq=(1 << 32) - 2))) == []
    assert window.sent(0) == 3
    assert window.judge(0, 3, 8, 5000, 100) is Fit.WITHIN


# Wrong checksums


def damaged(packet: Packet) -> bytes:
    built = Ether(raw(packet)[HEADER_LENGTH:])
    layer = built[TCP] if TCP in built else built[UDP]
    layer.chksum = (layer.chksum - 5) % 0xFFFF
    return bytes(HEADER_LENGTH) + bytes(built)


@pytest.mark.parametrize("packet", [segment(), datagram(), segment(b"odd"), datagram(b"odd")])
def test_wrong_checksum_is_counted_and_stays_wrong_by_as_much(packet: Packet) -> None:
    bench = Bench(raw(packet), *NAPT)
    assert bench.run(raw(packet), damaged(packet)) == []
    assert bench.wrong_checksums == 1
    right, wrong = (Ether(frame[HEADER_LENGTH:]) for frame in bench.outward.take())
    assert_checksums_right(right)
    right, wrong = right[IP].payload, wrong[IP].payload
    assert (right.chksum - wrong.chksum) % 0xFFFF == 5
    assert bytes(right.payload) == bytes(wrong.payload)


@pytest.mark.parametrize(
    "header", [OffloadHeader(NEEDS_CSUM, 0, 54, 0, 34, 16), OffloadHeader(DATA_VALID)]
)
def test_checksum_is_not_looked_at_where_it_is_unfinished_or_verified(
    header: OffloadHeader,
) -> None:
    bench = Bench(raw(segment()), *NAPT)
    assert bench.run(header.pack() + damaged(segment())[HEADER_LENGTH:]) == []
    assert bench.wrong_checksums == 0


def test_datagram_without_a_checksum_has_no_wrong_one() -> None:
    bench = Bench(raw(datagram()), *NAPT)
    assert bench.run(raw(datagram(chksum=0))) == []
    assert bench.wrong_checksums == 0


def test_bridged_frame_is_not_looked_into() -> None:
    bridged = bytearray(damaged(segment()))
    bridged[HEADER_LENGTH + 5] ^= 0xFF
    bench = Bench(bytes(bridged), Output(OUT))
    assert bench.run(bytes(bridged)) == []
    assert bench.wrong_checksums == 0


def test_miss_is_the_pipelines_to_count() -> None:
    bench = tracked()
    assert len(bench.run(damaged(segment(seq=FAR)))) == 1
    assert bench.wrong_checksums == 0


# What is kept

QUERY = IP(src="10.0.0.2", dst="198.51.100.1") / ICMP(type=8, id=777, seq=3) / b"payload"
REPLY = IP(src="10.0.0.2", dst="198.51.100.1") / ICMP(type=0, id=777, seq=3) / b"payload"
ACTIONS = (
    SetStations(NEXT, GATEWAY), DecrementTtl(), SetSource(UPLINK, 6000), SetDestination(WEB, 7000)
)  # fmt: skip


@given(
    packet=st.sampled_from([segment(), datagram(), datagram(b""), QUERY, REPLY]),
    actions=st.lists(st.sampled_from(ACTIONS), unique=True).map(tuple),
    ttl=st.integers(2, 255), unfinished=st.booleans(),
)  # fmt: skip
def test_hit_becomes_what_the_program_makes_of_a_frame_by_itself(
    packet: Packet, actions: tuple[Action, ...], ttl: int, unfinished: bool
) -> None:
    """The frame that is kept for, and later ones that differ in all that a key leaves open."""
    header = bytes(HEADER_LENGTH)
    later = packet.copy()
    later[IP].ttl, later[IP].id, later[IP].tos = ttl, 4711, 3
    if unfinished and packet.proto != 1:
        header = OffloadHeader(NEEDS_CSUM, 0, 0, 0, 34, 16 if packet.proto == 6 else 6).pack()
        length = len(packet) - 20
        addresses = IpAddress.parse(packet.src), IpAddress.parse(packet.dst)
        later[IP].payload.chksum = pseudo_header_sum(*addresses, packet.proto, length)
    frame = raw(later, header)
    bench = Bench(raw(packet), *actions, Output(OUT))
    assert bench.run(frame) == []
    alone = bytearray(frame)
    prepare(Program(actions), alone).run(alone)
    assert bench.outward.take() == [bytes(alone)]


def test_flow_may_have_any_number() -> None:
    told: list[int] = []

    class Observer:
        def hit(self, port: int, frame: Buffer, flow: int, now: Nanoseconds) -> None:
            told.append(flow)

        def sent(self, port: int, frame: Buffer, flow: int, now: Nanoseconds) -> None:
            told.append(flow)

    greatest = (1 << 64) - 1
    bench = Bench(raw(segment()), *NAPT, flow=greatest)
    bench.fastpath.observer = Observer()
    bench.run(raw(segment()))
    assert told == [greatest, greatest]


def test_an_entry_is_small() -> None:
    """A million connections have two each; plans are shared."""
    random = Random(1)
    plans = set()
    for _ in range(50):
        actions = (*NAPT[:2], SetSource(UPLINK, random.randrange(65536)), Output(OUT))
        packet = datagram()
        packet.sport = random.randrange(65536)
        entry = Entry(prepare(Program(actions), raw(packet)), random.randrange(1 << 40), 1)
        assert sys.getsizeof(entry) <= 144
        plans.add(id(entry.plan))
    assert len(plans) == 1
