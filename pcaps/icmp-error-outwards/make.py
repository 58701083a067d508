"""Errors from inside: about a request to a published port, and about an answer."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, WEB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:04", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for port, mac, address in (("app", APP, "10.0.0.2"), ("web", WEB, "10.0.0.4")):
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=GATEWAY, pdst="10.0.0.1")
        script.send(seconds, port, Ether(src=mac, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    outside = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst=EXTERNAL)
    from_app = Ether(src=APP, dst=GATEWAY)
    from_web = Ether(src=WEB, dst=GATEWAY)
    request = UDP(sport=4444, dport=8080) / b"request"
    answer = UDP(sport=7000, dport=5000) / b"answer"

    introduce(script, 0.0)
    script.send(0.1, "uplink", outside / request)
    to_server = IP(src="10.0.0.2", dst=SERVER) / UDP(sport=5000, dport=7000)
    script.send(0.2, "app", from_app / to_server / b"question")
    script.send(0.3, "uplink", outside / answer)

    to_web = IP(src=SERVER, dst="10.0.0.4", ttl=63) / UDP(sport=4444, dport=80) / b"request"
    to_app = IP(src=SERVER, dst="10.0.0.2", ttl=63) / UDP(sport=7000, dport=5000) / b"answer"
    closed, unreachable = ICMP(type=3, code=3), ICMP(type=3, code=1)
    script.send(0.4, "web", from_web / IP(src="10.0.0.4", dst=SERVER) / closed / bytes(to_web))
    script.send(0.5, "app", from_app / IP(src="10.0.0.2", dst=SERVER) / closed / bytes(to_app)[:28])
    router_inside = IP(src="10.0.0.77", dst=SERVER)
    script.send(0.6, "app", from_app / router_inside / unreachable / bytes(to_app))
    script.send(0.7, "uplink", outside / request)


if __name__ == "__main__":
    make(__file__, build)
