"""The two invariants, asked of every frame that a switch sends.

1. No frame on an outside port carries an inside address: not in IPv4, not in ARP, not in what an
   ICMP error quotes. Destinations that a network leaves untranslated are the exception it asks for,
   and so is all of a network that is routed, and of one that is reached unprotected whoever did so.
2. Nothing from the outside reaches an inside port but what a table lets in: a frame that the switch
   routed there belongs to a connection that exists at this moment, and an ICMP error is about one.
   A RST by which the switch itself refuses, as a filter says, is none of theirs.

`watch` stands between a switch and its devices, so hits, answers and what timers send are seen
alike, whichever fast path sends them. Both are asked of the packets that a frame becomes on the
wire: super-frames are cut and checksums finished before, as a device would do it. Frames are read
with scapy, not with what is tested. An inside host may write any address into a frame to its
neighbours, so of what is bridged on the inside the second is not asked: only what left the switch's
own station.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from scapy.layers.inet import ICMP, IP, TCP, IPerror
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from vswitch.dataplane.filters import Flow
from vswitch.dataplane.flow import FlowTuple
from vswitch.dataplane.switch import Switch
from vswitch.dataplane.topology import Network, Port, Side
from vswitch.devices.base import Device, Sent
from vswitch.policy import Action, GatewayMode
from vswitch.wire.adapt import adapt
from vswitch.wire.buffer import Buffer
from vswitch.wire.malformed import Malformed
from vswitch.wire.offload import HEADER_LENGTH, Offloads
from vswitch.wire.values import IpAddress, MacAddress, Protocol

_WITH_PORTS = (Protocol.TCP, Protocol.UDP, Protocol.UDP_LITE, Protocol.DCCP, Protocol.SCTP)
_QUERIES = (0, 8, 13, 14, 15, 16, 17, 18)


def watch(switch: Switch) -> None:
    """Let every frame be held against both invariants that leaves by a port added from now on."""
    add_port, add_host_port = switch.add_port, switch.add_host_port

    def add_watched_port(name: str, network: int, device: Device) -> Port:
        return add_port(name, network, _watched(switch, network, device))

    def add_watched_host_port(name: str, network: int, device: Device, mac: MacAddress) -> Port:
        return add_host_port(name, network, _watched(switch, network, device), mac)

    switch.add_port = add_watched_port  # type: ignore[method-assign]
    switch.add_host_port = add_watched_host_port  # type: ignore[method-assign]


def _watched(switch: Switch, network: int, device: Device) -> Device:
    send = device.send

    def checked(frame: Buffer) -> Sent:
        check(switch, switch.tables.networks[network], bytes(frame))
        return send(frame)

    device.send = checked  # type: ignore[method-assign]
    return device


def check(switch: Switch, network: Network, raw: bytes) -> None:
    """Hold one frame that leaves into `network`, virtio-net header included, against them."""
    for frame in _read(raw):
        if network.side is Side.OUTSIDE:
            _assert_no_inside_address(switch, frame)
        elif network.interface is not None and frame.src == str(network.interface.mac):
            _assert_let_in(switch, network, frame)


@lru_cache(maxsize=1024)
def _read(raw: bytes) -> tuple[Packet, ...]:
    """The packets of a frame, to be looked at only: many a frame is sent in many a test."""
    return tuple(on_the_wire(raw))


def on_the_wire(raw: bytes) -> Iterator[Packet]:
    """The packets that a frame with its virtio-net header stands for, finished."""
    finished = adapt(bytearray(raw), Offloads.NONE)
    for frame in (raw,) if isinstance(finished, Malformed) else finished:
        yield Ether(bytes(frame[HEADER_LENGTH:]))


def _assert_no_inside_address(switch: Switch, frame: Packet) -> None:
    if ARP in frame:
        for address in (frame[ARP].psrc, frame[ARP].pdst):
            assert _inside(switch, address) is None, f"inside address in ARP: {frame.summary()}"
    if IP not in frame or _is_untranslated(switch, frame[IP].src, frame[IP].dst):
        return
    for address in (frame[IP].src, frame[IP].dst):
        assert _inside(switch, address) is None, f"inside address leaked: {frame.summary()}"
    quoted = _quoted(frame)
    if quoted is not None and not _is_untranslated(switch, quoted.dst, quoted.src):
        for address in (quoted.src, quoted.dst):
            assert _inside(switch, address) is None, f"inside address quoted: {frame.summary()}"


def _assert_let_in(switch: Switch, network: Network, frame: Packet) -> None:
    if IP not in frame:
        return
    packet = frame[IP]
    if _inside(switch, packet.src) is not None or switch.tables.owner(_ip(packet.src)):
        return
    connections, quoted = switch.tables.connections, _quoted(frame)
    what = f"let in unasked: {frame.summary()}"
    if quoted is not None:
        about = _tuple(network.number, quoted)
        assert about is not None, what
        assert connections.find(about) is not None, what
    elif packet.frag:
        assert _have_met(switch, network, packet), what
    else:
        leaving = _tuple(network.number, packet)
        assert leaving is not None, what
        is_known = connections.find(leaving.turned) is not None
        assert is_known or _is_refusal(switch, network, packet, leaving.turned), what


def _is_refusal(switch: Switch, network: Network, packet: IP, refused: FlowTuple) -> bool:
    """Whether a packet is the RST by which a filter's `reject` is told to who sent `refused`."""
    uplink = switch.tables.uplink_of(network)
    if TCP not in packet or "R" not in str(packet[TCP].flags) or uplink is None:
        return False
    flow = Flow.of(refused, refused.turned, network, uplink)
    return switch.tables.filters.judge(flow).action is Action.REJECT


def _have_met(switch: Switch, network: Network, packet: IP) -> bool:
    """Whether two addresses have a connection: a later fragment has no ports."""
    ends = _ip(packet.dst), _ip(packet.src)
    return any(
        (side.network, side.source, side.destination) == (network.number, *ends)
        for connection in switch.tables.connections
        for side in (connection.original, connection.reply)
    )


def _quoted(frame: Packet) -> Packet | None:
    if IPerror in frame:
        return frame[IPerror]
    # scapy shows a quote that is cut short, or of a protocol that it has no error layer for, as IP.
    inner = frame[ICMP].payload if ICMP in frame else None
    return inner if isinstance(inner, IP) else None


def _tuple(network: int, packet: Packet) -> FlowTuple | None:
    """The flow that a packet is part of, read by scapy; None where it says too little."""
    source, destination = _ip(packet.src), _ip(packet.dst)
    protocol, payload = packet.proto, bytes(packet.payload)
    if protocol == Protocol.ICMP:
        kind = payload[0] if payload else None
        if kind not in _QUERIES or len(payload) < 8:
            return None
        identifier = int.from_bytes(payload[4:6], "big")
        ports = (identifier, 0) if kind in (8, 13, 15, 17) else (0, identifier)
        return FlowTuple(network, protocol, source, ports[0], destination, ports[1], kind)
    if protocol not in _WITH_PORTS:
        return FlowTuple(network, protocol, source, 0, destination, 0)
    if len(payload) < 4:
        return None
    ports = int.from_bytes(payload[:2], "big"), int.from_bytes(payload[2:4], "big")
    return FlowTuple(network, protocol, source, ports[0], destination, ports[1])


def _inside(switch: Switch, address: str) -> Network | None:
    network = switch.tables.connected(_ip(address))
    return network if network is not None and network.side is Side.INSIDE else None


def _is_untranslated(switch: Switch, inside: str, outside: str) -> bool:
    network = _inside(switch, inside)
    if network is None:
        return False
    mode = network.policy.gateway_mode
    if mode is GatewayMode.NAT_UNPROTECTED:
        return any(
            connection.original.source == _ip(outside) and connection.reply.source == _ip(inside)
            for connection in switch.tables.connections
            if connection.original.destination == connection.reply.source
        )
    if mode is GatewayMode.ROUTED:
        return True
    return any(_ip(outside) in each for each in network.translation.untranslated)


def _ip(address: str) -> IpAddress:
    return IpAddress.parse(address)
