"""The table of mappings by itself: which port, for how long, and what happens to it afterwards."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.dataplane.accounts import Account, Accounts
from vswitch.dataplane.mappings import External, Internal, Mapping, MappingTable
from vswitch.translation import PROFILES, Timeouts, Translation
from vswitch.units import SECOND, Nanoseconds
from vswitch.wire.values import IpAddress, Protocol

UPLINK, SECOND_ADDRESS = IpAddress.parse("203.0.113.1"), IpAddress.parse("203.0.113.2")
A, B, C = (IpAddress.parse(f"10.0.0.{last}") for last in (2, 3, 4))
S1, S2 = IpAddress.parse("198.51.100.1"), IpAddress.parse("198.51.100.2")
UDP, TCP, ICMP, SCTP = (int(each) for each in (Protocol.UDP, Protocol.TCP, 1, Protocol.SCTP))
OUTSIDE = 9
"""The number of the uplink's network."""

ALL = (range(1, 65536),)
DEFAULT = Translation()
NO_REST = Translation(timeouts=PROFILES["linux"])
REST = Timeouts().hold_down


class World:
    """A table with what it asks: who has accounts, what may be given away, what is reserved."""

    def __init__(
        self, ports: tuple[range, ...] = ALL, translation: Translation = DEFAULT, seed: int = 1
    ) -> None:
        self.accounts = Accounts()
        self.reserved: set[External] = set()
        self.random = Random(seed)
        self.now: Nanoseconds = 1000 * SECOND
        self._translation = translation
        self.table = MappingTable(
            self.accounts, lambda _address: ports, self._runs, self.reserved.__contains__
        )

    def _runs(self, protocol: int, address: IpAddress) -> list[range]:
        return [
            range(external.port, external.port + 1)
            for external in self.reserved
            if (external.protocol, external.address) == (protocol, address)
        ]

    def account(self, address: IpAddress) -> Account:
        return self.accounts.of(1, address, self._translation)

    def take(
        self,
        address: IpAddress,
        port: int,
        protocol: int = UDP,
        *,
        on: IpAddress = UPLINK,
        parity: bool = True,
    ) -> Mapping | None:
        """What the NAT does: the mapping there is, else a new one, which a connection holds."""
        internal = Internal(1, protocol, address, port)
        mapping = self.table.of_internal(internal, OUTSIDE)
        if mapping is None:
            external = self.table.choose(internal, OUTSIDE, on, self.random, parity=parity)
            if external is None:
                return None
            mapping = Mapping(internal, external, OUTSIDE, self.account(address), self.now)
            self.table.add(mapping)
        mapping.begin(S1)
        return mapping

    def port(self, address: IpAddress, port: int, protocol: int = UDP, **kind: bool) -> int:
        mapping = self.take(address, port, protocol, **kind)
        assert mapping is not None
        return mapping.external.port

    def release(self, address: IpAddress, port: int, protocol: int = UDP) -> None:
        """End a mapping as its time is over."""
        mapping = self.table.of_internal(Internal(1, protocol, address, port), OUTSIDE)
        assert mapping is not None
        self.table.release(mapping, self.now)

    def pass_time(self, span: Nanoseconds) -> list[Mapping]:
        """Let time pass and end what is due; what was."""
        end, ended = self.now + span, []
        while (deadline := self.table.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            for mapping in list(self.table.due(self.now)):
                self.table.release(mapping, self.now)
                ended.append(mapping)
        self.now = end
        return ended


# Which port


def test_free_port_is_preserved() -> None:
    world = World()
    assert [world.port(A, port) for port in (5000, 80, 65535, 1)] == [5000, 80, 65535, 1]


def test_protocols_have_ports_of_their_own() -> None:
    world = World()
    assert {world.port(A, 5000, protocol) for protocol in (UDP, TCP, ICMP)} == {5000}
    assert world.port(B, 5000, Protocol.DCCP) == 5000


def test_addresses_have_ports_of_their_own() -> None:
    world = World()
    first = world.take(A, 5000)
    second = world.take(B, 5000, on=SECOND_ADDRESS)
    assert first is not None
    assert second is not None
    assert (second.external.address, second.external.port) == (SECOND_ADDRESS, 5000)


@pytest.mark.parametrize("port", [21, 80, 1022, 1023, 1024, 5000, 5001, 65535])
def test_clash_keeps_class_and_parity(port: int) -> None:
    for seed in range(40):
        world = World(seed=seed)
        world.take(A, port)
        chosen = world.port(B, port)
        assert chosen != port
        assert chosen % 2 == port % 2
        assert (chosen < 1024) == (port < 1024)


def test_parity_is_of_no_account_where_nobody_wants_it() -> None:
    world = World()
    world.take(A, 5000)
    hosts = (IpAddress(b"\x0a\x00\x01" + bytes((number,))) for number in range(40))
    assert {world.port(host, 5000, parity=False) % 2 for host in hosts} == {0, 1}


def test_identifier_of_icmp_has_no_class() -> None:
    world = World()
    hosts = [IpAddress(b"\x0a\x00\x01" + bytes((number,))) for number in range(40)]
    assert any(world.port(host, 7, ICMP) >= 1024 for host in hosts)


def test_port_zero_stands_for_no_preference_and_is_never_given() -> None:
    for seed in range(50):
        assert World(seed=seed).port(A, 0) != 0


def test_only_ports_that_may_be_given_away_are() -> None:
    world = World((range(2000, 2002), range(3000, 3001)))
    assert sorted(world.port(A, port) for port in (5000, 5002, 5004)) == [2000, 2001, 3000]
    assert world.take(A, 5006) is None


def test_port_of_sctp_is_its_own_or_none() -> None:
    """Its checksum covers the ports, and would have to be computed anew."""
    world = World()
    assert world.port(A, 5000, SCTP) == 5000
    assert world.take(B, 5000, SCTP) is None


def test_same_seed_gives_the_same_ports() -> None:
    def ports(seed: int) -> list[int]:
        world = World(seed=seed)
        hosts = (IpAddress(b"\x0a\x00\x01" + bytes((number,))) for number in range(20))
        return [world.port(host, 5000) for host in hosts]

    assert ports(1) == ports(1) != ports(2)


def test_all_ports_of_an_address_are_given_to_the_last_one_and_back_after_their_rest() -> None:
    """64512 high ports, by endpoints that each have the full quota of an ordinary one."""
    world = World((range(1024, 65536),))
    hosts = [IpAddress(b"\x0a\x00\x01" + bytes((number,))) for number in range(64)]
    given = {world.port(host, 2000 + number) for host in hosts for number in range(1008)}
    assert len(given) == len(world.table) == 64512
    assert world.take(A, 5000) is None
    world.release(hosts[3], 2000)
    assert world.take(A, 5000) is None
    world.pass_time(REST)
    assert world.take(A, 5000) is not None
    assert world.take(B, 5000) is None


# Which address


def test_endpoint_stays_on_the_address_that_it_has_mappings_on() -> None:
    world = World()
    addresses = (UPLINK, SECOND_ADDRESS)
    world.take(A, 5000, on=SECOND_ADDRESS)
    assert world.table.address_for(world.account(A), TCP, OUTSIDE, addresses) == SECOND_ADDRESS


def test_endpoint_without_mappings_goes_where_most_ports_are_free() -> None:
    world = World()
    addresses = (UPLINK, SECOND_ADDRESS)
    world.take(A, 5000, on=UPLINK)
    assert world.table.address_for(world.account(B), UDP, OUTSIDE, addresses) == SECOND_ADDRESS
    assert world.table.address_for(world.account(B), TCP, OUTSIDE, addresses) == UPLINK


def test_address_that_is_not_there_any_more_pairs_with_nobody() -> None:
    world = World()
    world.take(A, 5000, on=SECOND_ADDRESS)
    assert world.table.address_for(world.account(A), UDP, OUTSIDE, (UPLINK,)) == UPLINK


# How long


LIVES = [(UDP, 300), (Protocol.UDP_LITE, 300), (TCP, 0), (ICMP, 0)]
"""Seconds that a mapping lives without connections."""


@pytest.mark.parametrize(("protocol", "lives"), LIVES)
def test_mapping_that_nothing_holds_ends_after_its_time(protocol: int, lives: int) -> None:
    world = World()
    mapping = world.take(A, 5000, protocol)
    assert mapping is not None
    assert mapping.expires_at is None
    mapping.end(S1)
    world.table.settle(mapping)
    assert world.table.next_deadline() == world.now + lives * SECOND
    if lives:
        assert world.pass_time(lives * SECOND - 1) == []
    assert world.pass_time(1) == [mapping]
    assert len(world.table) == 0


def test_mapping_that_is_used_again_lives_on() -> None:
    world = World()
    mapping = world.take(A, 5000)
    assert mapping is not None
    mapping.end(S1)
    world.table.settle(mapping)
    world.pass_time(200 * SECOND)
    mapping.last_outbound = world.now
    assert world.pass_time(299 * SECOND) == []
    assert world.take(A, 5000) is mapping
    assert world.pass_time(1000 * SECOND) == []


def test_guests_hold_no_mapping() -> None:
    world = World()
    mapping = world.take(A, 5000)
    assert mapping is not None
    mapping.end(S1)
    mapping.guests = 1
    assert mapping.expires_at is not None


def test_static_mapping_never_ends_by_itself_and_its_port_does_not_rest() -> None:
    world = World()
    internal, external = Internal(1, UDP, A, 5000), External(UDP, UPLINK, 6000)
    mapping = Mapping(internal, external, OUTSIDE, world.account(A), world.now, is_static=True)
    world.table.add(mapping)
    assert mapping.expires_at is None
    assert world.port(B, 6000) != 6000
    assert world.take(A, 5000) is mapping
    mapping.end(S1)
    world.table.settle(mapping)
    assert world.pass_time(10**6 * SECOND) == []
    world.table.release(mapping, world.now)
    assert world.port(C, 6000) == 6000


def test_contacts_are_those_that_the_inside_has_connections_with() -> None:
    world = World()
    mapping = world.take(A, 5000)
    assert mapping is not None
    mapping.begin(S1)
    mapping.begin(S2)
    mapping.end(S1)
    assert (mapping.has_contact(S1), mapping.has_contact(S2), mapping.holders) == (True, True, 2)
    mapping.end(S1)
    assert (mapping.has_contact(S1), mapping.has_contact(S2), mapping.holders) == (False, True, 1)


# What happens to the port


def test_freed_port_rests_and_is_free_then() -> None:
    world = World()
    world.take(A, 5000)
    world.release(A, 5000)
    world.pass_time(REST - 1)
    assert world.port(B, 5000) != 5000
    world.pass_time(1)
    assert world.port(C, 5000) == 5000


def test_same_inside_port_gets_its_resting_port_back() -> None:
    world = World()
    world.take(B, 5000)
    moved = world.port(A, 5000)
    world.release(A, 5000)
    assert world.port(A, 5000) == moved


def test_endpoint_gets_a_resting_port_of_its_own_for_another_inside_port() -> None:
    world = World()
    world.take(B, 5000)
    moved = world.port(A, 5000)
    world.release(A, 5000)
    assert world.port(A, moved) == moved
    assert world.port(A, 5000) != moved


def test_port_that_its_owner_took_back_rests_anew() -> None:
    world = World()
    world.take(A, 5000)
    world.release(A, 5000)
    world.pass_time(REST - 1)
    world.take(A, 5000)
    world.pass_time(1 * SECOND)
    world.release(A, 5000)
    world.pass_time(REST - 1)
    assert world.port(B, 5000) != 5000


def test_without_hold_down_a_port_is_free_at_once() -> None:
    world = World(translation=NO_REST)
    world.take(A, 5000)
    world.release(A, 5000)
    assert world.port(B, 5000) == 5000


def test_account_counts_its_mappings_and_goes_with_the_last() -> None:
    world = World()
    world.take(A, 5000)
    world.take(A, 5001, TCP)
    account = world.accounts.find(1, A)
    assert account is not None
    assert account.mappings == 2
    world.release(A, 5000)
    world.release(A, 5001, TCP)
    assert account.mappings == 0
    assert world.accounts.find(1, A) is None


# Reserved ports


def test_reserved_port_is_never_given() -> None:
    world = World((range(2000, 2010),))
    world.reserved |= {External(UDP, UPLINK, port) for port in range(2000, 2009)}
    assert world.port(A, 2000) == 2009
    assert world.take(B, 2000) is None


def test_port_that_is_reserved_later_is_not_given_from_then_on() -> None:
    world = World((range(2000, 2002),))
    world.take(A, 2000)
    world.reserved.add(External(UDP, UPLINK, 2001))
    world.table.reserve(UDP, None, range(2001, 2002))
    assert world.take(B, 2001) is None
    world.reserved.clear()
    world.table.unreserve(UDP, None, range(2001, 2002))
    assert world.port(B, 2001) == 2001


def test_resting_port_that_is_reserved_meanwhile_goes_to_nobody() -> None:
    world = World((range(2000, 2001),))
    world.take(A, 2000)
    world.release(A, 2000)
    world.reserved.add(External(UDP, UPLINK, 2000))
    world.table.reserve(UDP, UPLINK, range(2000, 2001))
    assert world.take(A, 2000) is None
    world.pass_time(REST)
    assert world.take(A, 2000) is None
    world.reserved.clear()
    world.table.unreserve(UDP, UPLINK, range(2000, 2001))
    assert world.port(B, 2000) == 2000


def test_port_that_is_taken_or_rests_is_not_free_because_nothing_reserves_it() -> None:
    world = World((range(2000, 2002),))
    for port in (2000, 2001):
        world.take(A, port)
    world.release(A, 2001)
    world.table.unreserve(UDP, None, range(2000, 2002))
    assert world.take(B, 2000) is None


def test_ports_that_may_not_be_given_away_are_not_because_nothing_reserves_them() -> None:
    world = World((range(2000, 2001),))
    world.take(A, 2000)
    world.table.unreserve(UDP, None, range(1, 3000))
    assert world.take(B, 2001) is None


def test_address_that_is_forgotten_begins_anew() -> None:
    world = World((range(2000, 2001),))
    world.take(A, 2000)
    world.release(A, 2000)
    world.table.forget_address(UPLINK)
    assert world.table.next_deadline() is None
    assert world.port(B, 2000) == 2000
    assert world.pass_time(10 * REST) == []


# Whatever comes in whatever order

internals = st.tuples(
    st.sampled_from([A, B, C]),
    st.sampled_from([0, 1, 2, 1022, 1023, 1024, 5000, 5001, 5002]),
    st.sampled_from([UDP, TCP]),
)
steps = st.lists(
    st.tuples(st.sampled_from(["take", "take", "take", "release", "wait"]), internals),
    max_size=40,
)
pools: Callable[..., st.SearchStrategy[tuple[range, ...]]] = st.sampled_from
RESERVED = {External(UDP, UPLINK, 5000), External(TCP, UPLINK, 1023)}


@given(
    steps=steps,
    ports=pools([ALL, (range(1, 6), range(1020, 1028), range(5000, 5004))]),
    seed=st.integers(0, 3),
)
def test_external_port_stands_for_exactly_one_inside_endpoint(
    steps: list[tuple[str, tuple[IpAddress, int, int]]], ports: tuple[range, ...], seed: int
) -> None:
    """RFC 4787, REQ-1 and REQ-3; RFC 6888, REQ-8."""
    world = World(ports, seed=seed)
    world.reserved |= RESERVED
    model: dict[tuple[IpAddress, int, int], External] = {}
    resting: dict[External, tuple[IpAddress, Nanoseconds]] = {}
    for step, whose in steps:
        if step == "take":
            mapping = world.take(*whose)
            if mapping is not None:
                external = mapping.external
                assert model.setdefault(whose, external) == external
                owner, until = resting.pop(external, (whose[0], 0))
                assert owner == whose[0] or until <= world.now
        elif step == "release" and whose in model:
            world.release(*whose)
            resting[model.pop(whose)] = whose[0], world.now + REST
        elif step == "wait":
            world.pass_time(REST // 2)
        externals = list(model.values())
        assert len(set(externals)) == len(externals)
        assert not RESERVED & set(externals)
        assert {mapping.external for mapping in world.table} == set(externals)
        assert all(any(each.port in some for some in ports) for each in externals)
        for (address, port, _), external in model.items():
            found = world.table.of_external(external)
            assert found is not None
            assert (found.internal.address, found.internal.port) == (address, port)
