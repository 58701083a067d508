"""Networks that the host has a way to of its own: told once, with a way out of it."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from vswitch.daemon.collisions import Collisions
from vswitch.network.inventory import Inventory
from vswitch.network.model import DEFAULT_NETWORK, NetworkRequest, Uplink
from vswitch.wire.values import IpInterface, IpNetwork

UPLINK = Uplink("up0", IpInterface.parse("172.19.0.2/16"))


@pytest.fixture
def inventory() -> Inventory:
    inventory = Inventory((DEFAULT_NETWORK,), (UPLINK,), Random(1))
    inventory.add_network(NetworkRequest("front", IpNetwork.parse("172.20.0.0/24")), "f" * 64, 1)
    return inventory


@pytest.fixture
def collisions(inventory: Inventory) -> Collisions:
    return Collisions(inventory)


def told(collisions: Collisions, caplog: pytest.LogCaptureFixture, *hosts: str) -> list[str]:
    caplog.clear()
    collisions.tell(IpNetwork.parse(each) for each in hosts)
    return [each.getMessage() for each in caplog.records]


def test_host_that_is_elsewhere_is_no_collision(
    collisions: Collisions, caplog: pytest.LogCaptureFixture
) -> None:
    assert told(collisions, caplog, "198.51.100.0/24", "172.20.1.0/24") == []


def test_route_of_the_hosts_own_port_is_no_collision(caplog: pytest.LogCaptureFixture) -> None:
    network = replace(DEFAULT_NETWORK, host=True)
    collisions = Collisions(Inventory((network,), (UPLINK,), Random(1)))
    assert told(collisions, caplog, str(network.subnet)) == []
    assert len(told(collisions, caplog, "172.17.3.0/24")) == 1


def test_collision_is_told_with_a_subnet_of_that_size_that_is_free(
    collisions: Collisions, caplog: pytest.LogCaptureFixture
) -> None:
    assert told(collisions, caplog, "172.20.0.0/16", "172.18.0.0/24") == [
        "network front: its subnet 172.20.0.0/24 overlaps 172.20.0.0/16, "
        "which the host has on a link: 172.18.1.0/24 is free"
    ]
    assert told(collisions, caplog, "172.16.0.0/12") == [
        "network bridge: its subnet 172.17.0.0/16 overlaps 172.16.0.0/12, "
        "which the host has on a link: 192.168.0.0/16 is free",
        "network front: its subnet 172.20.0.0/24 overlaps 172.16.0.0/12, "
        "which the host has on a link: 192.168.0.0/24 is free",
    ]


def test_collision_is_told_once_and_again_when_it_comes_back(
    collisions: Collisions, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(told(collisions, caplog, "172.20.0.0/30")) == 1
    assert told(collisions, caplog, "172.20.0.0/30") == []
    assert told(collisions, caplog) == []
    assert len(told(collisions, caplog, "172.20.0.0/30")) == 1


def test_network_that_went_collides_with_nothing(
    inventory: Inventory, collisions: Collisions, caplog: pytest.LogCaptureFixture
) -> None:
    inventory.remove_network("front")
    assert told(collisions, caplog, "172.20.0.0/30") == []


def test_collision_with_everything_is_told_as_what_it_is(
    collisions: Collisions, caplog: pytest.LogCaptureFixture
) -> None:
    (front,) = told(
        collisions, caplog, "172.18.0.0/15", "172.20.0.0/14", "172.24.0.0/13", "192.0.0.0/8"
    )
    assert front.endswith("all predefined address pools have been fully subnetted")
