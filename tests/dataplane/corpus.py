"""Frames of every kind that a switch meets, to start mutations from, and a lab that knows flows.

A `Sample` is a frame with its virtio-net header and the host that sends it. `warm_lab` has live
connections, mappings and a publication, so that the samples meet hits, misses and table entries.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption, fragment
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

OTHER_PROTOCOLS = {
    int(Protocol.UDP_LITE): bytes.fromhex("00081234") + b"data",
    int(Protocol.DCCP): bytes.fromhex("05001234 00000000 00000001 00000000"),
    int(Protocol.SCTP): bytes.fromhex("00000001 12345678 0a000004"),
    int(Protocol.GRE): bytes.fromhex("0000 0800") + b"tunnelled",
    int(Protocol.ESP): bytes.fromhex("00001000 00000001") + b"encrypted",
}
"""Headers of the protocols beside TCP, UDP and ICMP that are translated, behind their ports."""

WITH_PORTS = (Protocol.UDP_LITE, Protocol.DCCP, Protocol.SCTP)

S1 = "198.51.100.1"
ROUTER_FAR_AWAY = "198.51.100.99"
BROADCAST = "ff:ff:ff:ff:ff:ff"


@dataclass(frozen=True)
class Sample:
    host: str
    raw: bytes


def warm_lab(offloads: Offloads = Offloads.ALL, seed: int = 1) -> Lab:
    """Connections a:5000 to S1 (TCP 80, UDP and all other protocols 7000, echo 9, timestamp 10),
    S1:4000 to b by port 8080, and more."""
    lab = Lab(offloads=offloads, seed=seed).meet_everyone()
    lab.publish(8080, lab.b, 80, Protocol.UDP)
    lab.publish(8080, lab.b, 80, Protocol.TCP)
    for sample in _warming():
        feed(lab, sample)
    for host in lab.hosts.values():
        lab.received_raw(host)
    return lab


def feed(lab: Lab, sample: Sample) -> None:
    """Let the sample's host send it."""
    header, frame = sample.raw[:HEADER_LENGTH], sample.raw[HEADER_LENGTH:]
    lab.send(lab.hosts[sample.host], frame, header)


@cache
def _warming() -> list[Sample]:
    return _conversation(Lab())


@cache
def samples() -> list[Sample]:
    """One of each kind."""
    lab = Lab()
    return (
        _conversation(lab)
        + _link_layer(lab)
        + _routed(lab)
        + _errors(lab)
        + _fragments(lab)
        + _super_frames(lab)
    )


def _of(lab: Lab, name: str, packet: Packet, header: bytes = bytes(HEADER_LENGTH)) -> Sample:
    return Sample(name, header + bytes(lab.routed(lab.hosts[name], packet)))


def _conversation(lab: Lab) -> list[Sample]:
    out, back = IP(src=lab.a.ip, dst=S1), IP(src=S1, dst=UPLINK_ADDRESS)
    handshake = [
        _of(lab, "a", out / _segment("a", "S", seq=999, ack=0, options=[("MSS", 1460)])),
        _of(lab, "outside", back / _segment("outside", "SA", seq=4999)),
        _of(lab, "a", out / _segment("a", "A", ack=5000)),
        _of(lab, "outside", back / _segment("outside", "PA", seq=5000) / b"data"),
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
    return handshake + datagrams + bridged + _other_protocols(lab)


def _segment(name: str, flags: str, **fields: object) -> TCP:
    """What a:5000 or S1:80 says next, when S1 has sent its data."""
    sport, dport, seq, ack = (5000, 80, 1000, 5004) if name == "a" else (80, 5000, 5004, 1000)
    numbers = {"sport": sport, "dport": dport, "seq": seq, "ack": ack}
    return TCP(**{**numbers, "flags": flags, **fields})


def _other_protocols(lab: Lab) -> list[Sample]:
    """A question and its answer of each further protocol, and of a further kind of ICMP."""
    pairs = [
        sample
        for protocol in OTHER_PROTOCOLS
        for sample in (
            _of(lab, "a", other(protocol, lab.a.ip, S1, 5000, 7000)),
            _of(lab, "outside", other(protocol, S1, UPLINK_ADDRESS, 7000, 5000)),
        )
    ]
    asked, answered = timestamp(13), timestamp(14)
    return [
        *pairs,
        _of(lab, "a", IP(src=lab.a.ip, dst=S1) / asked),
        _of(lab, "outside", IP(src=S1, dst=UPLINK_ADDRESS) / answered),
    ]


def timestamp(kind: int) -> ICMP:
    """A timestamp request (13) or reply (14), at midnight."""
    return ICMP(type=kind, id=10, seq=1, ts_ori=0, ts_rx=0, ts_tx=0)


def other(protocol: int, src: str, dst: str, sport: int, dport: int) -> Packet:
    """A packet of one of `OTHER_PROTOCOLS`; those that have ports begin with them."""
    ports = sport.to_bytes(2, "big") + dport.to_bytes(2, "big")
    header = ports if protocol in WITH_PORTS else b""
    return IP(src=src, dst=dst, proto=protocol) / Raw(header + OTHER_PROTOCOLS[protocol])


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
    back, router = IP(src=S1, dst=UPLINK_ADDRESS), IP(src=ROUTER_FAR_AWAY, dst=UPLINK_ADDRESS)
    options = [IPOption(b"\x94\x04\x00\x00")]
    return [
        _of(lab, "a", out / _segment("a", "FA")),
        _of(lab, "a", out / _segment("a", "R")),
        _of(lab, "a", out / _segment("a", "R", seq=77)),
        _of(lab, "outside", back / _segment("outside", "FA")),
        _of(lab, "outside", back / _segment("outside", "PA", seq=2**31) / b"blind"),
        _of(lab, "a", out / UDP(sport=5000, dport=7001, chksum=0) / b"no checksum"),
        _of(lab, "a", IP(src=lab.a.ip, dst=S1, ttl=1) / UDP(sport=5000, dport=7000) / b"x"),
        _of(lab, "a", IP(src=lab.a.ip, dst=S1, options=options) / UDP(sport=5000, dport=7000)),
        _of(lab, "a", IP(src=lab.a.ip, dst=S1, flags="DF") / UDP() / bytes(1600)),
        _of(lab, "a", IP(src=lab.a.ip, dst=lab.c.ip) / UDP(sport=5000, dport=7000) / b"x"),
        _of(lab, "a", IP(src=lab.a.ip, dst="10.0.0.1") / ICMP(type=8, id=3) / b"ping"),
        _of(lab, "a", IP(src=lab.a.ip, dst="10.0.0.1") / TCP(sport=5000, dport=22, flags="S")),
        _of(lab, "a", IP(src=lab.a.ip, dst="10.0.0.1") / UDP(sport=5000, dport=69) / b"x"),
        _of(lab, "a", IP(src="8.8.8.8", dst=S1) / UDP(sport=5000, dport=7000) / b"x"),
        _of(lab, "a", IP(src=lab.a.ip, dst=S1) / UDP(sport=5000, dport=7000) / bytes(1600)),
        _of(lab, "a", IP(src=lab.a.ip, dst=lab.a.ip) / UDP(sport=5000, dport=5000)),
        _of(lab, "a", IP(src=lab.a.ip, dst=S1, proto=51) / Raw(bytes(20))),
        _of(lab, "a", IP(src=lab.a.ip, dst=S1, proto=Protocol.SCTP) / Raw(bytes(11))),
        _of(lab, "a", IP(src=lab.a.ip, dst=S1) / ICMP(type=17, id=9)),
        _of(lab, "b", other(Protocol.GRE, lab.b.ip, S1, 0, 0)),
        _of(lab, "c", IP(src=lab.c.ip, dst=S1) / UDP(sport=5000, dport=7000) / b"clash"),
        _of(lab, "outside", router / ICMP(type=8, id=3) / b"ping"),
        _of(lab, "outside", IP(src=S1, dst=lab.a.ip) / UDP(sport=7000, dport=5000) / b"x"),
        _of(lab, "outside", IP(src=S1, dst="10.0.0.1") / ICMP(type=8, id=3) / b"ping"),
        _of(lab, "outside", IP(src=S1, dst=UPLINK_ADDRESS) / TCP(sport=9, dport=8080, flags="S")),
        _of(lab, "outside", IP(src=S1, dst=UPLINK_ADDRESS) / TCP(sport=9, dport=9, flags="S")),
        _of(lab, "outside", IP(src=S1, dst=UPLINK_ADDRESS) / TCP(sport=9, dport=5000, flags="S")),
        _of(lab, "outside", other(Protocol.GRE, ROUTER_FAR_AWAY, UPLINK_ADDRESS, 0, 0)),
    ]


def _errors(lab: Lab) -> list[Sample]:
    """From the outside and from the inside, about packets of all kinds that got there."""
    transports = [
        UDP(sport=5000, dport=7000) / b"question",
        _segment("a", "A"),
        ICMP(type=8, id=9, seq=1),
        timestamp(13),
    ]
    sent = [IP(src=UPLINK_ADDRESS, dst=S1) / transport for transport in transports]
    got = [IP(src=S1, dst=lab.a.ip) / UDP(sport=7000, dport=5000) / b"answer"]
    for protocol in OTHER_PROTOCOLS:
        sent.append(other(protocol, UPLINK_ADDRESS, S1, 5000, 7000))
        got.append(other(protocol, S1, lab.a.ip, 7000, 5000))
    router, host = IP(src=ROUTER_FAR_AWAY, dst=UPLINK_ADDRESS), IP(src=lab.a.ip, dst=S1)
    later = IP(src=UPLINK_ADDRESS, dst=S1, frag=5, proto=17) / Raw(bytes(40))
    unreachable, expired = ICMP(type=3, code=3), ICMP(type=11)
    return [
        *(_of(lab, "outside", router / unreachable / Raw(bytes(quote))) for quote in sent),
        *(_of(lab, "a", host / unreachable / Raw(bytes(quote))) for quote in got),
        _of(lab, "outside", router / expired / Raw(bytes(sent[0])[:28])),
        _of(lab, "outside", router / expired / Raw(bytes(later))),
    ]


def _fragments(lab: Lab) -> list[Sample]:
    """Datagrams in pieces, out and in, some in a bad order, and pieces that lie."""
    big = IP(src=lab.a.ip, dst=S1, id=1) / UDP(sport=5000, dport=7000) / bytes(2000)
    into = IP(src=S1, dst=UPLINK_ADDRESS, id=2) / UDP(sport=4000, dport=8080) / bytes(2000)
    ping = IP(src=lab.a.ip, dst=S1, id=3) / ICMP(type=8, id=9) / bytes(2000)
    stream = IP(src=lab.a.ip, dst=S1, id=4) / _segment("a", "A") / bytes(2000)
    pieces = {
        "a": [*cut(big), *reversed(cut(ping)), *cut(stream)],
        "outside": [*cut(into), cut(into)[0]],
    }
    lies = [
        IP(src=lab.a.ip, dst=S1, id=6, flags="MF") / UDP(sport=5000, dport=7000) / b"odd",
        IP(src=lab.a.ip, dst=S1, id=7, flags="MF", proto=17, len=20),
        IP(src=lab.a.ip, dst=S1, id=5, frag=3, proto=17) / Raw(bytes(80)),
        IP(src=lab.a.ip, dst=S1, id=8, frag=8190, proto=17) / Raw(bytes(80)),
        IP(src=lab.a.ip, dst=S1, id=1, frag=1, flags="MF", proto=17) / Raw(bytes(80)),
        IP(src=S1, dst="10.0.0.1", id=9, frag=1, flags="MF", proto=17) / Raw(bytes(80)),
    ]
    return [
        *(_of(lab, name, piece) for name, some in pieces.items() for piece in some),
        *(_of(lab, "outside" if lie.src == S1 else "a", lie) for lie in lies),
    ]


def cut(packet: Packet, size: int = 800) -> list[Packet]:
    """The fragments of a packet, with at most `size` bytes of payload each."""
    pieces: list[Packet] = fragment(packet, fragsize=size)
    return pieces


def _super_frames(lab: Lab) -> list[Sample]:
    stream = IP(src=lab.a.ip, dst=S1) / _segment("a", "A") / bytes(3000)
    datagrams = IP(src=lab.a.ip, dst=S1) / UDP(sport=5000, dport=7000) / bytes(3000)
    back = IP(src=S1, dst=UPLINK_ADDRESS) / _segment("outside", "A") / bytes(3000)
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
