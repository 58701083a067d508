from __future__ import annotations

from collections.abc import Iterator

import pytest

from vswitch.fastpath import FORCED_BY, available


@pytest.fixture(scope="module", params=list(available()))
def twin(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each fast path that this installation has, as the one that is selected."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FORCED_BY, request.param)
        yield request.param
