"""Asking what would become of a frame: the whole trail, what would leave, no side effect."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.dataplane.corpus import samples, warm_lab
from tests.dataplane.test_dry_run import state
from tests.harness import ARP, IP, ROUTER, TCP, UDP, UPLINK_ADDRESS, Ether, Host, Lab
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.verdict import Fate
from vswitch.debug.explain import describing, tracing
from vswitch.debug.explain.describing import DescriptionError
from vswitch.debug.explain.tracing import FAST_PATH, STRANGER, Trace
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import HEADER_LENGTH
from vswitch.wire.values import IpAddress, MacAddress

OUTSIDE = "198.51.100.7"
CLIENT = "a tcp 10.0.0.2:40000 > 198.51.100.7:443"
STAGES = [
    FAST_PATH,
    *("admit", "learn", "route", "policy", "conntrack", "route", "policy", "nat", "route"),
    *("conntrack", "route", "nat", "neighbour", "bridge"),
]


def known(lab: Lab) -> list[tracing.Host]:
    """What a daemon knows of its endpoints."""
    return [
        tracing.Host(each.name, network, IpAddress.parse(each.ip), MacAddress.parse(each.mac))
        for each, network in ((lab.a, "front"), (lab.b, "front"), (lab.c, "back"))
    ]


def frame_of(lab: Lab, text: str) -> bytearray:
    description = describing.parse(text)
    port = tracing.place(lab.switch, description.port)
    stations = tracing.stations(lab.switch, port, description, known(lab))
    return describing.build(description, stations)


def ask(lab: Lab, text: str) -> Trace:
    """The trace of a description, and the assurance that nothing has changed by it."""
    before = state(lab)
    port = tracing.place(lab.switch, text.split()[0])
    answer = tracing.trace(lab.switch, port, frame_of(lab, text), lab.now)
    assert state(lab) == before
    return answer


def words(trace: Trace, stage: str) -> list[str]:
    return [each for step in trace.steps if step.stage == stage for each in step.words]


def leaves(trace: Trace) -> tuple[tuple[str, ...], Ether]:
    [leaving] = trace.leaving
    return leaving.ports, Ether(leaving.frame[HEADER_LENGTH:])


def test_new_connection_is_told_stage_by_stage() -> None:
    lab = Lab().meet_everyone()
    trace = ask(lab, f"{CLIENT} syn")
    assert [step.stage for step in trace.steps] == STAGES
    assert words(trace, "learn") == [f"{lab.a.mac} is known on port a"]
    assert words(trace, "policy") == [
        "the source may be on front",
        "front may begin connections into outside",
    ]
    assert words(trace, "conntrack") == [
        "no connection has 10.0.0.2:40000 > 198.51.100.7:443",
        "a new connection",
    ]
    assert words(trace, "nat") == [
        "10.0.0.2 port 40000 is not mapped yet",
        f"10.0.0.2 port 40000 is {UPLINK_ADDRESS} port 40000 outside",
        f"answers will arrive as 198.51.100.7:443 > {UPLINK_ADDRESS}:40000",
        f"leaves as {UPLINK_ADDRESS}:40000 > 198.51.100.7:443",
    ]
    assert words(trace, "neighbour") == [f"{ROUTER} is at {lab.outside.mac}"]
    assert words(trace, "bridge") == [f"{lab.outside.mac} is behind port outside"]


def test_rewritten_frame_is_the_one_that_really_leaves() -> None:
    lab = Lab().meet_everyone()
    for text in (f"{CLIENT} syn ttl=9", "a udp 10.0.0.2:5 > 198.51.100.7:53 data=4"):
        trace = ask(lab, text)
        ports, frame = leaves(trace)
        lab.received(lab.outside)
        lab.send(lab.a, bytes(frame_of(lab, text)[HEADER_LENGTH:]))
        assert (trace.fate, ports) == (Fate.FORWARDED, ("outside",))
        assert [bytes(frame)] == [bytes(each) for each in lab.received(lab.outside)]


@pytest.mark.parametrize("build", [Lab, warm_lab])
def test_what_is_told_to_leave_is_what_leaves(build: Callable[[], Lab]) -> None:
    for sample in samples():
        lab = build()
        port = tracing.place(lab.switch, sample.host)
        trace = tracing.trace(lab.switch, port, sample.raw, lab.now)
        told = [(name, each.frame) for each in trace.leaving for name in each.ports]
        sent = lab.switch.receive(port.number, bytearray(sample.raw), lab.now)
        names = {number: each.name for number, each in lab.switch.tables.ports.items()}
        left = [(names[each.port], bytes(each.frame)) for each in sent]
        if not any("fragments" in each for each in words(trace, "route")):
            assert told == left


def test_datagram_that_is_cut_is_told_whole_and_in_words() -> None:
    lab = warm_lab()
    packet = IP(src=lab.a.ip, dst=OUTSIDE) / UDP(sport=5000, dport=53) / bytes(1600)
    raw = bytes(HEADER_LENGTH) + bytes(lab.routed(lab.a, packet))
    trace = tracing.trace(lab.switch, tracing.place(lab.switch, "a"), raw, lab.now)
    assert "it leaves in fragments of at most 1500 bytes" in words(trace, "route")
    ports, told = leaves(trace)
    first, second = lab.exchange(lab.a, packet)["outside"]
    assert (ports, told[IP].src) == (("outside",), UPLINK_ADDRESS)
    assert bytes(told[IP].payload) == bytes(first[IP].payload) + bytes(second[IP].payload)
    assert not trace.leaving[0].is_kept


def test_unknown_next_hop_is_asked_for() -> None:
    lab = Lab()
    trace = ask(lab, CLIENT)
    ports, question = leaves(trace)
    assert (trace.fate, ports) == (Fate.WAITING, ("outside",))
    assert question[ARP].pdst == ROUTER
    assert words(trace, "neighbour") == [f"the station of {ROUTER} is not known yet"]


def test_drop_tells_its_reason_and_who_is_told() -> None:
    lab = Lab().meet_everyone()
    trace = ask(lab, "a icmp echo 10.0.0.2 > 10.1.0.2")
    assert (trace.fate, trace.reason) == (Fate.DROPPED, DropReason.NETWORKS_ISOLATED)
    assert trace.leaving[0].what == "what tells the sender"
    assert leaves(trace)[0] == ("a",)


def test_known_connection_tells_its_number_and_what_the_frame_makes_of_it() -> None:
    lab = Lab().meet_everyone()
    syn = TCP(sport=40000, dport=443, flags="S", seq=2**32 - 1)
    lab.exchange(lab.a, IP(src=lab.a.ip, dst=OUTSIDE) / syn)
    trace = ask(lab, f"outside tcp {OUTSIDE}:443 > {UPLINK_ADDRESS}:40000 syn,ack")
    assert trace.flow == 1
    assert words(trace, "conntrack") == [
        "reply direction of connection 1 (opening)",
        "with this frame it is established",
    ]
    ports, frame = leaves(trace)
    assert (ports, frame[IP].dst, frame.dst) == (("a",), lab.a.ip, lab.a.mac)


def test_fast_path_is_asked_first() -> None:
    lab = Lab().meet_everyone()
    text = "a udp 10.0.0.2:5000 > 198.51.100.7:53"
    assert words(ask(lab, text), FAST_PATH) == ["no program is kept for frames like this one"]
    assert ask(lab, text).leaving[0].is_kept
    for _ in range(3):
        lab.exchange(lab.a, IP(src=lab.a.ip, dst=OUTSIDE) / UDP(sport=5000, dport=53))
    assert words(ask(lab, text), FAST_PATH) == [
        "a program is kept for frames like this one: it has carried 2"
    ]
    assert words(ask(lab, "a arp who-has 10.0.0.1"), FAST_PATH) == [
        "each frame like this one is decided about anew"
    ]


def test_segment_that_revives_a_connection_is_kept_as_it_will_be() -> None:
    lab = Lab().meet_everyone()
    for sequence, flags in enumerate("SR"):
        segment = TCP(sport=40000, dport=443, flags=flags, seq=sequence)
        lab.exchange(lab.a, IP(src=lab.a.ip, dst=OUTSIDE) / segment)
    text = f"{CLIENT} ack"
    assert ask(lab, text).leaving[0].is_kept
    lab.send(lab.a, bytes(frame_of(lab, text)[HEADER_LENGTH:]))
    assert words(ask(lab, text), FAST_PATH)[0].startswith("a program is kept")


def test_bridged_frame_goes_to_the_neighbours_own_station() -> None:
    lab = Lab().meet_everyone()
    ports, frame = leaves(ask(lab, "a icmp echo 10.0.0.2 > 10.0.0.3"))
    assert (ports, frame.src, frame.dst) == (("b",), lab.a.mac, lab.b.mac)


def test_neighbour_that_never_spoke_is_flooded_to_and_known_to_the_daemon() -> None:
    lab = Lab()
    lab.add_host("d", "front", "10.0.0.9")
    trace = ask(lab, "a icmp echo 10.0.0.2 > 10.0.0.3")
    assert (trace.fate, trace.leaving[0].ports) == (Fate.FLOODED, ("b", "d"))
    assert words(trace, "learn") == [f"{lab.a.mac} is not known yet"]
    with pytest.raises(DescriptionError, match=r"station of 10.0.0.9 on front .*: say dst-mac="):
        ask(lab, "a icmp echo 10.0.0.2 > 10.0.0.9")
    assert ask(lab, "a icmp echo 10.0.0.2 > 10.0.0.9 dst-mac=02:00:00:00:09:09")


def test_station_that_moves_is_noticed() -> None:
    lab = Lab().meet_everyone()
    trace = ask(lab, f"b icmp echo 10.0.0.2 > 10.0.0.1 src-mac={lab.a.mac}")
    assert words(trace, "learn") == [f"{lab.a.mac} was last seen on port a: it has moved"]


def test_publication_that_decides_is_named() -> None:
    lab = Lab().meet_everyone()
    lab.publish(8080, lab.b, 80)
    trace = ask(lab, f"outside tcp {OUTSIDE}:1 > {UPLINK_ADDRESS}:8080")
    assert (
        words(trace, "nat")[0] == f"port 8080 of {UPLINK_ADDRESS} is published to 10.0.0.3 port 80"
    )
    closed = ask(lab, f"outside tcp {OUTSIDE}:1 > {UPLINK_ADDRESS}:81")
    assert (closed.reason, closed.leaving) == (DropReason.NOT_PUBLISHED, ())


@pytest.mark.parametrize(
    ("to", "mac"),
    [
        ("255.255.255.255", "ff:ff:ff:ff:ff:ff"),
        ("10.0.255.255", "ff:ff:ff:ff:ff:ff"),
        ("224.129.2.3", "01:00:5e:01:02:03"),
        ("10.0.0.1", "gateway"),
        ("9.9.9.9", "gateway"),
    ],
)
def test_destination_station_is_the_one_that_a_host_would_take(to: str, mac: str) -> None:
    lab = Lab()
    frame = Ether(bytes(frame_of(lab, f"a udp 10.0.0.2:5 > {to}:7")[HEADER_LENGTH:]))
    assert frame.dst == (lab.a.gateway_mac if mac == "gateway" else mac)


def test_frame_from_outside_comes_from_the_router_or_from_a_neighbour_there() -> None:
    lab = Lab()
    near = lab.add_host("near", "outside", "203.0.113.7")

    def source(address: str) -> str:
        frame = frame_of(lab, f"outside udp {address}:5 > {UPLINK_ADDRESS}:7")
        mac: str = Ether(bytes(frame[HEADER_LENGTH:])).src
        return mac

    assert source("198.51.100.7") == str(STRANGER)
    lab.meet_everyone()
    assert source("198.51.100.7") == lab.outside.mac
    assert source("203.0.113.7") == near.mac


def test_host_that_only_its_port_knows_sends_from_the_station_heard_there() -> None:
    lab = Lab()
    stray = lab.add_host("stray", "front", "10.0.0.9")
    _speak(lab, stray)
    frame = Ether(bytes(frame_of(lab, "stray arp who-has 10.0.0.1")[HEADER_LENGTH:]))
    assert (frame.src, frame[ARP].psrc) == (stray.mac, "0.0.0.0")


def _speak(lab: Lab, host: Host) -> None:
    lab.send(host, Ether(src=host.mac, dst="ff:ff:ff:ff:ff:ff", type=0x88B5) / b"hello")


def test_port_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(DescriptionError) as refused:
        tracing.place(Lab().switch, "web")
    assert str(refused.value) == "there is no port 'web': there is a, b, c, outside"


@pytest.mark.parametrize("length", [0, 5, 13])
def test_frame_too_short_for_ethernet_is_traced_to_its_end(length: int) -> None:
    lab = Lab()
    port = tracing.place(lab.switch, "a")
    trace = tracing.trace(lab.switch, port, bytes(HEADER_LENGTH + length), lab.now)
    assert (trace.fate, trace.reason) == (Fate.DROPPED, Malformed.TRUNCATED_ETHERNET)


def test_segment_of_a_live_connection_has_the_numbers_that_come_next() -> None:
    """Otherwise it would be outside the window, and said to change nothing."""
    lab = Lab().meet_everyone()
    out = IP(src=lab.a.ip, dst="198.51.100.7") / TCP(sport=40000, dport=443, seq=5000, flags="S")
    lab.exchange(lab.a, out)
    back = IP(src="198.51.100.7", dst=UPLINK_ADDRESS)
    answer = TCP(sport=443, dport=40000, seq=9000, ack=5001, flags="SA")
    lab.exchange(lab.outside, back / answer)
    ack = TCP(sport=40000, dport=443, seq=5001, ack=9001, flags="A")
    lab.exchange(lab.a, IP(src=lab.a.ip, dst="198.51.100.7") / ack)
    found = ask(lab, f"{CLIENT} rst,ack")
    assert "with this frame it is transitory" in words(found, "conntrack")
    _, sent = leaves(found)
    assert (sent[TCP].seq, sent[TCP].ack) == (5001, 9001)
