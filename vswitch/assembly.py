"""From what a user talks about to what the dataplane carries: networks, uplink, publications.

Theory of operation. The `network` room knows names and addresses, the `dataplane` room knows
numbers and stations, and neither knows the other. Here the one becomes the other, in one place, so
that a replayed switch is put together exactly as a running one is.

No device is opened here: who has one gives it to `Switch.add_port` under the number of its network.
"""

from __future__ import annotations

from vswitch.dataplane.publications import Publication
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Interface, Network, Side
from vswitch.network import model
from vswitch.network.inventory import Inventory
from vswitch.wire.values import IpInterface

UPLINK = "uplink"
"""The uplink's port and network as the tables show them."""


def add_inside(switch: Switch, inventory: Inventory, network: model.Network) -> Network:
    """Let `network` exist on the switch, with its gateway."""
    gateway = Interface(
        network.mac or inventory.allocate_mac(), IpInterface(network.gateway, network.subnet)
    )
    number = switch.new_network_number()
    domain = Network(number, network.name, Side.INSIDE, gateway, None, network.mtu)
    switch.add_network(domain)
    return domain


def add_outside(switch: Switch, inventory: Inventory, uplink: model.Uplink, mtu: int) -> Network:
    """Let the network behind `uplink` exist on the switch; `mtu` is the interface's, in bytes."""
    interface = Interface(uplink.mac or inventory.allocate_mac(), uplink.address)
    number = switch.new_network_number()
    domain = Network(number, UPLINK, Side.OUTSIDE, interface, uplink.gateway, mtu)
    switch.add_network(domain)
    return domain


def publications(endpoint: model.Endpoint, network: int) -> list[Publication]:
    """What `Switch.publish` wants for an endpoint, whose network it knows by number."""
    return [
        Publication(
            protocol=each.protocol,
            host_address=each.host_address,
            host_ports=range(each.host_ports.first, each.host_ports.last + 1),
            network=network,
            endpoint=endpoint.address,
            first_endpoint_port=each.endpoint_ports.first,
        )
        for each in endpoint.publications
    ]
