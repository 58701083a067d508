"""Both sides send a SYN: the client's opens the way for the server's second."""

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
    server(0.1, "S", 5000)  # before the client's
    app(0.2, "S", 1000)
    server(1.1, "S", 5000)  # sent again, it crosses the client's
    app(1.2, "SA", 1000, 5001)
    server(1.3, "SA", 5000, 1001)
    app(1.4, "A", 1001, 5001)
    server(1.5, "PA", 5001, 1001, b"from the server")
    app(1.6, "PA", 1001, 5016, b"from the client")
    server(1.7, "A", 5016, 1016)


if __name__ == "__main__":
    make(__file__, build)
