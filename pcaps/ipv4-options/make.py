"""Datagrams with IPv4 options, routed outwards and between neighbours."""

from __future__ import annotations

from scapy.layers.inet import (
    IP,
    UDP,
    IPOption,
    IPOption_LSRR,
    IPOption_NOP,
    IPOption_RR,
    IPOption_SSRR,
    IPOption_Timestamp,
)
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, DB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER = "198.51.100.1"


def build(script: Script) -> None:
    router_is_here = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    ask_gateway = ARP(op=1, hwsrc=APP, psrc="10.0.0.2", pdst="10.0.0.1")
    record_route = IPOption_RR(routers=["0.0.0.0"] * 3)
    loose = IPOption_LSRR(routers=["198.51.100.9"])
    strict = IPOption_SSRR(routers=["198.51.100.9"])

    def out(options: list[IPOption], words: bytes) -> Ether:
        packet = IP(src="10.0.0.2", dst=SERVER, options=options) / UDP(sport=5000, dport=7000)
        return Ether(src=APP, dst=GATEWAY) / packet / words

    def beside(options: list[IPOption], words: bytes) -> Ether:
        packet = IP(src="10.0.0.2", dst="10.0.0.3", options=options) / UDP(sport=5000, dport=7000)
        return Ether(src=APP, dst=DB) / packet / words

    back = IP(src=SERVER, dst="203.0.113.1", options=[record_route]) / UDP(sport=7000, dport=5000)
    source_routed = IP(src=SERVER, dst="203.0.113.1", options=[loose])
    source_routed /= UDP(sport=7000, dport=5000)

    script.send(0.0, "app", Ether(src=APP, dst=GATEWAY) / ask_gateway)
    script.send(0.0, "uplink", Ether(src=ROUTER, dst=SWITCH) / router_is_here)
    script.send(0.1, "app", out([record_route], b"record my route"))
    script.send(0.2, "app", out([record_route], b"and again"))
    script.send(0.3, "uplink", Ether(src=ROUTER, dst=SWITCH) / back / b"and back")
    script.send(0.4, "app", out([loose], b"by way of another"))
    script.send(0.5, "app", out([strict], b"by way of no other"))
    script.send(0.6, "app", out([IPOption_NOP(), record_route, loose], b"hidden behind others"))
    script.send(0.7, "uplink", Ether(src=ROUTER, dst=SWITCH) / source_routed / b"from outside")
    script.send(0.8, "app", beside([loose], b"between neighbours"))

    recorded = IPOption_RR(pointer=8, routers=["10.0.0.77", "0.0.0.0"])
    stamped = IPOption_Timestamp(internet_address="10.0.0.77", timestamp=36_000_000)
    script.send(0.9, "app", out([recorded], b"by way of a router inside"))
    script.send(1.0, "app", out([stamped], b"and when"))
    elsewhere = IPOption_RR(pointer=8, routers=["198.51.100.9", "0.0.0.0"])
    script.send(1.1, "app", out([elsewhere], b"by way of one outside"))


if __name__ == "__main__":
    make(__file__, build)
