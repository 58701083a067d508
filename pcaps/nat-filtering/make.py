"""Whom an endpoint has sent to, the same host from another port, and a stranger send to it."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, STRANGER, EXTERNAL = "198.51.100.1", "198.51.100.2", "203.0.113.1"
ENDPOINTS = (
    ("game", "02:00:00:00:01:02", "02:00:00:00:01:01", "10.1.0.2", 5001),
    ("app", "02:00:00:00:02:02", "02:00:00:00:02:01", "10.2.0.2", 5002),
    ("db", "02:00:00:00:03:02", "02:00:00:00:03:01", "10.3.0.2", 5003),
)
SENDERS = ((SERVER, 7000), (SERVER, 7001), (STRANGER, 7000))


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for name, mac, gateway, address, _ in ENDPOINTS:
        router = address.removesuffix("2") + "1"
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=gateway, pdst=router)
        script.send(seconds, name, Ether(src=mac, dst=gateway) / here)
    outside = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst=EXTERNAL)
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / outside)


def build(script: Script) -> None:
    introduce(script, 0.0)
    for at, (name, mac, gateway, address, port) in enumerate(ENDPOINTS, start=1):
        out = Ether(src=mac, dst=gateway) / IP(src=address, dst=SERVER)
        script.send(at / 10, name, out / UDP(sport=port, dport=7000) / b"opens the port")
        segment = TCP(sport=port, dport=7000, flags="S", seq=1000)
        script.send(at / 10 + 0.05, name, out / segment)
    for second, (*_, port) in enumerate(ENDPOINTS, start=1):
        for at, (sender, sport) in enumerate(SENDERS, start=1):
            into = Ether(src=ROUTER, dst=SWITCH) / IP(src=sender, dst=EXTERNAL)
            script.send(second + at / 10, "uplink", into / UDP(sport=sport, dport=port) / b"hello")
            segment = TCP(sport=sport, dport=port, flags="S", seq=5000)
            script.send(second + at / 10 + 0.05, "uplink", into / segment)


if __name__ == "__main__":
    make(__file__, build)
