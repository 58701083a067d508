"""Gateways of a switch that nobody runs: names as in a running one, and no servers."""

from __future__ import annotations

from random import Random

import dns.message
import dns.rcode
import pytest

from tests.harness import Lab
from vswitch.dataplane.responders.dns.front import Answered, Asker
from vswitch.known.without_servers import WithoutServers
from vswitch.naming import NameSettings
from vswitch.network.inventory import Inventory
from vswitch.network.model import EndpointRequest, Network
from vswitch.wire.values import IpAddress, IpNetwork

FRONT = Network("front", IpNetwork.parse("10.0.0.0/16"), IpAddress.parse("10.0.0.1"))
BACK = Network("back", IpNetwork.parse("10.1.0.0/16"), IpAddress.parse("10.1.0.1"))


class Asking:
    """Endpoints on front, three of which bear `pool`, and one on back; who asks, by its address."""

    def __init__(self) -> None:
        lab, inventory = Lab(), Inventory((FRONT, BACK), (), Random(1))
        for name in ("a", "b", "c"):
            inventory.add_endpoint(EndpointRequest(name, "front", aliases=("pool",)))
        inventory.add_endpoint(EndpointRequest("vault", "back"))
        self._number = lab.network("front").number
        self._front = WithoutServers(inventory, lab.switch.tables.networks, NameSettings())

    def ask(self, name: str, by: str = "10.0.0.2", *, commit: bool = True) -> dns.message.Message:
        query = dns.message.make_query(name, "A")
        asker = Asker(self._number, IpAddress.parse(by))
        heard = self._front.hear(query.to_wire(), asker, 0, commit=commit)
        assert isinstance(heard, Answered)
        return dns.message.from_wire(heard.message)

    def addresses(self, name: str, *, commit: bool = True) -> list[str]:
        answer = self.ask(name, commit=commit).answer
        return [str(each) for rrset in answer for each in rrset]


@pytest.fixture
def asking() -> Asking:
    return Asking()


@pytest.mark.parametrize("by", ["10.0.0.2", "10.0.0.99"])
def test_who_is_on_a_network_asks_for_all_there_and_for_nobody_else(
    asking: Asking, by: str
) -> None:
    assert asking.ask("a", by).rcode() == dns.rcode.NOERROR
    assert asking.ask("vault", by).rcode() == dns.rcode.SERVFAIL
    assert asking.ask("example.org", by).rcode() == dns.rcode.SERVFAIL


def test_what_would_be_answered_is_what_is_answered_next(asking: Asking) -> None:
    previews = [asking.addresses("pool", commit=False) for _ in range(3)]
    assert previews == [asking.addresses("pool")] * 3
    assert asking.addresses("pool") != previews[0]
