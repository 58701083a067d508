"""The requirement table: gathered while the marked tests run, printed or written at the end.

    pytest tests/conformance --table                   on a terminal, or plain columns in a pipe
    pytest tests/conformance --markdown conformance.md

A row passes where each of its tests has passed. Rows whose tests did not run say so.
"""

from __future__ import annotations

from collections.abc import Generator
from enum import Enum
from pathlib import Path

import pytest

from tests.conformance import table
from tests.conformance.requirements import DECLARED, Requirement
from tests.conformance.table import Outcome, Row

_OUTCOMES = pytest.StashKey[dict[Requirement, Outcome]]()


class _Option(Enum):
    TABLE = "--table"
    MARKDOWN = "--markdown"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption(_Option.TABLE.value, action="store_true", help="print the requirement table")
    group.addoption(
        _Option.MARKDOWN.value, metavar="FILE", type=Path, help="write it as Markdown to FILE"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "requirement(which): shows that a requirement is met")
    config.stash[_OUTCOMES] = {}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, object]:
    report = yield
    if report.when == "call" or not report.passed:
        outcomes = item.config.stash[_OUTCOMES]
        for mark in item.iter_markers("requirement"):
            (which,) = mark.args
            if report.passed:
                outcomes.setdefault(which, Outcome.PASS)
            else:
                outcomes[which] = Outcome.FAIL
    return report


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    outcomes = config.stash[_OUTCOMES]
    rows = [
        Row(which, Outcome.ASIDE if which.aside else outcomes.get(which, Outcome.NOT_RUN))
        for which in sorted(DECLARED.values(), key=lambda which: which.place)
    ]
    if config.getoption(_Option.TABLE.value, False):
        is_terminal = terminalreporter.isatty
        text = table.on_terminal(rows) if is_terminal else table.in_columns(rows)
        terminalreporter.write(f"\n{text}\n{table.summary(rows)}\n")
    file = config.getoption(_Option.MARKDOWN.value, None)
    if file is not None:
        file.write_text(table.in_markdown(rows), encoding="utf-8")
