from __future__ import annotations

import pytest

from bench import options
from bench.targets import Limit, targets


def test_everything_is_measured_unless_something_is_asked_for() -> None:
    everything = options.parse([])
    assert set(everything.only) == {*options.FAMILIES["engine"], *options.FAMILIES["peers"]}
    assert everything.peer == options.PEERS


def test_some_loads_and_peers_can_be_asked_for() -> None:
    some = options.parse(["peers", "--only", "bulk", "--only", "dns", "--peer", "pasta"])
    assert (some.only, some.peer) == (["bulk", "dns"], ["pasta"])


def test_what_a_part_does_not_measure_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        options.parse(["engine", "--only", "bulk"])
    assert "bulk is no part of engine" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [["--rounds", "0"], ["--connections", "70000"], ["--many", "1000001"], ["--peer", "nobody"]],
)
def test_what_can_not_be_done_is_refused_at_once(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        options.parse(arguments)
    assert arguments[0] in capsys.readouterr().err


def test_limits_are_told_with_what_is_taken_off() -> None:
    wanted = [each.wanted for each in targets("reference") if isinstance(each, Limit)]
    assert "<= 8 us, without the devices alone" in wanted
    assert "<= 600 bytes" in wanted
