"""What an endpoint holds, by itself: quotas, order of giving up, and life of an account."""

from __future__ import annotations

import pytest

from vswitch.dataplane.accounts import Account, Accounts
from vswitch.dataplane.conntrack import Connection
from vswitch.dataplane.flow import FlowTuple
from vswitch.translation import Quotas, Translation
from vswitch.wire.values import IpAddress, Protocol

A, B = IpAddress.parse("10.0.0.2"), IpAddress.parse("10.0.0.3")
S1, UPLINK = IpAddress.parse("198.51.100.1"), IpAddress.parse("203.0.113.1")
DEFAULT = Translation()


def account(**quotas: int) -> Account:
    return Account(1, A, Translation(quotas=Quotas(**quotas)))


def connection(owner: Account, port: int) -> Connection:
    original = FlowTuple(1, Protocol.UDP, A, port, S1, 80)
    reply = FlowTuple(2, Protocol.UDP, S1, 80, UPLINK, port)
    return Connection(original, reply, owner, 0)


def test_connections_are_counted_but_for_those_of_others_that_lead_here() -> None:
    mine = account()
    first, second, third = (connection(mine, port) for port in (1, 2, 3))
    mine.fleeting[first] = mine.lasting[second] = mine.visitors[third] = None
    assert mine.connections == 2
    assert list(mine) == [first, second, third]


@pytest.mark.parametrize("place", ["fleeting", "lasting"])
def test_quota_of_connections_counts_what_is_fleeting_and_what_is_lasting(place: str) -> None:
    mine = account(connections=2)
    for port in (1, 2):
        assert mine.may_hold_connection
        getattr(mine, place)[connection(mine, port)] = None
    assert not mine.may_hold_connection


def test_visitors_use_up_no_quota() -> None:
    mine = account(connections=1)
    mine.visitors[connection(mine, 1)] = None
    assert mine.may_hold_connection


def test_quota_of_mappings_counts_mappings() -> None:
    mine = account(mappings=2)
    mine.mappings = 1
    assert mine.may_hold_mapping
    mine.mappings = 2
    assert not mine.may_hold_mapping


def test_zero_stands_for_no_quota() -> None:
    mine = account(connections=0, mappings=0)
    mine.mappings = 10**6
    mine.lasting.update(dict.fromkeys(connection(mine, port) for port in range(1, 100)))
    assert mine.may_hold_connection
    assert mine.may_hold_mapping


def test_oldest_of_the_fleeting_ones_goes_first_and_a_lasting_one_never() -> None:
    mine = account()
    assert mine.oldest_fleeting is None
    lasting, first, second = (connection(mine, port) for port in (1, 2, 3))
    mine.lasting[lasting] = None
    assert mine.oldest_fleeting is None
    mine.fleeting[first] = mine.fleeting[second] = None
    assert mine.oldest_fleeting is first


def test_rate_of_new_connections_is_that_of_the_quotas() -> None:
    mine = account(connections_per_second=2)
    assert [mine.arrivals.take(0) for _ in range(3)] == [True, True, False]


def test_account_is_kept_only_when_something_is_entered_into_it() -> None:
    accounts = Accounts()
    asked = accounts.of(1, A, DEFAULT)
    assert accounts.find(1, A) is None
    accounts.keep(asked)
    assert accounts.find(1, A) is asked
    assert accounts.of(1, A, DEFAULT) is accounts.find(1, A) is asked
    assert list(accounts) == [asked]


def test_endpoints_and_networks_have_accounts_of_their_own() -> None:
    accounts = Accounts()
    several = [accounts.of(*whose, DEFAULT) for whose in ((1, A), (1, B), (2, A))]
    for each in several:
        accounts.keep(each)
    assert [accounts.find(1, A), accounts.find(1, B), accounts.find(2, A)] == several
    assert len(accounts) == 3


@pytest.mark.parametrize("place", ["fleeting", "lasting", "visitors"])
def test_account_goes_with_the_last_thing_in_it(place: str) -> None:
    accounts = Accounts()
    mine = accounts.of(1, A, DEFAULT)
    accounts.keep(mine)
    member = connection(mine, 1)
    getattr(mine, place)[member] = None
    mine.mappings = 1
    accounts.settle(mine)
    del getattr(mine, place)[member]
    accounts.settle(mine)
    assert accounts.find(1, A) is mine
    mine.mappings = 0
    accounts.settle(mine)
    assert len(accounts) == 0
