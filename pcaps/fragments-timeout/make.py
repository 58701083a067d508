"""Datagrams of which a piece is missing, from inside and from outside, and pieces that are late."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, UDP, fragment
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    here = ARP(op=2, hwsrc=APP, psrc="10.0.0.2", hwdst=GATEWAY, pdst="10.0.0.1")
    script.send(seconds, "app", Ether(src=APP, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    def out(number: int) -> list[Ether]:
        datagram = UDP(sport=5000, dport=7000) / bytes(range(56))
        pieces = fragment(IP(src="10.0.0.2", dst=SERVER, id=number) / datagram, 32)
        return [Ether(src=APP, dst=GATEWAY) / piece for piece in pieces]

    def back(number: int) -> list[Ether]:
        datagram = UDP(sport=7000, dport=5000) / bytes(range(56))
        pieces = fragment(IP(src=SERVER, dst=EXTERNAL, id=number) / datagram, 32)
        return [Ether(src=ROUTER, dst=SWITCH) / piece for piece in pieces]

    introduce(script, 0.0)
    for at, number in enumerate((1, 2)):  # in time, and a moment too late
        script.send(1.0 + at / 10, "app", out(number)[0])
    script.send(1.2, "app", out(3)[1])  # without the beginning
    script.send(1.3, "uplink", back(4)[0])
    script.send(1.4, "uplink", back(5)[1])
    error = IP(src="10.0.0.2", dst=SERVER, id=6) / ICMP(type=3, code=1) / bytes(56)
    script.send(1.5, "app", Ether(src=APP, dst=GATEWAY) / fragment(error, 32)[0])
    script.send(15.9, "app", out(1)[1])
    script.send(16.2, "app", out(2)[1])


if __name__ == "__main__":
    make(__file__, build)
