"""One mapping, one connection, one connection per second more than an endpoint may have."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"
ENDPOINTS = {
    "app": ("02:00:00:00:01:02", "02:00:00:00:01:01", "10.0.0.2", "10.0.0.1"),
    "db": ("02:00:00:00:01:03", "02:00:00:00:01:01", "10.0.0.3", "10.0.0.1"),
    "web": ("02:00:00:00:02:02", "02:00:00:00:02:01", "10.1.0.2", "10.1.0.1"),
    "job": ("02:00:00:00:03:02", "02:00:00:00:03:01", "10.2.0.2", "10.2.0.1"),
}


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for name, (mac, gateway, address, router) in ENDPOINTS.items():
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=gateway, pdst=router)
        script.send(seconds, name, Ether(src=mac, dst=gateway) / here)
    outside = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst=EXTERNAL)
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / outside)


def build(script: Script) -> None:
    def out(seconds: float, name: str, sport: int, dport: int = 7000) -> None:
        mac, gateway, address, _ = ENDPOINTS[name]
        packet = Ether(src=mac, dst=gateway) / IP(src=address, dst=SERVER)
        script.send(seconds, name, packet / UDP(sport=sport, dport=dport) / b"out")

    def answer(seconds: float, dport: int, sport: int = 7000) -> None:
        packet = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst=EXTERNAL)
        script.send(seconds, "uplink", packet / UDP(sport=sport, dport=dport) / b"answer")

    introduce(script, 0.0)

    # four mappings are allowed in app's network
    for at, port in enumerate((5001, 5002, 5003, 5004, 5005), start=1):
        out(1 + at / 10, "app", port)
    mac, gateway, address, _ = ENDPOINTS["app"]
    syn = TCP(sport=5005, dport=80, flags="S", seq=1000)
    script.send(1.6, "app", Ether(src=mac, dst=gateway) / IP(src=address, dst=SERVER) / syn)
    out(1.7, "app", 5001, 7001)  # by a mapping that is there
    out(1.8, "db", 5005)  # another endpoint
    answer(1.9, 5004)

    # three connections are allowed in web's network
    for at, port in enumerate((6001, 6002, 6003), start=1):
        out(2 + at / 10, "web", port)
        answer(2.05 + at / 10, port)
    out(2.4, "web", 6004)  # all others are answered: none may go
    answer(2.5, 6001)
    for at, dport in enumerate((7001, 7002, 7003), start=6):
        out(2 + at / 10, "job", 8000, dport)  # two per second are allowed in job's network
    out(3.2, "job", 8000, 7003)

    # unanswered ones make room
    introduce(script, 290.0)
    answer(301.0, 6001)  # the other two end at 302.25 and 302.35
    out(303.0, "web", 6002)
    out(303.1, "web", 6003)
    out(303.2, "web", 6004)
    answer(303.3, 6003)
    answer(303.4, 6002)  # has made room for 6004
    answer(303.5, 6001)


if __name__ == "__main__":
    make(__file__, build)
