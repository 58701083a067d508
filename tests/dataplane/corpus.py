"""Frames of every kind that a switch meets, to start mutations from, and a lab that knows flows.

A `Sample` is a frame with its virtio-net header and the host that sends it. `warm_lab` has live
connections, mappings and a publication, so that the samples meet hits, misses and table entries.
"""

from __future__ import annotations

from dataclasses import dataclass

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption
from scapy.layers.inet6 import ICMPv6ND_NS, IPv6
from scapy.layers.l2 import ARP, LLC, Dot1Q, Ether
from scapy.packet import Packet, Raw

from tests.harness import UPLINK_ADDRESS, Lab
from vswitch.wire.offload import (
    GSO_TCPV4,
    GSO_UDP_L4,
    HEADER_LENGTH,
    NEEDS_CSUM,
    OffloadHeader,
    Offloads,
)
from vswitch.wire.values import Protocol

S1 = "198.51.100.1"
BROADCAST = "ff:ff:ff:ff:ff:ff"


@dataclass(frozen=True)
class Sample:
    host: str
    raw: bytes


def warm_lab(offloads: Offloads = Offloads.ALL, seed: int = 1) -> Lab:
    """Connections a:5000 to S1 (UDP 7000, TCP 80, echo 9), S1:4000 to b by port 8080, and more."""
    lab = Lab(offloads=offloads, seed=seed).meet_everyone()
    lab.publish(8080, lab.b, 80, Protocol.UDP)
    lab.publish(8080, lab.b, 80, Protocol.TCP)
    for sample in _conversation(lab):
        feed(lab, sample)
    for host in lab.hosts.values():
        lab.received(host)
    return lab


def feed(lab: Lab, sample: Sample) -> None:
    """Let the sample's host send it."""
    header, frame = sample.raw[:HEADER_LENGTH], sample.raw[HEADER_LENGTH:]
    lab.send(lab.hosts[sample.host], frame, header)


def samples() -> list[Sample]:
    """One of each kind."""
    lab = Lab()
    return _conversation(lab) + _link_layer(lab) + _routed(lab) + _super_frames(lab)


def _of(lab: Lab, name: str, packet: Packet, header: bytes = bytes(HEADER_LENGTH)) -> Sample:
    return Sample(name, header + bytes(lab.routed(lab.hosts[name], packet)))


def _conversation(lab: Lab) -> list[Sample]:
    out, back = IP(src=lab.a.ip, dst=S1), IP(src=S1, dst=UPLINK_ADDRESS)
    handshake = [
        _of(lab, "a", out / TCP(sport=5000, dport=80, flags="S", options=[("MSS", 1460)])),
        _of(lab, "outside", back / TCP(sport=80, dport=5000, flags="SA")),
        _of(lab, "a", out / TCP(sport=5000, dport=80, flags="A")),
        _of(lab, "outside", back / TCP(sport=80, dport=5000, flags="PA") / b"data"),
    ]
    datagrams = [
        _of(lab, "a", out / UDP(sport=5000, dport=7000) / b"question"),
        _of(lab, "outside", back / UDP(sport=7000, dport=5000) / b"answer"),
        _of(lab, "a", out / ICMP(type=8, id=9, seq=1) / b"ping"),
        _of(lab, "outside", back / ICMP(type=0, id=9, seq=1) / b"ping"),
        _of(lab, "outside", back / UDP(sport=4000, dport=8080) / b"question"),
        _of(lab, "b", IP(src=lab.b.ip, dst=S1) / UDP(sport=80, dport=4000) / b"answer"),
        _of(lab, "a", IP(src=lab.a.ip, dst=UPLINK_ADDRESS) / UDP(sport=5000, dport=8080) / b"hi"),
    ]
    bridged = [
        Sample("a", _frame(lab, "a", lab.b.mac)),
        Sample("b", _frame(lab, "b", lab.a.mac)),
    ]
    return handshake + datagrams + bridged


def _frame(lab: Lab, name: str, destination: str, payload: Packet | None = None) -> bytes:
    host = lab.hosts[name]
    frame = Ether(src=host.mac, dst=destination, type=0x88B5)
    if payload is not None:
        frame = Ether(src=host.mac, dst=destination) / payload
    else:
        frame /= Raw(b"bridged")
    return bytes(HEADER_LENGTH) + bytes(frame)


def _link_layer(lab: Lab) -> list[Sample]:
    a, gateway = lab.a, lab.a.gateway_mac
    arps = [
        ARP(op=1, hwsrc=a.mac, psrc=a.ip, pdst="10.0.0.1"),
        ARP(op=1, hwsrc=a.mac, psrc=a.ip, pdst=lab.b.ip),
        ARP(op=1, hwsrc=a.mac, psrc=a.ip, pdst=a.ip),
        ARP(op=1, hwsrc=a.mac, psrc="0.0.0.0", pdst="10.0.0.1"),
        ARP(op=2, hwsrc=a.mac, psrc="10.0.0.1", pdst=lab.b.ip),
    ]
    outside = ARP(op=1, hwsrc=lab.outside.mac, psrc=lab.outside.ip, pdst=UPLINK_ADDRESS)
    solicitation = IPv6(src="fd00::2", dst="ff02::1:ff00:3") / ICMPv6ND_NS(tgt="fd00::3")
    return [
        *(Sample("a", _frame(lab, "a", BROADCAST, arp)) for arp in arps),
        Sample("a", _frame(lab, "a", gateway, ARP(op=2, hwsrc=a.mac, psrc=a.ip, pdst="10.0.0.1"))),
        Sample("outside", _frame(lab, "outside", BROADCAST, outside)),
        Sample("a", _frame(lab, "a", "33:33:ff:00:00:03", solicitation)),
        Sample("a", _frame(lab, "a", gateway, solicitation)),
        Sample("a", _frame(lab, "a", lab.b.mac, Dot1Q(vlan=10) / IP(src=a.ip) / UDP())),
        Sample("a", _frame(lab, "a", BROADCAST, LLC() / Raw(b"spanning tree"))),
        Sample("a", _frame(lab, "a", "01:80:c2:00:00:00", LLC() / Raw(b"spanning tree"))),
        Sample("a", _frame(lab, "a", "02:00:00:00:66:66")),
        Sample("outside", _frame(lab, "outside", a.mac, IP(src=S1, dst=a.ip) / UDP())),
    ]


def _routed(lab: Lab) -> list[Sample]:
    out = IP(src=lab.a.ip, dst=S1)
    quote_out = IP(src=UPLINK_ADDRESS, dst=S1) / UDP(sport=5000, dport=7000) / b"question"
    quote_in = IP(src=S1, dst=lab.a.ip) / UDP(sport=7000, dport=5000) / b"answer"
    router = IP(src="198.51.100.99", dst=UPLINK_ADDRESS)
    options = [IPOption(b"\x94\x04\x00\x00")]
    return [
        _of(lab, "a", out / TCP(sport=5000, dport=80, flags="FA")),
        _of(lab, "a", out / TCP(sport=5000, dport=80, flags="R")),
        _of(lab, "a", out / UDP(sport=5000, dport=7001, chksum=0) / b"no checksum"),
        _of(lab, "a", IP(src=lab.a.ip, dst=S1, ttl=1) / UDP(sport=5000, dport=7000) / b"x"),
        _of(lab, "a", IP(src=lab.a.ip, dst=S1, options=options) / UDP(sport=5000, dport=7000)),
        _of(lab, "a", IP(src=lab.a.ip, dst=S1, flags="MF") / UDP(sport=5000, dport=7000) / b"x"),
        _of(lab, "a", IP(src=lab.a.ip, dst=S1, frag=5) / Raw(b"fragment")),
        _of(lab, "a", IP(src=lab.a.ip, dst=S1, flags="DF") / UDP() / bytes(1600)),
        _of(lab, "a", IP(src=lab.a.ip, dst=lab.c.ip) / UDP(sport=5000, dport=7000) / b"x"),
        _of(lab, "a", IP(src=lab.a.ip, dst="10.0.0.1") / ICMP(type=8, id=3) / b"ping"),
        _of(lab, "a", IP(src=lab.a.ip, dst="10.0.0.1") / TCP(sport=5000, dport=22, flags="S")),
        _of(lab, "a", IP(src=lab.a.ip, dst="10.0.0.1") / UDP(sport=5000, dport=69) / b"x"),
        _of(lab, "a", IP(src="8.8.8.8", dst=S1) / UDP(sport=5000, dport=7000) / b"x"),
        _of(lab, "a", IP(src=lab.a.ip, dst=S1, proto=47) / Raw(bytes(20))),
        _of(lab, "a", IP(src=lab.a.ip, dst=S1) / ICMP(type=3, code=3) / Raw(bytes(quote_in))),
        _of(lab, "c", IP(src=lab.c.ip, dst=S1) / UDP(sport=5000, dport=7000) / b"clash"),
        _of(lab, "outside", router / ICMP(type=3, code=3) / Raw(bytes(quote_out))),
        _of(lab, "outside", router / ICMP(type=11) / Raw(bytes(quote_out)[:28])),
        _of(lab, "outside", router / ICMP(type=8, id=3) / b"ping"),
        _of(lab, "outside", IP(src=S1, dst=lab.a.ip) / UDP(sport=7000, dport=5000) / b"x"),
        _of(lab, "outside", IP(src=S1, dst="10.0.0.1") / ICMP(type=8, id=3) / b"ping"),
        _of(lab, "outside", IP(src=S1, dst=UPLINK_ADDRESS) / TCP(sport=9, dport=8080, flags="S")),
        _of(lab, "outside", IP(src=S1, dst=UPLINK_ADDRESS) / TCP(sport=9, dport=9, flags="S")),
    ]


def _super_frames(lab: Lab) -> list[Sample]:
    stream = IP(src=lab.a.ip, dst=S1) / TCP(sport=5000, dport=80, flags="A") / bytes(3000)
    datagrams = IP(src=lab.a.ip, dst=S1) / UDP(sport=5000, dport=7000) / bytes(3000)
    back = IP(src=S1, dst=UPLINK_ADDRESS) / TCP(sport=80, dport=5000, flags="A") / bytes(3000)
    tcp = OffloadHeader(NEEDS_CSUM, GSO_TCPV4, 54, 1000, 34, 16).pack()
    udp = OffloadHeader(NEEDS_CSUM, GSO_UDP_L4, 42, 1000, 34, 6).pack()
    unfinished = OffloadHeader(NEEDS_CSUM, 0, 42, 0, 34, 6).pack()
    short = IP(src=lab.a.ip, dst=S1) / UDP(sport=5000, dport=7000) / bytes(20)
    return [
        _of(lab, "a", stream, tcp),
        _of(lab, "a", datagrams, udp),
        _of(lab, "outside", back, tcp),
        _of(lab, "a", short, unfinished),
    ]
