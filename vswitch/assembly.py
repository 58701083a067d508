"""From what a user talks about to what the dataplane carries: networks, uplinks, endpoints' ports.

Theory of operation. The `network` room knows names and addresses, the `dataplane` room knows
numbers and stations, and neither knows the other. Here the one becomes the other, in one place, so
that a replayed switch is put together exactly as a running one is. Networks outside come first:
those inside know the number of the one that they are translated to.

No device is opened here: who has one gives it to `Switch.add_port` under the number of its network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from vswitch.dataplane.mappings import External, Internal
from vswitch.dataplane.publications import Publication
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Interface, Network, Side
from vswitch.network import model
from vswitch.network.inventory import Inventory
from vswitch.translation import Outside
from vswitch.wire.values import IpAddress, IpInterface, MacAddress

UPLINK = model.DEFAULT_UPLINK
"""The default uplink's port and network as the tables show them. Others have their own names."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """What an uplink turns out to have where its configuration leaves it open."""

    mac: MacAddress
    address: IpInterface
    gateway: IpAddress | None
    ports: tuple[range, ...] | None = None
    """External ports that may be given away, where they are to be chosen."""


class StaticMapping(NamedTuple):
    """What `Switch.map_statically` wants: one port on either side."""

    internal: Internal
    external: External


@dataclass(frozen=True, slots=True)
class Exposure:
    """What the outside reaches an endpoint by, as the switch was told."""

    publications: tuple[Publication, ...]
    mappings: tuple[StaticMapping, ...]
    external: IpAddress | None


def add_outside(
    switch: Switch,
    inventory: Inventory,
    uplink: model.Uplink,
    mtu: int,
    learnt: Learnt | None = None,
) -> Network:
    """Let the network behind `uplink` exist on the switch; `mtu` is the interface's, in bytes.

    `learnt` is for an uplink that learns its address, and only for one.
    """
    interface = _interface(inventory, uplink, learnt)
    ports = uplink.ports or (learnt.ports if learnt else None)
    if ports is None:
        raise ValueError(f"{uplink} needs ports to give away")
    domain = Network(
        switch.new_network_number(),
        uplink.name,
        Side.OUTSIDE,
        interface,
        uplink.gateway or (learnt.gateway if learnt else None),
        mtu,
        outside=Outside(ports, uplink.unsolicited, clamps_mss=uplink.clamps_mss),
    )
    switch.add_network(domain)
    return domain


def add_inside(
    switch: Switch, inventory: Inventory, network: model.Network, outside: Mapping[str, int]
) -> Network:
    """Let `network` exist on the switch, with its gateway.

    `outside` has the numbers of the networks behind the uplinks, by the names of these.
    """
    gateway = Interface(
        network.mac or inventory.allocate_mac(), IpInterface(network.gateway, network.subnet)
    )
    domain = Network(
        switch.new_network_number(),
        network.name,
        Side.INSIDE,
        gateway,
        None,
        network.mtu,
        translation=network.translation,
        uplink=outside.get(network.uplink),
    )
    switch.add_network(domain)
    return domain


def expose(switch: Switch, endpoint: model.Endpoint, network: int) -> Exposure:
    """Let the outside reach an endpoint by what it has there. Its network is known by number."""
    exposure = Exposure(
        tuple(publications(endpoint, network)),
        tuple(_static_mappings(switch, endpoint, network)),
        endpoint.external,
    )
    for publication in exposure.publications:
        switch.publish(publication)
    for mapping in exposure.mappings:
        switch.map_statically(mapping.internal, mapping.external)
    if exposure.external is not None:
        switch.translate_one_to_one(network, endpoint.address, exposure.external)
    return exposure


def conceal(switch: Switch, exposure: Exposure) -> None:
    """Let it do so no longer."""
    if exposure.external is not None:
        switch.forget_one_to_one(exposure.external)
    for mapping in exposure.mappings:
        switch.unmap_statically(mapping.external)
    for publication in exposure.publications:
        switch.unpublish(publication)


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


def _interface(inventory: Inventory, uplink: model.Uplink, learnt: Learnt | None) -> Interface:
    if isinstance(uplink.address, model.LearntAddress):
        if learnt is None:
            raise ValueError(f"the address of {uplink} is not known")
        return Interface(learnt.mac, learnt.address)
    return Interface(uplink.mac or inventory.allocate_mac(), uplink.address, uplink.also)


def _static_mappings(
    switch: Switch, endpoint: model.Endpoint, network: int
) -> Iterator[StaticMapping]:
    """Port by port, on the address that the endpoint's network is translated to."""
    if not endpoint.mappings:
        return
    address = _translated_to(switch, switch.tables.networks[network])
    for each in endpoint.mappings:
        for outer, inner in zip(each.external_ports, each.endpoint_ports, strict=True):
            yield StaticMapping(
                Internal(network, each.protocol, endpoint.address, inner),
                External(each.protocol, address, outer),
            )


def _translated_to(switch: Switch, network: Network) -> IpAddress:
    """The external address of a network's own, or the first of its uplink."""
    if network.translation.external is not None:
        return network.translation.external
    if network.uplink is None:
        raise ValueError(f"{network.name} has no uplink")
    interface = switch.tables.networks[network.uplink].interface
    if interface is None:
        raise ValueError(f"the uplink of {network.name} has no address")
    return interface.address.address
