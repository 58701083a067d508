"""What the flight recorder still knows, and how much it takes for that."""

from __future__ import annotations

import itertools
from io import BytesIO

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP

from tests.harness import UPLINK_ADDRESS, Lab
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.verdict import Fate
from vswitch.debug.files.reading import CaptureReader
from vswitch.debug.live.recorder import SNAP_LENGTH, TRAIL_BYTES, TRAIL_SHARE, Recorder, pcapng_of
from vswitch.debug.live.stream import Flows
from vswitch.debug.sight import Direction, Sight
from vswitch.debug.witness import NO_CAUSE, Witness
from vswitch.units import MEBIBYTE, SECOND
from vswitch.wire.offload import HEADER_LENGTH

S1 = "198.51.100.1"
RECORD_BYTES = 165
SMALL = 40 * RECORD_BYTES * TRAIL_SHARE // (TRAIL_SHARE - 1)
"""Bytes of a recorder with 40 records."""


def traffic(lab: Lab, payload: bytes = b"out") -> None:
    for _ in range(2):
        lab.exchange(lab.a, IP(src=lab.a.ip, dst=S1) / UDP(sport=5000, dport=7000) / payload)
    lab.exchange(lab.outside, IP(src=S1, dst=UPLINK_ADDRESS) / TCP(sport=1, dport=2, flags="S"))


def sights(recorder: Recorder) -> list[Sight]:
    return list(recorder.snapshot().sights())


def test_recorder_tells_afterwards_what_a_witness_would_have_told() -> None:
    lab = Lab().meet_everyone()
    recorder = Recorder(lab.switch, MEBIBYTE)
    told: list[Sight] = []
    Witness(lab.switch).add(told.append, SNAP_LENGTH)
    traffic(lab)
    lab.exchange(lab.a, IP(src=lab.a.ip, dst=lab.gateway_of(lab.a)) / ICMP(type=8, id=1) / b"ping")
    traffic(lab, bytes(1000))
    assert len(told) == 12
    assert sights(recorder) == told


def test_frame_that_waited_is_told_in_its_own_flow_as_by_a_witness() -> None:
    lab = Lab()
    recorder = Recorder(lab.switch, MEBIBYTE)
    told: list[Sight] = []
    Witness(lab.switch).add(told.append, SNAP_LENGTH)
    lab.send(lab.a, lab.arp_request(lab.a, lab.gateway_of(lab.a)))
    lab.exchange(lab.a, IP(src=lab.a.ip, dst=S1) / UDP(sport=5000, dport=7000))
    lab.send(lab.outside, lab.arp_request(lab.outside, UPLINK_ADDRESS))
    assert sights(recorder) == told


def test_what_the_switch_sends_before_any_frame_came_is_its_own() -> None:
    lab = Lab()
    recorder = Recorder(lab.switch, MEBIBYTE)
    told: list[Sight] = []
    Witness(lab.switch).add(told.append, SNAP_LENGTH)
    lab.switch.transmit(lab.switch.announce(lab.network("front").number), lab.now)
    assert sights(recorder) == told


def test_what_a_timer_sends_is_not_told_of_the_last_frame() -> None:
    lab = Lab()
    recorder = Recorder(lab.switch, MEBIBYTE)
    told: list[Sight] = []
    Witness(lab.switch).add(told.append, SNAP_LENGTH)
    lab.send(lab.a, lab.arp_request(lab.a, lab.gateway_of(lab.a)))
    lab.exchange(lab.a, IP(src=lab.a.ip, dst=S1) / UDP(sport=5000, dport=7000))
    lab.pass_time(5 * SECOND)
    assert [sight.words for sight in told].count(NO_CAUSE.words) >= 2
    assert sights(recorder) == told


def test_only_the_beginning_of_a_frame_is_kept_with_its_true_length() -> None:
    lab = Lab().meet_everyone()
    recorder = Recorder(lab.switch, MEBIBYTE)
    traffic(lab, bytes(1000))
    first = sights(recorder)[0]
    assert len(first.frame) == HEADER_LENGTH + SNAP_LENGTH
    assert first.original_length == 14 + 28 + 1000


def test_oldest_frames_go_first() -> None:
    lab = Lab().meet_everyone()
    recorder = Recorder(lab.switch, SMALL)
    for _ in range(50):
        lab.now += 1
        traffic(lab)
    kept = sights(recorder)
    assert len(kept) == len(recorder.snapshot()) == 40
    assert [sight.when for sight in kept] == [
        when for when in range(lab.now - 7, lab.now + 1) for _ in range(5)
    ]


def test_frame_whose_beginning_is_overwritten_is_told_without_it() -> None:
    lab = Lab().meet_everyone()
    recorder = Recorder(lab.switch, SMALL)
    for _ in range(8):
        traffic(lab)
    lab.exchange(lab.outside, IP(src=S1, dst=UPLINK_ADDRESS) / TCP(sport=1, dport=2, flags="S"))
    (connection,) = lab.switch.tables.connections
    oldest = sights(recorder)[0]
    assert oldest.direction is Direction.SENT
    assert (oldest.fate, oldest.flow, oldest.words) == (Fate.FORWARDED, connection.number, ())


def test_words_of_old_decisions_are_forgotten_and_their_verdicts_are_not() -> None:
    lab = Lab().meet_everyone()
    recorder = Recorder(lab.switch, 3 * TRAIL_BYTES * TRAIL_SHARE)
    for _ in range(10):
        lab.exchange(lab.outside, IP(src=S1, dst=UPLINK_ADDRESS) / TCP(sport=1, dport=2, flags="S"))
    dropped = sights(recorder)
    assert {sight.reason for sight in dropped} == {DropReason.NOT_PUBLISHED}
    assert [bool(sight.words) for sight in dropped] == [False] * 7 + [True] * 3


def test_words_belong_to_their_own_frame_after_the_ring_has_come_round() -> None:
    lab = Lab().meet_everyone()
    recorder = Recorder(lab.switch, SMALL)
    for port in range(1, 1 + 90):
        refused = TCP(sport=1, dport=port, flags="S")
        lab.exchange(lab.outside, IP(src=S1, dst=UPLINK_ADDRESS) / refused)
    for port, sight in zip(range(90, 0, -1), reversed(sights(recorder)), strict=False):
        if sight.words:
            assert f"port {port} of {UPLINK_ADDRESS} is neither published nor mapped" in sight.words


@pytest.mark.parametrize(("flags", "resets"), [("R", 1), ("RA", 1), ("S", 0), ("FA", 0)])
def test_resets_that_come_in_are_counted(flags: str, resets: int) -> None:
    lab = Lab().meet_everyone()
    recorder = Recorder(lab.switch, SMALL)
    lab.exchange(lab.a, IP(src=lab.a.ip, dst=S1) / TCP(sport=1, dport=2, flags=flags))
    lab.exchange(lab.a, IP(src=lab.a.ip, dst=S1) / UDP(sport=1, dport=2) / (b"\xff" * 20))
    assert recorder.resets == resets


def test_port_that_is_gone_still_has_its_name() -> None:
    lab = Lab().meet_everyone()
    recorder = Recorder(lab.switch, SMALL)
    lab.exchange(lab.b, IP(src=lab.b.ip, dst=S1) / UDP(sport=1, dport=2))
    lab.switch.remove_port(lab.b.port)
    snapshot = recorder.snapshot()
    assert snapshot.label(lab.b.port).name == "b"
    assert snapshot.label(999).name == "port 999"


def test_others_may_read_along_and_stop_again() -> None:
    lab = Lab().meet_everyone()
    recorder = Recorder(lab.switch, SMALL)
    told: list[Sight] = []
    witness = Witness(lab.switch)
    witness.add(told.append, 60)
    traffic(lab)
    witness.remove(told.append)
    traffic(lab)
    assert len(told) == 5
    assert len(recorder.snapshot()) == 10
    assert lab.switch.fastpath.observer is None


def test_snapshot_stays_as_it_was_while_the_switch_goes_on() -> None:
    lab = Lab().meet_everyone()
    recorder = Recorder(lab.switch, SMALL)
    traffic(lab)
    snapshot = recorder.snapshot()
    before = list(snapshot.sights())
    for _ in range(30):
        traffic(lab, b"something else")
    assert list(snapshot.sights()) == before


def test_file_of_a_snapshot_has_every_sight_with_port_and_comment() -> None:
    lab = Lab().meet_everyone()
    recorder = Recorder(lab.switch, MEBIBYTE)
    for _ in range(100):
        traffic(lab)
    pieces = list(pcapng_of(recorder.snapshot(), Flows(lab.switch), 0))
    assert len(pieces) > 1
    packets = list(CaptureReader(BytesIO(b"".join(pieces)), "dump"))
    for packet, sight in itertools.zip_longest(packets, sights(recorder)):
        assert packet.when == sight.when
        assert packet.interface.name == lab.switch.tables.ports[sight.port].name
        assert packet.comment.startswith(sight.comment)
        assert packet.data == sight.frame[HEADER_LENGTH:]
