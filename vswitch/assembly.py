"""From what a user talks about to what the dataplane carries: networks, uplinks, endpoints' ports.

Theory of operation. The `network` room knows names and addresses, the `dataplane` room knows
numbers and stations, and neither knows the other. Here the one becomes the other, in one place, so
that a replayed switch is put together exactly as a running one is. Networks outside come first:
those inside know the number of the one that they are translated to.

What endpoints may say to each other is carried over, too: a network's policy with the network, that
of an endpoint's port when it is there (`guard`), what links open when both ends are (`link`), and
what holds for all in the end (`rule`). So is what a network leases (`lease`), which the inventory
knows who has.

No device is opened here: who has one gives it to `Switch.add_port` under the number of its network.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

from vswitch.dataplane.dhcp.server.book import Terms
from vswitch.dataplane.dhcp.server.news import Turn
from vswitch.dataplane.mappings import External, Internal
from vswitch.dataplane.openings import AllowedNames
from vswitch.dataplane.publications import Publication
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Interface, Network, Side
from vswitch.leasing import Leasing
from vswitch.naming import PORT
from vswitch.network import linking, model, ports
from vswitch.network.inventory import Inventory
from vswitch.policy import GatewayMode, PortRole
from vswitch.translation import Outside
from vswitch.units import Nanoseconds
from vswitch.wire.values import IpAddress, IpInterface, IpNetwork, MacAddress

UPLINK = model.DEFAULT_UPLINK
"""The default uplink's port and network as the tables show them. Others have their own names."""


@dataclass(frozen=True, slots=True)
class Learnt:
    """What an uplink turns out to have where its configuration leaves it open."""

    address: IpInterface
    gateway: IpAddress | None


class StaticMapping(NamedTuple):
    """One port on either side of a static mapping."""

    internal: Internal
    external: External


def add_outside(
    switch: Switch,
    uplink: model.Uplink,
    mac: MacAddress,
    mtu: int,
    learnt: Learnt | None = None,
    *,
    ports: tuple[range, ...] | None = None,
) -> Network:
    """Let the network behind `uplink` exist on the switch, which has the station `mac` there; `mtu`
    is the interface's, in bytes.

    An uplink that learns its address has what was `learnt`, or no address while that is None. One
    whose ports are to be chosen gives away `ports`.
    """
    given_away = uplink.ports or ports
    if given_away is None:
        raise ValueError(f"{uplink} needs ports to give away")
    if isinstance(uplink.address, IpInterface):
        interface: Interface | None = Interface(mac, uplink.address, uplink.also)
    else:
        interface = _learnt_interface(uplink, mac, learnt)
    domain = Network(
        switch.new_network_number(),
        uplink.name,
        Side.OUTSIDE,
        interface,
        _next_hop(uplink, learnt),
        mtu,
        outside=Outside(given_away, uplink.unsolicited, clamps_mss=uplink.clamps_mss),
    )
    switch.add_network(domain)
    return domain


def change_address(
    switch: Switch,
    uplink: model.Uplink,
    network: int,
    mac: MacAddress,
    learnt: Learnt | None,
    now: Nanoseconds,
) -> None:
    """Let an uplink that learns its address have another one, or none.

    The network behind it is known by number. Static mappings on an address that is gone are gone,
    and `map_ports` makes them anew.
    """
    interface = _learnt_interface(uplink, mac, learnt)
    switch.changes.set_interface(network, interface, _next_hop(uplink, learnt), now)


def add_inside(
    switch: Switch, inventory: Inventory, network: model.Network, outside: Mapping[str, int]
) -> Network:
    """Let `network` exist on the switch, with its gateway.

    `outside` has the numbers of the networks behind the uplinks, by the names of these.
    """
    mac = network.mac or inventory.allocate_mac(f"gateway of {network.name}")
    gateway = Interface(mac, IpInterface(network.gateway, network.subnet))
    has_gateway = network.policy.gateway_mode is not GatewayMode.ISOLATED
    domain = Network(
        switch.new_network_number(),
        network.name,
        Side.INSIDE,
        gateway if has_gateway else None,
        None,
        network.mtu,
        translation=network.translation,
        policy=network.policy,
        answers_queries=network.names.at_gateway,
        uplink=outside.get(network.uplink),
        allowed=AllowedNames.of(network.names.allowed),
    )
    switch.add_network(domain)
    return domain


def change_inside(
    switch: Switch, before: model.Network, after: model.Network, number: int, now: Nanoseconds
) -> None:
    """Let a network inside, which the dataplane knows by number, have another policy, another
    translation and other names that lead outside, with the same gateway, which answers queries or
    not. `guard` is for those who are on it."""
    if before.policy != after.policy:
        switch.changes.set_policy(number, after.policy, now)
    if before.names.at_gateway != after.names.at_gateway:
        switch.changes.set_answering(number, answers=after.names.at_gateway)
    if before.translation != after.translation:
        switch.changes.set_translation(number, after.translation, now)
    if before.names.allowed != after.names.allowed:
        switch.changes.set_allowed_names(number, AllowedNames.of(after.names.allowed), now)


Keep: TypeAlias = Callable[[model.Network, Turn], bool]
"""Writes down what has become of a grant, before the station is told; False where it can not."""


def lease(
    switch: Switch,
    inventory: Inventory,
    network: model.Network,
    number: int,
    keep: Keep = lambda *_: True,
) -> None:
    """Let the gateway of a network inside lease addresses as its network says by now, or none. The
    dataplane knows the network by number."""
    leasing = network.leasing
    if leasing is None or not leases(network):
        switch.changes.stop_leasing(number)
        return
    terms = Terms(
        leasing,
        pool=leased_from(network, leasing),
        domain=leasing.domain or network.name,
        router=network.default_route,
        name_servers=_name_servers(network),
    )
    addresses = NetworkAddresses(switch, inventory, network.name, keep)
    switch.changes.lease(number, terms, addresses)


def leases(network: model.Network) -> bool:
    """Whether a network has a gateway that leases."""
    has_gateway = network.policy.gateway_mode is not GatewayMode.ISOLATED
    return network.leasing is not None and has_gateway


def leased_from(network: model.Network, leasing: Leasing) -> IpNetwork:
    """Where the guests of a network get addresses from."""
    return leasing.leased or network.ip_range or network.subnet


class NetworkAddresses:
    """Whose the addresses of one network are, for its DHCP server (`dhcp.server.book.Addresses`).

    What is asked for each message is looked up in dictionaries, which are made anew when somebody
    has come or gone.
    """

    def __init__(self, switch: Switch, inventory: Inventory, network: str, keep: Keep) -> None:
        self._keep = keep
        self._ports = switch.tables.ports
        self._inventory = inventory
        self._network = network
        self._revision = -1
        self._members: dict[str, tuple[model.Endpoint, model.Membership]] = {}
        """Of endpoints that are leased their addresses, by the names of their ports."""
        self._hostnames: dict[IpAddress, str] = {}
        self._counts: dict[IpNetwork, int] = {}
        """Of the parts that were asked about."""

    def of_port(self, port: int, station: MacAddress) -> IpAddress | None:
        """The endpoint's own address, for its own station. Behind a virtual machine's TAP that is
        any, as the virtual machine says which one it has."""
        self._look()
        member = self._members.get(self._ports[port].name)
        if member is None:
            return None
        endpoint, at = member
        is_own = endpoint.kind is model.EndpointKind.VM or station == at.mac
        return at.address if is_own else None

    def is_taken(self, address: IpAddress) -> bool:
        """Whether it is an endpoint's, the gateway's, or whose it is as an auxiliary one."""
        return self._inventory.has_own(self._inventory.network(self._network), address)

    def count(self, part: IpNetwork) -> int:
        """How many there are for guests."""
        self._look()
        if part not in self._counts:
            network = self._inventory.network(self._network)
            self._counts[part] = self._inventory.count_for_guests(network, part)
        return self._counts[part]

    def hostname(self, address: IpAddress) -> str | None:
        """What the endpoint that has it is called."""
        self._look()
        return self._hostnames.get(address)

    def keep(self, turn: Turn) -> bool:
        """Have it written down by whoever does that."""
        return self._keep(self._inventory.network(self._network), turn)

    def _look(self) -> None:
        if self._revision == self._inventory.revision:
            return
        self._revision = self._inventory.revision
        network = self._inventory.network(self._network)
        takes_guests = network.leasing is not None and network.leasing.takes_guests
        self._members, self._hostnames, self._counts = {}, {}, {}
        for endpoint in self._inventory.endpoints_on(network):
            at = endpoint.on(network.name)
            if at is None:
                continue
            self._hostnames[at.address] = endpoint.hostname or endpoint.name
            if takes_guests or endpoint.kind is model.EndpointKind.VM:
                self._members[endpoint.port_name(at)] = endpoint, at


def guard(switch: Switch, role: PortRole, membership: model.Membership, port: int) -> None:
    """Let the port of an endpoint reach whom its role lets it, and speak in its own name alone
    where its network wants that."""
    before = switch.tables.ports[port].policy
    wanted = replace(before, role=role, stations=None, addresses=None)
    if switch.tables.networks[switch.tables.ports[port].network].policy.spoof_guard:
        stations, addresses = frozenset({membership.mac}), frozenset({membership.address})
        wanted = replace(wanted, stations=stations, addresses=addresses)
    if wanted != before:
        switch.changes.set_port_policy(port, wanted)


def link(switch: Switch, endpoints: Collection[model.Endpoint], network: str, number: int) -> None:
    """Let links open what they do on a network between those `endpoints` of it, and nothing else.
    The dataplane knows the network by number."""
    switch.changes.set_links(number, linking.opened(endpoints, network))


def rule(switch: Switch, configuration: model.Configuration, now: Nanoseconds) -> None:
    """Let what the user says about all flows hold from now on."""
    switch.changes.set_filters(configuration.filters, now)
    switch.changes.set_forwarding(configuration.ip_forward, now)


def expose(switch: Switch, endpoint: model.Endpoint, network: int, now: Nanoseconds) -> None:
    """Let the outside reach an endpoint by what it has there. Its network is known by number."""
    for publication in publications(endpoint, network):
        switch.changes.publish(publication, now)
    map_ports(switch, endpoint, network, now)
    if endpoint.external is not None:
        switch.changes.translate_one_to_one(network, endpoint.address, endpoint.external, now)


def conceal(switch: Switch, endpoint: model.Endpoint, network: int, now: Nanoseconds) -> None:
    """Let it do so no longer."""
    if endpoint.external is not None:
        switch.changes.forget_one_to_one(endpoint.external, now)
    for mapping in _static_mappings(switch, endpoint, network):
        switch.changes.unmap_statically(mapping.external, now)
    for publication in switch.tables.publications.of(network, endpoint.address):
        switch.changes.unpublish(publication, now)


def retranslate(
    switch: Switch,
    before: model.Endpoint,
    after: model.Endpoint,
    network: int,
    now: Nanoseconds,
) -> None:
    """Let an endpoint that is exposed as `before` have the external address and the static mappings
    of `after`: what it has in both goes on."""
    moves = before.external != after.external
    if moves and before.external is not None:
        switch.changes.forget_one_to_one(before.external, now)
    had = list(_static_mappings(switch, before, network))
    wanted = list(_static_mappings(switch, after, network))
    for mapping in had:
        if mapping not in wanted:
            switch.changes.unmap_statically(mapping.external, now)
    for mapping in wanted:
        if mapping not in had:
            switch.changes.map_statically(mapping.internal, mapping.external, now)
    if moves and after.external is not None:
        switch.changes.translate_one_to_one(network, after.address, after.external, now)


def map_ports(switch: Switch, endpoint: model.Endpoint, network: int, now: Nanoseconds) -> None:
    """Make an endpoint's static mappings, on the address that its network is translated to now."""
    for mapping in _static_mappings(switch, endpoint, network):
        switch.changes.map_statically(mapping.internal, mapping.external, now)


def publications(endpoint: model.Endpoint, network: int) -> list[Publication]:
    """What `Changes.publish` wants for an endpoint, whose network it knows by number."""
    return [publication(each, endpoint, network) for each in endpoint.publications]


def publication(of: ports.Publication, endpoint: model.Endpoint, network: int) -> Publication:
    """The same for one of its publications."""
    return Publication(
        protocol=of.protocol,
        host_address=of.host_address,
        host_ports=range(of.host_ports.first, of.host_ports.last + 1),
        network=network,
        endpoint=endpoint.address,
        first_endpoint_port=of.endpoint_ports.first,
        terms=of.terms,
    )


def _learnt_interface(
    uplink: model.Uplink, mac: MacAddress, learnt: Learnt | None
) -> Interface | None:
    if learnt is None:
        return None
    is_shared = uplink.address is model.LearntAddress.HOST
    return Interface(mac, learnt.address, is_shared=is_shared)


def _next_hop(uplink: model.Uplink, learnt: Learnt | None) -> IpAddress | None:
    return uplink.gateway or (learnt.gateway if learnt else None)


def _name_servers(network: model.Network) -> tuple[IpAddress, ...]:
    """Who answers the stations of a network: its gateway, else the servers that it names."""
    if network.names.at_gateway:
        return (network.gateway,)
    servers = network.names.servers
    return tuple(
        each.address for each in servers if each.port == PORT and each.authenticated is None
    )


def _static_mappings(
    switch: Switch, endpoint: model.Endpoint, network: int
) -> Iterator[StaticMapping]:
    """Port by port; none while the uplink has no address."""
    address = _translated_to(switch, switch.tables.networks[network])
    if address is None:
        return
    for each in endpoint.mappings:
        for outer, inner in zip(each.external_ports, each.endpoint_ports, strict=True):
            yield StaticMapping(
                Internal(network, each.protocol, endpoint.address, inner),
                External(each.protocol, address, outer),
            )


def _translated_to(switch: Switch, network: Network) -> IpAddress | None:
    """The external address of a network's own, or the first of its uplink."""
    if network.translation.external is not None or network.uplink is None:
        return network.translation.external
    interface = switch.tables.networks[network.uplink].interface
    return interface.address.address if interface else None
