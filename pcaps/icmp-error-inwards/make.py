"""Errors of a router on the way, about a datagram, a SYN and a ping, arrive from outside."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, DB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL, HOP = "198.51.100.1", "203.0.113.1", "198.51.100.99"
MAPPED = 6000  # what is left for the ports 5000 of `db`


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for port, mac, address in (("app", APP, "10.0.0.2"), ("db", DB, "10.0.0.3")):
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=GATEWAY, pdst="10.0.0.1")
        script.send(seconds, port, Ether(src=mac, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    from_app = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst=SERVER)
    from_db = Ether(src=DB, dst=GATEWAY) / IP(src="10.0.0.3", dst=SERVER)
    error = Ether(src=ROUTER, dst=SWITCH) / IP(src=HOP, dst=EXTERNAL)
    udp, syn = UDP(sport=5000, dport=7000), TCP(sport=5000, dport=80, flags="S", seq=1000)

    introduce(script, 0.0)
    for at, (port, packet) in enumerate((("app", from_app), ("db", from_db)), start=1):
        script.send(at / 10, port, packet / udp / b"is anybody there?")
        script.send(at / 10 + 0.05, port, packet / syn)
    script.send(0.3, "db", from_db / ICMP(type=8, id=7, seq=1) / b"ping")

    seen = IP(src=EXTERNAL, dst=SERVER, ttl=60)
    datagram = seen / UDP(sport=MAPPED, dport=7000) / b"is anybody there?"
    segment = seen / TCP(sport=MAPPED, dport=80, flags="S", seq=1000)
    ping = seen / ICMP(type=8, id=7, seq=1) / b"ping"
    unchecked = seen / UDP(sport=MAPPED, dport=7000, chksum=0) / b"is anybody there?"
    script.send(0.4, "uplink", error / ICMP(type=3, code=3) / bytes(datagram))
    script.send(0.5, "uplink", error / ICMP(type=3, code=3) / bytes(datagram)[:28])
    script.send(0.6, "uplink", error / ICMP(type=3, code=3) / bytes(unchecked))
    script.send(0.7, "uplink", error / ICMP(type=3, code=1) / bytes(segment))
    script.send(0.8, "uplink", error / ICMP(type=3, code=1) / bytes(segment)[:28])
    script.send(0.9, "uplink", error / ICMP(type=3, code=4, nexthopmtu=1280) / bytes(datagram))
    script.send(1.0, "uplink", error / ICMP(type=11, code=0) / bytes(ping))
    padded = bytes(datagram).ljust(128, bytes(1))
    labels = bytes.fromhex("2000edef 000c0101 0001f101 00000000")  # RFC 4950, one MPLS label
    lengthened = ICMP(type=11, code=0, length=32)
    script.send(1.1, "uplink", error / lengthened / (padded + labels))


if __name__ == "__main__":
    make(__file__, build)
