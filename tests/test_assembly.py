"""What a user talks about, as the dataplane carries it."""

from __future__ import annotations

from random import Random

from vswitch import assembly
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Interface, Network, Side
from vswitch.network import config
from vswitch.network.inventory import Inventory
from vswitch.network.model import Configuration
from vswitch.wire.values import IpAddress, IpInterface, MacAddress, Protocol

LAB = """
name = "lab"
[uplink]
interface = "up0"
address = "198.51.100.2/24"
gateway = "198.51.100.1"
mac = "02:00:00:00:00:01"
[networks.front]
subnet = "172.18.0.0/16"
mtu = 9000
mac = "02:00:00:00:00:02"
[endpoints.web]
network = "front"
publish = ["8080-8081:80-81/udp"]
"""


def assembled(text: str) -> tuple[Switch, Inventory, Configuration]:
    configuration = config.parse(text, "lab.toml")
    return Switch(Random(1)), Inventory.of(configuration, Random(1)), configuration


def own(network: Network) -> Interface:
    assert network.interface is not None
    return network.interface


def test_network_comes_with_its_gateway() -> None:
    switch, inventory, _ = assembled(LAB)
    front = assembly.add_inside(switch, inventory, inventory.network("front"))
    assert switch.tables.networks == {front.number: front}
    assert (front.name, front.side, front.mtu) == ("front", Side.INSIDE, 9000)
    gateway = IpInterface.parse("172.18.0.1/16")
    assert own(front) == Interface(MacAddress.parse("02:00:00:00:00:02"), gateway)
    assert front.next_hop is None


def test_uplink_is_the_network_outside() -> None:
    switch, inventory, configuration = assembled(LAB)
    assert configuration.uplink is not None
    outside = assembly.add_outside(switch, inventory, configuration.uplink, 1400)
    assert switch.tables.uplink is outside
    assert (outside.name, outside.mtu) == (assembly.UPLINK, 1400)
    address = IpInterface.parse("198.51.100.2/24")
    assert own(outside) == Interface(MacAddress.parse("02:00:00:00:00:01"), address)
    assert outside.next_hop == IpAddress.parse("198.51.100.1")


def test_addresses_that_nobody_chose_are_the_inventorys() -> None:
    text = LAB.replace('mac = "', 'mac = "auto" # "')
    (switch, inventory, configuration), (_, same, _) = assembled(text), assembled(text)
    assert configuration.uplink is not None
    front = assembly.add_inside(switch, inventory, inventory.network("front"))
    outside = assembly.add_outside(switch, inventory, configuration.uplink, 1500)
    assert own(front).mac == same.allocate_mac()
    assert own(outside).mac == same.allocate_mac()
    assert front.number != outside.number


def test_publications_lead_to_the_endpoint() -> None:
    _, inventory, _ = assembled(LAB)
    (publication,) = assembly.publications(inventory.endpoint("web"), 7)
    assert (publication.protocol, publication.host_address) == (Protocol.UDP, None)
    assert publication.host_ports == range(8080, 8082)
    assert (publication.network, publication.first_endpoint_port) == (7, 80)
    assert publication.endpoint == inventory.endpoint("web").address
