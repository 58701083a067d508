"""A switch with memory devices and a virtual clock, and the two invariants on every frame.

`Lab` builds the topology that most whole-switch tests share: networks `front` and `back` on the
inside with endpoints on them, and an outside with hosts. Frames are written with scapy (the
independent oracle) and read back with it. Every frame that leaves is held against the two
invariants (`tests.invariants`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from random import Random
from typing import NamedTuple

from scapy.layers.inet import ICMP, IP, TCP, UDP, ICMPerror, IPerror, TCPerror, UDPerror
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from tests.invariants import on_the_wire, watch
from vswitch.dataplane.drops import Reason
from vswitch.dataplane.mappings import External, Internal
from vswitch.dataplane.publications import Publication
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Interface, Network, Side
from vswitch.devices.memory import MemoryDevice
from vswitch.translation import (
    DEFAULT_LIMITS,
    OPEN_TO_ALL,
    Limits,
    Outside,
    Terms,
    Translation,
)
from vswitch.units import SECOND, Nanoseconds
from vswitch.wire.offload import HEADER_LENGTH, Offloads
from vswitch.wire.values import IpAddress, IpInterface, MacAddress, Protocol

UPLINK_ADDRESS = "203.0.113.1"
ROUTER = "203.0.113.254"
GATEWAYS = {"front": "10.0.0.1", "back": "10.1.0.1"}

DEFAULT_TRANSLATION, DEFAULT_OUTSIDE = Translation(), Outside()

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
        translation: Translation = DEFAULT_TRANSLATION,
        outside: Outside = DEFAULT_OUTSIDE,
        limits: Limits = DEFAULT_LIMITS,
        seed: int = 1,
        uplink_mtu: int = 1500,
        inside_mtu: int = 1500,
        also: tuple[str, ...] = (),
    ) -> None:
        self.now: Nanoseconds = 1000 * SECOND
        self.switch = Switch(Random(seed), limits)
        watch(self.switch)
        self.hosts: dict[str, Host] = {}
        self._offloads = offloads
        self.answering = False
        """Whether hosts answer, as hosts do, when the switch asks for them while time passes."""
        self._networks = {name: self._inside(name, inside_mtu, translation) for name in GATEWAYS}
        self._networks["outside"] = self._outside(uplink_mtu, outside, also)
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

    def add_host_port(self, network: str) -> Host:
        """The host itself on an inside network: it has the gateway's address there."""
        name = f"vs-{network}"
        device, domain = MemoryDevice(name, self._offloads), self._networks[network]
        mac = f"02:00:00:00:{domain.number:02x}:fe"
        station = MacAddress.parse(mac)
        port = self.switch.add_host_port(name, domain.number, device, station)
        assert domain.interface is not None
        host = Host(name, mac, GATEWAYS[network], port.number, device, str(domain.interface.mac))
        self.hosts[name] = host
        return host

    def network(self, name: str) -> Network:
        return self._networks[name]

    def publish(
        self,
        host_port: int,
        to: Host,
        port: int,
        protocol: int = Protocol.TCP,
        count: int = 1,
        terms: Terms = OPEN_TO_ALL,
    ) -> Publication:
        publication = Publication(
            protocol=protocol,
            host_address=None,
            host_ports=range(host_port, host_port + count),
            network=self.switch.tables.ports[to.port].network,
            endpoint=IpAddress.parse(to.ip),
            first_endpoint_port=port,
            terms=terms,
        )
        self.switch.changes.publish(publication, self.now)
        return publication

    def map_statically(
        self, host: Host, port: int, external_port: int, protocol: int = Protocol.UDP
    ) -> External:
        network = self.switch.tables.ports[host.port].network
        internal = Internal(network, protocol, IpAddress.parse(host.ip), port)
        external = External(protocol, IpAddress.parse(UPLINK_ADDRESS), external_port)
        self.switch.changes.map_statically(internal, external, self.now)
        return external

    def translate_one_to_one(self, host: Host, external: str) -> None:
        network = self.switch.tables.ports[host.port].network
        inside, outside = IpAddress.parse(host.ip), IpAddress.parse(external)
        self.switch.changes.translate_one_to_one(network, inside, outside, self.now)

    def detach(self, host: Host) -> None:
        """Take an endpoint away, as its end does."""
        network = self.switch.tables.ports[host.port].network
        self.switch.remove_port(host.port)
        self.switch.changes.forget_address(network, IpAddress.parse(host.ip), self.now)
        del self.hosts[host.name]

    def meet_everyone(self) -> Lab:
        """Let every host ask for its gateway by ARP, so that no later frame has to wait."""
        for host in self.hosts.values():
            self.send(host, _arp_request(host.mac, host.ip, self.gateway_of(host)))
        return self

    def gateway_of(self, host: Host) -> str:
        network = self.switch.tables.networks[self.switch.tables.ports[host.port].network]
        assert network.interface is not None
        return str(network.interface.address.address)

    # Frames

    def arp_request(self, host: Host, target: str) -> Packet:
        return Ether(_arp_request(host.mac, host.ip, target))

    def routed(self, host: Host, packet: Packet) -> Packet:
        """An IPv4 packet in a frame to the host's gateway."""
        return Ether(src=host.mac, dst=host.gateway_mac) / packet

    def send(self, host: Host, frame: Packet | bytes, header: bytes = bytes(HEADER_LENGTH)) -> None:
        """Let `host` send; what comes out anywhere waits in `received`."""
        host.device.feed(header + bytes(frame))
        self.switch.serve(host.port, self.now)

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
            self.switch.transmit(self.switch.tick(self.now), self.now)
            if self.answering:
                self._answer_requests()
        self.now = end

    def _answer_requests(self) -> None:
        for host in self.hosts.values():
            others = []
            for raw in host.device.take():
                asked = _asked(raw[HEADER_LENGTH:], host.gateway_mac)
                if asked is None:
                    others.append(raw)
                elif asked.target == host.ip:
                    self.send(host, _arp_answer(host.mac, host.ip, host.gateway_mac, asked.sender))
            host.device.sent[:0] = others

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

    def windows(self) -> list[int]:
        """The numbers of the connections, past ones included, whose windows are followed."""
        return [n for n in range(1, 1000) if self.switch.fastpath.window(n) is not None]

    # Networks

    def _inside(self, name: str, mtu: int, translation: Translation) -> Network:
        gateway = IpInterface.parse(f"{GATEWAYS[name]}/16")
        interface = Interface(MacAddress.parse(_GATEWAY_MACS[name]), gateway)
        number = self.switch.new_network_number()
        network = Network(number, name, Side.INSIDE, interface, None, mtu, translation=translation)
        self.switch.add_network(network)
        return network

    def _outside(self, mtu: int, outside: Outside, also: tuple[str, ...]) -> Network:
        address = IpInterface.parse(f"{UPLINK_ADDRESS}/24")
        further = tuple(IpAddress.parse(each) for each in also)
        interface = Interface(MacAddress.parse(_UPLINK_MAC), address, further)
        number = self.switch.new_network_number()
        router = IpAddress.parse(ROUTER)
        network = Network(number, "outside", Side.OUTSIDE, interface, router, mtu, outside=outside)
        self.switch.add_network(network)
        return network


class _Asked(NamedTuple):
    """What an ARP request is about."""

    sender: str
    target: str


# Hours of a switch are thousands of the same few questions.


@lru_cache(maxsize=1024)
def _asked(frame: bytes, gateway_mac: str) -> _Asked | None:
    """What a gateway asks with this frame; None where that is no ARP of its."""
    read = Ether(frame)
    if ARP not in read or read.src != gateway_mac:
        return None
    return _Asked(read[ARP].psrc, read[ARP].pdst)


@lru_cache(maxsize=1024)
def _arp_request(mac: str, ip: str, target: str) -> bytes:
    message = ARP(op=1, hwsrc=mac, psrc=ip, pdst=target)
    return bytes(Ether(src=mac, dst="ff:ff:ff:ff:ff:ff") / message)


@lru_cache(maxsize=1024)
def _arp_answer(mac: str, ip: str, gateway_mac: str, asker: str) -> bytes:
    return bytes(Ether(src=mac, dst=gateway_mac) / ARP(op=2, hwsrc=mac, psrc=ip, pdst=asker))


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
