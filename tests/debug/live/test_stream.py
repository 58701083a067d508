"""What one reader of a running switch is sent, and what a slow one loses."""

from __future__ import annotations

from io import BytesIO

import pytest
from dpkt import pcapng
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from tests.harness import UPLINK_ADDRESS, Lab
from vswitch.debug.choices import Judged, Passing
from vswitch.debug.files.blocks import STATISTICS, Blocks, Statistics, statistics
from vswitch.debug.files.bpf import Filter
from vswitch.debug.files.reading import CaptureReader, Packet
from vswitch.debug.live.stream import QUEUE, LiveStream, Member, Selection
from vswitch.debug.sight import Direction
from vswitch.debug.witness import Witness
from vswitch.fastpath.twin import BATCH
from vswitch.units import SECOND
from vswitch.wire.offload import HEADER_LENGTH
from vswitch.wire.values import IpAddress, MacAddress

S1 = "198.51.100.1"
EVERYTHING = Selection()
CLOCK_OFFSET = 1_700_000_000 * SECOND


def streamed(
    lab: Lab,
    selection: Selection = EVERYTHING,
    *,
    snap_length: int = 2000,
    count: int | None = None,
) -> LiveStream:
    stream = LiveStream(lab.switch, selection, CLOCK_OFFSET, snap_length=snap_length, count=count)
    Witness(lab.switch).add(stream.see, stream.snap_length)
    return stream


def packets(stream: LiveStream, lab: Lab) -> list[Packet]:
    return list(CaptureReader(BytesIO(stream.conclude(lab.now)), "stream"))


def places(found: list[Packet]) -> list[tuple[str, Direction | None]]:
    return [(packet.interface.name, packet.direction) for packet in found]


def traffic(lab: Lab) -> Lab:
    """A connection out, one frame between neighbours, and one that is refused."""
    for _ in range(2):
        lab.exchange(lab.a, IP(src=lab.a.ip, dst=S1) / UDP(sport=5000, dport=7000) / b"out")
    lab.send(lab.b, Ether(src=lab.b.mac, dst=lab.a.mac) / IP(src=lab.b.ip, dst=lab.a.ip) / TCP())
    lab.exchange(lab.outside, IP(src=S1, dst=UPLINK_ADDRESS) / TCP(sport=1, dport=2, flags="S"))
    return lab


IN, OUT = Direction.RECEIVED, Direction.SENT
NATTED = [("a", IN), ("outside", OUT)] * 2
BRIDGED = [("b", IN), ("a", OUT)]
DROPPED = [("outside", IN)]


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(), NATTED + BRIDGED + DROPPED),
        (Selection(port="a"), [("a", IN)] * 2 + [("a", OUT)]),
        (Selection(network="outside"), [("outside", OUT)] * 2 + DROPPED),
        (Selection(judged=Judged.DROPPED), DROPPED),
        (Selection(judged=Judged.NATTED), NATTED),
        (Selection(judged=Judged.FORWARDED), NATTED + BRIDGED),
        (Selection(passing=Passing.IN), [("a", IN)] * 2 + [("b", IN), *DROPPED]),
        (Selection(passing=Passing.OUT), [("outside", OUT)] * 2 + [("a", OUT)]),
        (Selection(filter=Filter("tcp")), BRIDGED + DROPPED),
        (Selection(filter=Filter(f"src host {UPLINK_ADDRESS}")), [("outside", OUT)] * 2),
        (Selection(port="a", judged=Judged.NATTED, passing=Passing.OUT), []),
    ],
    ids=lambda value: "" if isinstance(value, Selection) else str(len(value)),
)
def test_reader_gets_the_frames_that_it_chose(
    selection: Selection, expected: list[tuple[str, Direction]]
) -> None:
    lab = Lab().meet_everyone()
    stream = streamed(lab, selection)
    traffic(lab)
    assert places(packets(stream, lab)) == expected


def test_endpoints_frames_are_known_at_every_port() -> None:
    lab = Lab().meet_everyone()
    members = {
        host.name: Member(
            host.name,
            lab.network("front").number,
            IpAddress.parse(host.ip),
            MacAddress.parse(host.mac),
        )
        for host in (lab.a, lab.b)
    }
    of_a = streamed(lab, Selection(members=(members["a"],)))
    traffic(lab)
    of_b = streamed(lab, Selection(members=(members["b"],)))
    traffic(lab)
    assert places(packets(of_a, lab)) == NATTED + BRIDGED
    assert places(packets(of_b, lab)) == BRIDGED


def test_both_copies_of_a_translated_frame_tell_flow_and_translation() -> None:
    lab = Lab().meet_everyone()
    stream = streamed(lab, Selection(judged=Judged.NATTED))
    traffic(lab)
    (connection,) = lab.switch.tables.connections
    for packet in packets(stream, lab):
        assert f"; flow {connection.number}" in packet.comment
        translation = f"{lab.a.ip}:5000 > {S1}:7000, source becomes {UPLINK_ADDRESS}:"
        assert translation in packet.comment


def test_refused_frame_tells_its_reason() -> None:
    lab = Lab().meet_everyone()
    stream = streamed(lab, Selection(judged=Judged.DROPPED))
    traffic(lab)
    (packet,) = packets(stream, lab)
    assert packet.comment.startswith("dropped not_published: ")


def test_time_stamps_count_from_1970() -> None:
    lab = Lab().meet_everyone()
    stream = streamed(lab)
    traffic(lab)
    assert {packet.when for packet in packets(stream, lab)} == {lab.now + CLOCK_OFFSET}


def test_filter_sees_what_is_cut_off_afterwards() -> None:
    lab = Lab().meet_everyone()
    stream = streamed(lab, Selection(filter=Filter("udp[100] = 0x78")), snap_length=64)
    lab.exchange(lab.a, IP(src=lab.a.ip, dst=S1) / UDP(sport=1, dport=2) / (b"x" * 500))
    found = packets(stream, lab)
    assert [len(packet.data) for packet in found] == [64, 64]
    assert {packet.original_length for packet in found} == {14 + 28 + 500}


def test_stream_is_full_after_its_count() -> None:
    lab = Lab().meet_everyone()
    stream = streamed(lab, count=3)
    traffic(lab)
    assert stream.is_full
    assert len(packets(stream, lab)) == 3


def test_every_port_is_declared_before_it_has_a_frame() -> None:
    lab = Lab()
    stream = streamed(lab)
    reader = pcapng.Reader(BytesIO(stream.take()))
    assert reader.snaplen == 2000
    counts = [statistics(block) for block in Blocks().feed(stream.conclude(lab.now))]
    assert counts == [Statistics(number, 0, 0) for number in range(len(lab.hosts))]


def test_port_that_comes_later_is_declared_then() -> None:
    lab = Lab().meet_everyone()
    stream = streamed(lab)
    late = lab.add_host("late", "front", "10.0.0.9")
    lab.send(late, lab.arp_request(late, lab.gateway_of(late)))
    assert ("late", IN) in places(packets(stream, lab))


def test_reader_is_woken_once_for_all_that_waits() -> None:
    lab = Lab().meet_everyone()
    woken: list[bool] = []
    stream = LiveStream(lab.switch, Selection(), 0, on_waiting=lambda: woken.append(True))
    stream.take()
    Witness(lab.switch).add(stream.see, stream.snap_length)
    traffic(lab)
    assert woken == [True]
    stream.take()
    traffic(lab)
    assert woken == [True, True]


def test_reader_that_sleeps_costs_bounded_memory_and_its_losses_are_counted() -> None:
    lab = Lab().meet_everyone()
    stream = streamed(lab, snap_length=262_144)
    frame = bytes(lab.routed(lab.a, IP(src=lab.a.ip, dst=S1) / UDP(sport=1, dport=2) / bytes(1400)))
    lab.exchange(lab.a, IP(src=lab.a.ip, dst=S1) / UDP(sport=1, dport=2) / b"first")
    sent = QUEUE // len(frame)
    for _ in range(sent):
        lab.a.device.feed(bytes(HEADER_LENGTH) + frame)
    for _ in range(-(-sent // BATCH)):
        lab.switch.serve(lab.a.port, lab.now)
        lab.outside.device.take()
    taken = stream.take()
    assert len(taken) <= QUEUE
    counts = [
        statistics(block)
        for block in Blocks().feed(stream.conclude(lab.now))
        if block.kind == STATISTICS
    ]
    assert sum(each.received for each in counts) == 2 * sent + 2
    assert sum(each.dropped for each in counts) == stream.lost > sent // 2
    assert stream.frames + stream.lost == 2 * sent + 2


def test_reader_that_wakes_up_gets_frames_again() -> None:
    lab = Lab().meet_everyone()
    stream = streamed(lab)
    stream.take()
    traffic(lab)
    assert stream.take()
    traffic(lab)
    assert stream.take()
    assert stream.lost == 0
