"""The switch: ports and networks in, frames in, frames out. No I/O, no clock.

Theory of operation. `receive` asks the pipeline for a verdict and carries it out: the fast path
runs the program of each delivery, keeps it where it has a key, and the frames to send are
returned. `serve` is one round on a readable device: the fast path finishes the hits by itself, the
misses go through `receive`, and what comes out is transmitted. `tick` does what the passing of
time asks for (`deadlines`), and `next_deadline` says when to call it; what has to be taken note of
behind either is in `news`. What a user changes goes by the methods of `Changes`; the tables are
changed through this class alone.

A port may be impaired: `impair` puts a bad line in front of its device, which holds frames back.
What is due leaves at the end of each round and transmission, and `tick` lets come in what is due
there. A switch without such a port has one branch more.

Read `pipeline` for how a frame is decided about; this module decides nothing about frames.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from enum import Enum, auto
from itertools import chain
from random import Random
from typing import NamedTuple

from vswitch.dataplane import dhcp_stage, queries
from vswitch.dataplane.changes import Changes
from vswitch.dataplane.conntrack import Connection, most_connections
from vswitch.dataplane.counters import Counters
from vswitch.dataplane.deadlines import Deadlines
from vswitch.dataplane.dhcp.client.client import DhcpClient
from vswitch.dataplane.drops import DropReason
from vswitch.dataplane.kept import KeptProgram, KeptPrograms
from vswitch.dataplane.listening import Listener
from vswitch.dataplane.news import SwitchNews
from vswitch.dataplane.observer import DecisionObserver, Observer
from vswitch.dataplane.pipeline import decide
from vswitch.dataplane.queries import Query
from vswitch.dataplane.responders import arp as arp_responder
from vswitch.dataplane.tables import Tables
from vswitch.dataplane.topology import HostPort, Network, Port, Side
from vswitch.dataplane.verdict import Delivery, Fate, Verdict
from vswitch.devices.base import Device, DeviceGone
from vswitch.devices.impair import ImpairedDevice
from vswitch.fastpath import select
from vswitch.fastpath.program import Output, Program
from vswitch.fastpath.ring import Ring
from vswitch.fastpath.twin import LoopingFastPath, Trouble, Waiting
from vswitch.impairment import Impairments
from vswitch.translation import DEFAULT_LIMITS, Limits
from vswitch.units import Nanoseconds
from vswitch.wire import fragment
from vswitch.wire.adapt import adapt
from vswitch.wire.buffer import MutableBuffer
from vswitch.wire.ethernet import HEADER_LENGTH, START
from vswitch.wire.ipv4 import Ipv4
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import Offloads
from vswitch.wire.values import IpAddress, MacAddress

HIGHEST_NUMBER = 0xFFFF
"""Of a port or a network: keys and tuples have two bytes for it."""


LISTENERS = "(names)"
"""What their port and their network are called, as no user can call one."""


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

    def __init__(
        self, random: Random, limits: Limits = DEFAULT_LIMITS, fast_path: str | None = None
    ) -> None:
        """`fast_path` names one, instead of the best there is. Raises NoSuchFastPath."""
        self.fastpath = select(2 * most_connections(limits), fast_path)
        self.tables = Tables(random, self.fastpath, limits)
        self.counters = Counters()
        self._kept = KeptPrograms(self.fastpath, self.tables.connections)
        self.changes = Changes(self.tables, self._kept, self.counters, self._deliver)
        """What a user changes while frames flow."""
        self.impaired: dict[int, ImpairedDevice] = {}
        """The devices of the ports that have a bad line, by number; `impair` changes it."""
        self.news = SwitchNews(self.tables, self.changes)
        """What whoever runs the switch is to take note of."""
        self._deadlines = Deadlines(self.tables, self.changes, self._kept, self.counters)
        self._observer: Observer | None = None
        self._recorder: DecisionObserver | None = None
        self._now: Nanoseconds = 0
        self._last_network = 0
        self._last_port = 0

    # What the switch consists of

    def add_network(self, network: Network) -> None:
        """Begin a broadcast domain. Its number is given by `new_network_number`."""
        self.tables.add_network(network)

    def remove_network(self, number: int, now: Nanoseconds) -> None:
        """End a broadcast domain whose ports are gone, with all that was learned on it."""
        self.changes.forget_network(number, now)
        self._deadlines.forget_network(number)

    def new_network_number(self) -> int:
        """A number that no network has, and none has had lately."""
        self._last_network = _next_number(self._last_network, self.tables.networks)
        return self._last_network

    def add_port(self, name: str, network: int, device: Device) -> Port:
        """Connect a device to a network."""
        port = self._new_port(name, network, device)
        self.tables.networks[network].ports[port.number] = port
        return port

    def add_host_port(self, name: str, network: int, device: Device, mac: MacAddress) -> Port:
        """Connect the host itself to a network inside that has a gateway: it has the gateway's
        address there, and the station `mac`."""
        port = self._new_port(name, network, device)
        self.tables.networks[network].host = HostPort(port.number, mac)
        self.tables.precedents.forget()
        return port

    def add_listener(self, device: Device, mac: MacAddress) -> Port:
        """Connect who listens for queries by TCP at the gateways, at the station `mac`, which is on
        no user's network. What has waited for it is in `Listening.take_early`."""
        number = self.new_network_number()
        self.add_network(Network(number, LISTENERS, Side.INSIDE, None, None, HIGHEST_NUMBER))
        port = self.add_port(LISTENERS, number, device)
        self.tables.listening.begin(Listener(port.number, mac))
        return port

    def remove_listener(self, now: Nanoseconds) -> None:
        """End who listens, where somebody does: another one is made when one is wanted."""
        listener = self.tables.listening.listener
        if listener is not None:
            network = self.tables.ports[listener.port].network
            self.remove_port(listener.port)
            self.remove_network(network, now)

    def _new_port(self, name: str, network: int, device: Device) -> Port:
        self._last_port = _next_number(self._last_port, self.tables.ports)
        port = Port(self._last_port, name, network)
        interface = self.tables.networks[network].interface
        self.fastpath.attach(port.number, device, interface.mac if interface else None)
        self.tables.ports[port.number] = port
        self._deadlines.watch(self.tables.networks[network])
        return port

    def remove_port(self, number: int) -> None:
        """Take a port away, with all that was learned on it."""
        port = self.tables.ports.pop(number)
        network = self.tables.networks[port.network]
        if network.is_host(number):
            network.host = None
        else:
            del network.ports[number]
        network.fdb.forget_port(number)
        self.fastpath.detach(number)
        self.impaired.pop(number, None)
        self.tables.forget_port(number)
        self.tables.dhcp_servers.forget_port(network.number, number)
        lost = self.tables.reassembly.forget_port(number)
        self.counters.count_lost(number, DropReason.ENDED_WHILE_WAITING, lost)

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

    # Addresses that are learnt

    def learn_address(
        self,
        network: int,
        client: DhcpClient,
        now: Nanoseconds,
        remembered: IpAddress | None = None,
    ) -> None:
        """Let a DHCP client find an address for the switch on a network outside, and keep it.

        What it learns is for the caller of `news.take_learnt` to do something about. `remembered`
        is an address that the switch has had before.
        """
        self.tables.dhcp_clients[network] = client
        frames = client.start(now, remembered)
        self._deliver(dhcp_stage.say(self.tables.networks[network], frames), now)

    def release_address(self, network: int, now: Nanoseconds) -> None:
        """Give a learnt address back, as the switch stops."""
        frames = self.tables.dhcp_clients.pop(network).release()
        self._deliver(dhcp_stage.say(self.tables.networks[network], frames), now)

    def answer_query(self, query: Query, message: bytes | None, now: Nanoseconds) -> None:
        """Say to who has asked what servers have said; None where nothing is to be said. Nothing
        leaves where the port is gone that it came in by."""
        if self.tables.queries.end(query) and message is not None:
            if self._observer is not None:
                self._observer.answered(query.about, now)
            self._deliver((queries.said(query.way, query.asker.address, message),), now)

    # Frames

    def serve(self, port: int, now: Nanoseconds) -> Served:
        """One round on a port whose device is readable. Raises `DeviceGone`."""
        self._now = now
        misses = self.fastpath.run(port, now)
        return self.decide([Waiting(port, frame) for frame in misses], now)

    def hear(self, fastpath: LoopingFastPath, now: Nanoseconds) -> list[Trouble]:
        """Carry out what the fast path's own loop has left to do; what went wrong there."""
        self._now = now
        return fastpath.hear()

    def decide(self, misses: Sequence[Waiting], now: Nanoseconds) -> Served:
        """Follow what the fast path has done, and decide about the frames that it knew nothing of.

        What came in by a port that is gone goes with it."""
        self._now = now
        moves = self.follow()
        for port, frame in misses:
            if port in self.tables.ports:
                self.transmit(self.receive(port, frame, now), now)
        if self.impaired:
            self._send_due(now)
            return Served.WITH_FRAMES_HELD
        return Served.BY_PIPELINE if misses or moves else Served.BY_FAST_PATH

    def follow(self) -> bool:
        """Note which connections the fast path has moved along; whether there was one."""
        moves = self.fastpath.take_moves()
        for move in moves:
            self.tables.connections.follow(move)
        return bool(moves)

    def receive(self, port: int, frame: MutableBuffer, now: Nanoseconds) -> list[Egress]:
        """Decide about a frame, and return what is to be sent. The frame is rewritten in place."""
        observer, recorder = self._observer, self._recorder
        is_heard = observer is not None or recorder is not None
        verdict = decide(self.tables, port, frame, now, is_heard=is_heard)
        self.counters.count(port, verdict.fate, verdict.reason)
        if recorder is not None:
            recorder.decided(port, frame, verdict, now)
        if observer is not None:
            observer.decided(port, frame, verdict, now)
        return self._carry_out(verdict, now)

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

    def record(self, recorder: DecisionObserver, ring: Ring) -> None:
        """Let every frame be written into `ring`, those that are decided about by `recorder`."""
        self._recorder, self.fastpath.ring = recorder, ring

    def trace(self, port: int, frame: MutableBuffer, now: Nanoseconds) -> Verdict:
        """What would become of a frame, and why. Nothing is changed, the frame included."""
        return decide(self.tables, port, frame, now, commit=False)

    def kept(self, connection: Connection) -> list[KeptProgram]:
        """What the fast path keeps for a connection, with what it has seen."""
        return list(self._kept.of(connection))

    def announce(self, network: int) -> list[Egress]:
        """Tell a network which station has the switch's address: caches may hold an older one."""
        domain = self.tables.networks[network]
        if domain.interface is None:
            return []
        program = Program(tuple(Output(number) for number in domain.ports))
        frames = arp_responder.announcements(domain.interface)
        return list(self._execute(Delivery.by(program, frame) for frame in frames))

    # Time

    def next_deadline(self) -> Nanoseconds | None:
        """When `tick` has something to do, or None while nothing can happen by itself."""
        earliest = self._deadlines.next()
        if not self.impaired:
            return earliest
        held = (device.next_deadline() for device in self.impaired.values())
        return min((each for each in (earliest, *held) if each is not None), default=None)

    def tick(self, now: Nanoseconds) -> list[Egress]:
        """Let time pass, and held frames go. Returns what is to be sent."""
        sent = list(self._execute(self._deadlines.come(now)))
        if self.impaired:
            self._let_go(now)
        return sent

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

    # How verdicts are carried out

    def _carry_out(self, verdict: Verdict, now: Nanoseconds) -> list[Egress]:
        if verdict.invalidates:
            self.tables.invalidate()
        begun, evicted, connections = verdict.connection, verdict.evicted, self.tables.connections
        if begun and evicted and begun in connections and evicted in connections:
            self.changes.end((evicted,), now)
        if self.tables.dhcp_servers.vacated:
            self.changes.vacate(now)
        if verdict.fate in (Fate.WAITING, Fate.DROPPED):
            self.counters.count_lost_fragments(self.tables.reassembly.take_dropped())
        sent = list(self._execute(verdict.deliveries))
        expected = verdict.expected
        if expected is not None and begun is not None:
            self._kept.keep(expected.kept, expected.routine, begun.number)
        return sent

    def _execute(self, deliveries: Iterable[Delivery]) -> Iterator[Egress]:
        for frame, routine, kept, flow, limit in deliveries:
            if kept is None:
                routine.run(frame)
            else:
                self._kept.keep(kept, routine, flow)
                self.fastpath.rewrite(routine, frame)
            pieces = (frame,) if limit is None else self._cut(frame, limit)
            for piece in pieces:
                for port in routine.outputs:
                    yield Egress(port, piece, flow)

    def _cut(self, frame: MutableBuffer, limit: int) -> Iterator[MutableBuffer]:
        """The fragments of a frame, of which each packet has an identification of its own: those
        of its many senders are one sender's outside (RFC 6864; RFC 7857, 10)."""
        finished = adapt(frame, Offloads.NONE)
        if isinstance(finished, Malformed):
            yield frame
            return
        for piece in finished:
            yield from self._fragments(bytearray(piece), limit)

    def _fragments(self, frame: bytearray, limit: int) -> Iterator[MutableBuffer]:
        packet = Ipv4.parse(frame, START + HEADER_LENGTH)
        if isinstance(packet, Malformed) or packet.total_length <= limit:
            yield frame
            return
        identification = self.tables.identifications.next(
            packet.source, packet.destination, packet.protocol
        )
        fragment.identify(frame, packet, identification)
        fragments = fragment.cut(frame, limit)
        yield from (frame,) if isinstance(fragments, Malformed) else fragments

    def _deliver(self, deliveries: Iterable[Delivery], now: Nanoseconds) -> None:
        """Send something that no frame has caused."""
        self.transmit(self._execute(deliveries), now)


def _next_number(last: int, taken: Container[int]) -> int:
    """The number behind the last one that was given, in a circle: a switch that runs for long gives
    more than there are. Raises ValueError where all of them are taken."""
    circle = chain(range(last + 1, HIGHEST_NUMBER + 1), range(1, last + 1))
    for number in circle:
        if number not in taken:
            return number
    raise ValueError(f"there are {HIGHEST_NUMBER} already")
