"""How long an external port and the way back by it last when nobody speaks."""

from __future__ import annotations

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, DB, WEB, GATEWAY = (
    "02:00:00:00:01:02",
    "02:00:00:00:01:03",
    "02:00:00:00:01:04",
    "02:00:00:00:01:01",
)
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    stations = (("app", APP, "10.0.0.2"), ("db", DB, "10.0.0.3"), ("web", WEB, "10.0.0.4"))
    for port, mac, address in stations:
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=GATEWAY, pdst="10.0.0.1")
        script.send(seconds, port, Ether(src=mac, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    back = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst=EXTERNAL)
    stations = {"app": (APP, "10.0.0.2"), "db": (DB, "10.0.0.3"), "web": (WEB, "10.0.0.4")}

    def out(seconds: float, port: str, sport: int, data: bytes) -> None:
        mac, address = stations[port]
        packet = Ether(src=mac, dst=GATEWAY) / IP(src=address, dst=SERVER)
        script.send(seconds, port, packet / UDP(sport=sport, dport=7000) / data)

    def answer(seconds: float, dport: int, data: bytes) -> None:
        script.send(seconds, "uplink", back / UDP(sport=7000, dport=dport) / data)

    introduce(script, 0.0)
    out(1.0, "app", 5000, b"once and no more")
    out(2.0, "app", 6000, b"answered late")

    introduce(script, 290.0)
    answer(301.9, 6000, b"after 299.9 s")
    answer(302.0, 5000, b"after 301 s")
    out(420.9, "db", 5000, b"5000 rests")
    out(421.1, "web", 5000, b"5000 is free")

    introduce(script, 580.0)
    answer(601.8, 6000, b"after 299.9 s more")
    introduce(script, 860.0)
    answer(902.0, 6000, b"after 300.2 s")
    out(903.0, "db", 6000, b"6000 rests")
    out(904.0, "app", 6000, b"6000 is still app's")


if __name__ == "__main__":
    make(__file__, build)
