from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.figures import Figure, Spread
from bench.peers import Missing, Route
from bench.report import document, markdown, plots, tables
from bench.report.plots import Bar
from bench.results import Results
from bench.targets import targets
from bench.workloads import bulk
from tests.bench.made_up import MACHINE, results

TITLE = bulk.title(Route.ENDPOINTS, "up", 1)
MEMORY = Figure("memory of one connection", "bytes", (712.0,), "100,000")


def rows(of: Results, title: str) -> list[tuple[str, ...]]:
    return list(next(table.rows for table in tables.tables(of) if table.title == title))


def test_the_table_compares_ours_with_each_path_pair_by_pair() -> None:
    assert rows(results(TITLE), TITLE) == [
        ("vswitch, TAP to TAP", "8.00 (6.00-10.0)", "0.10", "80.0", "-"),
        ("kernel bridge", "12.0 (8.00-40.0)", "-", "120", "0.50 (0.25-1.00)"),
    ]


def test_every_target_with_a_result_is_a_row_that_says_how_it_stands() -> None:
    outcomes = {(row[0], row[1]): row[2:] for row in rows(results(TITLE, MEMORY), "Targets")}
    assert outcomes[TITLE, ">= 1 x kernel bridge"] == ("0.50 (0.25-1.00)", "missed")
    assert outcomes["memory of one connection", "<= 600 bytes"] == ("712", "missed")
    assert ("DNS, a local name", ">= 1 x dnsmasq") not in outcomes


def test_what_has_no_peer_is_told_with_its_unit() -> None:
    assert rows(results(TITLE, MEMORY), "By itself") == [
        ("memory of one connection", "100,000", "712", "bytes", "")
    ]


def test_times_are_told_as_speeds_as_well() -> None:
    hit = Figure("hit", "us per frame", (4.0, 5.0, 8.0))
    assert rows(results(TITLE, hit), "By itself") == [
        ("hit", "", "5.00 (4.00-8.00)", "us per frame", "200,000")
    ]


def test_a_load_that_nobody_could_make_has_no_table() -> None:
    nobody = results(TITLE)
    for paths in nobody.runs.samples.values():
        paths.clear()
    assert TITLE not in [table.title for table in tables.tables(nobody)]


def test_who_could_not_take_part_is_named_with_the_reason() -> None:
    absent = replace(results(TITLE), absent=[Missing("pasta", "not installed: pasta")])
    assert tables.tail(absent)[0] == "Not measured: pasta: not installed: pasta"


def test_targets_without_a_result_are_counted() -> None:
    everything = targets(MACHINE.fast_path)
    (line,) = tables.tail(results(TITLE))
    assert f" {len(everything) - 1} further targets" in line


@pytest.mark.parametrize(("busy", "is_told"), [(0.05, False), (0.8, True)])
def test_other_busy_processes_are_told_of(busy: float, is_told: bool) -> None:
    lines = tables.head(Results(replace(MACHINE, busy_cores=busy)))
    assert any("Noisy" in line for line in lines) is is_told


def test_markdown_is_a_table_with_a_line_under_its_heads() -> None:
    lines = markdown.render(results(TITLE)).splitlines()
    start = lines.index(f"### {TITLE}") + 2
    assert [cell.strip() for cell in lines[start].split("|")[1:3]] == ["path", "Gbit/s (low-high)"]
    assert set(lines[start + 1]) == {"|", "-", " "}
    assert lines[start + 3].startswith("| kernel bridge ")


def test_json_holds_every_round() -> None:
    found = json.loads(json.dumps(document.document(results(TITLE, MEMORY))))
    ours, theirs = found["workloads"][0]["paths"]
    assert found["machine"]["cores"] == 2
    assert ours["rates"] == [6.0, 8.0, 10.0]
    assert ours["cpu_seconds_per"]["Gbit"] == pytest.approx([1.6 / 12, 0.1, 0.08])
    assert theirs["cpu_seconds_per"]["Gbit"] == [None, None, None]
    assert found["figures"][0]["values"] == [712.0]
    assert {"met", "missed", "not measured"} >= {row["outcome"] for row in found["targets"]}


def test_the_picture_compares_ours_with_each_peer() -> None:
    assert plots.bars(results(TITLE), Route.ENDPOINTS) == [
        Bar("TCP bulk, 1 flow", "kernel bridge", Spread(0.5, 0.25, 1.0))
    ]
    assert plots.bars(results(TITLE), Route.NAPT) == []


def test_where_nothing_can_be_compared_there_is_no_picture(tmp_path: Path) -> None:
    assert plots.draw(Results(MACHINE), tmp_path) is None
