"""All that the switch knows, in one place, for the stages to look things up in.

What concerns several tables at once is done here too, so that they never disagree: a connection
begins and ends in the table, in the account of its endpoint and in its mappings.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from random import Random

from vswitch.dataplane.accounts import Account, Accounts
from vswitch.dataplane.bridged import BridgedFlows
from vswitch.dataplane.conntrack import Connection, ConnectionTable, most_connections
from vswitch.dataplane.dhcp.client.client import DhcpClient
from vswitch.dataplane.dhcp.client.outcome import News
from vswitch.dataplane.dhcp.server.servers import DhcpServers
from vswitch.dataplane.filters import FilterChain
from vswitch.dataplane.identification import Identifications
from vswitch.dataplane.listening import Listening
from vswitch.dataplane.mappings import External, MappingTable
from vswitch.dataplane.openings import Openings
from vswitch.dataplane.ports import PORTS as EVERY_PORT
from vswitch.dataplane.precedents import PrecedentTable
from vswitch.dataplane.publications import PublicationTable
from vswitch.dataplane.queries import Queries
from vswitch.dataplane.rate import Rate
from vswitch.dataplane.reassembly import Reassembly
from vswitch.dataplane.topology import Interface, Network, Port, Side
from vswitch.dataplane.transport import PORTLESS
from vswitch.dataplane.unsolicited import HeldSyns
from vswitch.fastpath.twin import FastPath
from vswitch.policy import PortRole
from vswitch.translation import Limits
from vswitch.units import Nanoseconds
from vswitch.wire.buffer import Buffer
from vswitch.wire.values import IpAddress

KeyOf = Callable[[int, Buffer], bytes | None]
"""The fast path's key of a frame that came in by a port."""

EndConnection = Callable[[Connection, Nanoseconds], None]


class Tables:
    """Networks, ports, connections, mappings, publications. No decision is made here."""

    def __init__(self, random: Random, fastpath: FastPath, limits: Limits) -> None:
        self.random = random
        self.limits = limits
        self.fastpath = fastpath
        self.networks: dict[int, Network] = {}
        self.uplink: Network | None = None
        """The network that leads outside where nothing else is said: the first there is, and when
        that is gone the next one to come."""
        self._owners: dict[IpAddress, Network] = {}
        self._by_subnet: dict[int, dict[int, Network]] = {}
        self._errors: dict[int, Rate] = {}
        self.errors_withheld = 0
        """Errors of our own that were not sent because there were too many."""
        self.ports: dict[int, Port] = {}
        self.publications = PublicationTable()
        self._begin_without_connections()
        self.one_to_one = OneToOne()
        self.dhcp_clients: dict[int, DhcpClient] = {}
        """Those that learn the address of an uplink's network, by its number."""
        self.learnt: deque[tuple[int, News]] = deque()
        """What they have learnt, with the number of the network, and nobody has taken note of."""
        self.queries = Queries()
        """Those for names, at the gateways."""
        self.listening = Listening()
        """Who listens for those by TCP."""
        self.dhcp_servers = DhcpServers()
        """Those of networks inside that lease addresses."""
        self.held_syns = HeldSyns(limits.held_syns)
        self.reassembly = Reassembly(memory=limits.fragments, timeout=limits.fragment_timeout)
        self.identifications = Identifications(random)
        self.key_of: KeyOf = fastpath.key
        self.precedents = PrecedentTable()
        self.filters = FilterChain()
        self.bridged = BridgedFlows()
        """Those that policy has let pass within a network."""
        self.openings = Openings()
        """Addresses that names have led to, where these are all that leads outside."""
        self.forwards = True
        """Whether anything passes between networks, and between them and the outside."""
        self.revision = 0
        """Counts how often something has changed that says who may talk to whom."""
        self.end_refused: EndConnection
        """Ends a connection that is found to be allowed no longer; `Changes` says how."""

    def invalidate(self) -> None:
        """Distrust all that was decided: something that it rested on has changed."""
        self.fastpath.invalidate()
        self.precedents.forget()

    # Networks

    def uplink_of(self, network: Network) -> Network | None:
        """The network that leads the endpoints of `network` outside."""
        return self.uplink if network.uplink is None else self.networks.get(network.uplink)

    def add_network(self, network: Network) -> None:
        """Begin a broadcast domain, whose subnet overlaps no other's."""
        self.precedents.forget()
        self.networks[network.number] = network
        self.settle_bridging()
        if network.side is Side.OUTSIDE and self.uplink is None:
            self.uplink = network
        self._enter(network)

    def remove_network(self, network: Network) -> None:
        """End a broadcast domain, of which nothing is in any other table."""
        self.precedents.forget()
        self._leave(network)
        self.openings.forget_network(network.number)
        del self.networks[network.number]
        if network.side is Side.OUTSIDE:
            self._forget_outside(network)

    def set_interface(
        self, network: Network, interface: Interface | None, next_hop: IpAddress | None
    ) -> None:
        """Give the switch another presence in a network, or none."""
        self.precedents.forget()
        self._leave(network)
        network.interface, network.next_hop = interface, next_hop
        self._enter(network)

    def owner(self, address: IpAddress) -> Network | None:
        """The network in which the switch itself has `address`."""
        return self._owners.get(address)

    def connected(self, address: IpAddress) -> Network | None:
        """The network whose subnet holds `address`."""
        number = int.from_bytes(address, "big")
        for host_bits, networks in self._by_subnet.items():
            network = networks.get(number >> host_bits)
            if network is not None and network.holds(address):
                return network
        return None

    def is_inside(self, address: IpAddress) -> bool:
        """Whether an address is the switch's own, or that of somebody on a network inside."""
        network = self._owners.get(address) or self.connected(address)
        return network is not None and (network.side is Side.INSIDE or network.owns(address))

    def settle_bridging(self) -> None:
        """Note of each network whether stations alone decide what is bridged there: something that
        this depends on has changed."""
        for network in self.networks.values():
            policy = network.policy
            network.bridges_freely = (
                policy.icc
                and not policy.isolated_ports
                and not self.filters.is_asked_within(network.name)
                and all(_is_plain(port) for port in network.ports.values())
            )

    def may_send_error(self, port: int, now: Nanoseconds) -> bool:
        """Count one more ICMP error of our own to a port, where its rate allows it."""
        rate = self._errors.get(port)
        if rate is None:
            rate = self._errors[port] = Rate(self.limits.errors_per_second)
        if rate.take(now):
            return True
        self.errors_withheld += 1
        return False

    def forget_port(self, number: int) -> None:
        """A port went away: nothing waits to be told to it any more."""
        self.precedents.forget()
        self._errors.pop(number, None)
        self.held_syns.forget_port(number)
        self.queries.forget_port(number)
        self.listening.forget_port(number)
        self.settle_bridging()

    # Connections

    def account_of(self, network: Network, address: IpAddress) -> Account:
        """The account of an endpoint, whether it holds something or not."""
        return self.accounts.of(network.number, address, network.translation)

    def begin(self, connection: Connection) -> None:
        """Track a connection for which there is room, with the mapping that it brings."""
        mapping = connection.mapping
        if mapping and self.mappings.of_external(mapping.external) is not mapping:
            self.mappings.add(mapping)
        elif connection.original.protocol in PORTLESS:
            self._pair(connection)
        self.accounts.keep(connection.account)
        connection.revision = self.revision
        self.connections.add(connection)
        self.fastpath.track(connection.number, connection.state)
        visited = self._visited(connection)
        if visited is not None:
            visited.visitors[connection] = None
            self.accounts.keep(visited)

    def end(self, connection: Connection) -> None:
        """Close a connection; its mappings go when their own time comes."""
        self.note_last_outbound(connection)
        self.connections.close(connection)
        self.fastpath.untrack(connection.number)
        for mapping in (connection.mapping, connection.target):
            if mapping is not None:
                self.mappings.settle(mapping)
        visited = self._visited(connection)
        if visited is not None:
            visited.visitors.pop(connection, None)
            self.accounts.settle(visited)
        self.accounts.settle(connection.account)

    def note_last_outbound(self, connection: Connection) -> None:
        """What only the fast path has seen of the inside's frames counts for its mapping too."""
        mappings = connection.mapping, connection.target
        for mapping, key in zip(mappings, connection.keys, strict=True):
            if mapping is not None and key is not None:
                used = self.fastpath.last_used(key)
                mapping.last_outbound = max(mapping.last_outbound, used)

    def let_go(self) -> None:
        """Be without all connections and mappings at once, which takes no time for each: nobody is
        told, and no frame passes any more."""
        self._begin_without_connections()

    def _begin_without_connections(self) -> None:
        self.accounts = Accounts()
        self.connections = ConnectionTable(most_connections(self.limits), self.fastpath.last_used)
        self.mappings = MappingTable(
            self.accounts, self._allowed_ports, self._reserved_ports, self._is_reserved
        )

    def _pair(self, connection: Connection) -> None:
        """Let an endpoint keep the address of an uplink that it was given without a mapping."""
        reply, account = connection.reply, connection.account
        owner = self._owners.get(reply.destination)
        if owner is not None and owner.number == reply.network:
            account.paired.setdefault(reply.network, reply.destination)

    def _visited(self, connection: Connection) -> Account | None:
        """The account of the endpoint that a hairpin leads to: it belongs to who began it."""
        reply, account = connection.reply, connection.account
        network = self.networks.get(reply.network)
        if network is None or network.side is Side.OUTSIDE:
            return None
        visited = self.account_of(network, reply.source)
        return None if visited is account else visited

    def _enter(self, network: Network) -> None:
        if network.interface is None:
            return
        interface = network.interface
        for address in (interface.address.address, *interface.also):
            self._owners[address] = network
        host_bits, prefix = _subnet_key(interface)
        self._by_subnet.setdefault(host_bits, {})[prefix] = network

    def _forget_outside(self, network: Network) -> None:
        for account in self.accounts:
            account.paired.pop(network.number, None)
        if network.interface is not None:
            for address in (network.interface.address.address, *network.interface.also):
                self.mappings.forget_address(address)
        if self.uplink is network:  # another one would let out what is not meant for it
            self.uplink = None

    def _leave(self, network: Network) -> None:
        if network.interface is None:
            return
        for address in (network.interface.address.address, *network.interface.also):
            del self._owners[address]
        host_bits, prefix = _subnet_key(network.interface)
        del self._by_subnet[host_bits][prefix]

    def _allowed_ports(self, address: IpAddress) -> tuple[range, ...]:
        network = self._owners.get(address)
        return network.outside.ports if network else ()

    def _reserved_ports(self, protocol: int, address: IpAddress) -> Iterator[range]:
        if self.one_to_one.internal(address) is not None:
            yield EVERY_PORT
        for publication in self.publications.on(protocol, address):
            yield publication.host_ports

    def _is_reserved(self, external: External) -> bool:
        protocol, address, port = external.protocol, external.address, external.port
        stands_for_one = self.one_to_one.internal(address) is not None
        return stands_for_one or self.publications.find(protocol, address, port) is not None


class OneToOne:
    """Static NAT as distinct from NAPT: one inside address for one outside address, both ways."""

    def __init__(self) -> None:
        self._internal: dict[IpAddress, tuple[int, IpAddress]] = {}
        self._external: dict[tuple[int, IpAddress], IpAddress] = {}

    def add(self, network: int, internal: IpAddress, external: IpAddress) -> None:
        """Let `external` stand for `internal` of a network."""
        self._internal[external] = network, internal
        self._external[network, internal] = external

    def remove(self, external: IpAddress) -> tuple[int, IpAddress]:
        """Stop that; the answer is what it stood for."""
        network, internal = self._internal.pop(external)
        del self._external[network, internal]
        return network, internal

    def internal(self, external: IpAddress) -> tuple[int, IpAddress] | None:
        """The network and address that `external` stands for."""
        return self._internal.get(external)

    def external(self, network: int, internal: IpAddress) -> IpAddress | None:
        """The address that stands for an inside one."""
        return self._external.get((network, internal))


def _is_plain(port: Port) -> bool:
    """Whether stations alone decide whom a port reaches."""
    return port.policy.role is not PortRole.ISOLATED and port.policy.addresses is None


def _subnet_key(interface: Interface) -> tuple[int, int]:
    """How many bits of an address are the host's, and the number that the others spell."""
    subnet = interface.address.network
    host_bits = 8 * len(subnet.address) - subnet.prefix_length
    return host_bits, int.from_bytes(subnet.address, "big") >> host_bits
