"""The table is whole: no requirement without a row, no row without a requirement."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from tests.conformance import table
from tests.conformance.requirements import DECLARED, NUMBERS, Level, Requirement, aside
from tests.conformance.table import Outcome, Row

MODULES = sorted(
    path.stem for path in Path(__file__).parent.glob("test_*.py") if path.stem != "test_catalogue"
)


@pytest.fixture(scope="module")
def tests() -> dict[str, list[Requirement]]:
    """What each test function is marked with."""
    marked = {}
    for name in MODULES:
        module = importlib.import_module(f"tests.conformance.{name}")
        for function, value in vars(module).items():
            if function.startswith("test_"):
                marks = getattr(value, "pytestmark", [])
                marked[f"{name}.{function}"] = [
                    mark.args[0] for mark in marks if mark.name == "requirement"
                ]
    return marked


@pytest.mark.parametrize("source", NUMBERS)
def test_every_requirement_has_a_row(source: str, tests: dict[str, list[Requirement]]) -> None:
    rows = {number for declared, number, _ in DECLARED if declared == source}
    assert [number for number in NUMBERS[source] if number not in rows] == []


@pytest.mark.parametrize("number", ["REQ-99", "section 1", ""])
def test_row_of_a_requirement_that_is_not_there_is_refused(number: str) -> None:
    with pytest.raises(AssertionError, match=f"RFC 4787 has no {number}"):
        aside("RFC 4787", number, Level.MAY, "something", "does not apply: it is made up")


def test_two_rows_of_one_requirement_that_differ_are_refused(
    tests: dict[str, list[Requirement]],
) -> None:
    with pytest.raises(AssertionError, match="two rows for RFC 4787 REQ-1"):
        aside("RFC 4787", "REQ-1", Level.MAY, "something else", "does not apply: it is made up")


def test_every_test_is_named_after_what_it_shows(tests: dict[str, list[Requirement]]) -> None:
    for name, requirements in tests.items():
        function = name.partition(".")[2]
        assert requirements, f"{name} shows no requirement"
        begins = any(function.startswith(f"test_{which.slug}_") for which in requirements)
        assert begins, f"{name} is not named after {[which.slug for which in requirements]}"


def test_requirement_that_is_not_met_says_why(tests: dict[str, list[Requirement]]) -> None:
    for which in DECLARED.values():
        if which.aside is not None:
            assert which.aside.startswith(("not followed: ", "does not apply: "))
        for text in (which.asks, which.aside or ""):
            assert "\n" not in text
            assert "|" not in text


# The table itself

MET = Requirement("RFC 4787", "REQ-1", Level.MUST, "one external port")
OPTION = Requirement("RFC 4787", "REQ-8a", Level.MAY, "a choice", "filtering = x")
UNMET = Requirement("RFC 6888", "REQ-9", Level.MUST, "PCP", aside="not followed: none")
ROWS = [Row(MET, Outcome.PASS), Row(OPTION, Outcome.FAIL), Row(UNMET, Outcome.ASIDE)]


def test_columns_are_one_line_a_row() -> None:
    heading, *lines = table.in_columns(ROWS).splitlines()
    assert heading.split() == ["Requirement", "Level", "What", "it", "asks", "Result", "Profile"]
    assert [line.split("  ")[0] for line in lines] == [
        "RFC 4787 REQ-1",
        "RFC 4787 REQ-8a",
        "RFC 6888 REQ-9",
    ]
    assert lines[0].endswith("rfc")
    assert "FAIL" in lines[1]
    assert lines[2].endswith("not followed: none")


def test_markdown_has_a_line_a_row_and_counts_them() -> None:
    lines = table.in_markdown(ROWS).splitlines()
    assert lines[1] == "| --- | --- | --- | --- | --- |"
    assert lines[2] == "| RFC 4787 REQ-1 | MUST | one external port | pass | rfc |"
    assert lines[4] == "| RFC 6888 REQ-9 | MUST | PCP | not followed: none |  |"
    assert lines[-1].startswith("3 requirements: 1 pass, 1 fail, 1 have a reason")


def test_terminal_shows_every_row() -> None:
    drawn = table.on_terminal(ROWS)
    for row in ROWS:
        assert row.which.number in drawn
