from __future__ import annotations

import pytest

from bench import memory
from bench.engine import A, B, udp_frame
from bench.memory import Mirror

FEW = 130
"""Two whole rounds of the fast path and a bit, so that a last round that is not full is met."""


def test_a_mirror_answers_with_what_it_was_sent() -> None:
    there, back = (A, B[0], B[1]), (B, A[0], A[1])
    mirror = Mirror("outside")
    mirror.send(udp_frame(*there, (5000, 53)))
    assert [bytes(answer) for answer in mirror.take_answers()] == [udp_frame(*back, (53, 5000))]
    assert mirror.take_answers() == []


def test_memory_is_that_of_exactly_as_many_connections_as_asked() -> None:
    found = memory.measure(30 * FEW)
    assert found.connections == 30 * FEW
    assert 0 < found.taken == found.each * found.connections


def test_endpoints_share_the_connections_whose_memory_is_measured(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(memory, "PORTS_EACH", 50)
    assert memory.fill(FEW).connections == FEW


def test_more_connections_in_memory_than_there_are_ports_are_refused() -> None:
    with pytest.raises(ValueError, match="connections"):
        memory.measure(memory.MOST_IN_MEMORY + 1)
