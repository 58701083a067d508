"""An endpoint opens a connection to a published port of another one, and of its own."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, WEB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:04", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
EXTERNAL = "203.0.113.1"


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for port, mac, address in (("app", APP, "10.0.0.2"), ("web", WEB, "10.0.0.4")):
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=GATEWAY, pdst="10.0.0.1")
        script.send(seconds, port, Ether(src=mac, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    from_app = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst=EXTERNAL)
    from_web = Ether(src=WEB, dst=GATEWAY) / IP(src="10.0.0.4", dst=EXTERNAL)

    def app(seconds: float, flags: str, seq: int, ack: int = 0, data: bytes = b"") -> None:
        segment = TCP(sport=40000, dport=8080, flags=flags, seq=seq, ack=ack)
        script.send(seconds, "app", from_app / segment / data)

    def web(seconds: float, flags: str, seq: int, ack: int = 0, data: bytes = b"") -> None:
        segment = TCP(sport=80, dport=40000, flags=flags, seq=seq, ack=ack)
        script.send(seconds, "web", from_web / segment / data)

    introduce(script, 0.0)
    app(0.1, "S", 1000)
    web(0.2, "SA", 5000, 1001)
    app(0.3, "A", 1001, 5001)
    app(0.4, "PA", 1001, 5001, b"GET /")
    web(0.5, "PA", 5001, 1006, b"hello")
    app(0.6, "FA", 1006, 5006)
    web(0.7, "FA", 5006, 1007)
    app(0.8, "A", 1007, 5007)

    itself = TCP(sport=41000, dport=8080, flags="S", seq=1000)
    script.send(1.0, "web", from_web / itself)
    answer = TCP(sport=80, dport=41000, flags="SA", seq=5000, ack=1001)
    script.send(1.1, "web", from_web / answer)


if __name__ == "__main__":
    make(__file__, build)
