"""Errors about nothing that is known here, damaged ones, and ones that quote too little."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL, HOP = "198.51.100.1", "203.0.113.1", "198.51.100.99"


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    here = ARP(op=2, hwsrc=APP, psrc="10.0.0.2", hwdst=GATEWAY, pdst="10.0.0.1")
    script.send(seconds, "app", Ether(src=APP, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    out = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst=SERVER)
    error = Ether(src=ROUTER, dst=SWITCH) / IP(src=HOP, dst=EXTERNAL)
    closed = ICMP(type=3, code=3)

    introduce(script, 0.0)
    script.send(0.1, "app", out / UDP(sport=5000, dport=7000) / b"hello")

    sent = IP(src=EXTERNAL, dst=SERVER) / UDP(sport=5000, dport=7000) / b"hello"
    other_port = IP(src=EXTERNAL, dst=SERVER) / UDP(sport=5000, dport=7001) / b"hello"
    other_way = IP(src=SERVER, dst=EXTERNAL) / UDP(sport=7000, dport=5000) / b"hello"
    damaged = IP(src=EXTERNAL, dst=SERVER, chksum=0x1234) / UDP(sport=5000, dport=7000) / b"hello"
    fragment = IP(src=EXTERNAL, dst=SERVER, frag=100) / UDP(sport=5000, dport=7000) / b"hello"
    nested = IP(src=EXTERNAL, dst=SERVER) / closed / bytes(sent)
    for at, quote in enumerate((other_port, other_way, damaged, fragment, nested), start=2):
        script.send(at / 10, "uplink", error / closed / bytes(quote))
    script.send(0.7, "uplink", error / closed / bytes(sent)[:24])
    script.send(0.8, "uplink", error / closed / bytes(sent)[:16])
    script.send(0.9, "uplink", error / closed)
    script.send(1.0, "uplink", error / ICMP(type=3, code=3, chksum=0x1234) / bytes(sent))
    script.send(1.1, "uplink", error / ICMP(type=5, code=1, gw=HOP) / bytes(sent))

    unknown = IP(src=SERVER, dst="10.0.0.2") / UDP(sport=7001, dport=5000) / b"hello"
    script.send(1.2, "app", out / closed / bytes(unknown))
    script.send(1.3, "app", out / ICMP(type=5, code=1, gw="10.0.0.77") / bytes(unknown))
    script.send(1.4, "uplink", error / closed / bytes(sent))  # this one is right


if __name__ == "__main__":
    make(__file__, build)
