"""Port allocation by itself: preservation, class, parity, reservation, exhaustion, life."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.dataplane.mappings import (
    HIGH_PORTS,
    LIFETIME,
    LOW_PORTS,
    External,
    Internal,
    Mapping,
    MappingTable,
)
from vswitch.wire.values import IpAddress, Protocol

UPLINK = IpAddress.parse("203.0.113.1")
A = IpAddress.parse("10.0.0.2")
B = IpAddress.parse("10.0.0.3")
C = IpAddress.parse("10.0.0.4")
UDP = int(Protocol.UDP)
TCP = int(Protocol.TCP)


def nothing_reserved(_external: External) -> bool:
    return False


def inside(address: IpAddress, port: int, protocol: int = UDP) -> Internal:
    return Internal(1, protocol, address, port)


def take(table: MappingTable, internal: Internal, random: Random, now: int = 0) -> Mapping | None:
    """What the NAT does: the mapping there is, else a new one."""
    known = table.of_internal(internal)
    if known is not None:
        return known
    external = table.choose(internal, UPLINK, random)
    if external is None:
        return None
    mapping = Mapping(internal, external, now)
    table.add(mapping)
    return mapping


def port_of(mapping: Mapping | None) -> int:
    assert mapping is not None
    return mapping.external.port


def test_free_port_is_preserved() -> None:
    table = MappingTable(nothing_reserved)
    assert port_of(take(table, inside(A, 5000), Random(1))) == 5000
    assert port_of(take(table, inside(A, 80), Random(1))) == 80


def test_protocols_have_ports_of_their_own() -> None:
    table = MappingTable(nothing_reserved)
    assert port_of(take(table, inside(A, 5000, UDP), Random(1))) == 5000
    assert port_of(take(table, inside(B, 5000, TCP), Random(1))) == 5000


def test_second_endpoint_with_the_same_port_gets_another_one() -> None:
    table = MappingTable(nothing_reserved)
    take(table, inside(A, 5000), Random(1))
    assert port_of(take(table, inside(B, 5000), Random(1))) != 5000


@pytest.mark.parametrize("port", [21, 80, 1022, 1023, 1024, 5000, 5001, 65535])
def test_clash_keeps_class_and_parity(port: int) -> None:
    for seed in range(40):
        table = MappingTable(nothing_reserved)
        take(table, inside(A, port), Random(seed))
        chosen = port_of(take(table, inside(B, port), Random(seed)))
        assert chosen % 2 == port % 2
        assert (chosen in LOW_PORTS) == (port in LOW_PORTS)


def test_clashing_ports_are_spread_over_the_whole_class() -> None:
    table = MappingTable(nothing_reserved)
    random = Random(1)
    take(table, inside(A, 5000), random)
    eighths = set()
    for number in range(200):
        address = IpAddress(b"\x0a\x00\x01" + bytes((number,)))
        eighths.add(port_of(take(table, inside(address, 5000), random)) // 8192)
    assert eighths == set(range(8))


def test_port_zero_stands_for_no_preference_and_is_never_given() -> None:
    for seed in range(50):
        table = MappingTable(nothing_reserved)
        assert port_of(take(table, inside(A, 0), Random(seed))) in HIGH_PORTS


def test_reserved_port_is_never_given() -> None:
    table = MappingTable(lambda external: external.port % 2 == 0 or external.port < 1020)
    random = Random(1)
    assert port_of(take(table, inside(A, 8080), random)) % 2 == 1
    low = [port_of(take(table, inside(host, 80), random)) for host in (A, B)]
    assert sorted(low) == [1021, 1023]
    assert take(table, inside(C, 80), random) is None


def test_other_parity_is_used_before_giving_up() -> None:
    table = MappingTable(lambda external: external.port not in (7, 8))
    random = Random(1)
    assert port_of(take(table, inside(A, 80), random)) == 8
    assert port_of(take(table, inside(B, 80), random)) == 7
    assert take(table, inside(C, 80), random) is None


def test_all_ports_of_a_class_can_be_given_and_then_none() -> None:
    table = MappingTable(nothing_reserved)
    random = Random(1)
    for port in HIGH_PORTS:
        take(table, inside(A, port), random)
    assert len({mapping.external for mapping in table}) == len(HIGH_PORTS)
    assert take(table, inside(B, 5000), random) is None
    assert port_of(take(table, inside(B, 80), random)) == 80


def test_unused_mapping_is_freed_after_its_lifetime() -> None:
    table = MappingTable(nothing_reserved)
    mapping = take(table, inside(A, 5000), Random(1), now=0)
    assert mapping is not None
    assert table.next_deadline() == LIFETIME
    table.expire(LIFETIME - 1)
    assert table.of_external(mapping.external) is mapping
    table.expire(LIFETIME + 1)
    assert table.of_external(mapping.external) is None
    assert table.of_internal(mapping.internal) is None
    assert port_of(take(table, inside(B, 5000), Random(1))) == 5000


def test_mapping_with_a_connection_is_kept_whatever_the_time() -> None:
    table = MappingTable(nothing_reserved)
    mapping = take(table, inside(A, 5000), Random(1), now=0)
    assert mapping is not None
    mapping.connections = 1
    table.expire(100 * LIFETIME)
    assert table.of_internal(mapping.internal) is mapping
    mapping.connections = 0
    mapping.last_used = 100 * LIFETIME
    table.expire(101 * LIFETIME - 1)
    assert table.of_internal(mapping.internal) is mapping
    table.expire(101 * LIFETIME + 1)
    assert len(table) == 0
    assert table.next_deadline() is None


def test_released_mapping_is_free_at_once() -> None:
    table = MappingTable(nothing_reserved)
    mapping = take(table, inside(A, 5000), Random(1))
    assert mapping is not None
    table.release(mapping)
    assert table.next_deadline() is None
    assert port_of(take(table, inside(B, 5000), Random(1))) == 5000


internals = st.builds(
    Internal,
    st.integers(1, 2),
    st.sampled_from([UDP, TCP]),
    st.sampled_from([A, B, C]),
    st.sampled_from([0, 1, 2, 1022, 1023, 1024, 5000, 5001, 5002]),
)
steps = st.lists(
    st.tuples(st.sampled_from(["take", "take", "take", "release", "expire"]), internals),
    max_size=40,
)


@given(steps=steps, seed=st.integers(0, 3))
def test_external_port_stands_for_exactly_one_inside_endpoint(
    steps: list[tuple[str, Internal]], seed: int
) -> None:
    """RFC 4787, REQ-1 and REQ-3, whatever comes in whatever order."""
    reserved = {External(UDP, UPLINK, 5000), External(TCP, UPLINK, 1023)}
    table = MappingTable(reserved.__contains__)
    random, now = Random(seed), 0
    model: dict[Internal, External] = {}
    for step, internal in steps:
        if step == "take":
            mapping = take(table, internal, random, now)
            assert mapping is not None
            assert model.setdefault(internal, mapping.external) == mapping.external
        elif step == "release" and internal in model:
            known = table.of_internal(internal)
            assert known is not None
            table.release(known)
            del model[internal]
        elif step == "expire":
            now += LIFETIME
            table.expire(now)
            model.clear()
        externals = list(model.values())
        assert len(set(externals)) == len(externals)
        assert not reserved & set(externals)
        assert {mapping.internal: mapping.external for mapping in table} == model
        for internal_of, external in model.items():
            found = table.of_external(external)
            assert found is not None
            assert found.internal == internal_of


def test_same_seed_gives_the_same_ports() -> None:
    def ports(seed: int) -> list[int]:
        table, random = MappingTable(nothing_reserved), Random(seed)
        hosts = (IpAddress(b"\x0a\x00\x01" + bytes((n,))) for n in range(20))
        return [port_of(take(table, inside(host, 5000), random)) for host in hosts]

    assert ports(1) == ports(1)
    assert ports(1) != ports(2)
