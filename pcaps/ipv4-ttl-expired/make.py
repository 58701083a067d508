"""Packets whose time to live ends at the switch: from inside, from outside, and about an error."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER = "198.51.100.1"


def build(script: Script) -> None:
    router_is_here = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    ask_gateway = ARP(op=1, hwsrc=APP, psrc="10.0.0.2", pdst="10.0.0.1")

    def out(ttl: int, words: bytes) -> Ether:
        packet = IP(src="10.0.0.2", dst=SERVER, ttl=ttl) / UDP(sport=5000, dport=7000) / words
        return Ether(src=APP, dst=GATEWAY) / packet

    def back(ttl: int, words: bytes) -> Ether:
        packet = IP(src=SERVER, dst="203.0.113.1", ttl=ttl) / UDP(sport=7000, dport=5000) / words
        return Ether(src=ROUTER, dst=SWITCH) / packet

    quoted = IP(src="203.0.113.1", dst=SERVER, ttl=1) / UDP(sport=5000, dport=7000) / b"quoted"
    error = IP(src=SERVER, dst="203.0.113.1", ttl=1) / ICMP(type=3, code=3) / quoted
    echo = IP(src="10.0.0.2", dst="10.0.0.1", ttl=1) / ICMP(type=8, id=1, seq=1)

    script.send(0.0, "app", Ether(src=APP, dst=GATEWAY) / ask_gateway)
    script.send(0.0, "uplink", Ether(src=ROUTER, dst=SWITCH) / router_is_here)
    script.send(0.1, "app", out(1, b"the first hop of a traceroute"))
    script.send(0.2, "app", out(0, b"should not even be here"))
    script.send(0.3, "app", out(2, b"the second hop"))
    script.send(0.4, "app", out(2, b"by the fast path"))
    script.send(0.5, "app", out(1, b"of a flow that the fast path knows"))
    script.send(0.6, "uplink", back(2, b"one hop is left"))
    script.send(0.7, "uplink", back(1, b"none is left"))
    script.send(0.8, "uplink", Ether(src=ROUTER, dst=SWITCH) / error)
    script.send(0.9, "app", Ether(src=APP, dst=GATEWAY) / echo)


if __name__ == "__main__":
    make(__file__, build)
