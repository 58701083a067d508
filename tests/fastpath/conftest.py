from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.fastpath.looped import LOOPING, Looped
from vswitch.fastpath import FORCED_BY, available

# Without a compiled fast path there is no loop with a thread to be tested.
collect_ignore = [] if LOOPING else ["test_looping.py", "test_looping_ports.py"]


@pytest.fixture(scope="module", params=list(available()))
def twin(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each fast path that this installation has, as the one that is selected."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FORCED_BY, request.param)
        yield request.param


@pytest.fixture(params=LOOPING.values(), ids=list(LOOPING))
def looped(request: pytest.FixtureRequest) -> Iterator[Looped]:
    """Three ports that a fast path serves in a thread of its own."""
    looped = Looped(request.param)
    try:
        yield looped
    finally:
        looped.close()
