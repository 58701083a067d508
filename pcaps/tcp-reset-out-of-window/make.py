"""Resets outside the window, within it and exact ones, in connections that are silent then."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"
ENDPOINTS = {
    "app": ("02:00:00:00:01:02", "02:00:00:00:01:01", "10.0.0.2", "10.0.0.1"),
    "job": ("02:00:00:00:02:02", "02:00:00:00:02:01", "10.1.0.2", "10.1.0.1"),
}
CONNECTIONS = (
    ("app", 40001, 0x8000_0000),  # outside the window
    ("app", 40002, 5101),  # within it: what has been acknowledged is 5001
    ("app", 40003, 5001),  # exact
    ("job", 40004, 0x8000_0000),  # nobody looks at windows in job's network
)


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for name, (mac, gateway, address, router) in ENDPOINTS.items():
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=gateway, pdst=router)
        script.send(seconds, name, Ether(src=mac, dst=gateway) / here)
    outside = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst=EXTERNAL)
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / outside)


def build(script: Script) -> None:
    def client(seconds: float, name: str, port: int, flags: str, seq: int, ack: int = 0) -> None:
        mac, gateway, address, _ = ENDPOINTS[name]
        out = Ether(src=mac, dst=gateway) / IP(src=address, dst=SERVER)
        segment = TCP(sport=port, dport=80, flags=flags, seq=seq, ack=ack)
        script.send(seconds, name, out / segment)

    def server(
        seconds: float, port: int, flags: str, seq: int, ack: int = 0, data: bytes = b""
    ) -> None:
        back = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst=EXTERNAL)
        segment = TCP(sport=80, dport=port, flags=flags, seq=seq, ack=ack)
        script.send(seconds, "uplink", back / segment / data)

    introduce(script, 0.0)
    for at, (name, port, _) in enumerate(CONNECTIONS, start=1):
        client(at / 10, name, port, "S", 1000)
        server(at / 10 + 0.01, port, "SA", 5000, 1001)
        client(at / 10 + 0.02, name, port, "A", 1001, 5001)
    for at, (_, port, sequence) in enumerate(CONNECTIONS):
        server(1 + at / 10, port, "R", sequence)

    introduce(script, 240.0)
    for at, (_, port, _) in enumerate(CONNECTIONS):
        server(250 + at / 10, port, "PA", 5001, 1001, b"still here?")


if __name__ == "__main__":
    make(__file__, build)
