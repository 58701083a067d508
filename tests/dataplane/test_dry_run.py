"""Asking what would happen: the same decision as for a real frame, and nothing is changed."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from enum import Enum
from random import Random

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from tests.dataplane.corpus import Sample, feed, samples, warm_lab
from tests.harness import Lab
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.neighbours import QUEUE
from vswitch.dataplane.pipeline import decide
from vswitch.dataplane.verdict import Fate
from vswitch.wire.values import Protocol

_PLAIN = (int, float, str, bytes, bytearray, bool, type(None), Enum, range, type)

SAMPLES = samples()


def state_of(thing: object, seen: dict[int, int] | None = None) -> object:
    """All that `thing` consists of, as values that compare; what is met twice, by its turn."""
    seen = {} if seen is None else seen
    if isinstance(thing, _PLAIN):
        return bytes(thing) if isinstance(thing, bytearray) else thing
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
    switch = lab.switch
    fastpath = switch.fastpath
    return state_of(
        [
            switch.tables.networks,
            switch.tables.ports,
            switch.tables.connections,
            switch.tables.mappings._by_internal,
            switch.tables.mappings._by_external,
            switch.tables.mappings._timers,
            switch.tables.publications,
            switch.tables.random,
            switch.counters,
            switch._flows,
            fastpath._entries,
            fastpath._generation,
            [fastpath.port_counters(number) for number in switch.tables.ports],
        ]
    )


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
    for sample in SAMPLES:
        lab = build()
        before = state(lab)
        answer = asked(lab, sample)
        assert state(lab) == before
        assert asked(lab, sample) == answer
        assert done(lab, sample) == answer


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
