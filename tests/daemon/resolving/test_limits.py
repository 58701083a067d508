"""What limits who asks from a network, for as long as there is that network, and beyond."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from tests.harness import Lab
from vswitch.daemon.resolving.limits import Limits
from vswitch.dataplane.openings import AllowedNames
from vswitch.naming import NetworkNames
from vswitch.network.inventory import Inventory
from vswitch.network.model import Network
from vswitch.wire import domain
from vswitch.wire.values import IpAddress, IpNetwork

FRONT = Network("front", IpNetwork.parse("10.0.0.0/16"), IpAddress.parse("10.0.0.1"))
LISTED = replace(FRONT, names=NetworkNames(allowed=("registry.example",)))


def limits_of(inventory: Inventory, lab: Lab) -> Limits:
    return Limits(inventory, lab.switch.tables, lambda network: lab.network(network.name).number)


def test_list_is_that_of_the_dataplane_at_the_time() -> None:
    lab, inventory = Lab(), Inventory((LISTED,), (), Random(1))
    limits, number = limits_of(inventory, lab), lab.network("front").number
    assert limits.on("front") is None
    lab.switch.changes.set_allowed_names(number, AllowedNames(["registry.example"]), lab.now)
    bounds = limits.on("front")
    assert bounds is not None
    assert bounds.allow(domain.encode("registry.example"))
    assert not bounds.allow(domain.encode("elsewhere.example"))


def test_network_that_is_gone_limits_nobody() -> None:
    """Servers may answer a query when its network, and whoever has asked, has gone."""
    inventory = Inventory((LISTED,), (), Random(1))
    limits = limits_of(inventory, Lab())
    inventory.remove_network("front")
    assert limits.on("front") is None
