"""What is changed while frames flow, and which flows end with it.

Theory of operation. A connection belongs to its endpoint and to what let it in. When the endpoint
leaves, when a port is published or no longer, when an address of an uplink is another one, exactly
the connections concerned end, at once: the next frame meets the tables as they are now, and nobody
goes on talking to whoever had the address before. Where the network's configuration says so, the
ends of a TCP connection are told (`resets`).

Every change takes the time at which it happens, as a port that is given up rests from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from vswitch.dataplane.conntrack import Connection
from vswitch.dataplane.counters import Counters
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.kept import KeptPrograms
from vswitch.dataplane.mappings import External, Internal, Mapping
from vswitch.dataplane.ports import PORTS
from vswitch.dataplane.publications import Publication
from vswitch.dataplane.resets import resets
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.topology import Interface, Side
from vswitch.dataplane.verdict import Delivery, Fate, Onward
from vswitch.units import Nanoseconds
from vswitch.wire.values import IpAddress

Send = Callable[[Iterable[Delivery], Nanoseconds], None]


class Changes:
    """Changes to the tables of one switch; `send` is how it sends what is to be told."""

    def __init__(self, tables: Tables, kept: KeptPrograms, counters: Counters, send: Send) -> None:
        self._tables = tables
        self._kept = kept
        self._counters = counters
        self._send = send

    # Ports that lead inside

    def publish(self, publication: Publication, now: Nanoseconds) -> None:
        """Let ports of the switch's own addresses lead to an endpoint, and to nobody else.

        A mapping that has been given one of them ends, with all connections by it.
        """
        tables = self._tables
        protocol, address, ports = (
            publication.protocol,
            publication.host_address,
            publication.host_ports,
        )
        tables.publications.add(publication)
        tables.precedents.forget()
        for mapping in list(tables.mappings):
            external = mapping.external
            published = tables.publications.find(external.protocol, external.address, external.port)
            if not mapping.is_static and published is publication:
                self.release(mapping, now)
        tables.mappings.reserve(protocol, address, ports)

    def unpublish(self, publication: Publication, now: Nanoseconds) -> None:
        """Stop that, and end the connections that came in by it."""
        tables = self._tables
        tables.publications.remove(publication)
        tables.precedents.forget()
        tables.mappings.unreserve(
            publication.protocol, publication.host_address, publication.host_ports
        )
        account = tables.accounts.find(publication.network, publication.endpoint)
        self.end([each for each in account or () if each.publication == publication], now)

    def map_statically(self, internal: Internal, external: External, now: Nanoseconds) -> None:
        """Let an inside port have an external one for good; whoever has either by itself loses it.

        The external address is one of the switch's.
        """
        tables = self._tables
        network, owner = tables.networks[internal.network], tables.owner(external.address)
        if owner is None:
            raise ValueError(f"{external.address} is no address of the switch")
        for earlier in (
            tables.mappings.of_external(external),
            tables.mappings.of_internal(internal, owner.number),
        ):
            if earlier is not None and tables.mappings.of_external(earlier.external) is earlier:
                self.release(earlier, now)
        account = tables.account_of(network, internal.address)
        tables.mappings.add(Mapping(internal, external, owner.number, account, now, is_static=True))
        tables.precedents.forget()

    def unmap_statically(self, external: External, now: Nanoseconds) -> None:
        """Stop that, and end the connections by it."""
        mapping = self._tables.mappings.of_external(external)
        if mapping is not None and mapping.is_static:
            self.release(mapping, now)
            self._tables.precedents.forget()

    def translate_one_to_one(
        self, network: int, internal: IpAddress, external: IpAddress, now: Nanoseconds
    ) -> None:
        """Let one address of the switch stand for one inside address, for everything, both ways.

        What both had before ends.
        """
        tables = self._tables
        self._release_all(lambda mapping: mapping.external.address == external, now)
        self.end([each for each in tables.connections if each.reply.destination == external], now)
        self._forget_endpoint(network, internal, now)
        tables.one_to_one.add(network, internal, external)
        tables.precedents.forget()
        for protocol in tables.mappings.protocols:
            tables.mappings.reserve(protocol, external, PORTS)

    def forget_one_to_one(self, external: IpAddress, now: Nanoseconds) -> None:
        """Stop that, and end all connections of the endpoint."""
        network, internal = self._tables.one_to_one.remove(external)
        self._tables.precedents.forget()
        self._tables.mappings.forget_address(external)
        self._forget_endpoint(network, internal, now)

    # Who is there

    def forget_address(self, network: int, address: IpAddress, now: Nanoseconds) -> None:
        """An endpoint is gone: end its connections, free its ports, forget its station."""
        self._tables.precedents.forget()
        self._give_up(self._tables.networks[network].neighbours.forget(address))
        self._forget_endpoint(network, address, now)

    def forget_network(self, number: int, now: Nanoseconds) -> None:
        """A network inside is gone, after its ports: end all that was begun on it or led there.

        Raises ValueError where it has a port, or is outside.
        """
        tables = self._tables
        network = tables.networks[number]
        if network.ports or network.side is Side.OUTSIDE:
            raise ValueError(f"network {network.name} is in use")
        self.end([each for each in tables.connections if _is_on(each, number)], now)
        self._release_all(lambda mapping: mapping.internal.network == number, now)
        tables.remove_network(network)

    def set_interface(
        self, number: int, interface: Interface | None, next_hop: IpAddress | None, now: Nanoseconds
    ) -> None:
        """Give the switch another presence in a network, or none.

        What was translated to an address that it has no longer ends; what was translated to one
        that it keeps, or that comes back after having been away, goes on.
        """
        tables = self._tables
        network = tables.networks[number]
        tables.set_interface(network, interface, next_hop)
        for port in network.ports:
            tables.fastpath.set_gateway(port, interface.mac if interface else None)
            tables.held_syns.forget_port(port)
        tables.invalidate()
        if interface is None:
            return
        self.end([each for each in tables.connections if self._is_stranded(each, number)], now)
        self._release_all(
            lambda mapping: mapping.uplink == number and mapping.external.address not in interface,
            now,
        )

    # Ends

    def end(self, connections: Iterable[Connection], now: Nanoseconds) -> None:
        """End connections, and whatever waits because of them."""
        ended = dict.fromkeys(connections)
        for connection in ended:
            self._send(list(resets(self._tables, connection)), now)
            self.close(connection)
        tuples = (each for one in ended for each in (one.original, one.reply))
        for number in {each.network for each in tuples}:
            network = self._tables.networks.get(number)
            if network is not None:
                left = network.neighbours.withdraw(lambda onward: onward.connection in ended)
                self._give_up(left)

    def close(self, connection: Connection) -> None:
        """End one connection for which nothing waits, as its time is over."""
        # The tables ask the fast path when its entries were last used, so these go afterwards.
        self._tables.end(connection)
        self._kept.forget(connection)

    def release(self, mapping: Mapping, now: Nanoseconds) -> None:
        """End a mapping and all connections by it, those included that were never answered."""
        if mapping.holders or mapping.guests:
            by_it = [c for c in mapping.account if mapping in (c.mapping, c.target)]
            self.end(by_it, now)
        self._tables.mappings.release(mapping, now)

    def _forget_endpoint(self, network: int, address: IpAddress, now: Nanoseconds) -> None:
        account = self._tables.accounts.find(network, address)
        if account is not None:
            self.end(account, now)
            self._release_all(lambda mapping: mapping.account is account, now)

    def _release_all(self, concerned: Callable[[Mapping], bool], now: Nanoseconds) -> None:
        for mapping in [each for each in self._tables.mappings if concerned(each)]:
            self.release(mapping, now)

    def _is_stranded(self, connection: Connection, network: int) -> bool:
        """Whether a connection is known, on a network, under an address that is not ours now."""
        original, reply = connection.original, connection.reply
        under = []
        if original.destination != reply.source:
            under.append(original)
        if reply.destination != original.source:
            under.append(reply)
        owners = [self._tables.owner(each.destination) for each in under if each.network == network]
        return any(owner is None or owner.number != network for owner in owners)

    def _give_up(self, waiting: Iterable[Onward]) -> None:
        for onward in waiting:
            reason = DropReason.ENDED_WHILE_WAITING
            self._counters.count(onward.arrived_by, Fate.DROPPED, reason)


def _is_on(connection: Connection, network: int) -> bool:
    return network in (connection.original.network, connection.reply.network)
