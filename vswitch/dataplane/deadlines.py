"""What the passing of time asks for, in all tables of a switch.

Theory of operation. Each table knows its own deadlines. `next` is the earliest of them, so that one
timer stands for all, and `come` asks each table what is due: connections, mappings and publications
end, stations and neighbours age, DHCP goes on, and whoever has sent a frame that waited in vain
hears of it. What is to be sent is handed to the caller. How long anything lives is its table's to
say.

Time brings something only to networks that have had a port (`watch`), until nothing is left there
that could happen: a thousand without one cost no frame anything.
"""

from __future__ import annotations

from collections.abc import Iterator

from vswitch.dataplane import dhcp_stage, lease_stage, policy
from vswitch.dataplane.changes import Changes
from vswitch.dataplane.counters import Counters
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.egress import ask
from vswitch.dataplane.kept import KeptPrograms
from vswitch.dataplane.mappings import Mapping
from vswitch.dataplane.neighbours import Tick
from vswitch.dataplane.reassembly import Expired
from vswitch.dataplane.responders import icmp as icmp_responder
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.topology import Network
from vswitch.dataplane.verdict import Delivery, Fate, Onward
from vswitch.fastpath.program import Output, Program
from vswitch.units import Nanoseconds
from vswitch.wire.buffer import Buffer
from vswitch.wire.ethernet import Ethernet
from vswitch.wire.icmp import TimeExceeded, Type, Unreachable
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.malformed import Malformed


class Deadlines:
    """Those of one switch. Sans-I/O: the time comes in."""

    def __init__(
        self, tables: Tables, changes: Changes, kept: KeptPrograms, counters: Counters
    ) -> None:
        self._tables = tables
        self._changes = changes
        self._kept = kept
        self._counters = counters
        self._awake: dict[int, Network] = {}
        """The networks for which time may bring something, by number."""

    def watch(self, network: Network) -> None:
        """A network has a port: something may happen there."""
        self._awake[network.number] = network

    def forget_network(self, number: int) -> None:
        """A network is gone."""
        self._awake.pop(number, None)

    def next(self) -> Nanoseconds | None:
        """When `come` has something to do, or None while nothing can happen by itself."""
        tables = self._tables
        deadlines = [
            tables.connections.next_deadline(),
            tables.mappings.next_deadline(),
            tables.publications.next_deadline(),
            tables.held_syns.next_deadline(),
            tables.reassembly.next_deadline(),
            self._changes.revalidation.next_deadline(),
            *(client.next_deadline() for client in tables.dhcp_clients.values()),
            tables.dhcp_servers.next_deadline(),
        ]
        for network in self._awake.values():
            deadlines += [network.neighbours.next_deadline(), network.fdb.next_turn()]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def come(self, now: Nanoseconds) -> Iterator[Delivery]:
        """Age, expire, ask again; what is to be sent. Done as far as this is iterated over."""
        self._end(now)
        for network in list(self._awake.values()):
            self._turn_fdb(network, now)
            yield from self._ask_neighbours(network, network.neighbours.tick(now), now)
            if not network.ports and network.host is None:
                self._let_sleep(network)
        yield from self._refuse_held_syns(now)
        yield from self._expire_fragments(now)
        yield from self._go_on_with_leases(now)

    # What ends, and what is looked for anew

    def _end(self, now: Nanoseconds) -> None:
        for connection in self._tables.connections.due(now):
            self._changes.close(connection)
        for mapping in list(self._tables.mappings.due(now)):
            self._end_idle(mapping, now)
        self._changes.expire_publications(now)
        self._changes.revalidation.tick(now)

    def _end_idle(self, mapping: Mapping, now: Nanoseconds) -> None:
        """Release a mapping whose time is over, unless what ended before has taken it along."""
        if self._tables.mappings.of_external(mapping.external) is mapping:
            self._changes.release(mapping, now)

    def _turn_fdb(self, network: Network, now: Nanoseconds) -> None:
        turn = network.fdb.next_turn()
        if turn is None or turn > now:
            return
        self._kept.refresh_stations(network, now)
        if network.fdb.turn(now):
            self._tables.invalidate()

    def _ask_neighbours(
        self, network: Network, tick: Tick[Onward], now: Nanoseconds
    ) -> Iterator[Delivery]:
        if tick.lost:
            self._tables.invalidate()
        if network.interface is not None:
            for address in tick.ask:
                yield from ask(network, network.interface, address)
        for onward in tick.unreachable:
            reason = DropReason.NEIGHBOUR_UNREACHABLE
            self._counters.count(onward.arrived_by, Fate.DROPPED, reason)
            yield from self._tell_unreachable(onward, now)

    def _let_sleep(self, network: Network) -> None:
        """A network without ports, as soon as nothing is left that could happen there."""
        if network.neighbours.next_deadline() is None and network.fdb.next_turn() is None:
            del self._awake[network.number]

    def _go_on_with_leases(self, now: Nanoseconds) -> Iterator[Delivery]:
        """What DHCP's clients and servers have to say."""
        tables = self._tables
        for number, client in tables.dhcp_clients.items():
            yield from dhcp_stage.carry_out(tables, tables.networks[number], client.tick(now))
        for number, step in tables.dhcp_servers.tick(now):
            network, server = tables.networks[number], tables.dhcp_servers.by_network[number]
            yield from lease_stage.carry_out(tables, network, server, step)
        if tables.dhcp_servers.vacated:
            self._changes.vacate(now)

    # Who is to hear that nothing came of a frame

    def _tell_unreachable(self, onward: Onward, now: Nanoseconds) -> Iterator[Delivery]:
        """RFC 1812, 5.2.7.1: the sender of a frame whose next hop does not answer hears of it."""
        network = self._tables.networks.get(onward.arrived_on)
        if network is not None:
            kind, code = Type.DESTINATION_UNREACHABLE, Unreachable.HOST
            yield from self._tell(onward.arrived_by, network, onward.frame, kind, code, now)

    def _refuse_held_syns(self, now: Nanoseconds) -> Iterator[Delivery]:
        """RFC 5382, REQ-4: nobody inside has opened to them."""
        for syn in self._tables.held_syns.due(now):
            if refused := self._tellable(syn.port, syn.frame, now):
                yield _sent(syn.port, icmp_responder.unreachable(*refused, Unreachable.PORT))

    def _expire_fragments(self, now: Nanoseconds) -> Iterator[Delivery]:
        self._counters.count_lost_fragments(self._tables.reassembly.take_dropped())
        for expired in self._tables.reassembly.expire(now):
            reason = DropReason.FRAGMENT_TIMEOUT
            self._counters.count_lost(expired.port, reason, expired.frames)
            yield from self._tell_incomplete(expired, now)

    def _tell_incomplete(self, expired: Expired, now: Nanoseconds) -> Iterator[Delivery]:
        """RFC 792: a reassembly that failed is told to the sender, if the first fragment came."""
        port = self._tables.ports.get(expired.port)
        if port is None or expired.first is None:
            return
        network = self._tables.networks[port.network]
        kind, code = Type.TIME_EXCEEDED, TimeExceeded.REASSEMBLY
        yield from self._tell(expired.port, network, expired.first, kind, code, now)

    def _tell(
        self, port: int, network: Network, frame: Buffer, kind: Type, code: int, now: Nanoseconds
    ) -> Iterator[Delivery]:
        """An error about a frame that had waited, to the port that it came in by."""
        interface = network.interface
        if interface is not None and (told := self._tellable(port, frame, now)):
            yield _sent(port, icmp_responder.error(*told, interface, kind, code))

    def _tellable(self, port: int, frame: Buffer, now: Nanoseconds) -> tuple[Ethernet, Ipv4] | None:
        """A frame that had waited, if an error about it may be sent; then one more has been."""
        ethernet = Ethernet.parse(frame)
        if isinstance(ethernet, Malformed):
            return None
        packet = Ipv4.parse(frame, ethernet.payload)
        if isinstance(packet, Malformed) or not icmp_responder.is_answerable(ethernet, packet):
            return None
        arrived = self._tables.ports.get(port)
        if arrived is None:
            return None
        network = self._tables.networks[arrived.network]
        if not policy.may_report(packet, network, self._tables):
            return None
        return (ethernet, packet) if self._tables.may_send_error(port, now) else None


def _sent(port: int, frame: bytearray) -> Delivery:
    return Delivery.by(Program((Output(port),)), frame)
