"""Two endpoints that send from the same ports: low and high ones, even and odd ones."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, DB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for port, mac, address in (("app", APP, "10.0.0.2"), ("db", DB, "10.0.0.3")):
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=GATEWAY, pdst="10.0.0.1")
        script.send(seconds, port, Ether(src=mac, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    from_app = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst=SERVER)
    from_db = Ether(src=DB, dst=GATEWAY) / IP(src="10.0.0.3", dst=SERVER)

    introduce(script, 0.0)
    for at, port in enumerate((80, 81, 1023, 1024, 5000, 5001, 0), start=1):
        script.send(at / 10, "app", from_app / UDP(sport=port, dport=7000) / b"first")
        script.send(at / 10 + 0.05, "db", from_db / UDP(sport=port, dport=7000) / b"second")
    script.send(1.0, "db", from_db / TCP(sport=5000, dport=7000, flags="S", seq=1000))
    script.send(1.1, "app", from_app / TCP(sport=5000, dport=7000, flags="S", seq=1000))


if __name__ == "__main__":
    make(__file__, build)
