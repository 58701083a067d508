"""A client outside opens a connection to a published port, uses and closes it."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

WEB, GATEWAY = "02:00:00:00:01:04", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
CLIENT, EXTERNAL = "198.51.100.1", "203.0.113.1"


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    here = ARP(op=2, hwsrc=WEB, psrc="10.0.0.4", hwdst=GATEWAY, pdst="10.0.0.1")
    script.send(seconds, "web", Ether(src=WEB, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    into = Ether(src=ROUTER, dst=SWITCH) / IP(src=CLIENT, dst=EXTERNAL)
    answers = Ether(src=WEB, dst=GATEWAY) / IP(src="10.0.0.4", dst=CLIENT)

    def client(seconds: float, flags: str, seq: int, ack: int = 0, data: bytes = b"") -> None:
        segment = TCP(sport=33000, dport=8080, flags=flags, seq=seq, ack=ack)
        script.send(seconds, "uplink", into / segment / data)

    def web(seconds: float, flags: str, seq: int, ack: int = 0, data: bytes = b"") -> None:
        segment = TCP(sport=80, dport=33000, flags=flags, seq=seq, ack=ack)
        script.send(seconds, "web", answers / segment / data)

    introduce(script, 0.0)
    client(0.1, "S", 1000)
    web(0.2, "SA", 5000, 1001)
    client(0.3, "A", 1001, 5001)
    client(0.4, "PA", 1001, 5001, b"GET /")
    web(0.5, "PA", 5001, 1006, b"hello")
    client(0.6, "A", 1006, 5006)
    web(0.7, "FA", 5006, 1006)
    client(0.8, "FA", 1006, 5007)
    web(0.9, "A", 5007, 1007)

    refused = TCP(sport=33001, dport=8080, flags="S", seq=2000)
    script.send(1.0, "uplink", into / refused)
    reset = TCP(sport=80, dport=33001, flags="RA", seq=0, ack=2001)
    script.send(1.1, "web", answers / reset)
    direct = Ether(src=ROUTER, dst=SWITCH) / IP(src=CLIENT, dst="10.0.0.4")
    script.send(1.2, "uplink", direct / TCP(sport=33002, dport=80, flags="S", seq=3000))


if __name__ == "__main__":
    make(__file__, build)
