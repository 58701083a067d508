"""The switch: ports and networks in, frames in, frames out. No I/O, no clock.

Theory of operation. `receive` asks the pipeline for a verdict and carries it out: the fast path
runs the program of each delivery, keeps it where it has a key, and the frames to send are
returned. `serve` is one round on a readable device: the fast path finishes the hits by itself, the
misses go through `receive`, and what comes out is transmitted. `tick` does what the passing of
time asks for, and `next_deadline` says when to call it. The tables are changed through this class
alone.

A port may be impaired: `impair` puts a bad line in front of its device, which holds frames back.
What is due leaves at the end of each round and transmission, and `tick` lets come in what is due
there. A switch without such a port has one branch more.

Read `pipeline` for how a frame is decided about; this module decides nothing about frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum, auto
from random import Random
from typing import NamedTuple

from vswitch.dataplane.conntrack import CACHEABLE, RFC_TIMEOUTS, Connection, Timeouts
from vswitch.dataplane.counters import Counters
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.mappings import External, Mapping
from vswitch.dataplane.neighbours import Tick
from vswitch.dataplane.observer import Observer
from vswitch.dataplane.pipeline import decide
from vswitch.dataplane.publications import Publication
from vswitch.dataplane.responders import arp as arp_responder
from vswitch.dataplane.responders import icmp as icmp_responder
from vswitch.dataplane.router import ask
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.topology import Network, Port, Side
from vswitch.dataplane.verdict import Delivery, Fate, Flow, Onward, Verdict
from vswitch.devices.base import Device, DeviceGone
from vswitch.devices.impair import ImpairedDevice
from vswitch.fastpath import select
from vswitch.fastpath.program import Output, Program
from vswitch.fastpath.reference import CAPACITY, FlowCounters
from vswitch.impairment import Impairments
from vswitch.units import Nanoseconds
from vswitch.wire.buffer import MutableBuffer
from vswitch.wire.ethernet import Ethernet
from vswitch.wire.icmp import Type, Unreachable
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.malformed import Malformed
from vswitch.wire.values import IpAddress

FLOWS = 2 * CAPACITY
"""Flows that are remembered before those that the fast path has evicted are looked for."""


class Egress(NamedTuple):
    """A frame to send, and the port to send it by."""

    port: int
    frame: MutableBuffer
    flow: int = 0
    """The number of the connection that it belongs to, 0 where there is none."""


class Served(Enum):
    """Who saw the frames of a round."""

    BY_FAST_PATH = auto()
    """Nothing was decided, so no deadline has come nearer."""
    BY_PIPELINE = auto()
    WITH_FRAMES_HELD = auto()
    """Whoever saw them, a bad line may hold some back: a deadline may have come nearer."""


class Switch:
    """One switch: networks, ports, and everything that is learned about them."""

    def __init__(self, random: Random, timeouts: Timeouts = RFC_TIMEOUTS) -> None:
        self.fastpath = select()
        self.tables = Tables(random, self.fastpath.key, timeouts)
        self.counters = Counters()
        self._flows: dict[bytes, Flow] = {}
        self.impaired: dict[int, ImpairedDevice] = {}
        """The devices of the ports that have a bad line, by number; `impair` changes it."""
        self._observer: Observer | None = None
        self._now: Nanoseconds = 0
        self._last_network = 0
        self._last_port = 0

    # What the switch consists of

    def add_network(self, network: Network) -> None:
        """Begin a broadcast domain. Its number is given by `new_network_number`."""
        self.tables.add_network(network)

    def new_network_number(self) -> int:
        """A number that no network has had."""
        self._last_network += 1
        return self._last_network

    def add_port(self, name: str, network: int, device: Device) -> Port:
        """Connect a device to a network."""
        self._last_port += 1
        port = Port(self._last_port, name, network)
        domain = self.tables.networks[network]
        interface = domain.interface
        self.fastpath.attach(port.number, device, interface.mac if interface else None)
        self.tables.ports[port.number] = port
        domain.ports[port.number] = port
        return port

    def remove_port(self, number: int) -> None:
        """Take a port away, with all that was learned on it."""
        port = self.tables.ports.pop(number)
        network = self.tables.networks[port.network]
        del network.ports[number]
        network.fdb.forget_port(number)
        self.fastpath.detach(number)
        self.impaired.pop(number, None)

    def impair(self, number: int, impairments: Impairments, now: Nanoseconds) -> None:
        """Let a port's line be as bad as that, from now on and from the seed's beginning.

        What an earlier impairment of the port holds is let go first.
        """
        device, impaired = self.fastpath.device(number), self.impaired.get(number)
        if impaired is not None:
            device = impaired.device
            impaired.open()
            while impaired.next_deadline() is not None:
                self._let_go(now)
            del self.impaired[number]
        if not impairments.is_none:
            device = ImpairedDevice(device, impairments, lambda: self._now)
            self.impaired[number] = device
        self.fastpath.replace_device(number, device)

    def forget_address(self, network: int, address: IpAddress) -> None:
        """An endpoint is gone: end its connections, free its external ports, forget its station."""
        self._give_up(self.tables.networks[network].neighbours.forget(address))
        self._close(
            connection
            for connection in self.tables.connections
            for side in (connection.original, connection.reply)
            if (side.network, side.source) == (network, address)
        )
        for mapping in list(self.tables.mappings):
            if (mapping.internal.network, mapping.internal.address) == (network, address):
                self.tables.mappings.release(mapping)

    def publish(self, publication: Publication) -> None:
        """Let a port of the switch's own addresses lead to an endpoint, and to nobody else.

        A mapping that has been given one of its ports ends, with all connections by it.
        """
        tables = self.tables
        tables.publications.add(publication)
        for mapping in list(tables.mappings):
            if tables.publications.find(*mapping.external) == publication:
                self._close(c for c in tables.connections if _goes_by(c, mapping))
                tables.mappings.release(mapping)

    def unpublish(self, publication: Publication) -> None:
        """Stop that, and end the connections that came in by it."""
        self.tables.publications.remove(publication)
        self._close(c for c in self.tables.connections if c.publication == publication)

    # Frames

    def serve(self, port: int, now: Nanoseconds) -> Served:
        """One round on a port whose device is readable. Raises `DeviceGone`."""
        self._now = now
        misses = self.fastpath.run(port, now)
        for frame in misses:
            self.transmit(self.receive(port, frame, now), now)
        if self.impaired:
            self._send_due(now)
            return Served.WITH_FRAMES_HELD
        return Served.BY_PIPELINE if misses else Served.BY_FAST_PATH

    def receive(self, port: int, frame: MutableBuffer, now: Nanoseconds) -> list[Egress]:
        """Decide about a frame, and return what is to be sent. The frame is rewritten in place."""
        verdict = decide(self.tables, port, frame, now)
        self.counters.count(port, verdict.fate, verdict.reason)
        if self._observer is not None:
            self._observer.decided(port, frame, verdict, now)
        return self._carry_out(verdict)

    def transmit(self, frames: Iterable[Egress], now: Nanoseconds) -> None:
        """Send frames, each made to fit its device."""
        self._now = now
        for egress in frames:
            self.fastpath.transmit(egress.port, egress.frame, egress.flow, now)
        if self.impaired:
            self._send_due(now)

    def observe(self, observer: Observer | None) -> None:
        """Let `observer` read along; None ends that."""
        self._observer = self.fastpath.observer = observer

    def trace(self, port: int, frame: MutableBuffer, now: Nanoseconds) -> Verdict:
        """What would become of a frame, and why. Nothing is changed, the frame included."""
        return decide(self.tables, port, frame, now, commit=False)

    def kept(self, connection: Connection) -> list[tuple[Flow, FlowCounters]]:
        """What the fast path keeps for a connection, with what it has seen."""
        entries: list[tuple[Flow, FlowCounters]] = []
        for key in connection.keys:
            flow, counters = self._flows.get(key), self.fastpath.flow_counters(key)
            if flow is not None and flow.connection is connection and counters is not None:
                entries.append((flow, counters))
        return entries

    def announce(self, network: int) -> list[Egress]:
        """Tell a network which station has the switch's address: caches may hold an older one."""
        domain = self.tables.networks[network]
        if domain.interface is None:
            return []
        frame = arp_responder.announcement(domain.interface)
        program = Program(tuple(Output(number) for number in domain.ports))
        return list(self._execute((Delivery(frame, program),)))

    # Time

    def next_deadline(self) -> Nanoseconds | None:
        """When `tick` has something to do, or None while nothing can happen by itself."""
        tables = self.tables
        deadlines = [tables.connections.next_deadline(), tables.mappings.next_deadline()]
        for network in tables.networks.values():
            deadlines += [network.neighbours.next_deadline(), network.fdb.next_turn()]
        if self.impaired:
            deadlines += [device.next_deadline() for device in self.impaired.values()]
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    def tick(self, now: Nanoseconds) -> list[Egress]:
        """Let time pass: age, expire, ask again, let held frames go. Returns what is to be sent."""
        for connection in self.tables.connections.expire(now, self._last_used):
            self._forget_entries(connection.keys)
        self.tables.mappings.expire(now)
        sent: list[Egress] = []
        for network in self.tables.networks.values():
            self._turn_fdb(network, now)
            sent += self._tick_neighbours(network, network.neighbours.tick(now))
        if self.impaired:
            self._let_go(now)
        return sent

    # How verdicts are carried out

    def _carry_out(self, verdict: Verdict) -> list[Egress]:
        if verdict.invalidates:
            self.fastpath.invalidate()
        self._forget_entries(verdict.stale_keys)
        return list(self._execute(verdict.deliveries))

    def _execute(self, deliveries: Iterable[Delivery]) -> Iterator[Egress]:
        for delivery in deliveries:
            frame, kept, flow = delivery.frame, delivery.kept, delivery.flow
            if kept is None or not self._may_be_kept(kept):
                outputs = self.fastpath.execute(delivery.program, frame)
            else:
                outputs = self.fastpath.execute(delivery.program, frame, kept.key, flow)
                self._remember(kept)
                if kept.connection is not None:
                    kept.connection.keys.add(kept.key)
            for port in outputs:
                yield Egress(port, frame, flow)

    def _may_be_kept(self, flow: Flow) -> bool:
        """A frame may have waited until its connection is in a state that has to see all others."""
        return flow.connection is None or (
            flow.connection in self.tables.connections and flow.connection.state in CACHEABLE
        )

    def _remember(self, flow: Flow) -> None:
        if len(self._flows) >= FLOWS:
            for key in [key for key in self._flows if self.fastpath.flow_counters(key) is None]:
                self._forget_entries((key,))
        self._flows[flow.key] = flow

    def _forget_entries(self, keys: Iterable[bytes]) -> None:
        for key in list(keys):
            seen = self.fastpath.flow_counters(key)
            self.fastpath.remove(key)
            flow = self._flows.pop(key, None)
            if flow is None or flow.connection is None:
                continue
            flow.connection.keys.discard(key)
            if seen is not None:
                flow.connection.frames += seen.frames
                flow.connection.bytes += seen.bytes

    def _close(self, connections: Iterable[Connection]) -> None:
        closed = set(connections)
        for connection in closed:
            self.tables.connections.close(connection)
            self._forget_entries(connection.keys)
        for network in self.tables.networks.values():
            self._give_up(network.neighbours.withdraw(lambda onward: onward.connection in closed))

    def _give_up(self, waiting: Iterable[Onward]) -> None:
        for onward in waiting:
            reason = DropReason.ENDED_WHILE_WAITING
            self.counters.count(onward.arrived_by, Fate.DROPPED, reason)

    # What time brings

    def _let_go(self, now: Nanoseconds) -> None:
        """A round on each port to which frames have come through its line, and send what is due."""
        for number, device in list(self.impaired.items()):
            due = device.incoming.next_deadline()
            if due is not None and due <= now:
                try:
                    self.serve(number, now)
                except DeviceGone:
                    self.fastpath.gone.add(number)
        self._send_due(now)

    def _send_due(self, now: Nanoseconds) -> None:
        for number, device in self.impaired.items():
            for octets, answer in device.send_due(now):
                self.fastpath.settle(number, octets, answer)

    def _last_used(self, key: bytes) -> Nanoseconds:
        counters = self.fastpath.flow_counters(key)
        return counters.last_used if counters else 0

    def _turn_fdb(self, network: Network, now: Nanoseconds) -> None:
        turn = network.fdb.next_turn()
        if turn is None or turn > now:
            return
        self._refresh_stations(network, now)
        if network.fdb.turn(now):
            self.fastpath.invalidate()

    def _refresh_stations(self, network: Network, now: Nanoseconds) -> None:
        """Learn the senders that only the fast path has heard since the last turn."""
        for key, flow in list(self._flows.items()):
            if flow.network != network.number or network.side is Side.OUTSIDE:
                continue
            used = self._last_used(key) > network.fdb.turned_at and flow.port in network.ports
            if used and network.fdb.where(flow.station) in (flow.port, None):
                network.fdb.learn(flow.station, flow.port, now)
            elif flow.connection is None:
                self._forget_entries((key,))

    def _tick_neighbours(self, network: Network, tick: Tick[Onward]) -> Iterator[Egress]:
        if tick.lost:
            self.fastpath.invalidate()
        if network.interface is not None:
            for address in tick.ask:
                yield from self._execute(ask(network, network.interface, address))
        for onward in tick.unreachable:
            self.counters.count(onward.arrived_by, Fate.DROPPED, DropReason.NEIGHBOUR_UNREACHABLE)
            yield from self._tell_unreachable(onward)

    def _tell_unreachable(self, onward: Onward) -> Iterator[Egress]:
        """RFC 1812, 5.2.7.1: the sender of a frame whose next hop does not answer hears of it."""
        network = self.tables.networks.get(onward.arrived_on)
        ethernet = Ethernet.parse(onward.frame)
        if network is None or network.interface is None or isinstance(ethernet, Malformed):
            return
        packet = Ipv4.parse(onward.frame, ethernet.payload)
        if isinstance(packet, Malformed) or not icmp_responder.is_answerable(ethernet, packet):
            return
        error = icmp_responder.error(
            ethernet, packet, network.interface, Type.DESTINATION_UNREACHABLE, Unreachable.HOST
        )
        yield Egress(onward.arrived_by, error)


def _goes_by(connection: Connection, mapping: Mapping) -> bool:
    """Whether a connection has the mapping's external port, as its own or as where it leads."""
    original = connection.original
    target = External(original.protocol, original.destination, original.destination_port)
    return connection.mapping is mapping or target == mapping.external
