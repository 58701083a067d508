"""What is changed while frames flow, and which flows end with it.

Theory of operation. A connection belongs to its endpoint and to what let it in. When the endpoint
leaves, when a port is published or no longer, when an address of an uplink is another one, exactly
the connections concerned end, at once: the next frame meets the tables as they are now, and nobody
goes on talking to whoever had the address before. Where the network's configuration says so, the
ends of a TCP connection are told (`resets`). So it is where a publication ends by itself: its time
is over, or the one connection that it was for.

A rule is no different: when what a user says about who may talk to whom changes, each connection is
asked about anew before another frame of it passes (`revalidation`), as is each flow within a
network (`bridged`), and exactly those end that may not be any more.

A change that can give up a port takes the time at which it happens, as that rests from then on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from vswitch.dataplane import policy
from vswitch.dataplane.conntrack import Connection
from vswitch.dataplane.counters import Counters
from vswitch.dataplane.dhcp.server.book import Addresses, Grant, Terms
from vswitch.dataplane.dhcp.server.server import DhcpServer
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.filters import Entry
from vswitch.dataplane.kept import KeptPrograms
from vswitch.dataplane.mappings import External, Internal, Mapping
from vswitch.dataplane.openings import AllowedNames
from vswitch.dataplane.ports import PORTS
from vswitch.dataplane.publications import Publication
from vswitch.dataplane.resets import resets
from vswitch.dataplane.revalidation import Revalidation
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.topology import Interface
from vswitch.dataplane.verdict import Delivery, Fate, Onward
from vswitch.policy import Filter, Link, NetworkPolicy, PortPolicy
from vswitch.translation import Translation
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
        self.revalidation = Revalidation(tables, self.end)
        """Of the connections that there were when rules changed."""
        tables.end_refused = lambda connection, now: self.end((connection,), now)
        self.ended_publications: list[Publication] = []
        """Those that have come to their end by themselves, and that nobody has taken note of."""

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
        tables.publications.add(publication, now)
        tables.precedents.forget()
        for mapping in list(tables.mappings):
            external = mapping.external
            published = tables.publications.find(external.protocol, external.address, external.port)
            if not mapping.is_static and published is publication:
                self.release(mapping, now)
        tables.mappings.reserve(protocol, address, ports)

    def unpublish(self, publication: Publication, now: Nanoseconds) -> None:
        """Stop that, and end the connections that it has let in."""
        self._withdraw(publication)
        tables = self._tables
        account = tables.accounts.find(publication.network, publication.endpoint)
        self.end(
            [
                each
                for each in account or ()
                if each.publication == publication or policy.refuse_connection(tables, each)
            ],
            now,
        )

    def expire_publications(self, now: Nanoseconds) -> None:
        """Stop what is published no longer than until now."""
        for publication in self._tables.publications.due(now):
            self.unpublish(publication, now)
            self.ended_publications.append(publication)

    def end_served_publications(self, now: Nanoseconds) -> None:
        """Stop what was for one connection that has been, and is not there any more."""
        table = self._tables.publications
        going_on = {each.publication for each in self._tables.connections}
        for publication in [each for each in table if table.has_served(each)]:
            if publication not in going_on:
                self.unpublish(publication, now)
                self.ended_publications.append(publication)

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

    # Who may talk to whom

    def set_filters(self, rules: Iterable[Filter], now: Nanoseconds) -> None:
        """Let these be the user's filters, in this order; those that stay keep what they count."""
        self._tables.filters.replace(rules)
        self._revalidate(now)

    def resume_filters(self, rules: Iterable[tuple[int | None, Filter]], now: Nanoseconds) -> None:
        """Let the user's filters be those of another switch, by their numbers there; new ones have
        none yet."""
        self._tables.filters.resume(rules)
        self._revalidate(now)

    def add_filter(self, rule: Filter, now: Nanoseconds, before: int | None = None) -> Entry:
        """Ask one more filter, as the last or in front of the one numbered `before`.

        Raises LookupError where that is not there.
        """
        entry = self._tables.filters.add(rule, before)
        self._revalidate(now)
        return entry

    def remove_filter(self, number: int, now: Nanoseconds) -> Entry:
        """Ask a filter no longer. Raises LookupError where it is not there."""
        entry = self._tables.filters.remove(number)
        self._revalidate(now)
        return entry

    def set_forwarding(self, forwards: bool, now: Nanoseconds) -> None:
        """Let packets pass between networks, and between them and the outside, or none."""
        self._tables.forwards = forwards
        self._revalidate(now)

    def set_policy(self, number: int, wanted: NetworkPolicy, now: Nanoseconds) -> None:
        """Let another policy hold for a network inside. Whether that has a gateway at all is
        `set_interface`'s to say, and whom its ports may speak for `set_port_policy`'s."""
        self._tables.networks[number].policy = wanted
        self._revalidate(now)

    def set_allowed_names(self, number: int, wanted: AllowedNames | None, now: Nanoseconds) -> None:
        """Let these names alone lead endpoints of a network inside to the outside, or any address
        where it is None. What lives by a name that is none of them ends."""
        tables = self._tables
        tables.networks[number].allowed = wanted
        tables.openings.review(number, wanted)
        self._revalidate(now)

    def set_answering(self, number: int, *, answers: bool) -> None:
        """Let the gateway of a network inside answer who asks it for names, or not. Who has a
        connection with the host at its port goes on with that."""
        self._tables.networks[number].answers_queries = answers
        self._tables.precedents.forget()

    def set_translation(self, number: int, wanted: Translation, now: Nanoseconds) -> None:
        """Let connections of a network inside be translated in another way, by the same address.

        Those that live go on as long as they may be, and for as long as it says by now.
        """
        tables = self._tables
        tables.networks[number].translation = wanted
        for account in tables.accounts:
            if account.network == number:
                account.follow(wanted)
        self._revalidate(now)

    def set_uplink(self, number: int, uplink: int | None) -> None:
        """Let another network lead the endpoints of a network inside outside, from now on."""
        self._tables.networks[number].uplink = uplink
        self._tables.invalidate()

    def set_port_policy(self, number: int, wanted: PortPolicy) -> None:
        """Let another policy hold for a port, which is about frames and not about connections."""
        tables = self._tables
        port = replace(tables.ports[number], policy=wanted)
        tables.ports[number] = tables.networks[port.network].ports[number] = port
        self._review_bridging()

    def set_links(self, number: int, links: Iterable[Link]) -> None:
        """Let these links alone open ports of a network's endpoints to others of them, where `icc`
        is off, and close what others have opened, for what passes already, too."""
        by_ends: dict[tuple[IpAddress, IpAddress], tuple[Link, ...]] = {}
        for link in links:
            ends = link.parent, link.child
            by_ends[ends] = (*by_ends.get(ends, ()), link)
        network = self._tables.networks[number]
        if network.links != by_ends:
            network.links = by_ends
            self._review_bridging()

    # Addresses that are leased

    def lease(self, number: int, terms: Terms, addresses: Addresses) -> None:
        """Let the gateway of a network inside lease addresses, or go on doing so on other terms.

        What has been granted goes on for as long as it was granted for. Raises ValueError where the
        network has no gateway, or a domain of the search list is none.
        """
        network, servers = self._tables.networks[number], self._tables.dhcp_servers.by_network
        server = servers.get(number)
        if server is not None:
            server.addresses = addresses
            server.follow(terms)
        elif network.interface is None:
            raise ValueError(f"network {network.name} has no gateway, which would lease addresses")
        else:
            servers[number] = DhcpServer(network.interface, network.mtu, terms, addresses)

    def restore_leases(self, number: int, grants: Iterable[Grant], now: Nanoseconds) -> list[Grant]:
        """Let what was granted in an earlier life hold in a network that leases; returns those that
        do not: their time is over, or the address is somebody else's. That is no news."""
        return self._tables.dhcp_servers.restore(number, grants, now)

    def end_lease(self, number: int, address: IpAddress, now: Nanoseconds) -> Grant | None:
        """Let nobody have an address who was leased it; who had it, None where nobody had. The
        station hears of that when it wants more time. That is not told to who keeps grants."""
        lease = self._tables.dhcp_servers.by_network[number].end(address)
        if lease is None:
            return None
        if not lease.is_own:
            self.forget_address(number, address, now)
        return lease.grant

    def stop_leasing(self, number: int) -> None:
        """Lease addresses of a network no longer; what was granted is forgotten, which is no
        news. Stations go on with what they have."""
        self._tables.dhcp_servers.remove(number)

    def vacate(self, now: Nanoseconds) -> None:
        """End what guests have begun whose leases are over, before others get their addresses."""
        vacated, self._tables.dhcp_servers.vacated = self._tables.dhcp_servers.vacated, []
        for number, address in vacated:
            if number in self._tables.networks:
                self.forget_address(number, address, now)

    # Who is there

    def forget_address(self, network: int, address: IpAddress, now: Nanoseconds) -> None:
        """An endpoint is gone: end its connections, free its ports, forget its station."""
        self._tables.precedents.forget()
        self._tables.dhcp_servers.forget_address(network, address)
        self._give_up(self._tables.networks[network].neighbours.forget(address))
        links = self._tables.networks[network].links
        left = [each for ends, opened in links.items() if address not in ends for each in opened]
        self.set_links(network, left)
        self._forget_endpoint(network, address, now)

    def forget_network(self, number: int, now: Nanoseconds) -> None:
        """A network is gone, after its ports: end all that was begun on it or led there.

        What one outside has is given back first: one-to-one addresses, and one that was learnt.
        Raises ValueError where it has a port.
        """
        tables = self._tables
        network = tables.networks[number]
        if network.ports:
            raise ValueError(f"network {network.name} is in use")
        self.end([each for each in tables.connections if _is_on(each, number)], now)
        self._release_all(lambda each: number in (each.internal.network, each.uplink), now)
        tables.bridged.forget_network(number)
        self.stop_leasing(number)
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
        if connection.publication is not None:
            self.leave_publication(connection.publication)

    def leave_publication(self, publication: Publication) -> None:
        """A connection by it has ended, and so has what was published for that one alone."""
        if self._tables.publications.has_served(publication):
            self._withdraw(publication)
            self.ended_publications.append(publication)

    def release(self, mapping: Mapping, now: Nanoseconds) -> None:
        """End a mapping and all connections by it, those included that were never answered."""
        if mapping.holders or mapping.guests:
            by_it = [c for c in mapping.account if mapping in (c.mapping, c.target)]
            self.end(by_it, now)
        self._tables.mappings.release(mapping, now)

    def _revalidate(self, now: Nanoseconds) -> None:
        """Something has changed that says who may talk to whom."""
        self._review_bridging()
        self.revalidation.begin(now)

    def _review_bridging(self) -> None:
        """Something has changed that says who may talk to whom within a network."""
        tables = self._tables
        tables.settle_bridging()
        tables.invalidate()
        tables.bridged.review()

    def _withdraw(self, publication: Publication) -> None:
        """Let nobody else in by it."""
        tables = self._tables
        tables.publications.remove(publication)
        tables.precedents.forget()
        tables.mappings.unreserve(
            publication.protocol, publication.host_address, publication.host_ports
        )

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
