"""Replaying cases from a test, with the difference as the assertion.

This module is a pytest plugin, which pytest finds where vswitch is installed. It brings one
fixture:

    def test_our_network_still_reaches_the_server(replay_case):
        replay_case("cases/napt-udp")

A case is a folder with `case.toml`, `in.pcapng` and `expected.pcapng`; `vswitch replay
--save-case` makes one from captures, and `vswitch replay --update` makes what comes out of it the
expected. Where something else comes out, the test fails with what `vswitch replay` prints:

    E   AssertionError: case napt-udp differs:
    E   frame 4, on uplink at 0.400000000 s, caused by packet 5, differs:
    E       IPv4 203.0.113.1:5000 > 198.51.100.1:7000 UDP data 21 bytes
    E       layer   field   expected   got
    E       IP      ttl     63         62
    E       verdict   forwarded; flow 1

Without the plugin (`-p no:vswitch.testing`), or in another framework, the function is the same:

    from vswitch.testing import replay_case
"""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path

import pytest

__all__ = ["replay_case"]


def replay_case(path: str | PathLike[str]) -> None:
    """Replay the case in the folder `path` and assert that what comes out is what is expected.

    Raises:
        AssertionError: it is not; its text is the difference.
        CaptureError: a capture of the case can not be read, or there is no expected.pcapng yet.
        ConfigurationError: case.toml can not be honoured.
    """
    from vswitch.debug.cases import case, trial

    __tracebackhide__ = True
    loaded = case.load(Path(path))
    difference = trial.check(loaded).difference
    if difference:
        raise AssertionError("\n".join((f"case {loaded.name} differs:", *difference.lines())))


@pytest.fixture(name="replay_case")
def _replay_case() -> Callable[[str | PathLike[str]], None]:
    """The function `replay_case`: give it the folder of a case."""
    return replay_case
