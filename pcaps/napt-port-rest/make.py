"""Who gets an external port, or an identifier of queries, that somebody else has just had."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"
ENDPOINTS = {
    "app": ("02:00:00:00:01:02", "02:00:00:00:01:01", "10.0.0.2", "10.0.0.1"),
    "db": ("02:00:00:00:01:03", "02:00:00:00:01:01", "10.0.0.3", "10.0.0.1"),
    "job": ("02:00:00:00:02:02", "02:00:00:00:02:01", "10.1.0.2", "10.1.0.1"),
}


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for name, (mac, gateway, address, router) in ENDPOINTS.items():
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=gateway, pdst=router)
        script.send(seconds, name, Ether(src=mac, dst=gateway) / here)
    outside = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst=EXTERNAL)
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / outside)


def build(script: Script) -> None:
    def out(name: str) -> Ether:
        mac, gateway, address, _ = ENDPOINTS[name]
        return Ether(src=mac, dst=gateway) / IP(src=address, dst=SERVER)

    def ping(seconds: float, name: str, identifier: int) -> None:
        script.send(seconds, name, out(name) / ICMP(type=8, id=identifier, seq=1))

    def syn(seconds: float, name: str, port: int) -> None:
        segment = TCP(sport=port, dport=80, flags="S", seq=1000)
        script.send(seconds, name, out(name) / segment)

    introduce(script, 0.0)
    ping(0.5, "app", 7)
    ping(0.6, "job", 8)
    syn(0.7, "app", 40000)
    syn(0.8, "app", 40002)

    introduce(script, 60.0)
    ping(60.4, "db", 7)  # app still has it
    ping(60.7, "db", 8)  # job had it until 60.6
    introduce(script, 180.0)
    ping(180.4, "db", 7)  # rests since 60.5
    ping(180.6, "job", 7)  # free

    introduce(script, 240.0)
    syn(240.6, "db", 40000)  # app still has it
    syn(240.9, "db", 40002)  # rests since 240.8
    syn(241.0, "app", 40002)  # but not for app
    introduce(script, 360.6)
    syn(360.8, "job", 40000)  # free since 360.7


if __name__ == "__main__":
    make(__file__, build)
