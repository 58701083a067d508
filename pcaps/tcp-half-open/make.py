"""SYNs that are answered just in time, too late, and in time because the last of them counts."""

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
    app(0.1, 40001, "S", 1000)
    app(0.2, 40002, "S", 1000)
    for seconds in (0.3, 1.3, 3.3):
        app(seconds, 40003, "S", 1000)

    introduce(script, 235.0)
    server(240.0, 40001, "SA", 5000, 1001)
    server(240.3, 40002, "SA", 5000, 1001)
    server(243.2, 40003, "SA", 5000, 1001)
    app(243.4, 40001, "A", 1001, 5001)
    app(243.5, 40003, "A", 1001, 5001)
    app(243.6, 40002, "A", 1001, 5001)


if __name__ == "__main__":
    make(__file__, build)
