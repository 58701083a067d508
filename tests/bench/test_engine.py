from __future__ import annotations

import pytest

from bench import engine
from bench.engine import Bench, Case, WrongPathError
from vswitch.fastpath.twin import BATCH
from vswitch.translation import Quotas

FEW = 130
"""Two whole rounds of the fast path and a bit, so that a last round that is not full is met."""


@pytest.mark.parametrize("case", engine.HIT_CASES, ids=lambda case: case.name)
def test_a_hit_case_works_on_whole_rounds_of_at_least_as_many_frames(case: Case) -> None:
    timed = case.run(FEW)
    assert timed.items == 3 * BATCH
    assert timed.nanoseconds > 0


@pytest.mark.parametrize("case", engine.NEW_CASES, ids=lambda case: case.name)
def test_a_new_connection_case_opens_exactly_as_many_as_asked(case: Case) -> None:
    assert case.run(FEW).items == FEW


def test_every_case_has_a_result_of_every_round() -> None:
    told: list[str] = []
    results = engine.measure(2, 1, 1, told.append)
    cases = [*engine.HIT_CASES, *engine.NEW_CASES]
    assert [(result.name, result.target) for result in results] == [
        (case.name, case.target) for case in cases
    ]
    assert all(len(result.each) == 2 for result in results)
    assert told[0] == "round 1/2: the devices alone"


def test_rounds_alternate_between_the_cases() -> None:
    told: list[str] = []
    engine.measure(2, 1, 1, told.append)
    first, second = told[: len(told) // 2], told[len(told) // 2 :]
    assert [line.split(": ", 1)[1] for line in first] == [line.split(": ", 1)[1] for line in second]


def test_frames_that_leave_by_another_way_are_not_a_measurement() -> None:
    bench = Bench()
    frame = engine.udp_frame(engine.A, engine.B[0], engine.B[1], (5000, 5001))
    with pytest.raises(WrongPathError, match="sent"):
        bench.time_hits(FEW, bench.a, bench.a_port, frame, bench.out)


def test_frames_that_are_dropped_are_not_a_measurement() -> None:
    bench = Bench()
    foreign = (engine.A[0], engine.FAR)
    spoofed = engine.udp_frame(foreign, engine.GATEWAY.mac, engine.ROUTER[1], (5000, 53))
    with pytest.raises(WrongPathError, match="pipeline"):
        bench.time_hits(FEW, bench.a, bench.a_port, spoofed, bench.out)


def test_a_frame_is_handed_out_again_as_it_was_before_it_was_rewritten() -> None:
    frame = engine.udp_frame(engine.A, engine.GATEWAY.mac, engine.FAR, (5000, 53))
    again = engine.repeated(frame)
    first = next(again)
    first[10:50] = bytes(40)
    assert bytes(next(again)) == frame


def test_more_connections_than_there_are_ports_are_refused() -> None:
    with pytest.raises(ValueError, match="connections"):
        engine.measure(1, 1, engine.MOST_CONNECTIONS + 1, lambda _line: None)


def test_what_the_project_wants_is_said_of_each_case_that_it_is_about() -> None:
    targets = {case.name: case.target for case in (*engine.HIT_CASES, *engine.NEW_CASES)}
    assert targets["hit, NAPT outwards"] == engine.HIT == 8_000
    assert targets["new UDP connection: one datagram"] == engine.NEW == 20_000
    assert targets["hit, bridged"] is None


def test_segments_are_tracked_where_they_are_said_to_be() -> None:
    for translation, tracked in ((engine.TRACKED, 1), (engine.UNTRACKED, 0)):
        bench = Bench(translation)
        for frame, device, port in zip(
            engine.handshake(5000),
            (bench.a, bench.out, bench.a),
            (bench.a_port, bench.out_port, bench.a_port),
            strict=True,
        ):
            bench.give(device, port, frame)
        (connection,) = bench.switch.tables.connections
        assert (bench.switch.fastpath.window(connection.number) is not None) == tracked


def test_no_endpoint_has_a_quota() -> None:
    for translation in (engine.TRACKED, engine.UNTRACKED):
        assert translation.quotas == Quotas(0, 0, 0)
