"""Two endpoints ping with the same identifier, and answers come in time and too late."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, DB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"
OTHER = 8807  # what is left for the identifier 7 of `db`


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for port, mac, address in (("app", APP, "10.0.0.2"), ("db", DB, "10.0.0.3")):
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=GATEWAY, pdst="10.0.0.1")
        script.send(seconds, port, Ether(src=mac, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    from_app = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2")
    from_db = Ether(src=DB, dst=GATEWAY) / IP(src="10.0.0.3")
    outside = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst=EXTERNAL)

    def ping(seconds: float, port: str, packet: Ether, server: str, seq: int) -> None:
        packet = packet.copy()
        packet[IP].dst = server
        script.send(seconds, port, packet / ICMP(type=8, id=7, seq=seq) / b"ping")

    def pong(seconds: float, identifier: int, seq: int) -> None:
        script.send(seconds, "uplink", outside / ICMP(type=0, id=identifier, seq=seq) / b"ping")

    introduce(script, 0.0)
    ping(0.1, "app", from_app, SERVER, 1)
    ping(0.2, "db", from_db, SERVER, 1)
    ping(0.3, "app", from_app, "198.51.100.2", 1)
    ping(0.4, "db", from_db, "198.51.100.2", 1)
    pong(0.5, 7, 1)
    pong(0.6, OTHER, 1)
    pong(0.7, 8, 1)  # of nobody's ping
    ping(1.0, "app", from_app, SERVER, 2)
    pong(60.9, 7, 2)
    pong(121.0, 7, 2)


if __name__ == "__main__":
    make(__file__, build)
