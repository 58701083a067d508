"""Datagrams faster than the router answers ARP: three wait, the others are too many."""

from __future__ import annotations

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, DB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"


def build(script: Script) -> None:
    router_is_here = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")

    def datagram(station: str, address: str, words: str) -> Ether:
        packet = IP(src=address, dst="198.51.100.1") / UDP(sport=5000, dport=7000)
        return Ether(src=station, dst=GATEWAY) / packet / words.encode()

    script.send(0.0, "app", datagram(APP, "10.0.0.2", "first"))
    script.send(0.1, "db", datagram(DB, "10.0.0.3", "second, of another"))
    script.send(0.2, "app", datagram(APP, "10.0.0.2", "third"))
    script.send(0.3, "app", datagram(APP, "10.0.0.2", "fourth: one too many"))
    script.send(1.4, "db", datagram(DB, "10.0.0.3", "fifth: still too many"))
    script.send(1.5, "uplink", Ether(src=ROUTER, dst=SWITCH) / router_is_here)
    script.send(1.6, "app", datagram(APP, "10.0.0.2", "sixth: need not wait"))


if __name__ == "__main__":
    make(__file__, build)
