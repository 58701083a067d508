"""What holds for all tests: none asserts how long something takes, and in CI none is skipped."""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import settings

# Hundreds of processes import the same modules here: where something forbids them to keep what they
# have compiled, the tests of the command line take a tenth longer.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

settings.register_profile("vswitch", deadline=None)
settings.load_profile("vswitch")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A skip for something that is missing is a failure where CI=true: nothing was proved."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
    return report
