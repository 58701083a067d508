"""What is written into the flight recorder's ring, by whichever fast path."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from tests.fastpath.test_loop import GATEWAY, IN, OUT, TO_OUT, Bench, raw, segment
from vswitch.fastpath.program import Action, DecrementTtl, Output, SetStations, Track
from vswitch.fastpath.ring import KEPT, RECORD, Kind, Ring
from vswitch.fastpath.states import State
from vswitch.wire.values import MacAddress

pytestmark = pytest.mark.usefixtures("twin")

NEXT = MacAddress.parse("02:00:00:00:00:fd")
ROUTED: tuple[Action, ...] = (SetStations(NEXT, GATEWAY), DecrementTtl(), Output(OUT))


def recorded(ring: Ring) -> list[tuple[object, ...]]:
    records = ring.read().records
    return [RECORD.unpack_from(records, at) for at in range(0, len(records), RECORD.size)]


def kept(frame: bytes) -> bytes:
    return frame[:KEPT].ljust(KEPT, b"\0")


def test_hit_is_written_as_it_came_and_as_it_left() -> None:
    bench = Bench()
    frame = raw(segment(payload=bytes(300)))
    bench.keep(frame, *ROUTED)
    bench.fastpath.ring = ring = Ring(10 * RECORD.size)
    assert bench.run(frame, now=77) == []
    (left,) = bench.outward.take()
    assert recorded(ring) == [
        (77, 0, len(frame), IN, Kind.HIT, 0, 0, kept(frame)),
        (77, 0, len(frame), OUT, Kind.LEFT, 0, 0, kept(left)),
    ]


def test_decision_is_written_with_what_became_of_it() -> None:
    bench = Bench()
    bench.fastpath.ring = ring = Ring(10 * RECORD.size)
    frame = raw(segment())
    assert bench.run(frame) == [frame]
    assert recorded(ring) == []
    places = [bench.fastpath.record(IN, frame, 12, 78, 3, 4) for _ in range(2)]
    assert places == [0, RECORD.size]
    assert recorded(ring) == [(78, 12, len(frame), IN, Kind.DECIDED, 3, 4, kept(frame))] * 2


def test_oldest_is_overwritten() -> None:
    bench = Bench()
    frame = raw(segment())
    bench.fastpath.ring = ring = Ring(3 * RECORD.size)
    for now in range(5):
        bench.fastpath.record(IN, frame, 0, now, 0, 0)
    assert [when for when, *_ in recorded(ring)] == [3, 4, 2]
    assert ring.read()[1:] == (2 * RECORD.size, True)


@pytest.mark.parametrize(("flags", "resets"), [("R", 1), ("RA", 1), ("FA", 0), ("A", 0)])
def test_resets_are_counted_where_they_come_in(flags: str, resets: int) -> None:
    bench = Bench()
    bench.keep(raw(segment()), Track(5, 0), *TO_OUT)
    bench.fastpath.track(5, State.ESTABLISHED)
    bench.fastpath.ring = ring = Ring(10 * RECORD.size)
    assert bench.run(raw(segment(flags))) == []
    assert ring.resets == resets


def test_nothing_is_written_without_a_ring() -> None:
    bench = Bench()
    frame = raw(segment())
    bench.keep(frame, *TO_OUT)
    bench.fastpath.ring = ring = Ring(10 * RECORD.size)
    bench.fastpath.ring = None
    bench.run(frame)
    assert recorded(ring) == []


def test_short_frame_is_written_whole() -> None:
    bench = Bench()
    bench.fastpath.ring = ring = Ring(RECORD.size)
    for frame in (b"", b"\1" * 10, raw(Ether() / IP() / TCP(flags="R"))[:40]):
        bench.fastpath.record(IN, frame, 0, 1, 0, 0)
        ((_, _, length, *_, octets),) = recorded(ring)
        assert (length, octets) == (len(frame), kept(frame))
    assert ring.resets == 0


def test_decision_has_to_have_a_ring() -> None:
    with pytest.raises(ValueError, match="there is no ring"):
        Bench().fastpath.record(IN, raw(segment()), 0, 1, 0, 0)
