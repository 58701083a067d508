from __future__ import annotations

import pytest

from bench.figures import Figure, Spread
from bench.peers import Route
from bench.session import Runs
from bench.targets import Limit, Outcome, Ratio, Time, judge, targets
from bench.workloads import WORKLOADS, Load, Sample, Workload
from bench.workloads.workload import QUERIES
from tests.bench.made_up import OURS, THEIRS, results

BULK = "TCP bulk"


def outcome(target: Ratio | Limit, *figures: Figure) -> Outcome:
    (judged,) = judge([target], figures, results(BULK).runs)
    return judged.outcome


@pytest.mark.parametrize(
    ("least", "expected"), [(0.4, Outcome.MET), (0.5, Outcome.MET), (0.6, Outcome.MISSED)]
)
def test_a_ratio_is_met_where_the_median_of_the_pairs_is_no_less(
    least: float, expected: Outcome
) -> None:
    assert outcome(Ratio(BULK, OURS.contender, THEIRS.contender, least)) is expected


def test_what_was_found_is_told_with_its_extremes() -> None:
    target = Ratio(BULK, OURS.contender, THEIRS.contender, 1.0)
    (judged,) = judge([target], (), results(BULK).runs)
    assert judged.found == Spread(0.5, 0.25, 1.0)


@pytest.mark.parametrize(
    ("most", "expected"), [(600, Outcome.MET), (599, Outcome.MISSED), (601, Outcome.MET)]
)
def test_a_limit_is_met_where_the_median_is_no_more(most: float, expected: Outcome) -> None:
    memory = Figure("memory", "bytes", (500.0, 600.0, 900.0))
    assert outcome(Limit("memory", most, "bytes"), memory) is expected


def test_what_measuring_costs_is_taken_off_round_by_round() -> None:
    hit = Figure("hit", "us", (0.5, 0.9))
    devices = Figure("devices", "us", (0.3, 0.7))
    (judged,) = judge([Limit("hit", 0.2, "us", less="devices")], [hit, devices], Runs())
    assert judged.found == Spread(pytest.approx(0.2), pytest.approx(0.2), pytest.approx(0.2))


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    assert outcome(Limit("memory", 600, "bytes")) is Outcome.NOT_MEASURED
    assert outcome(Ratio("DNS", "vswitch", "dnsmasq", 1.0)) is Outcome.NOT_MEASURED


def test_the_compiled_fast_path_has_forty_times_less_time_than_the_reference() -> None:
    limits = {
        name: {each.most for each in targets(name) if isinstance(each, Limit) and each.less}
        for name in ("compiled", "reference")
    }
    assert limits == {"compiled": {0.2}, "reference": {8.0}}


def test_a_time_is_met_where_theirs_is_no_less() -> None:
    workload = Workload("dns", "DNS", Route.NAMES, QUERIES, (), lambda *_: Load(1.0, 1.0))
    ours, theirs = (
        [Sample(Load(1.0, 1.0, {"p99 us": each}), None) for each in times]
        for times in ((10.0, 20.0, 40.0), (20.0, 20.0, 20.0))
    )
    runs = Runs({workload: {OURS: ours, THEIRS: theirs}})
    target = Time("DNS", "p99 us", OURS.contender, THEIRS.contender, 1.0)
    (judged,) = judge([target], (), runs)
    assert (judged.outcome, judged.found) == (Outcome.MET, Spread(1.0, 0.5, 2.0))
    (unknown,) = judge([target], (), Runs())
    assert unknown.outcome is Outcome.NOT_MEASURED


def test_every_ratio_is_about_a_workload_that_there_is() -> None:
    titles = {workload.title for workload in WORKLOADS}
    ratios = [target for target in targets("reference") if isinstance(target, Ratio)]
    assert ratios
    assert {target.name for target in ratios} <= titles
