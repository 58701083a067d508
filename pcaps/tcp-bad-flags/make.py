"""Flags that no TCP sends, out, in and while a connection opens."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"
PORT = 40000


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    here = ARP(op=2, hwsrc=APP, psrc="10.0.0.2", hwdst=GATEWAY, pdst="10.0.0.1")
    script.send(seconds, "app", Ether(src=APP, dst=GATEWAY) / here)
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
    app(0.1, "S", 1000)
    server(0.2, "SA", 5000, 1001)
    for at, flags in enumerate(("SF", "SR", "FRA", "SFRPAU", "", "P", "U"), start=3):
        app(at / 10, flags, 1001, 5001)
        server(at / 10 + 0.05, flags, 5001, 1001)
    app(1.01, "A", 1001, 5001)  # from here on the fast path knows this direction
    for at, flags in enumerate(("", "P", "U")):
        app(1.02 + at / 100, flags, 1001, 5001)
    server(1.1, "PA", 5001, 1001, b"the connection is none the worse")
    app(1.2, "SEC", 1000)  # ECN is asked for: nothing is wrong with that

    for at, (sport, dport) in enumerate(((0, 80), (40001, 0)), start=3):
        nowhere = TCP(sport=sport, dport=dport, flags="S", seq=1)
        script.send(1 + at / 10, "app", out / nowhere)
    for at, flags in enumerate(("SF", "", "FPU"), start=5):
        fresh = TCP(sport=40002, dport=80, flags=flags, seq=1)
        script.send(1 + at / 10, "app", out / fresh)


if __name__ == "__main__":
    make(__file__, build)
