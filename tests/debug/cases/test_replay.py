"""A replayed switch: its clock is the captures', its timers fire in between, its bytes repeat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from io import BytesIO

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether

from tests.debug.replaying import (
    APP,
    DB,
    GATEWAY,
    ROUTER,
    SERVER,
    SWITCH,
    SWITCH_FILE,
    conversation,
    datagram,
    meet,
)
from vswitch.debug.cases.arrivals import Remark, arrivals, merged
from vswitch.debug.cases.making import EPOCH, Build, Script, built, unfinished
from vswitch.debug.cases.replay import BY_TIMER, Departure, Replay, Setup
from vswitch.debug.files.pcapng import PcapngWriter
from vswitch.debug.files.reading import CaptureError, CaptureReader
from vswitch.debug.sight import Direction
from vswitch.network.configuration import config
from vswitch.units import MILLISECOND, SECOND
from vswitch.wire.offload import FINISHED, GSO_TCPV4, HEADER_LENGTH, OffloadHeader, Offloads

SETUP = Setup(config.parse(SWITCH_FILE, "lab.toml"), start=EPOCH)


def replayed(build: Build, setup: Setup = SETUP) -> tuple[list[Departure], Replay]:
    reader = CaptureReader(BytesIO(built(build)), "in")
    replay = Replay(setup)
    arriving = arrivals(reader, lambda interface: interface.name, Counter(), setup.start)
    return list(replay.run(arriving)), replay


def times(departures: Iterable[Departure]) -> list[float]:
    return [(departure.when - EPOCH) / SECOND for departure in departures]


def packets(departures: Iterable[Departure], port: str) -> list[Ether]:
    return [Ether(each.frame[HEADER_LENGTH:]) for each in departures if each.port == port]


def test_frames_leave_at_the_time_of_the_packet_that_they_were_sent_for() -> None:
    departures, replay = replayed(conversation)
    assert times(departures) == [0, 0, 0, 1, 2, 3, 4]
    assert [departure.cause for departure in departures] == [1, 2, 3, 4, 5, 6, 7]
    assert [packet[IP].src for packet in packets(departures, "uplink")[1:]] == ["203.0.113.1"] * 4
    assert (replay.arrived, replay.left) == (7, 7)


def test_verdict_of_the_packet_is_the_comment_of_what_it_sends() -> None:
    departures, _ = replayed(conversation)
    assert departures[0].comment.startswith("answered; ")
    assert "a new connection" in departures[3].comment
    assert departures[6].comment == "forwarded; flow 1"


def test_timers_fire_in_between_at_their_own_time() -> None:
    def build(script: Script) -> None:
        meet(script)
        out = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst="203.0.113.9") / UDP()
        script.send(0.25, "app", out)
        script.send(9, "app", datagram())

    departures, replay = replayed(build)
    asked = [each for each in departures if each.port == "uplink" and each.when > EPOCH]
    assert times(asked) == [0.25, 1.25, 2.25, 9]
    assert [each.comment for each in asked[1:3]] == [BY_TIMER, BY_TIMER]
    assert [each.cause for each in asked] == [4, None, None, 5]
    told = [each for each in departures if each.port == "app" and each.cause is None]
    assert times(told) == [3.25]
    assert replay.counts().drops == {"neighbour_unreachable": 1}


def test_clock_runs_on_after_the_last_packet_as_far_as_it_is_told() -> None:
    def build(script: Script) -> None:
        script.send(0, "app", Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst=SERVER) / UDP())

    assert times(replayed(build)[0]) == [0]
    longer = replace(SETUP, run_on=1500 * MILLISECOND)
    assert times(replayed(build, longer)[0]) == [0, 1]


def test_impaired_line_of_the_configuration_holds_frames_in_virtual_time() -> None:
    slow = SWITCH_FILE.replace("[endpoints.db]", '[endpoints.db]\nimpair_out = "delay=20ms"')

    def build(script: Script) -> None:
        meet(script)
        script.send(1, "app", Ether(src=APP, dst=DB) / IP(src="10.0.0.2", dst="10.0.0.3") / UDP())

    setup = replace(SETUP, configuration=config.parse(slow, "lab.toml"), run_on=SECOND)
    departures, _ = replayed(build, setup)
    assert times(each for each in departures if each.port == "db") == [0.02, 1.02]


def test_clock_starts_with_the_first_packet_where_nothing_is_said() -> None:
    departures, _ = replayed(conversation, replace(SETUP, start=None, run_on=SECOND))
    assert times(departures) == [0, 0, 0, 1, 2, 3, 4]


def test_counters_know_fates_of_hits_and_misses_and_all_drops() -> None:
    def build(script: Script) -> None:
        conversation(script)
        stranger = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst="203.0.113.1")
        script.send(6, "uplink", stranger / TCP(dport=80))
        script.send(7, "app", datagram(ttl=1))

    _, replay = replayed(build)
    counts = replay.counts()
    assert counts.fates == {"forwarded": 4, "answered": 3, "dropped": 2}
    assert counts.drops == {"not_published": 1, "ttl_expired": 1}
    assert counts.unsent == {}


def segment_of(size: int) -> Ether:
    packet = IP(src="10.0.0.2", dst="10.0.0.3") / TCP(sport=1, dport=2, flags="A")
    return Ether(src=APP, dst=DB) / packet / bytes(size)


def test_super_frame_leaves_as_segments_by_a_plain_device() -> None:
    def build(script: Script) -> None:
        meet(script)
        script.send(1, "app", *unfinished(segment_of(3000), gso_size=1448))

    departures, _ = replayed(build)
    sent = packets(departures[3:], "db")
    assert [len(packet[TCP].payload) for packet in sent] == [1448, 1448, 104]
    assert all(each.frame.startswith(FINISHED) for each in departures)
    assert [each.comment for each in departures[3:]] == [departures[3].comment] * 3


def test_super_frame_leaves_whole_by_a_device_that_takes_it() -> None:
    def build(script: Script) -> None:
        meet(script)
        script.send(1, "app", *unfinished(segment_of(3000), gso_size=1448))

    departures, _ = replayed(build, replace(SETUP, offloads={"db": Offloads.ALL}))
    (whole,) = departures[3:]
    assert OffloadHeader.parse(whole.frame).gso_type == GSO_TCPV4
    assert len(whole.frame) > 3000


def test_frame_whose_offload_header_lies_is_counted_as_unsent() -> None:
    def build(script: Script) -> None:
        meet(script)
        script.send(1, "app", segment_of(9), OffloadHeader(flags=1, checksum_start=900))

    departures, replay = replayed(build)
    assert len(departures) == 3
    assert replay.counts().unsent == {"bad_offload_header": 1}


def test_publications_of_the_configuration_let_in() -> None:
    published = SWITCH_FILE.replace('"10.0.0.3"', '"10.0.0.3"\npublish = ["8080:80"]')

    def build(script: Script) -> None:
        meet(script)
        inward = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst="203.0.113.1")
        script.send(1, "uplink", inward / TCP(dport=8080, flags="S"))

    departures, _ = replayed(build, Setup(config.parse(published, "lab.toml"), start=EPOCH))
    assert packets(departures, "db")[-1][TCP].dport == 80


def test_uplink_has_the_mtu_that_is_said() -> None:
    def build(script: Script) -> None:
        meet(script)
        script.send(1, "app", datagram() / bytes(1400))

    def lengths(setup: Setup) -> list[int]:
        departures, _ = replayed(build, setup)
        return [packet[IP].len for packet in packets(departures, "uplink") if IP in packet]

    assert lengths(SETUP) == [1438]
    assert lengths(replace(SETUP, uplink_mtu=1400)) == [1396, 62]


def collision(script: Script) -> None:
    """Two endpoints with the same source port: one of them gets a random one outside."""
    meet(script)
    for mac, address in ((APP, "10.0.0.2"), (DB, "10.0.0.3")):
        port = "app" if mac == APP else "db"
        packet = IP(src=address, dst=SERVER) / UDP(sport=5000, dport=7000)
        script.send(1, port, Ether(src=mac, dst=GATEWAY) / packet)


def test_seed_decides_what_is_random() -> None:
    def chosen(seed: int) -> int:
        departures, _ = replayed(collision, replace(SETUP, seed=seed))
        port: int = packets(departures, "uplink")[-1][UDP].sport
        return port

    assert chosen(1) == chosen(1)
    assert len({chosen(seed) for seed in range(5)}) > 1


def test_seed_decides_addresses_that_nobody_chose() -> None:
    text = SWITCH_FILE.replace('mac = "', 'mac = "auto" # "')
    setup = replace(SETUP, configuration=config.parse(text, "lab.toml"))

    def gateway(seed: int) -> str:
        departures, _ = replayed(meet, replace(setup, seed=seed))
        return str(packets(departures, "app")[0].src)

    assert gateway(1) == gateway(1)
    assert len({gateway(seed) for seed in range(5)}) == 5


def test_addresses_that_are_given_out_by_the_seed_do_not_shift_what_else_is_random() -> None:
    without = SWITCH_FILE.replace('mac = "02:00:00:00:00:fe"\n', "")
    setup = replace(SETUP, configuration=config.parse(without, "lab.toml"))
    ports = []
    for each in (SETUP, setup):
        departures, _ = replayed(collision, each)
        ports.append(packets(departures, "uplink")[-1][UDP].sport)
    assert ports[0] == ports[1]


# From files to arrivals


def capture(*stamps: int, port: str = "app", direction: Direction = Direction.RECEIVED) -> bytes:
    stream = BytesIO()
    writer = PcapngWriter(stream)
    interface = writer.add_interface(port)
    for number, when in enumerate(stamps):
        frame = FINISHED + bytes(14) + number.to_bytes(1, "big")
        writer.write(interface, direction, frame, when)
    return stream.getvalue()


def arriving(
    data: bytes, remarks: Counter[Remark], start: int | None = None, port: str | None = "app"
) -> Iterator[tuple[int, int]]:
    reader = CaptureReader(BytesIO(data), "in")
    for arrival in arrivals(reader, lambda _: port, remarks, start):
        yield arrival.number, arrival.when


def test_time_that_runs_backwards_stands_still_and_is_counted() -> None:
    remarks: Counter[Remark] = Counter()
    got = list(arriving(capture(5, 9, 7, 8, 10), remarks))
    assert got == [(1, 5), (2, 9), (3, 9), (4, 9), (5, 10)]
    assert remarks == {Remark.BACKWARDS: 2}


def test_packets_before_the_start_of_the_clock_arrive_with_it() -> None:
    remarks: Counter[Remark] = Counter()
    assert list(arriving(capture(5, 20), remarks, start=10)) == [(1, 10), (2, 20)]
    assert remarks == {Remark.BACKWARDS: 1}


def test_what_was_sent_by_who_captured_it_does_not_arrive() -> None:
    remarks: Counter[Remark] = Counter()
    assert list(arriving(capture(1, 2, direction=Direction.SENT), remarks)) == []
    assert remarks == {Remark.LEAVING: 2}


def test_packets_that_were_cut_short_are_counted() -> None:
    stream = BytesIO()
    writer = PcapngWriter(stream)
    frame = FINISHED + bytes(20)
    writer.write(writer.add_interface("app"), Direction.RECEIVED, frame, 1, original_length=90)
    remarks: Counter[Remark] = Counter()
    assert len(list(arriving(stream.getvalue(), remarks))) == 1
    assert remarks == {Remark.CUT_SHORT: 1}


def test_interface_that_stands_for_no_port_is_refused_with_the_packet() -> None:
    with pytest.raises(CaptureError) as refused:
        list(arriving(capture(1, port="we\tb"), Counter(), port=None))
    said = 'in: packet 1: is from interface "we\\tb", which stands for no port'
    assert str(refused.value) == said


def test_packet_without_a_time_stamp_is_refused() -> None:
    data = capture() + bytes.fromhex("03000000 20000000 0f000000") + bytes(16) + b"\x20\0\0\0"
    with pytest.raises(CaptureError) as refused:
        list(arriving(data, Counter()))
    said = "in: packet 1: has no time stamp (it is in a Simple Packet Block)"
    assert str(refused.value) == said


def test_frame_that_no_device_takes_is_refused() -> None:
    stream = BytesIO()
    writer = PcapngWriter(stream)
    writer.write(writer.add_interface("app"), Direction.RECEIVED, bytes(200_000), 1)
    with pytest.raises(CaptureError, match="packet 1: has 199990 bytes: more than any device"):
        list(arriving(stream.getvalue(), Counter()))


def test_several_files_are_merged_by_time() -> None:
    sources = [
        arrivals(CaptureReader(BytesIO(data), "in"), lambda known: known.name, Counter())
        for data in (capture(1, 4, 4), capture(2, 4, 3, port="db"))
    ]
    got = [(arrival.when, arrival.port) for arrival in merged(sources)]
    assert got == [(1, "app"), (2, "db"), (4, "app"), (4, "app"), (4, "db"), (4, "db")]
