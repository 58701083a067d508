"""What the daemon needs, and what it says where that is not there."""

from __future__ import annotations

import logging

import pytest

from vswitch.daemon.process.privileges import (
    FURTHER,
    NEEDED,
    Capability,
    MissingCapabilitiesError,
    require,
)

ALL = frozenset(range(41))


def test_root_with_everything_may_start() -> None:
    require(ALL)


def test_each_capability_that_is_missing_is_named_with_what_it_is_for() -> None:
    with pytest.raises(MissingCapabilitiesError) as refused:
        require(ALL - {Capability.SYS_ADMIN, Capability.NET_RAW})
    assert str(refused.value) == (
        "root lacks CAP_NET_RAW (to read and write frames), "
        "CAP_SYS_ADMIN (to make and enter network namespaces): is this a container?"
    )


@pytest.mark.parametrize("capability", NEEDED)
def test_without_one_that_is_needed_there_is_no_switch(capability: Capability) -> None:
    with pytest.raises(MissingCapabilitiesError, match=str(capability)):
        require(ALL - {capability})


@pytest.mark.parametrize("capability", FURTHER)
def test_without_one_that_some_things_need_this_is_logged(
    capability: Capability, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        require(ALL - {capability})
    (line,) = caplog.messages
    assert line == f"the switch runs without {capability}, which is needed {FURTHER[capability]}"
