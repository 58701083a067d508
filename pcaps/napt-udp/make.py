"""Datagrams out by NAPT: one that waits for ARP, one by the fast path, the answer, a stranger's."""

from __future__ import annotations

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER = "198.51.100.1"
EVERYBODY = "ff:ff:ff:ff:ff:ff"


def build(script: Script) -> None:
    who_is_gateway = ARP(op=1, hwsrc=APP, psrc="10.0.0.2", pdst="10.0.0.1")
    router_is_here = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    out = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst=SERVER) / UDP(sport=5000, dport=7000)
    back = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst="203.0.113.1")

    script.send(0.0, "app", Ether(src=APP, dst=EVERYBODY) / who_is_gateway)
    script.send(0.1, "app", out / b"first: waits for the router's station")
    script.send(0.2, "uplink", Ether(src=ROUTER, dst=SWITCH) / router_is_here)
    script.send(0.3, "app", out / b"second")
    script.send(0.4, "app", out / b"third: the fast path's")
    script.send(0.5, "uplink", back / UDP(sport=7000, dport=5000) / b"answer")
    script.send(0.6, "uplink", back / UDP(sport=7000, dport=5001) / b"to a port of nobody")


if __name__ == "__main__":
    make(__file__, build)
