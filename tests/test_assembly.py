"""What a user talks about, as the dataplane carries it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import cast

import pytest

from vswitch import assembly
from vswitch.assembly import Learnt
from vswitch.dataplane.changes import Changes
from vswitch.dataplane.mappings import External, Internal
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Interface, Network, Side
from vswitch.devices.memory import MemoryDevice
from vswitch.network.configuration import config
from vswitch.network.inventory import Inventory
from vswitch.network.model import Configuration
from vswitch.policy import PortPolicy, PortRole
from vswitch.translation import Filtering, Outside, Translation, Unsolicited
from vswitch.wire.values import IpAddress, IpInterface, MacAddress, Protocol

LAB = """
name = "lab"
[uplink]
interface = "up0"
address = "198.51.100.2/24"
addresses = ["198.51.100.7", "198.51.100.8"]
gateway = "198.51.100.1"
mac = "02:00:00:00:00:01"
ports = ["1024-32767"]
unsolicited = "drop"
clamp_mss = false
[uplinks.wan]
interface = "up1"
address = "203.0.113.2/24"
mac = "02:00:00:00:00:03"
[networks.front]
subnet = "172.18.0.0/16"
mtu = 9000
mac = "02:00:00:00:00:02"
filtering = "endpoint-independent"
[networks.back]
subnet = "172.19.0.0/16"
uplink = "wan"
[networks.fixed]
subnet = "172.20.0.0/16"
external = "198.51.100.8"
[endpoints.web]
network = "front"
publish = ["8080-8081:80-81/udp"]
external = "198.51.100.7"
[endpoints.app]
network = "back"
mappings = ["5000-5001:6000-6001/udp", "80:81"]
[endpoints.db]
network = "fixed"
mappings = ["7000:7000"]
"""

GATEWAY = IpAddress.parse("198.51.100.1")
MAC = MacAddress.parse("02:00:00:00:00:09")


def ip(text: str) -> IpAddress:
    return IpAddress.parse(text)


class Lab:
    """A switch as a configuration describes it, with every network that it names."""

    def __init__(self, text: str = LAB) -> None:
        self.configuration: Configuration = config.parse(text, "lab.toml")
        self.inventory = Inventory.of(self.configuration, Random(1))
        self.switch = Switch(Random(1), self.configuration.limits)
        self.outside: dict[str, Network] = {}
        self.inside: dict[str, Network] = {}

    def assemble(self) -> Lab:
        for uplink in self.configuration.uplinks:
            mac = uplink.mac or self.inventory.allocate_mac(str(uplink))
            made = assembly.add_outside(self.switch, uplink, mac, 1400)
            self.outside[uplink.name] = made
        numbers = {name: network.number for name, network in self.outside.items()}
        for network in self.inventory.networks:
            domain = assembly.add_inside(self.switch, self.inventory, network, numbers)
            self.inside[network.name] = domain
        return self


def own(network: Network) -> Interface:
    assert network.interface is not None
    return network.interface


def test_network_comes_with_its_gateway_and_its_settings() -> None:
    lab = Lab().assemble()
    front = lab.inside["front"]
    assert lab.switch.tables.networks[front.number] is front
    assert (front.name, front.side, front.mtu) == ("front", Side.INSIDE, 9000)
    gateway = IpInterface.parse("172.18.0.1/16")
    assert own(front) == Interface(MacAddress.parse("02:00:00:00:00:02"), gateway)
    assert front.next_hop is None
    assert front.translation == Translation(filtering=Filtering.ENDPOINT_INDEPENDENT)


def test_uplink_is_a_network_outside_with_all_its_addresses() -> None:
    lab = Lab().assemble()
    outside = lab.outside["uplink"]
    assert lab.switch.tables.networks[outside.number] is outside
    assert (outside.name, outside.side, outside.mtu) == (assembly.UPLINK, Side.OUTSIDE, 1400)
    address = IpInterface.parse("198.51.100.2/24")
    also = (ip("198.51.100.7"), ip("198.51.100.8"))
    assert own(outside) == Interface(MacAddress.parse("02:00:00:00:00:01"), address, also)
    assert outside.next_hop == GATEWAY
    assert outside.outside == Outside(
        ports=(range(1024, 32768),), unsolicited=Unsolicited.DROP, clamps_mss=False
    )


def test_networks_know_by_which_uplink_they_leave() -> None:
    lab = Lab().assemble()
    assert lab.outside["wan"].name == "wan"
    assert lab.inside["front"].uplink == lab.outside["uplink"].number
    assert lab.inside["back"].uplink == lab.outside["wan"].number
    alone = Lab('name = "lab"\n[networks.front]').assemble()
    assert alone.inside["front"].uplink is None


def test_addresses_that_nobody_chose_are_the_inventorys() -> None:
    text = LAB.replace('mac = "', 'mac = "auto" # "')
    lab, same = Lab(text).assemble(), Lab(text)
    for network in (*lab.outside.values(), *lab.inside.values()):
        assert own(network).mac == same.inventory.allocate_mac(network.name)


LEARNING = """
name = "lab"
[uplink]
interface = "up0"
address = "host"
"""


FOUND = Learnt(IpInterface.parse("192.0.2.5/24"), ip("192.0.2.1"))
HIGH = (range(61000, 65536),)


def outside(
    text: str, learnt: Learnt | None = FOUND, ports: tuple[range, ...] | None = HIGH
) -> tuple[Lab, Network]:
    """A switch with no more than the network behind its uplink."""
    lab = Lab(text)
    uplink = lab.configuration.uplink
    assert uplink is not None
    made = assembly.add_outside(lab.switch, uplink, MAC, 1500, learnt, ports=ports)
    return lab, made


def test_uplink_has_what_was_learnt() -> None:
    _, network = outside(LEARNING)
    assert own(network) == Interface(MAC, IpInterface.parse("192.0.2.5/24"), is_shared=True)
    assert (network.next_hop, network.outside.ports) == (ip("192.0.2.1"), HIGH)


def test_address_by_dhcp_is_the_switchs_alone_and_every_port_of_it() -> None:
    _, network = outside(LEARNING.replace("host", "dhcp"))
    assert own(network) == Interface(MAC, IpInterface.parse("192.0.2.5/24"))
    assert network.outside.ports == Outside().ports


def test_what_the_configuration_says_comes_before_what_was_learnt() -> None:
    _, network = outside(f'{LEARNING}gateway = "192.0.2.9"\nports = ["2000"]')
    assert network.next_hop == ip("192.0.2.9")
    assert network.outside.ports == (range(2000, 2001),)


def test_ports_that_are_to_be_chosen_have_to_be() -> None:
    with pytest.raises(ValueError, match="the uplink needs ports to give away"):
        outside(LEARNING, ports=None)


def test_address_that_is_learnt_may_come_late_change_and_go() -> None:
    lab, network = outside(LEARNING.replace("host", "dhcp"), learnt=None)
    uplink = lab.configuration.uplink
    assert uplink is not None
    assert (network.interface, network.next_hop) == (None, None)
    later = Learnt(IpInterface.parse("192.0.2.6/24"), None)
    for found in (FOUND, later):
        assembly.change_address(lab.switch, uplink, network.number, MAC, found, now=1)
        assert own(network).address == found.address
        assert network.next_hop == found.gateway
        assert lab.switch.tables.owner(found.address.address) is network
    assembly.change_address(lab.switch, uplink, network.number, MAC, None, now=2)
    assert network.interface is None
    assert lab.switch.tables.owner(later.address.address) is None


def test_publications_lead_to_the_endpoint() -> None:
    web = Lab().inventory.endpoint("web")
    (publication,) = assembly.publications(web, 7)
    assert (publication.protocol, publication.host_address) == (Protocol.UDP, None)
    assert publication.host_ports == range(8080, 8082)
    assert (publication.network, publication.first_endpoint_port) == (7, 80)
    assert publication.endpoint == web.address


class Told:
    """Stands before a switch's changes, and writes down what they are told."""

    def __init__(self, changes: Changes) -> None:
        self.told: list[tuple[object, ...]] = []
        self._changes = changes

    def __getattr__(self, change: str) -> Callable[..., None]:
        def tell(*what: object) -> None:
            self.told.append((change, *what))
            getattr(self._changes, change)(*what)

        return tell


def exposed(name: str) -> tuple[list[tuple[object, ...]], int, IpAddress]:
    """What a switch is told when an endpoint comes and goes, its network and its address."""
    lab = Lab().assemble()
    told = Told(lab.switch.changes)
    lab.switch.changes = cast(Changes, told)
    endpoint = lab.inventory.endpoint(name)
    network = lab.inside[endpoint.network].number
    assembly.expose(lab.switch, endpoint, network, 1)
    assembly.conceal(lab.switch, endpoint, network, 2)
    return told.told, network, endpoint.address


def test_endpoint_comes_with_its_publications_and_its_external_address() -> None:
    told, network, address = exposed("web")
    (publication,) = assembly.publications(Lab().inventory.endpoint("web"), network)
    assert told == [
        ("publish", publication, 1),
        ("translate_one_to_one", network, address, ip("198.51.100.7"), 1),
        ("forget_one_to_one", ip("198.51.100.7"), 2),
        ("unpublish", publication, 2),
    ]


def test_endpoint_comes_with_its_mappings_port_by_port_on_its_uplinks_address() -> None:
    told, network, address = exposed("app")
    wan = ip("203.0.113.2")
    pairs = [
        (Protocol.UDP, 6000, 5000),
        (Protocol.UDP, 6001, 5001),
        (Protocol.TCP, 81, 80),
    ]
    assert told == [
        *(
            (
                "map_statically",
                Internal(network, protocol, address, inner),
                External(protocol, wan, outer),
                1,
            )
            for protocol, inner, outer in pairs
        ),
        *(("unmap_statically", External(protocol, wan, outer), 2) for protocol, _, outer in pairs),
    ]


def test_mappings_are_on_the_networks_own_external_address() -> None:
    told, network, address = exposed("db")
    external = External(Protocol.TCP, ip("198.51.100.8"), 7000)
    assert told == [
        ("map_statically", Internal(network, Protocol.TCP, address, 7000), external, 1),
        ("unmap_statically", external, 2),
    ]


def test_mappings_are_made_anew_on_the_address_that_was_learnt() -> None:
    text = f'{LEARNING.replace("host", "dhcp")}[endpoints.app]\nmappings = ["5000:6000/udp"]'
    lab, network = outside(text, learnt=None)
    uplink, app = lab.configuration.uplink, lab.inventory.endpoint("app")
    assert uplink is not None
    (bridge,) = lab.inventory.networks
    numbers = {"uplink": network.number}
    inside = assembly.add_inside(lab.switch, lab.inventory, bridge, numbers).number
    assembly.expose(lab.switch, app, inside, 0)
    internal = Internal(inside, Protocol.UDP, app.address, 6000)
    mappings = lab.switch.tables.mappings
    assert list(mappings) == []
    for address in ("192.0.2.5", "192.0.2.6"):
        learnt = Learnt(IpInterface.parse(f"{address}/24"), None)
        assembly.change_address(lab.switch, uplink, network.number, MAC, learnt, now=1)
        assert list(mappings) == []
        assembly.map_ports(lab.switch, app, inside, 1)
        (made,) = mappings
        external = External(Protocol.UDP, ip(address), 5000)
        assert (made.internal, made.external, made.is_static) == (internal, external, True)
    assembly.conceal(lab.switch, app, inside, 2)
    assert list(mappings) == []


GUARDED = """
name = "lab"
ip_forward = false
[networks.front]
subnet = "172.18.0.0/16"
icc = false
spoof_guard = true
[networks.cellar]
subnet = "172.19.0.0/16"
internal = true
gateway_mode = "isolated"
[endpoints.web]
network = "front"
[[filters]]
action = "drop"
in_network = "front"
out_network = "front"
"""


def test_policies_and_filters_are_carried_over() -> None:
    lab = Lab(GUARDED)
    assembly.rule(lab.switch, lab.configuration, 0)
    lab.assemble()
    tables, front = lab.switch.tables, lab.inside["front"]
    assert [entry.filter for entry in tables.filters] == list(lab.configuration.filters)
    assert (tables.forwards, front.policy.icc, front.bridges_freely) == (False, False, False)
    assert lab.inside["bridge"].bridges_freely


def test_gateway_that_is_isolated_is_not_there() -> None:
    cellar = Lab(GUARDED).assemble().inside["cellar"]
    assert (cellar.interface, cellar.policy.internal) == (None, True)


@pytest.mark.parametrize("role", PortRole)
def test_port_of_a_guarded_network_speaks_for_its_endpoint_alone(role: PortRole) -> None:
    lab = Lab(GUARDED).assemble()
    (web,) = lab.inventory.endpoint("web").memberships
    guarded = PortPolicy(role, frozenset({web.mac}), frozenset({web.address}))
    for name, own in (("front", guarded), ("bridge", PortPolicy(role))):
        network = lab.inside[name].number
        port = lab.switch.add_port("web", network, MemoryDevice("web"))
        assembly.guard(lab.switch, role, web, port.number)
        assert lab.switch.tables.ports[port.number].policy == own
