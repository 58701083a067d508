"""The middle of connections that the switch has not seen: out, in and to a published port."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, WEB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:04", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"
PORT = 40000


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for port, mac, address in (("app", APP, "10.0.0.2"), ("web", WEB, "10.0.0.4")):
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=GATEWAY, pdst="10.0.0.1")
        script.send(seconds, port, Ether(src=mac, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    out = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst=SERVER)
    back = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst=EXTERNAL)

    def app(seconds: float, flags: str, seq: int, ack: int = 0, data: bytes = b"") -> None:
        segment = TCP(sport=PORT, dport=80, flags=flags, seq=seq, ack=ack)
        script.send(seconds, "app", out / segment / data)

    def server(seconds: float, flags: str, seq: int, ack: int = 0, data: bytes = b"") -> None:
        segment = TCP(sport=80, dport=PORT, flags=flags, seq=seq, ack=ack)
        script.send(seconds, "uplink", back / segment / data)

    introduce(script, 0.0)
    for at, flags in enumerate(("A", "PA", "FA", "R", "RA", "SA"), start=1):
        app(at / 10, flags, 1000, 5000)
        server(at / 10 + 0.03, flags, 5000, 1000)
        published = TCP(sport=6000, dport=8080, flags=flags, seq=5000, ack=1000)
        script.send(at / 10 + 0.06, "uplink", back / published)
    app(3.0, "S", 1000)
    server(3.1, "SA", 5000, 1001)
    app(3.2, "A", 1001, 5001)


if __name__ == "__main__":
    make(__file__, build)
