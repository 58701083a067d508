"""Asking what would happen: the same decision as for a real frame, and nothing is changed."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Mapping
from enum import Enum
from random import Random

import pytest
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from tests.dataplane.conversation import Conversation, ip, quiet_lab
from tests.dataplane.corpus import OTHER_PROTOCOLS, Sample, cut, feed, samples, warm_lab
from tests.harness import UPLINK_ADDRESS, Host, Lab
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.neighbours import QUEUE
from vswitch.dataplane.pipeline import decide
from vswitch.dataplane.verdict import Fate
from vswitch.fastpath.states import State
from vswitch.translation import Limits, Quotas, Translation
from vswitch.wire.values import Protocol

_PLAIN = (int, float, str, bytes, bytearray, bool, type(None), Enum, range, type)

SAMPLES = samples()
PROTOCOLS = [Protocol.TCP, Protocol.UDP, Protocol.ICMP, *OTHER_PROTOCOLS]


def state_of(thing: object, seen: dict[int, int] | None = None) -> object:
    """All that `thing` consists of, as values that compare; what is met twice, by its turn."""
    seen = {} if seen is None else seen
    if isinstance(thing, _PLAIN):
        return bytes(thing) if isinstance(thing, bytearray) else thing
    if isinstance(thing, array):
        return bytes(thing)
    if isinstance(thing, Random):
        return thing.getstate()
    if id(thing) in seen:
        return ("again", seen[id(thing)])
    seen[id(thing)] = len(seen)
    if isinstance(thing, Mapping):
        return [(state_of(key, seen), state_of(value, seen)) for key, value in thing.items()]
    if isinstance(thing, tuple | list | deque):
        return [state_of(item, seen) for item in thing]
    if isinstance(thing, set | frozenset):
        return sorted(repr(state_of(item, {})) for item in thing)
    fields = dict(getattr(thing, "__dict__", {}))
    for kind in type(thing).__mro__:
        for slot in getattr(kind, "__slots__", ()):
            if hasattr(thing, slot):
                fields[slot] = getattr(thing, slot)
    if not fields:
        return repr(thing)
    return type(thing).__name__, [(name, state_of(fields[name], seen)) for name in sorted(fields)]


def state(lab: Lab) -> object:
    """All of a switch. A pool of ports that nobody has asked for yet is as good as a full one."""
    mappings = lab.switch.tables.mappings
    for protocol in PROTOCOLS:
        mappings._pool(protocol, ip(UPLINK_ADDRESS))
    return state_of(lab.switch)


def asked(lab: Lab, sample: Sample) -> tuple[object, object]:
    """Fate and reason that a dry run gives."""
    number = lab.hosts[sample.host].port
    verdict = decide(lab.switch.tables, number, bytearray(sample.raw), lab.now, commit=False)
    assert all(str(finding) for finding in verdict.trail)
    return verdict.fate, verdict.reason


def done(lab: Lab, sample: Sample) -> tuple[object, object]:
    """Fate and reason of the frame itself, which does not take the fast path."""
    number = lab.hosts[sample.host].port
    verdict = decide(lab.switch.tables, number, bytearray(sample.raw), lab.now)
    return verdict.fate, verdict.reason


def test_comparison_of_states_sees_what_a_frame_changes() -> None:
    lab = Lab()
    before = state(lab)
    assert state(lab) == before
    feed(lab, SAMPLES[0])
    assert state(lab) != before


@pytest.mark.parametrize("build", [warm_lab, Lab, lambda: Lab().meet_everyone()])
def test_asking_changes_nothing_and_gives_the_fate_of_the_frame(build: type[Lab]) -> None:
    lab = build()
    before = state(lab)
    for sample in SAMPLES:
        answer = asked(lab, sample)
        assert state(lab) == before
        assert done(build(), sample) == answer


def test_full_queue_is_seen_by_asking_too() -> None:
    lab = Lab()
    lab.publish(8080, lab.b, 80, Protocol.UDP)
    packet = IP(src="198.51.100.1", dst="203.0.113.1") / UDP(sport=4000, dport=8080)
    sample = Sample("outside", bytes(10) + bytes(lab.routed(lab.outside, packet)))
    for _ in range(QUEUE):
        assert asked(lab, sample) == (Fate.WAITING, None)
        feed(lab, sample)
    answer = asked(lab, sample)
    assert answer[0] is Fate.DROPPED
    assert done(lab, sample) == answer


def test_asking_about_the_last_fragment_tells_what_becomes_of_the_datagram() -> None:
    lab = warm_lab()
    whole = IP(src=lab.a.ip, dst="198.51.100.1", id=40) / UDP(sport=5000, dport=7000) / bytes(2000)
    *earlier, last = (
        Sample("a", bytes(10) + bytes(lab.routed(lab.a, piece))) for piece in cut(whole)
    )
    for sample in earlier:
        feed(lab, sample)
    before = state(lab)
    assert asked(lab, last) == (Fate.FORWARDED, None)
    assert state(lab) == before
    assert done(lab, last) == (Fate.FORWARDED, None)


def test_asking_about_an_overlapping_fragment_gives_up_nothing() -> None:
    lab = warm_lab()
    whole = IP(src=lab.a.ip, dst="198.51.100.1", id=40) / UDP(sport=5000, dport=7000) / bytes(2000)
    first, *_ = cut(whole)
    lie = IP(src=lab.a.ip, dst="198.51.100.1", id=40, frag=1, flags="MF", proto=17) / bytes(80)
    samples = [Sample("a", bytes(10) + bytes(lab.routed(lab.a, each))) for each in (first, lie)]
    feed(lab, samples[0])
    before = state(lab)
    assert asked(lab, samples[1]) == (Fate.DROPPED, DropReason.FRAGMENT_OVERLAP)
    assert state(lab) == before
    assert done(lab, samples[1]) == (Fate.DROPPED, DropReason.FRAGMENT_OVERLAP)


def test_asking_about_a_frame_at_the_limits_takes_nothing_of_what_is_left() -> None:
    """Quotas, rates, the table and errors: the last one that is allowed is still allowed."""
    quotas = Quotas(mappings=2, connections=2, connections_per_second=2)
    limits = Limits(connections=2, held_syns=1, errors_per_second=1)
    lab = Lab(translation=Translation(quotas=quotas), limits=limits).meet_everyone()

    def sample(host: Host, packet: IP) -> Sample:
        return Sample(host.name, bytes(10) + bytes(lab.routed(host, packet)))

    flows = [
        sample(lab.a, IP(src=lab.a.ip, dst="198.51.100.1") / UDP(sport=port, dport=7))
        for port in (1, 2, 3)
    ]
    syns = [
        sample(
            lab.outside,
            IP(src="198.51.100.1", dst=UPLINK_ADDRESS) / TCP(sport=port, dport=9, flags="S"),
        )
        for port in (1, 2)
    ]
    ended = sample(lab.a, IP(src=lab.a.ip, dst="198.51.100.1", ttl=1) / UDP(sport=1, dport=7))
    for each in (*flows, *syns, ended, ended):
        before = state(lab)
        answer = asked(lab, each)
        assert state(lab) == before
        assert done(lab, each) == answer


def test_asking_about_a_frame_that_would_evict_evicts_nothing() -> None:
    lab = Lab(limits=Limits(connections=1)).meet_everyone()
    packets = [
        lab.routed(lab.a, IP(src=lab.a.ip, dst="198.51.100.1") / UDP(sport=port, dport=7))
        for port in (1, 2)
    ]
    first, second = (Sample("a", bytes(10) + bytes(each)) for each in packets)
    feed(lab, first)
    before = state(lab)
    verdict = decide(lab.switch.tables, lab.a.port, bytearray(second.raw), lab.now, commit=False)
    assert verdict.evicted is next(iter(lab.switch.tables.connections))
    assert state(lab) == before


def test_asking_about_a_segment_leaves_the_window_where_it_was() -> None:
    lab = quiet_lab()
    talk = Conversation.outwards(lab).talks()
    (connection,) = lab.switch.tables.connections
    for flags, fields in (
        ("PA", {}),
        ("FA", {}),
        ("R", {}),
        ("R", {"seq": 77}),
        ("PA", {"seq": 2**31}),
        ("S", {"seq": 9}),
    ):
        segment = talk.segment(0, flags, b"data", **fields)
        sample = Sample("a", bytes(10) + bytes(lab.routed(lab.a, segment)))
        before = state(lab)
        assert asked(lab, sample) == (Fate.FORWARDED, None)
        assert state(lab) == before
    assert connection.state is State.ESTABLISHED


def test_frame_of_an_unknown_station_to_itself_is_seen_by_asking_too() -> None:
    lab = Lab()
    frame = Ether(src=lab.a.mac, dst=lab.a.mac, type=0x88B5) / Raw(b"to myself")
    sample = Sample("a", bytes(10) + bytes(frame))
    assert asked(lab, sample) == (Fate.DROPPED, DropReason.SAME_PORT)
    assert done(lab, sample) == (Fate.DROPPED, DropReason.SAME_PORT)


def test_trail_tells_the_steps_in_words() -> None:
    lab = warm_lab()
    packet = IP(src=lab.a.ip, dst="198.51.100.1") / UDP(sport=6000, dport=53)
    raw = bytearray(bytes(10) + bytes(lab.routed(lab.a, packet)))
    verdict = decide(lab.switch.tables, lab.a.port, raw, lab.now, commit=False)
    words = [str(finding) for finding in verdict.trail]
    assert "198.51.100.1 is reached through outside" in words
    assert "10.0.0.2 port 6000 is 203.0.113.1 port 6000 outside" in words
    assert "203.0.113.254 is at 02:00:00:00:03:13" in words
