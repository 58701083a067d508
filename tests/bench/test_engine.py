from __future__ import annotations

import pytest

from bench.engine import case as cases
from bench.engine import crowds, frames, hits, publishing, rig, setup
from bench.engine.case import Case
from bench.engine.memory import fill
from bench.engine.rig import Bench, Mirror, Timed, WrongPathError
from vswitch.fastpath.twin import BATCH
from vswitch.translation import Quotas

FEW = 130
"""Two whole rounds of the fast path and a bit, so that a last round that is not full is met."""


@pytest.mark.parametrize("case", hits.HIT_CASES, ids=lambda case: case.name)
def test_a_hit_case_works_on_whole_rounds_of_at_least_as_many_frames(case: Case) -> None:
    timed = case.run(FEW)
    assert timed.items == 3 * BATCH
    assert timed.nanoseconds > 0


@pytest.mark.parametrize("case", setup.NEW_CASES, ids=lambda case: case.name)
def test_a_new_connection_case_opens_exactly_as_many_as_asked(case: Case) -> None:
    assert case.run(FEW).items == FEW


def test_rounds_alternate_between_the_cases_and_tell_microseconds() -> None:
    told: list[str] = []
    planned = [
        (Case("one", "frame", lambda count: Timed(count, 2000 * count)), 10),
        (Case("two", "connection", lambda count: Timed(count, 5000 * count)), 20),
    ]
    one, two = cases.alternate(planned, 2, told.append)
    assert (one.values, two.values) == ((2.0, 2.0), (5.0, 5.0))
    assert (one.unit, two.unit) == ("us per frame", "us per connection")
    assert told == ["round 1/2: one", "round 1/2: two", "round 2/2: one", "round 2/2: two"]


def test_frames_that_leave_by_another_way_are_not_a_measurement() -> None:
    bench = Bench()
    frame = frames.udp_frame(frames.A, frames.B[0], frames.B[1], (5000, 5001))
    with pytest.raises(WrongPathError, match="sent"):
        bench.time_hits(FEW, bench.a, bench.a_port, [frame], bench.out)


def test_frames_that_are_dropped_are_not_a_measurement() -> None:
    bench = Bench()
    foreign = (frames.A[0], frames.FAR)
    spoofed = frames.udp_frame(foreign, frames.GATEWAY.mac, frames.ROUTER[1], (5000, 53))
    with pytest.raises(WrongPathError, match="pipeline"):
        bench.time_hits(FEW, bench.a, bench.a_port, [spoofed], bench.out)


def test_frames_are_handed_out_in_turn_as_they_were_before_they_were_rewritten() -> None:
    one, other = (
        frames.udp_frame(frames.A, frames.GATEWAY.mac, frames.FAR, (port, 53))
        for port in (5000, 5001)
    )
    again = rig.repeated([one, other])
    first = next(again)
    first[10:50] = bytes(40)
    assert [bytes(next(again)) for _ in range(3)] == [other, one, other]


def test_segments_are_tracked_where_they_are_said_to_be() -> None:
    for translation, tracked in ((rig.TRACKED, 1), (rig.UNTRACKED, 0)):
        bench = Bench(translation)
        for frame, device, port in zip(
            frames.handshake(5000),
            (bench.a, bench.out, bench.a),
            (bench.a_port, bench.out_port, bench.a_port),
            strict=True,
        ):
            bench.give(device, port, frame)
        (connection,) = bench.switch.tables.connections
        assert (bench.switch.fastpath.window(connection.number) is not None) == tracked


def test_no_endpoint_has_a_quota() -> None:
    for translation in (rig.TRACKED, rig.UNTRACKED):
        assert translation.quotas == Quotas(0, 0, 0)


def test_a_mirror_answers_with_what_it_was_sent() -> None:
    there = (frames.A, frames.B[0], frames.B[1])
    back = (frames.B, frames.A[0], frames.A[1])
    mirror = Mirror("outside")
    mirror.send(frames.udp_frame(*there, (5000, 53)))
    answers = [bytes(answer) for answer in mirror.take_answers()]
    assert answers == [frames.udp_frame(*back, (53, 5000))]
    assert mirror.take_answers() == []


def test_a_switch_is_filled_with_exactly_as_many_connections_as_asked() -> None:
    filled = fill(30 * FEW)
    assert len(filled.bench.switch.tables.connections) == 30 * FEW
    assert filled.each * filled.connections == filled.taken


def test_endpoints_share_very_many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.engine.memory.PORTS_EACH", 50)
    filled = fill(FEW)
    inside = {flow.original.source for flow in filled.bench.switch.tables.connections}
    assert len(inside) == 3


def test_more_connections_than_there_are_ports_are_refused() -> None:
    with pytest.raises(ValueError, match="connections"):
        fill(1_000_001)


@pytest.mark.parametrize("among", [crowds.among_stations, crowds.among_publications])
def test_every_member_of_a_crowd_has_a_flow_of_its_own(
    among: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    benches: list[Bench] = []

    class Noted(Bench):
        def __init__(self) -> None:
            super().__init__()
            benches.append(self)

    monkeypatch.setattr(crowds, "Bench", Noted)
    cost = among(FEW)  # type: ignore[operator]
    cost(2 * FEW)
    assert len(benches[0].switch.fastpath) >= FEW


def test_the_cost_among_many_is_compared_round_by_round() -> None:
    many, few = iter([300.0, 600.0]), iter([100.0, 300.0])
    compared = crowds.compare(lambda _: next(many), lambda _: next(few), 2, FEW)
    assert compared == (3.0, 2.0)


def test_a_range_of_ten_thousand_ports_is_published_as_one() -> None:
    figure = publishing.measure(2)
    assert len(figure.values) == 2
    assert figure.unit == "ms"
    assert all(value > 0 for value in figure.values)
