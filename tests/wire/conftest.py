"""Sample frames made by scapy, one of every kind that the wire room reads."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import (
    ICMPv6DestUnreach,
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    IPv6,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import ARP, LLC, STP, Dot1Q, Dot3, Ether
from scapy.layers.sctp import SCTP
from scapy.packet import Packet, Raw

from vswitch.wire.offload import (
    DATA_VALID,
    GSO_ECN,
    GSO_TCPV4,
    GSO_TCPV6,
    GSO_UDP_L4,
    NEEDS_CSUM,
    OffloadHeader,
)

ALICE = "02:00:00:00:00:01"
BOB = "02:00:00:00:00:02"
LINK = Ether(src=ALICE, dst=BOB)
BROADCAST_LINK = Ether(src=ALICE, dst="ff:ff:ff:ff:ff:ff")
V4 = IP(src="10.0.0.2", dst="198.51.100.1", id=7)
V6 = IPv6(src="fd00::2", dst="2001:db8::1")
TCP_OPTIONS = [("Timestamp", (1, 2)), ("NOP", None), ("NOP", None)]
QUOTED = bytes(IP(src="198.51.100.1", dst="10.0.0.2") / UDP(sport=53, dport=4444) / Raw(b"q" * 40))


def _frame(packet: Packet, header: OffloadHeader | None = None) -> bytes:
    return (header or OffloadHeader()).pack() + bytes(packet)


def _super(gso_type: int, start: int, offset: int, flags: int = NEEDS_CSUM) -> OffloadHeader:
    return OffloadHeader(flags, gso_type, start + 20, 100, start, offset)


SAMPLES = {
    "arp-request": _frame(BROADCAST_LINK / ARP(hwsrc=ALICE, psrc="10.0.0.2", pdst="10.0.0.1")),
    "arp-reply": _frame(LINK / ARP(hwsrc=ALICE, op=2, psrc="10.0.0.1", pdst="10.0.0.2")),
    "arp-probe": _frame(BROADCAST_LINK / ARP(hwsrc=ALICE, psrc="0.0.0.0", pdst="10.0.0.1")),
    "arp-tagged": _frame(
        BROADCAST_LINK / Dot1Q(vlan=5) / ARP(hwsrc=ALICE, psrc="10.0.0.2", pdst="10.0.0.1")
    ),
    "tcp4": _frame(LINK / V4 / TCP(sport=5000, dport=80, flags="S", seq=1, window=64240)),
    "tcp4-data": _frame(LINK / V4 / TCP(flags="PA", options=TCP_OPTIONS) / Raw(b"x" * 33)),
    "tcp4-tagged": _frame(LINK / Dot1Q(vlan=7) / V4 / TCP(flags="A") / Raw(b"hello")),
    "tcp4-ip-options": _frame(
        LINK / IP(src="10.0.0.2", dst="10.0.0.1", options=[IPOption_NOP()] * 4) / TCP()
    ),
    "udp4": _frame(LINK / V4 / UDP(sport=5000, dport=53) / Raw(b"query")),
    "udp4-first-fragment": _frame(
        LINK / IP(src="10.0.0.2", dst="10.0.0.1", flags="MF") / UDP(len=64) / Raw(b"x" * 24)
    ),
    "udp4-last-fragment": _frame(
        LINK / IP(src="10.0.0.2", dst="10.0.0.1", frag=4, proto=17) / Raw(b"x" * 32)
    ),
    "icmp-echo": _frame(LINK / V4 / ICMP(id=7, seq=1) / Raw(b"ping")),
    "icmp-unreachable": _frame(LINK / V4 / ICMP(type=3, code=3) / Raw(QUOTED[:28])),
    "icmp-too-big": _frame(LINK / V4 / ICMP(type=3, code=4, nexthopmtu=1280) / Raw(QUOTED)),
    "icmp-redirect": _frame(LINK / V4 / ICMP(type=5, code=1, gw="10.0.0.9") / Raw(QUOTED[:28])),
    "sctp": _frame(LINK / V4 / SCTP(sport=1, dport=2)),
    "tcp6": _frame(LINK / V6 / TCP(sport=5000, dport=80, flags="FA") / Raw(b"six")),
    "udp6": _frame(LINK / V6 / UDP(sport=5000, dport=53) / Raw(b"query")),
    "icmpv6-echo": _frame(LINK / V6 / ICMPv6EchoRequest(id=3, data=b"ping")),
    "icmpv6-ns": _frame(LINK / V6 / ICMPv6ND_NS(tgt="fd00::9")),
    "icmpv6-na": _frame(LINK / V6 / ICMPv6ND_NA(tgt="fd00::9")),
    "icmpv6-unreachable": _frame(LINK / V6 / ICMPv6DestUnreach() / V6 / UDP() / Raw(b"gone")),
    "ipv6-hop-by-hop": _frame(LINK / V6 / IPv6ExtHdrHopByHop() / UDP()),
    "ipv6-fragment": _frame(LINK / V6 / IPv6ExtHdrFragment(m=1) / UDP() / Raw(b"x" * 16)),
    "stp": _frame(Dot3(src=ALICE, dst="01:80:c2:00:00:00") / LLC() / STP()),
    "unknown": _frame(Ether(src=ALICE, dst=BOB, type=0x88B5) / Raw(b"local experiment")),
    "unfinished-udp4": _frame(LINK / V4 / UDP() / Raw(b"abc"), OffloadHeader(1, 0, 0, 0, 34, 6)),
    "super-tcp4": _frame(
        LINK / V4 / TCP(flags="FPCA", options=TCP_OPTIONS) / Raw(bytes(250)),
        _super(GSO_TCPV4 | GSO_ECN, 34, 16),
    ),
    "super-tcp4-tagged": _frame(
        LINK / Dot1Q(vlan=5) / V4 / TCP(flags="A") / Raw(bytes(250)), _super(GSO_TCPV4, 38, 16)
    ),
    "super-tcp4-verified": _frame(
        LINK / V4 / TCP(flags="A") / Raw(bytes(250)), _super(GSO_TCPV4, 0, 0, DATA_VALID)
    ),
    "super-tcp6": _frame(LINK / V6 / TCP(flags="A") / Raw(bytes(250)), _super(GSO_TCPV6, 54, 16)),
    "super-udp4": _frame(LINK / V4 / UDP() / Raw(bytes(250)), _super(GSO_UDP_L4, 34, 6)),
    "super-udp6": _frame(LINK / V6 / UDP() / Raw(bytes(250)), _super(GSO_UDP_L4, 54, 6)),
}
"""Each with its offload header in front."""


@pytest.fixture(scope="session")
def samples() -> dict[str, bytes]:
    return SAMPLES


@pytest.fixture(params=list(SAMPLES))
def sample(request: pytest.FixtureRequest) -> bytes:
    return SAMPLES[request.param]
