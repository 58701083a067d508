"""A connection from its SYN to its last FIN, a FIN once more, and what comes when it is gone."""

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
    app(0.3, "A", 1001, 5001)
    app(0.4, "PA", 1001, 5001, b"request")
    server(0.5, "PA", 5001, 1008, b"answer")
    app(0.6, "A", 1008, 5007)
    app(0.7, "FA", 1008, 5007)
    server(0.8, "A", 5007, 1009)
    server(0.9, "FA", 5007, 1009)
    app(1.0, "A", 1009, 5008)

    introduce(script, 230.0)
    server(240.9, "FA", 5007, 1009)  # as if the last ACK were lost
    app(241.0, "A", 1009, 5008)
    introduce(script, 480.0)
    server(481.1, "FA", 5007, 1009)
    app(481.2, "A", 1009, 5008)


if __name__ == "__main__":
    make(__file__, build)
