"""A connection that is reset and goes on all the same, and one that is reset and ends."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    here = ARP(op=2, hwsrc=APP, psrc="10.0.0.2", hwdst=GATEWAY, pdst="10.0.0.1")
    script.send(seconds, "app", Ether(src=APP, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    out = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst=SERVER)
    back = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst=EXTERNAL)

    def app(
        seconds: float, port: int, flags: str, seq: int, ack: int = 0, data: bytes = b""
    ) -> None:
        segment = TCP(sport=port, dport=80, flags=flags, seq=seq, ack=ack)
        script.send(seconds, "app", out / segment / data)

    def server(
        seconds: float, port: int, flags: str, seq: int, ack: int = 0, data: bytes = b""
    ) -> None:
        segment = TCP(sport=80, dport=port, flags=flags, seq=seq, ack=ack)
        script.send(seconds, "uplink", back / segment / data)

    introduce(script, 0.0)
    for seconds, port in ((0.1, 40001), (0.5, 40002)):
        app(seconds, port, "S", 1000)
        server(seconds + 0.1, port, "SA", 5000, 1001)
        app(seconds + 0.2, port, "A", 1001, 5001)
    server(1.0, 40001, "R", 5001)
    app(1.1, 40002, "RA", 1001, 5001)

    introduce(script, 230.0)
    server(240.9, 40001, "PA", 5001, 1001, b"it was not the server who reset")
    app(241.0, 40001, "A", 1001, 5032)
    server(241.2, 40002, "PA", 5001, 1001, b"too late")
    introduce(script, 490.0)
    server(491.0, 40001, "PA", 5032, 1001, b"established again")
    app(491.1, 40003, "R", 1)  # of no connection: goes nowhere


if __name__ == "__main__":
    make(__file__, build)
