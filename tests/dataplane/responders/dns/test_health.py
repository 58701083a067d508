"""Whose health is known: that of who is asked."""

from __future__ import annotations

from vswitch.dataplane.responders.dns.outside.servers import MOST_PLACES, Place, Servers
from vswitch.dataplane.responders.dns.party import Route
from vswitch.naming import Server
from vswitch.wire.values import IpAddress

OURS = Server(IpAddress.parse("192.0.2.53"))


def known(servers: Servers) -> set[Place]:
    return {each.place for each in servers.states()}


def test_who_is_asked_again_and_again_is_not_forgotten_for_who_was_asked_once() -> None:
    servers = Servers(lambda _: None)
    for number in range(MOST_PLACES + 10):
        servers.ranking(Route((OURS,)), 0)
        servers.ranking(Route((OURS,), origin=number), 0)
    assert Place(OURS) in known(servers)
    assert len(known(servers)) == MOST_PLACES


def test_who_is_asked_no_more_is_forgotten_when_that_may_be_so() -> None:
    servers = Servers(lambda _: None)
    (ours,) = servers.ranking(Route((OURS,)), 0).line
    ours.is_out_of_reach("no route to host", 0)
    servers.forget_all()
    assert known(servers) == set()
    (ours,) = servers.ranking(Route((OURS,)), 0).line
    assert not ours.is_down
