"""The ports that a NAPT on the host's own address may use."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.daemon.guard.ports import (
    FEWEST,
    NoFreePorts,
    bound_ports,
    free_ranges,
    host_ports,
    listed_ports,
)

LINUX_DEFAULT = range(32768, 61000)


def test_linux_default_leaves_all_above_it() -> None:
    assert free_ranges(LINUX_DEFAULT, (), ()) == (range(61000, 65536),)


@pytest.mark.parametrize(
    ("ephemeral", "free"),
    [
        (range(10000, 65536), range(1024, 10000)),
        (range(1024, 32768), range(32768, 65536)),
        (range(20000, 50000), range(1024, 20000)),
        (range(15000, 30000), range(30000, 65536)),
        (range(1, 60000), range(60000, 65536)),
        (range(60000, 61000), range(61000, 65536)),
    ],
)
def test_altered_ephemeral_range_leaves_its_larger_side(ephemeral: range, free: range) -> None:
    assert free_ranges(ephemeral, (), ()) == (free,)


def test_ports_in_use_or_reserved_are_left_out() -> None:
    ranges = free_ranges(LINUX_DEFAULT, [61000, 65535], [62000, 62001, 8080])
    assert ranges == (range(61001, 62000), range(62002, 65535))


@pytest.mark.parametrize("ephemeral", [range(1024, 65536), range(1500, 65000)])
def test_host_that_uses_nearly_all_ports_itself_is_told_so(ephemeral: range) -> None:
    with pytest.raises(NoFreePorts) as refusal:
        free_ranges(ephemeral, (), ())
    own = f"{ephemeral.start}-{ephemeral.stop - 1}"
    assert f"(net.ipv4.ip_local_port_range {own})" in str(refusal.value)


def test_last_ports_in_use_can_be_one_too_many() -> None:
    exactly = range(1024, 65536 - FEWEST)
    assert free_ranges(exactly, (), ()) == (range(65536 - FEWEST, 65536),)
    with pytest.raises(NoFreePorts):
        free_ranges(exactly, (), [65000])


ports = st.integers(1, 65535)


@given(
    bounds=st.tuples(ports, ports).map(sorted),
    reserved=st.frozensets(ports, max_size=50),
    in_use=st.frozensets(st.integers(60000, 65535), max_size=200),
)
def test_no_port_of_the_host_is_ever_given_away(
    bounds: list[int], reserved: frozenset[int], in_use: frozenset[int]
) -> None:
    ephemeral = range(bounds[0], bounds[1] + 1)
    try:
        free = free_ranges(ephemeral, reserved, in_use)
    except NoFreePorts:
        sides = (range(1024, bounds[0]), range(max(1024, bounds[1] + 1), 65536))
        larger = sides[1] if bounds[1] == 60999 else max(sides, key=len)
        assert len({*larger} - reserved - in_use) < FEWEST
        return
    given_away = [port for each in free for port in each]
    assert len(given_away) >= FEWEST
    assert given_away == sorted(set(given_away))
    assert given_away[0] >= 1024
    assert given_away[-1] <= 65535
    assert not {*given_away} & {*ephemeral, *reserved, *in_use}
    assert all(each for each in free)
    assert all(first.stop < second.start for first, second in pairwise(free))


TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 17 1
 123: 0100007F:EE48 0100007F:0016 01 00000000:00000000 00:00000000 00000000     0        0 18 1
   7: 0000000000000000FFFF00000100007F:0035 00000000000000000000000000000000:0000 0A 0
"""


def test_table_of_sockets_tells_the_local_ports() -> None:
    assert bound_ports(TABLE) == {8080, 61000, 53}


@pytest.mark.parametrize("line", ["", "0:", "x: y", "0: 0100007F:", "0: 0100007F:0000 0 0A", "0"])
def test_line_that_is_no_bound_socket_is_passed_over(line: str) -> None:
    assert bound_ports(TABLE + line + "\n") == {8080, 61000, 53}


@pytest.mark.parametrize(
    ("text", "listed"),
    [("\n", set()), ("8080\n", {8080}), ("53,61000-61002\n", {53, 61000, 61001, 61002})],
)
def test_list_of_reserved_ports_is_read(text: str, listed: set[int]) -> None:
    assert listed_ports(text) == listed


def test_kernel_of_this_machine_is_understood() -> None:
    found = host_ports()
    assert 0 < len(found.ephemeral) < 65536
    assert all(0 < port < 65536 for port in found.in_use | found.reserved)
