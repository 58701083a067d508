"""The pytest plugin: a case as an assertion, in a project of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.debug.replaying import conversation, datagram, make_case, meet, updated
from vswitch.debug.cases.making import Script, built
from vswitch.debug.files.reading import CaptureError
from vswitch.testing import replay_case

pytest_plugins = ["pytester"]


def expire(script: Script) -> None:
    meet(script)
    script.send(1, "app", datagram(ttl=1))


def test_case_that_is_as_expected_passes(tmp_path: Path) -> None:
    updated(make_case(tmp_path, conversation))
    replay_case(tmp_path)
    replay_case(str(tmp_path))


def test_case_that_differs_fails_with_the_difference(tmp_path: Path) -> None:
    updated(make_case(tmp_path)).input.write_bytes(built(expire))
    with pytest.raises(AssertionError) as failed:
        replay_case(tmp_path)
    first, second, *_, last = str(failed.value).splitlines()
    assert first == f"case {tmp_path.name} differs:"
    assert second == "frame 4, on uplink at 1.000000000 s, is missing:"
    assert last == "counter drops.ttl_expired: expected 0, got 1"


def test_case_that_can_not_be_replayed_is_no_difference(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="there is none yet"):
        replay_case(make_case(tmp_path))


def test_plugin_brings_the_fixture_and_a_failure_shows_no_insides(
    pytester: pytest.Pytester,
) -> None:
    updated(make_case(pytester.path / "good"))
    updated(make_case(pytester.path / "bad")).input.write_bytes(built(expire))
    pytester.makepyfile(
        """
        def test_good(replay_case):
            replay_case("good")

        def test_bad(replay_case):
            replay_case("bad")
        """
    )
    result = pytester.runpytest("-p", "vswitch.testing")
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["E * AssertionError: case bad differs:"])
    result.stdout.no_fnmatch_line("*trial.check*")
