from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from bench import report
from bench.engine import CaseResult
from bench.load import Transfer
from bench.memory import Memory
from bench.peers import Missing, PathToMeasure, Workload
from bench.report import Machine, Spread

MACHINE = Machine(cores=2, kernel="Linux 6.1", python="3.11.2", fast_path="reference")


def path(contender: str, *, is_ours: bool) -> PathToMeasure:
    return PathToMeasure(Workload.ENDPOINTS, contender, is_ours, "a", "b", "10.0.0.2")


def transfer(rate: float, cpu_seconds: float | None = None) -> Transfer:
    """Two seconds at so many Gbit/s."""
    return Transfer(gigabits=2 * rate, seconds=2.0, cpu_seconds=cpu_seconds)


OURS, THEIRS = path("ours", is_ours=True), path("theirs", is_ours=False)
TRANSFERS = {
    OURS: [transfer(6.0, cpu_seconds=1.2), transfer(8.0, cpu_seconds=1.6), transfer(10.0, 3.0)],
    THEIRS: [transfer(12.0), transfer(8.0), transfer(40.0)],
}


def plain() -> Console:
    return Console(file=io.StringIO(), width=report.PLAIN_WIDTH)


def text(out: Console) -> str:
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def cells(out: Console, first: str) -> list[str]:
    """The other cells of the row that begins with `first`."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text(out).splitlines()]
    return next(row[1:] for row in rows if row and row[0] == first)


def test_a_spread_is_the_median_with_the_extremes() -> None:
    assert Spread.of([9.0, 1.0, 4.0]) == Spread(middle=4.0, low=1.0, high=9.0)
    assert Spread.of([1.0, 4.0]).middle == 2.5
    assert Spread.of([9.0, 1.0, 4.0]).text(1) == "4.0 (1.0-9.0)"


def test_ratios_are_taken_round_by_round() -> None:
    assert report.ratios([6.0, 8.0, 10.0], [12.0, 8.0, 40.0]) == [0.5, 1.0, 0.25]


def test_results_with_different_numbers_of_rounds_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="shorter"):
        report.ratios([1.0, 2.0], [1.0])


def test_rate_and_cpu_time_are_counted_by_what_arrived() -> None:
    one = transfer(6.0, cpu_seconds=1.2)
    assert one.rate == pytest.approx(6.0)
    assert one.cpu_per_gigabit == pytest.approx(0.1)


def test_cpu_time_is_the_median_of_the_rounds_and_nobodys_for_the_kernel() -> None:
    assert report.cpu_per_gigabit(TRANSFERS[OURS]) == pytest.approx(0.1)
    assert report.cpu_per_gigabit(TRANSFERS[THEIRS]) is None


def test_the_table_compares_ours_with_each_path_pair_by_pair() -> None:
    out = plain()
    report.print_network(out, TRANSFERS)
    assert cells(out, "ours") == ["8.00 (6.00-10.00)", "0.100", "-"]
    assert cells(out, "theirs") == ["12.00 (8.00-40.00)", "-", "0.50 (0.25-1.00)"]


def test_a_workload_that_nobody_ran_has_no_table() -> None:
    out = plain()
    report.print_network(out, TRANSFERS)
    assert Workload.NAPT_UP.value not in text(out)


def test_the_engine_is_told_in_microseconds_and_items_per_second() -> None:
    out = plain()
    report.print_engine(out, [CaseResult("hit", "frame", (4000.0, 5000.0, 8000.0))])
    assert cells(out, "hit") == ["5.00 (4.00-8.00)", "-", "200,000 frames"]


def test_the_engine_is_told_beside_what_is_wanted_of_it() -> None:
    out = plain()
    report.print_engine(out, [CaseResult("hit", "frame", (4000.0,), target=8000)])
    assert cells(out, "hit") == ["4.00 (4.00-4.00)", "<= 8", "250,000 frames"]


def test_memory_is_told_in_bytes_of_a_connection() -> None:
    out = plain()
    report.print_memory(out, Memory(connections=100_000, taken=71_250_000))
    assert cells(out, "100,000") == ["712", "<= 600"]


def test_who_could_not_take_part_is_named_with_the_reason() -> None:
    out = plain()
    report.print_missing(out, [Missing("nft masquerade", "not installed: nft")])
    assert text(out).strip() == "Not measured: nft masquerade: not installed: nft"


@pytest.mark.parametrize(("busy", "is_told"), [(None, False), (0.05, False), (0.8, True)])
def test_other_busy_processes_are_told_of(busy: float | None, is_told: bool) -> None:
    out = plain()
    machine = Machine(2, "Linux 6.1", "3.11.2", "reference", busy)
    report.print_machine(out, machine)
    assert ("Noisy" in text(out)) is is_told


def test_json_holds_every_round() -> None:
    results = [CaseResult("hit", "frame", (4000.0, 5000.0))]
    missing = [Missing("nft", "not installed")]
    memory = Memory(connections=1000, taken=700_000)
    document = json.loads(json.dumps(report.as_json(MACHINE, results, memory, TRANSFERS, missing)))
    assert document["machine"]["cores"] == 2
    assert document["engine"][0]["nanoseconds_each"] == [4000.0, 5000.0]
    assert document["memory"] == {"connections": 1000, "bytes": 700_000}
    assert document["network"][0]["gigabits_per_second"] == pytest.approx([6.0, 8.0, 10.0])
    assert document["network"][1]["cpu_seconds_per_gigabit"] == [None, None, None]
    assert document["missing"] == [{"name": "nft", "reason": "not installed"}]
