"""The loop of a fast path: hits, misses, generations, counters, fitting devices."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from tests.harness import assert_checksums_right
from vswitch.devices.base import DeviceGone, Sent
from vswitch.devices.memory import MemoryDevice
from vswitch.fastpath import FORCED_BY, NoSuchFastPath, available, select
from vswitch.fastpath.program import (
    Action,
    DecrementTtl,
    FitMtu,
    Output,
    Program,
    SetSource,
    SetStations,
)
from vswitch.fastpath.routine import prepare
from vswitch.wire.checksum import pseudo_header_sum
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import GSO_TCPV4, HEADER_LENGTH, NEEDS_CSUM, OffloadHeader, Offloads
from vswitch.wire.values import IpAddress, MacAddress

pytestmark = pytest.mark.usefixtures("twin")

GATEWAY = MacAddress.parse("02:00:00:00:01:01")
NEXT = MacAddress.parse("02:00:00:00:00:fd")
UPLINK = IpAddress.parse("203.0.113.1")
IN, OUT = 1, 2
TO_OUT: tuple[Action, ...] = (Output(OUT),)


class Bench:
    """Two ports: what is fed on the one may leave by the other."""

    def __init__(
        self, *, offloads: Offloads = Offloads.ALL, capacity: int = 4096, entries: int = 64
    ) -> None:
        self.fastpath = select(entries)
        self.inward = MemoryDevice("in")
        self.outward = MemoryDevice("out", offloads, capacity)
        self.fastpath.attach(IN, self.inward, GATEWAY)
        self.fastpath.attach(OUT, self.outward, None)

    def keep(self, frame: bytes, *actions: Action) -> bytes:
        """Keep a program for the flow of `frame`, and forget the frame itself."""
        key = self.fastpath.key(IN, frame)
        assert key is not None
        self.fastpath.install(key, prepare(Program(actions), frame), 0)
        return key

    def run(self, *frames: bytes, now: int = 1, limit: int = 64) -> list[bytes]:
        """Feed frames and run one round; the misses."""
        for frame in frames:
            self.inward.feed(frame)
        return [bytes(miss) for miss in self.fastpath.run(IN, now, limit)]


def raw(packet: Packet, header: bytes = bytes(HEADER_LENGTH)) -> bytes:
    return header + bytes(packet)


def segment(flags: str = "A", payload: bytes = b"data", sport: int = 5000) -> Packet:
    packet = IP(src="10.0.0.2", dst="198.51.100.1")
    packet /= TCP(sport=sport, dport=80, flags=flags, seq=1000)
    return Ether(src="02:00:00:00:00:0a", dst=str(GATEWAY)) / packet / payload


def super_frame(payload: bytes, size: int) -> bytes:
    frame = segment(payload=payload)
    addresses = IpAddress.parse("10.0.0.2"), IpAddress.parse("198.51.100.1")
    frame[TCP].chksum = pseudo_header_sum(*addresses, 6, 20 + len(payload))
    return raw(frame, OffloadHeader(NEEDS_CSUM, GSO_TCPV4, 54, size, 34, 16).pack())


def test_fast_path_that_is_named_is_selected(twin: str) -> None:
    assert select().name == twin
    assert [select(name=name).name for name in available()] == list(available())


def test_name_of_no_fast_path_is_refused_with_those_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(
        NoSuchFastPath, match=r'no fast path "quick": this installation has .*refer'
    ):
        select(name="quick")
    monkeypatch.setenv(FORCED_BY, "slow")
    with pytest.raises(NoSuchFastPath, match=f'no fast path "slow" .from {FORCED_BY}.: '):
        select()


@pytest.mark.parametrize(("module", "is_told"), [(None, False), (ModuleType("broken"), True)])
def test_compiled_fast_path_that_is_broken_is_told_and_one_that_is_absent_is_not(
    module: ModuleType | None,
    is_told: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setitem(sys.modules, "vswitch.fastpath._fast", module)
    assert list(available()) == ["reference"]
    assert ("compiled fast path can not be loaded" in caplog.text) == is_told


def test_known_flow_leaves_by_its_port_and_unknown_frames_are_handed_back() -> None:
    bench = Bench()
    known, unknown = raw(segment()), raw(segment(sport=6000))
    bench.keep(known, *TO_OUT)
    assert bench.run(known, unknown) == [unknown]
    assert bench.outward.take() == [known]


def test_flow_that_takes_the_place_of_one_like_it_is_known() -> None:
    bench = Bench(entries=1)
    bench.keep(raw(segment(sport=5001)), *TO_OUT)
    later = raw(segment(sport=5002))
    bench.keep(later, *TO_OUT)
    assert bench.run(later) == []
    assert bench.outward.take() == [later]


def test_misses_come_in_the_order_in_which_they_arrived() -> None:
    bench = Bench()
    known = raw(segment())
    bench.keep(known, *TO_OUT)
    strangers = [raw(segment(sport=port)) for port in (6003, 6001, 6002)]
    assert bench.run(strangers[0], known, strangers[1], strangers[2]) == strangers


def test_misses_are_copies_that_outlive_the_devices_buffer() -> None:
    bench = Bench()
    first, second = raw(segment(sport=6001)), raw(segment(sport=6002))
    bench.inward.feed(first)
    bench.inward.feed(second)
    misses = bench.fastpath.run(IN, 1)
    misses[0][0:1] = b"\xff"
    assert bytes(misses[1]) == second


def test_no_more_frames_are_taken_than_the_limit() -> None:
    bench = Bench()
    frames = [raw(segment(sport=port)) for port in range(6000, 6005)]
    assert bench.run(*frames, limit=2) == frames[:2]
    assert bench.run(limit=2) == frames[2:4]
    assert bench.run(limit=2) == frames[4:]


def test_hit_is_rewritten_as_its_program_says() -> None:
    bench = Bench()
    actions = SetStations(NEXT, GATEWAY), DecrementTtl(), SetSource(UPLINK, 6000), Output(OUT)
    bench.keep(raw(segment()), *actions)
    bench.run(raw(segment(payload=b"other data", flags="PA")))
    result = Ether(bench.outward.take()[0][HEADER_LENGTH:])
    assert (result.dst, result[IP].src, result[IP].ttl) == (str(NEXT), str(UPLINK), 63)
    assert result[TCP].sport == 6000
    assert bytes(result[TCP].payload) == b"other data"
    assert_checksums_right(result)


def test_hit_leaves_by_every_port_of_its_program() -> None:
    bench = Bench()
    third = MemoryDevice("third")
    bench.fastpath.attach(3, third, None)
    bench.keep(raw(segment()), Output(OUT), Output(3))
    bench.run(raw(segment()))
    assert bench.outward.take() == third.take() == [raw(segment())]


def test_invalidated_entry_is_a_miss_and_its_counters_can_still_be_read() -> None:
    bench = Bench()
    frame = raw(segment())
    key = bench.keep(frame, *TO_OUT)
    bench.run(frame, now=5)
    bench.fastpath.invalidate()
    assert bench.run(frame, now=6) == [frame]
    counters = bench.fastpath.flow_counters(key)
    assert counters is not None
    assert (counters.frames, counters.last_used) == (1, 5)


def test_flow_that_is_kept_again_goes_on_with_its_counters() -> None:
    bench = Bench()
    frame = raw(segment())
    key = bench.keep(frame, *TO_OUT)
    bench.run(frame, now=5)
    bench.fastpath.invalidate()
    bench.keep(frame, *TO_OUT)
    assert bench.run(frame, now=9) == []
    counters = bench.fastpath.flow_counters(key)
    assert counters is not None
    assert (counters.frames, counters.bytes) == (2, 2 * (len(frame) - HEADER_LENGTH))
    assert counters.last_used == 9


def test_removed_entry_is_a_miss_and_has_no_counters() -> None:
    bench = Bench()
    frame = raw(segment())
    key = bench.keep(frame, *TO_OUT)
    bench.fastpath.remove(key)
    assert bench.run(frame) == [frame]
    assert bench.fastpath.flow_counters(key) is None
    bench.fastpath.remove(key)


def test_detached_port_makes_every_entry_a_miss() -> None:
    bench = Bench()
    frame = raw(segment())
    bench.keep(frame, *TO_OUT)
    bench.fastpath.detach(OUT)
    assert bench.run(frame) == [frame]
    assert bench.outward.take() == []


def test_full_table_forgets_what_was_kept_first() -> None:
    bench = Bench(entries=32)
    frames = [raw(segment(sport=port)) for port in range(6000, 6033)]
    for frame in frames:
        bench.keep(frame, *TO_OUT)
    assert len(bench.fastpath) == 31
    assert bench.run(*frames) == frames[:2]


def test_smallest_table_forgets_one_after_the_other() -> None:
    bench = Bench(entries=1)
    frames = [raw(segment(sport=port)) for port in (6000, 6001)]
    for frame in frames:
        bench.keep(frame, *TO_OUT)
    assert bench.run(*frames) == frames[:1]


def test_flow_that_is_kept_again_evicts_nobody() -> None:
    bench = Bench(entries=2)
    frames = [raw(segment(sport=port)) for port in (6000, 6001)]
    for frame in (*frames, frames[1]):
        bench.keep(frame, *TO_OUT)
    assert bench.run(*frames) == []


def test_time_of_the_last_hit_is_told() -> None:
    bench = Bench()
    frame = raw(segment())
    key = bench.keep(frame, *TO_OUT)
    assert bench.fastpath.last_used(key) == 0
    bench.run(frame, now=5)
    bench.run(frame, now=9)
    assert bench.fastpath.last_used(key) == 9
    assert bench.fastpath.last_used(b"unknown") == 0


@pytest.mark.parametrize(("length", "fits"), [(1399, True), (1400, True), (1401, False)])
@pytest.mark.parametrize("action", [DecrementTtl(), SetStations(NEXT, GATEWAY)])
def test_packet_fits_up_to_the_mtu(length: int, fits: bool, action: Action) -> None:
    bench = Bench()
    bench.keep(raw(segment()), FitMtu(1400), action, Output(OUT))
    frame = raw(segment(payload=bytes(length - 40)))
    assert bench.run(frame) == ([] if fits else [frame])


def test_frame_that_is_longer_than_the_mtu_is_a_miss() -> None:
    bench = Bench()
    bench.keep(raw(segment()), FitMtu(100), DecrementTtl(), Output(OUT))
    fits, too_long = raw(segment(payload=bytes(60))), raw(segment(payload=bytes(61)))
    assert bench.run(fits, too_long) == [too_long]
    assert len(bench.outward.take()) == 1


def test_super_frame_fits_by_its_segments() -> None:
    bench = Bench()
    bench.keep(raw(segment()), FitMtu(1500), DecrementTtl(), Output(OUT))
    fits, too_long = super_frame(bytes(20000), 1460), super_frame(bytes(20000), 1461)
    assert bench.run(fits, too_long) == [too_long]
    sent = bench.outward.take()
    assert [len(frame) for frame in sent] == [len(fits)]


def test_device_without_offloads_gets_finished_segments() -> None:
    bench = Bench(offloads=Offloads.NONE)
    actions = SetStations(NEXT, GATEWAY), DecrementTtl(), SetSource(UPLINK, 6000), Output(OUT)
    bench.keep(raw(segment()), *actions)
    payload = bytes(range(256)) * 12
    bench.run(super_frame(payload, 1000))
    segments = [Ether(frame[HEADER_LENGTH:]) for frame in bench.outward.take()]
    assert [one[TCP].seq for one in segments] == [1000, 2000, 3000, 4000]
    assert b"".join(bytes(one[TCP].payload) for one in segments) == payload
    for one in segments:
        assert one[IP].src == str(UPLINK)
        assert_checksums_right(one)


def test_device_with_offloads_gets_the_super_frame_in_one_piece() -> None:
    bench = Bench()
    bench.keep(raw(segment()), *TO_OUT)
    frame = super_frame(bytes(3000), 1000)
    bench.run(frame)
    assert bench.outward.take() == [frame]


def test_lying_offload_header_is_counted_at_the_port_that_can_not_send_it() -> None:
    bench = Bench(offloads=Offloads.NONE)
    bench.keep(raw(segment()), *TO_OUT)
    bench.run(super_frame(bytes(3000), 0))
    counters = bench.fastpath.port_counters(OUT)
    assert bench.outward.take() == []
    assert counters.unsendable == {Malformed.BAD_OFFLOAD_HEADER: 1}
    assert counters.sent_frames == 0


def test_ports_count_frames_and_bytes_of_ethernet() -> None:
    bench = Bench()
    known, unknown = raw(segment()), raw(segment(sport=6000))
    bench.keep(known, *TO_OUT)
    bench.run(known, unknown)
    received, sent = bench.fastpath.port_counters(IN), bench.fastpath.port_counters(OUT)
    octets = len(known) - HEADER_LENGTH
    assert (received.received_frames, received.received_bytes) == (2, 2 * octets)
    assert (sent.sent_frames, sent.sent_bytes) == (1, octets)


def test_frames_that_a_device_does_not_take_are_counted_by_its_answer() -> None:
    bench = Bench(capacity=1)
    frame = raw(segment())
    bench.keep(frame, *TO_OUT)
    bench.run(frame, frame, frame)
    bench.outward.vanish()
    bench.run(frame)
    counters = bench.fastpath.port_counters(OUT)
    assert counters.lost == {Sent.FULL: 2, Sent.GONE: 1}
    assert counters.sent_frames == 1


def test_flow_collects_the_tcp_flags_it_has_seen() -> None:
    bench = Bench()
    key = bench.keep(raw(segment()), DecrementTtl(), Output(OUT))
    bench.run(raw(segment("A")), raw(segment("PA")), raw(segment("AU")))
    counters = bench.fastpath.flow_counters(key)
    assert counters is not None
    assert counters.tcp_flags == 0x10 | 0x08 | 0x20


def test_port_whose_device_has_vanished_says_so() -> None:
    bench = Bench()
    bench.inward.vanish()
    with pytest.raises(DeviceGone):
        bench.run()


def test_frame_for_a_port_that_is_gone_is_lost_quietly() -> None:
    bench = Bench()
    bench.fastpath.transmit(99, bytearray(raw(segment())), flow=0, now=0)
    assert bench.outward.take() == []
