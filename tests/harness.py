"""A switch with memory devices and a virtual clock, and the two invariants on every frame.

`Lab` builds the topology that most whole-switch tests share: networks `front` and `back` on the
inside with endpoints on them, and an outside with hosts. Frames are written with scapy (the
independent oracle) and read back with it. Every frame that leaves passes `_check_invariants`:

1. no frame on the outside port carries an inside address: not in IPv4, not in ARP, not in what an
   ICMP error quotes;
2. nothing from the outside reaches an inside port but what a connection, a mapping or a
   publication let in.

Both are asked of the packets that a frame becomes on the wire: super-frames are cut and checksums
finished before, as a device would do it. An inside host may write any address into a frame to its
neighbours, so of frames that an inside host sent the second is asked where the switch routed them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from scapy.layers.inet import ICMP, IP, TCP, UDP, ICMPerror, IPerror, TCPerror, UDPerror
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from vswitch.dataplane.conntrack import RFC_TIMEOUTS, Timeouts
from vswitch.dataplane.drops import Reason
from vswitch.dataplane.publications import Publication
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Interface, Network, Side
from vswitch.devices.memory import MemoryDevice
from vswitch.units import SECOND, Nanoseconds
from vswitch.wire.adapt import adapt
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import HEADER_LENGTH, Offloads
from vswitch.wire.values import IpAddress, IpInterface, MacAddress, Protocol

UPLINK_ADDRESS = "203.0.113.1"
ROUTER = "203.0.113.254"
GATEWAYS = {"front": "10.0.0.1", "back": "10.1.0.1"}

_UPLINK_MAC = "02:00:00:00:00:fe"
_GATEWAY_MACS = {"front": "02:00:00:00:01:01", "back": "02:00:00:00:02:01"}


@dataclass(frozen=True)
class Host:
    """An endpoint, or a host in the outside world, as a test sees it."""

    name: str
    mac: str
    ip: str
    port: int
    device: MemoryDevice
    gateway_mac: str


class Lab:
    """Endpoints `a` (10.0.0.2) and `b` (10.0.0.3) on front, `c` (10.1.0.2) on back; and outside, a
    router through which every other address is reached."""

    def __init__(
        self,
        *,
        offloads: Offloads = Offloads.ALL,
        timeouts: Timeouts = RFC_TIMEOUTS,
        seed: int = 1,
        uplink_mtu: int = 1500,
    ) -> None:
        self.now: Nanoseconds = 1000 * SECOND
        self.switch = Switch(Random(seed), timeouts)
        self.hosts: dict[str, Host] = {}
        self._offloads = offloads
        self.answering = False
        """Whether hosts answer, as hosts do, when the switch asks for them while time passes."""
        self._sender: Host | None = None
        self._seen: dict[str, tuple[list[bytes], int]] = {}
        self._networks = {name: self._inside(name) for name in GATEWAYS}
        self._networks["outside"] = self._outside(uplink_mtu)
        self.a = self.add_host("a", "front", "10.0.0.2")
        self.b = self.add_host("b", "front", "10.0.0.3")
        self.c = self.add_host("c", "back", "10.1.0.2")
        self.outside = self.add_host("outside", "outside", ROUTER)

    # Building

    def add_host(self, name: str, network: str, ip: str, offloads: Offloads | None = None) -> Host:
        device = MemoryDevice(name, self._offloads if offloads is None else offloads)
        domain = self._networks[network]
        port = self.switch.add_port(name, domain.number, device)
        mac = f"02:00:00:00:{domain.number:02x}:{0x10 + len(self.hosts):02x}"
        assert domain.interface is not None
        host = Host(name, mac, ip, port.number, device, str(domain.interface.mac))
        self.hosts[name] = host
        return host

    def network(self, name: str) -> Network:
        return self._networks[name]

    def publish(
        self, host_port: int, to: Host, port: int, protocol: int = Protocol.TCP, count: int = 1
    ) -> Publication:
        publication = Publication(
            protocol=protocol,
            host_address=None,
            host_ports=range(host_port, host_port + count),
            network=self.switch.tables.ports[to.port].network,
            endpoint=IpAddress.parse(to.ip),
            first_endpoint_port=port,
        )
        self.switch.publish(publication)
        return publication

    def meet_everyone(self) -> Lab:
        """Let every host ask for its gateway by ARP, so that no later frame has to wait."""
        for host in self.hosts.values():
            self.send(host, self.arp_request(host, self.gateway_of(host)))
        return self

    def gateway_of(self, host: Host) -> str:
        network = self.switch.tables.networks[self.switch.tables.ports[host.port].network]
        assert network.interface is not None
        return str(network.interface.address.address)

    # Frames

    def arp_request(self, host: Host, target: str) -> Packet:
        message = ARP(op=1, hwsrc=host.mac, psrc=host.ip, pdst=target)
        return Ether(src=host.mac, dst="ff:ff:ff:ff:ff:ff") / message

    def routed(self, host: Host, packet: Packet) -> Packet:
        """An IPv4 packet in a frame to the host's gateway."""
        return Ether(src=host.mac, dst=host.gateway_mac) / packet

    def send(self, host: Host, frame: Packet | bytes, header: bytes = bytes(HEADER_LENGTH)) -> None:
        """Let `host` send; what comes out anywhere waits in `received`."""
        host.device.feed(header + bytes(frame))
        self._sender = host
        self._allowed_in = self._tuples()
        self.switch.serve(host.port, self.now)
        self._check_invariants()

    def exchange(self, host: Host, packet: Packet) -> dict[str, list[Packet]]:
        """Send a routed packet and return all that came out, by host."""
        self.send(host, self.routed(host, packet))
        return {name: self.received(other) for name, other in self.hosts.items()}

    def received(self, host: Host) -> list[Packet]:
        """What has come out towards a host since the last call."""
        return [Ether(frame[HEADER_LENGTH:]) for frame in host.device.take()]

    def received_raw(self, host: Host) -> list[bytes]:
        """The same with the virtio-net headers, as bytes."""
        return host.device.take()

    # Time

    def pass_time(self, nanoseconds: Nanoseconds) -> None:
        """Move the clock, letting every timer in between fire at its own time."""
        end = self.now + nanoseconds
        while (deadline := self.switch.next_deadline()) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self._sender = None
            self._allowed_in = self._tuples()
            self.switch.transmit(self.switch.tick(self.now), self.now)
            self._check_invariants()
            if self.answering:
                self._answer_requests()
        self.now = end

    def _answer_requests(self) -> None:
        for host in self.hosts.values():
            others = []
            for raw in host.device.take():
                frame = Ether(raw[HEADER_LENGTH:])
                if ARP not in frame or frame.src != host.gateway_mac:
                    others.append(raw)
                elif frame[ARP].pdst == host.ip:
                    answer = ARP(op=2, hwsrc=host.mac, psrc=host.ip, pdst=frame[ARP].psrc)
                    self.send(host, self.routed(host, answer))
            host.device.sent[:0] = others
            self._seen[host.name] = host.device.sent, len(host.device.sent)

    # What was counted

    @property
    def drops(self) -> dict[Reason, int]:
        return dict(self.switch.counters.drops)

    def hits(self) -> int:
        """How many frames the fast path finished by itself."""
        misses = sum(self.switch.counters.fates.values())
        numbers = (host.port for host in self.hosts.values())
        ports = self.switch.tables.ports
        received = sum(
            self.switch.fastpath.port_counters(n).received_frames for n in numbers if n in ports
        )
        return received - misses

    # The invariants

    def _tuples(self) -> set[tuple[str, str]]:
        """Pairs of addresses that a table lets in from the outside."""
        allowed = set()
        for connection in self.switch.tables.connections:
            for side in (connection.original, connection.reply):
                allowed.add((str(side.source), str(side.destination)))
                allowed.add((str(side.destination), str(side.source)))
        return allowed

    def _check_invariants(self) -> None:
        allowed = self._allowed_in | self._tuples()
        bridged_only = self._sender is not None and self._sender.name != "outside"
        for host in self.hosts.values():
            for frame in self._not_seen_yet(host):
                if host.name == "outside":
                    _assert_no_inside_address(frame)
                elif bridged_only and frame.src != host.gateway_mac:
                    continue
                elif IP in frame and not _is_inside(frame[IP].src):
                    self._assert_let_in(frame, allowed)

    def _not_seen_yet(self, host: Host) -> Iterator[Packet]:
        """What has come out since the last check: what was let in then may have ended since."""
        sent = host.device.sent
        seen_in, seen = self._seen.get(host.name, ([], 0))
        first = seen if seen_in is sent else 0
        self._seen[host.name] = sent, len(sent)
        for raw in sent[first:]:
            yield from on_the_wire(raw)

    def _assert_let_in(self, frame: Packet, allowed: set[tuple[str, str]]) -> None:
        packet = frame[IP]
        if packet.src in (*GATEWAYS.values(), UPLINK_ADDRESS):
            return
        if IPerror in frame:
            quoted = frame[IPerror]
            assert (quoted.src, quoted.dst) in allowed, f"let in unasked: {frame.summary()}"
        else:
            assert (packet.src, packet.dst) in allowed, f"let in unasked: {frame.summary()}"

    def _inside(self, name: str) -> Network:
        gateway = IpInterface.parse(f"{GATEWAYS[name]}/16")
        interface = Interface(MacAddress.parse(_GATEWAY_MACS[name]), gateway)
        return self._add(name, Side.INSIDE, interface, None, 1500)

    def _outside(self, mtu: int) -> Network:
        address = IpInterface.parse(f"{UPLINK_ADDRESS}/24")
        interface = Interface(MacAddress.parse(_UPLINK_MAC), address)
        return self._add("outside", Side.OUTSIDE, interface, IpAddress.parse(ROUTER), mtu)

    def _add(
        self, name: str, side: Side, interface: Interface, next_hop: IpAddress | None, mtu: int
    ) -> Network:
        number = self.switch.new_network_number()
        network = Network(number, name, side, interface, next_hop, mtu)
        self.switch.add_network(network)
        return network


def _is_inside(address: str) -> bool:
    return address.startswith(("10.0.", "10.1."))


def _assert_no_inside_address(frame: Packet) -> None:
    if ARP in frame:
        for address in (frame[ARP].psrc, frame[ARP].pdst):
            assert not _is_inside(address), f"inside address in ARP: {frame.summary()}"
    if IP in frame:
        for address in (frame[IP].src, frame[IP].dst):
            assert not _is_inside(address), f"inside address leaked: {frame.summary()}"
    if IPerror in frame:
        quoted = frame[IPerror]
        for address in (quoted.src, quoted.dst):
            assert not _is_inside(address), f"inside address quoted: {frame.summary()}"


def on_the_wire(raw: bytes) -> Iterator[Packet]:
    """The packets that a frame with its virtio-net header stands for, finished."""
    finished = adapt(bytearray(raw), Offloads.NONE)
    for frame in (raw,) if isinstance(finished, Malformed) else finished:
        yield Ether(bytes(frame[HEADER_LENGTH:]))


def only(packets: list[Packet]) -> Packet:
    """The one packet of a list that must have one."""
    assert len(packets) == 1, [packet.summary() for packet in packets]
    return packets[0]


def assert_checksums_right(frame: Packet) -> None:
    """Every checksum of the frame, in quotes too, is what scapy computes for the same bytes."""
    again = frame.copy()
    for layer in (IP, TCP, UDP, ICMP, IPerror, TCPerror, UDPerror, ICMPerror):
        if layer in again:
            del again[layer].chksum
    assert bytes(again) == bytes(frame), frame.show(dump=True)


__all__ = [
    "ARP",
    "ICMP",
    "IP",
    "ROUTER",
    "TCP",
    "UDP",
    "UPLINK_ADDRESS",
    "Ether",
    "Host",
    "IPerror",
    "Lab",
    "assert_checksums_right",
    "on_the_wire",
    "only",
]
