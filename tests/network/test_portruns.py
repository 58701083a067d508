"""Runs of ports: the same answers as a table with an entry for each port."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.network.portruns import PortRuns
from vswitch.network.ports import PortRange

runs = st.tuples(st.integers(1, 60), st.integers(0, 12)).map(
    lambda pair: PortRange(pair[0], pair[0] + pair[1])
)


@given(st.lists(st.tuples(runs, st.sampled_from("abc"))), runs, st.sampled_from("abc"))
def test_runs_answer_as_single_ports_would(
    wanted: list[tuple[PortRange, str]], asked: PortRange, leaving: str
) -> None:
    table, naive = PortRuns(), dict[int, str]()
    for ports, holder in wanted:
        taken = [(port, naive[port]) for port in ports if port in naive]
        assert table.first_within(ports) == (taken[0] if taken else None)
        if not taken:
            table.add(ports, holder)
            naive.update(dict.fromkeys(ports, holder))
    table.release(leaving)
    naive = {port: holder for port, holder in naive.items() if holder != leaving}
    taken = [(port, naive[port]) for port in asked if port in naive]
    assert table.first_within(asked) == (taken[0] if taken else None)
    assert {port for ports in table for port in ports} == naive.keys()
    assert table.first_holder() == (naive[min(naive)] if naive else None)


def test_run_is_one_entry_however_long_it_is() -> None:
    table = PortRuns()
    table.add(PortRange(10_000, 19_999), "web")
    assert list(table) == [PortRange(10_000, 19_999)]
    assert table.first_within(PortRange(1, 65_535)) == (10_000, "web")


@pytest.mark.parametrize("ports", [PortRange(80, 80), PortRange(79, 89), PortRange(200, 200)])
def test_part_of_a_run_is_no_run_to_take_back(ports: PortRange) -> None:
    table = PortRuns()
    table.add(PortRange(80, 89), "web")
    with pytest.raises(ValueError, match="nobody holds"):
        table.remove(ports)
    table.remove(PortRange(80, 89))
    assert list(table) == []
