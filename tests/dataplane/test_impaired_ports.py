"""A whole switch with bad lines: when frames come out, what is counted, and how it is undone."""

from __future__ import annotations

from hashlib import sha256

import pytest

from tests.dataplane.corpus import samples, warm_lab
from tests.harness import ICMP, IP, ROUTER, TCP, UDP, Ether, Host, Lab, only
from vswitch.dataplane.switch import Served
from vswitch.devices.base import Sent
from vswitch.devices.memory import MemoryDevice
from vswitch.impairment import UNIMPAIRED, Impairment, Impairments
from vswitch.units import MILLISECOND, SECOND, Nanoseconds
from vswitch.wire.offload import GSO_TCPV4, NEEDS_CSUM, OffloadHeader, Offloads


def impair(
    lab: Lab, host: Host, incoming: str = "none", outgoing: str = "none", seed: int = 1
) -> None:
    both = Impairments(Impairment.parse(incoming), Impairment.parse(outgoing), seed)
    lab.switch.impair(host.port, both, lab.now)


def datagram(lab: Lab, sender: Host, receiver: Host, number: int = 0) -> bytes:
    packet = IP(src=sender.ip, dst=receiver.ip) / UDP(sport=5, dport=7) / number.to_bytes(4, "big")
    return bytes(Ether(src=sender.mac, dst=receiver.mac) / packet)


def numbers(lab: Lab, host: Host) -> list[int]:
    """The datagrams that have come out, by the number that they carry."""
    return [
        int.from_bytes(bytes(p[UDP].payload)[:4], "big") for p in lab.received(host) if UDP in p
    ]


def quiet(lab: Lab) -> Lab:
    """Let everybody be known, and take away what that brought."""
    lab.meet_everyone()
    for host in lab.hosts.values():
        lab.received(host)
    return lab


def arrival(lab: Lab, host: Host, within: Nanoseconds = SECOND) -> Nanoseconds | None:
    """How long from now it takes until something comes out, by the switch's own deadlines."""
    began = lab.now
    while not host.device.sent and lab.now < began + within:
        deadline = lab.switch.next_deadline()
        if deadline is None or deadline > began + within:
            break
        lab.pass_time(max(0, deadline - lab.now))
    return lab.now - began if host.device.sent else None


# Time


def test_sent_frame_is_late_by_exactly_the_delay() -> None:
    lab = quiet(Lab())
    impair(lab, lab.b, outgoing="delay=20ms")
    lab.send(lab.a, datagram(lab, lab.a, lab.b))
    assert lab.switch.next_deadline() == lab.now + 20 * MILLISECOND
    lab.pass_time(20 * MILLISECOND - 1)
    assert lab.received(lab.b) == []
    lab.pass_time(1)
    assert only(lab.received(lab.b))[UDP].dport == 7


def test_received_frame_reaches_the_switch_late() -> None:
    lab = quiet(Lab())
    impair(lab, lab.a, incoming="delay=20ms")
    before = lab.switch.fastpath.port_counters(lab.a.port).received_frames
    lab.send(lab.a, datagram(lab, lab.a, lab.b))
    assert lab.switch.fastpath.port_counters(lab.a.port).received_frames == before
    assert arrival(lab, lab.b) == 20 * MILLISECOND
    assert lab.switch.fastpath.port_counters(lab.a.port).received_frames == before + 1


@pytest.mark.parametrize("ways", [("delay=20ms", "none"), ("none", "delay=20ms")])
def test_delay_counts_from_when_the_frame_came(ways: tuple[str, str]) -> None:
    lab = quiet(Lab())
    lab.send(lab.a, datagram(lab, lab.a, lab.b))
    lab.received(lab.b)
    impair(lab, lab.a, incoming=ways[0])
    impair(lab, lab.b, outgoing=ways[1])
    lab.pass_time(7 * MILLISECOND)
    lab.send(lab.a, datagram(lab, lab.a, lab.b))
    assert arrival(lab, lab.b) == 20 * MILLISECOND


def test_frames_of_the_switch_itself_pass_the_line_at_once_where_it_delays_nothing() -> None:
    lab = quiet(Lab())
    impair(lab, lab.b, outgoing="duplicate=100%")
    front = lab.network("front").number
    lab.switch.transmit(lab.switch.announce(front), lab.now)
    assert len(lab.received(lab.b)) == 2


def test_frame_of_the_switch_itself_is_delayed_from_when_it_is_sent() -> None:
    lab = quiet(Lab())
    impair(lab, lab.b, outgoing="delay=20ms")
    lab.pass_time(7 * MILLISECOND)
    lab.switch.transmit(lab.switch.announce(lab.network("front").number), lab.now)
    assert arrival(lab, lab.b) == 20 * MILLISECOND


def test_frame_of_the_fast_path_is_as_late_as_the_first_one() -> None:
    lab = quiet(Lab())
    impair(lab, lab.a, incoming="delay=3ms")
    impair(lab, lab.b, outgoing="delay=20ms")
    for _ in range(3):
        hits = lab.hits()
        lab.send(lab.a, datagram(lab, lab.a, lab.b))
        assert arrival(lab, lab.b) == 23 * MILLISECOND
        lab.received(lab.b)
    assert lab.hits() == hits + 1


def test_ping_through_the_translation_takes_the_delays_of_all_four_ways() -> None:
    lab = quiet(Lab())
    impair(lab, lab.a, incoming="delay=1ms", outgoing="delay=2ms")
    impair(lab, lab.outside, incoming="delay=4ms", outgoing="delay=8ms")
    request = IP(src=lab.a.ip, dst=ROUTER) / ICMP(id=9, seq=1)
    began = lab.now
    lab.send(lab.a, lab.routed(lab.a, request))
    assert arrival(lab, lab.outside) == 9 * MILLISECOND
    asked = only(lab.received(lab.outside))
    answer = IP(src=ROUTER, dst=asked[IP].src) / ICMP(type=0, id=asked[ICMP].id, seq=1)
    lab.send(lab.outside, lab.routed(lab.outside, answer))
    assert arrival(lab, lab.a) == 6 * MILLISECOND
    assert only(lab.received(lab.a))[ICMP].id == 9
    assert lab.now == began + 15 * MILLISECOND


def test_frames_of_several_ports_come_out_each_in_their_own_time() -> None:
    lab = quiet(Lab())
    late = lab.add_host("late", "front", "10.0.0.9")
    impair(lab, lab.b, outgoing="delay=20ms")
    impair(lab, late, outgoing="delay=30ms")
    lab.send(lab.a, Ether(src=lab.a.mac, dst="ff:ff:ff:ff:ff:ff", type=0x88B5) / b"to all")
    assert arrival(lab, lab.b) == 20 * MILLISECOND
    assert late.device.sent == []
    assert arrival(lab, late) == 10 * MILLISECOND


def test_rate_of_a_port_is_exact_in_virtual_time() -> None:
    lab = quiet(Lab())
    impair(lab, lab.b, outgoing="rate=1mbit queue=10")
    frame = datagram(lab, lab.a, lab.b).ljust(125, b"\0")
    for _ in range(10):
        lab.send(lab.a, frame)
    for sent in range(10):
        assert len(lab.b.device.sent) == sent
        lab.pass_time(MILLISECOND)
    assert len(lab.b.device.sent) == 10
    assert lab.switch.impaired[lab.b.port].next_deadline() is None


def test_switch_without_bad_lines_has_no_deadlines_of_theirs() -> None:
    lab = quiet(Lab())
    calm = lab.switch.next_deadline()
    lab.send(lab.a, datagram(lab, lab.a, lab.b))
    assert lab.switch.next_deadline() == calm
    assert lab.switch.serve(lab.a.port, lab.now) is Served.BY_FAST_PATH


def test_round_with_a_bad_line_says_that_a_deadline_may_have_come_nearer() -> None:
    lab = quiet(Lab())
    lab.send(lab.a, datagram(lab, lab.a, lab.b))
    impair(lab, lab.b, outgoing="delay=1ms")
    lab.a.device.feed(bytes(10) + datagram(lab, lab.a, lab.b))
    assert lab.switch.serve(lab.a.port, lab.now) is Served.WITH_FRAMES_HELD


def test_frames_beyond_one_round_come_at_once() -> None:
    lab = quiet(Lab())
    impair(lab, lab.a, incoming="delay=1ms")
    for number in range(200):
        lab.send(lab.a, datagram(lab, lab.a, lab.b, number))
    lab.pass_time(MILLISECOND)
    assert numbers(lab, lab.b) == list(range(200))


# Chance


def test_lossy_line_loses_and_keeps_the_rest_without_waiting() -> None:
    lab = quiet(Lab())
    impair(lab, lab.b, outgoing="loss=30%")
    for number in range(100):
        lab.send(lab.a, datagram(lab, lab.a, lab.b, number))
    lost = lab.switch.impaired[lab.b.port].outgoing.counters.lost
    assert 10 <= lost <= 50
    arrived = numbers(lab, lab.b)
    assert len(arrived) == 100 - lost
    assert arrived == sorted(arrived)


def test_duplicates_arrive_in_the_same_round() -> None:
    lab = quiet(Lab())
    impair(lab, lab.a, incoming="duplicate=100%")
    impair(lab, lab.b, outgoing="duplicate=100%")
    lab.send(lab.a, datagram(lab, lab.a, lab.b, 5))
    assert numbers(lab, lab.b) == [5] * 4


def test_super_frame_is_cut_before_a_bad_line() -> None:
    lab = quiet(Lab())
    impair(lab, lab.b, outgoing="loss=30%")
    header = OffloadHeader(NEEDS_CSUM, GSO_TCPV4, 54, 1000, 34, 16).pack()
    segment = IP(src=lab.a.ip, dst=lab.b.ip) / TCP(sport=1, dport=2, flags="A") / bytes(20_000)
    lab.send(lab.a, Ether(src=lab.a.mac, dst=lab.b.mac) / segment, header)
    counters = lab.switch.impaired[lab.b.port].outgoing.counters
    arrived = lab.received_raw(lab.b)
    assert counters.entered == 20
    assert 0 < counters.lost < 20
    assert len(arrived) == 20 - counters.lost
    assert {(raw[:10], len(raw)) for raw in arrived} == {(bytes(10), 10 + 54 + 1000)}


def replay(seed: int) -> str:
    """A digest of all that comes out of a busy lab with bad lines, with the time of each frame.

    The switch is driven without the lab's invariants: a bit that is turned over on the way out can
    make any address of any other.
    """
    lab, digest = warm_lab(seed=1), sha256()
    bad = "delay=5ms jitter=2ms loss=5% duplicate=5% reorder=5% corrupt=5% rate=50mbit queue=20"
    for host in lab.hosts.values():
        impair(lab, host, bad, bad, seed)

    def note(now: Nanoseconds) -> None:
        for name, host in lab.hosts.items():
            for raw in host.device.take():
                digest.update(f"{now} {name} {raw.hex()}\n".encode())

    for nth, sample in enumerate(samples()):
        now = lab.now + nth * MILLISECOND
        host = lab.hosts[sample.host]
        host.device.feed(sample.raw)
        lab.switch.serve(host.port, now)
        note(now)
        while (deadline := lab.switch.next_deadline()) is not None:
            due = max(now, deadline)
            if due >= now + MILLISECOND:
                break
            lab.switch.transmit(lab.switch.tick(due), due)
            note(due)
    return digest.hexdigest()


def test_same_seed_and_frames_give_the_same_bytes_at_the_same_times() -> None:
    assert replay(7) == replay(7)


def test_another_seed_is_another_network() -> None:
    assert replay(7) != replay(8)


# What is counted


def sent(lab: Lab, host: Host) -> tuple[int, int]:
    """Frames and bytes that have left by a host's port."""
    counters = lab.switch.fastpath.port_counters(host.port)
    return counters.sent_frames, counters.sent_bytes


def test_held_frame_is_counted_when_it_leaves() -> None:
    lab = quiet(Lab())
    impair(lab, lab.b, outgoing="delay=20ms")
    frames, octets = sent(lab, lab.b)
    lab.send(lab.a, datagram(lab, lab.a, lab.b))
    assert sent(lab, lab.b) == (frames, octets)
    lab.pass_time(20 * MILLISECOND)
    size = len(datagram(lab, lab.a, lab.b))
    assert sent(lab, lab.b) == (frames + 1, octets + size)
    assert lab.switch.fastpath.port_counters(lab.b.port).lost == {}


def test_full_queue_is_counted_as_a_loss_of_the_port() -> None:
    lab = quiet(Lab())
    impair(lab, lab.b, outgoing="rate=1mbit queue=2")
    for number in range(5):
        lab.send(lab.a, datagram(lab, lab.a, lab.b, number))
    assert lab.switch.fastpath.port_counters(lab.b.port).lost == {Sent.FULL: 3}
    lab.pass_time(SECOND)
    assert numbers(lab, lab.b) == [0, 1]


def test_device_that_is_full_when_the_frame_is_due_counts_it_then() -> None:
    lab = quiet(Lab())
    small = MemoryDevice("small", capacity=1)
    port = lab.switch.add_port("small", lab.network("front").number, small)
    both = Impairments(outgoing=Impairment.parse("delay=1ms"))
    lab.switch.impair(port.number, both, lab.now)
    for _ in range(2):
        lab.send(lab.a, Ether(src=lab.a.mac, dst="ff:ff:ff:ff:ff:ff", type=0x88B5) / b"to all")
    counters = lab.switch.fastpath.port_counters(port.number)
    assert (counters.sent_frames, counters.lost) == (0, {})
    lab.pass_time(MILLISECOND)
    counters = lab.switch.fastpath.port_counters(port.number)
    assert (counters.sent_frames, counters.lost) == (1, {Sent.FULL: 1})


@pytest.mark.parametrize("way", ["in", "out"])
def test_device_found_gone_when_a_frame_is_due_is_reported(way: str) -> None:
    lab = quiet(Lab())
    impair(lab, lab.b, incoming="delay=1ms", outgoing="delay=1ms")
    sender, receiver = (lab.b, lab.a) if way == "in" else (lab.a, lab.b)
    lab.send(sender, datagram(lab, sender, receiver))
    lab.b.device.vanish()
    lab.pass_time(MILLISECOND)
    assert lab.switch.fastpath.gone == {lab.b.port}


# Setting and ending it


def test_new_impairment_lets_go_what_the_old_one_held() -> None:
    lab = quiet(Lab())
    impair(lab, lab.b, incoming="delay=1s", outgoing="delay=1s")
    for number in range(100):
        lab.send(lab.a, datagram(lab, lab.a, lab.b, number))
        lab.send(lab.b, datagram(lab, lab.b, lab.a, number))
    impair(lab, lab.b, outgoing="delay=20ms")
    assert numbers(lab, lab.b) == numbers(lab, lab.a) == list(range(100))
    lab.send(lab.a, datagram(lab, lab.a, lab.b))
    assert arrival(lab, lab.b) == 20 * MILLISECOND


def test_seed_begins_anew_with_every_change() -> None:
    lab = quiet(Lab())
    runs = []
    for _ in range(2):
        impair(lab, lab.b, outgoing="loss=30%", seed=3)
        for number in range(50):
            lab.send(lab.a, datagram(lab, lab.a, lab.b, number))
        runs.append(numbers(lab, lab.b))
    assert runs[0] == runs[1]
    assert 0 < len(runs[0]) < 50


def test_port_is_as_before_when_its_impairment_ends() -> None:
    lab = quiet(Lab())
    impair(lab, lab.b, incoming="delay=1s", outgoing="delay=1s")
    assert lab.switch.fastpath.device(lab.b.port).offloads is Offloads.NONE
    lab.send(lab.a, datagram(lab, lab.a, lab.b, 4))
    lab.switch.impair(lab.b.port, UNIMPAIRED, lab.now)
    assert numbers(lab, lab.b) == [4]
    assert lab.switch.fastpath.device(lab.b.port) is lab.b.device
    assert lab.switch.impaired == {}
    header = OffloadHeader(NEEDS_CSUM, GSO_TCPV4, 54, 1000, 34, 16).pack()
    segment = IP(src=lab.a.ip, dst=lab.b.ip) / TCP(sport=1, dport=2, flags="A") / bytes(20_000)
    lab.send(lab.a, Ether(src=lab.a.mac, dst=lab.b.mac) / segment, header)
    assert [raw[:10] for raw in lab.received_raw(lab.b)] == [header]


def test_answer_to_a_frame_that_is_let_go_is_not_lost() -> None:
    lab = quiet(Lab())
    impair(lab, lab.a, incoming="delay=1s", outgoing="delay=1s")
    lab.send(lab.a, lab.arp_request(lab.a, lab.gateway_of(lab.a)))
    lab.switch.impair(lab.a.port, UNIMPAIRED, lab.now)
    assert only(lab.received(lab.a)).psrc == lab.gateway_of(lab.a)


def test_removed_port_takes_along_what_its_line_held() -> None:
    lab = quiet(Lab())
    calm = lab.switch.next_deadline()
    impair(lab, lab.b, outgoing="delay=1ms")
    lab.send(lab.a, datagram(lab, lab.a, lab.b))
    assert lab.switch.next_deadline() == lab.now + MILLISECOND
    lab.switch.remove_port(lab.b.port)
    assert lab.switch.impaired == {}
    assert lab.switch.next_deadline() == calm


def test_unimpaired_port_can_be_told_so_again() -> None:
    lab = quiet(Lab())
    lab.switch.impair(lab.b.port, UNIMPAIRED, lab.now)
    assert lab.switch.fastpath.device(lab.b.port) is lab.b.device
