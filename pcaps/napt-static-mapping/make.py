"""External ports that were given to endpoints by hand: out by them, in by them, and how long."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, STRANGER, EXTERNAL = "198.51.100.1", "198.51.100.2", "203.0.113.1"
ENDPOINTS = {
    "app": ("02:00:00:00:01:02", "02:00:00:00:01:01", "10.0.0.2", "10.0.0.1"),
    "db": ("02:00:00:00:01:03", "02:00:00:00:01:01", "10.0.0.3", "10.0.0.1"),
    "game": ("02:00:00:00:02:02", "02:00:00:00:02:01", "10.1.0.2", "10.1.0.1"),
}


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for name, (mac, gateway, address, router) in ENDPOINTS.items():
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=gateway, pdst=router)
        script.send(seconds, name, Ether(src=mac, dst=gateway) / here)
    outside = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst=EXTERNAL)
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / outside)


def build(script: Script) -> None:
    def out(seconds: float, name: str, sport: int) -> None:
        mac, gateway, address, _ = ENDPOINTS[name]
        packet = Ether(src=mac, dst=gateway) / IP(src=address, dst=SERVER)
        script.send(seconds, name, packet / UDP(sport=sport, dport=9000) / b"out")

    def into(seconds: float, sender: str, sport: int, dport: int) -> None:
        packet = Ether(src=ROUTER, dst=SWITCH) / IP(src=sender, dst=EXTERNAL)
        script.send(seconds, "uplink", packet / UDP(sport=sport, dport=dport) / b"in")

    introduce(script, 0.0)
    out(1.0, "db", 5000)  # is kept for app
    into(1.1, STRANGER, 9000, 5000)
    out(1.2, "app", 6000)
    into(1.3, SERVER, 9000, 5000)
    into(1.4, SERVER, 9001, 5000)
    into(1.5, SERVER, 9000, 5001)  # nobody's

    mac, gateway, address, _ = ENDPOINTS["app"]
    web = Ether(src=mac, dst=gateway) / IP(src=address, dst=SERVER)
    script.send(1.6, "app", web / TCP(sport=80, dport=9000, flags="S", seq=1000))

    into(2.0, STRANGER, 9000, 7000)
    into(2.1, STRANGER, 9000, 7001)
    out(2.2, "game", 27016)

    for seconds in (290.0, 580.0, 870.0):
        introduce(script, seconds)
    into(1000.1, SERVER, 9000, 5000)  # long after all connections have ended
    into(1000.2, STRANGER, 9000, 7001)
    out(1000.3, "db", 5000)
    out(1000.4, "app", 6000)


if __name__ == "__main__":
    make(__file__, build)
