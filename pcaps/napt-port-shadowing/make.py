"""An endpoint sends from a port that is published for another; the other's client comes."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, WEB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:04", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for port, mac, address in (("app", APP, "10.0.0.2"), ("web", WEB, "10.0.0.4")):
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=GATEWAY, pdst="10.0.0.1")
        script.send(seconds, port, Ether(src=mac, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    from_app = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst=SERVER)
    from_web = Ether(src=WEB, dst=GATEWAY) / IP(src="10.0.0.4", dst=SERVER)
    outside = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst=EXTERNAL)

    introduce(script, 0.0)
    script.send(0.1, "app", from_app / UDP(sport=8080, dport=4444) / b"shadow")
    script.send(0.2, "uplink", outside / UDP(sport=4444, dport=8080) / b"for web")
    script.send(0.3, "web", from_web / UDP(sport=80, dport=4444) / b"from web")
    script.send(0.4, "app", from_app / TCP(sport=8080, dport=4444, flags="S", seq=1000))
    script.send(0.5, "uplink", outside / TCP(sport=4444, dport=8080, flags="S", seq=5000))
    answer = TCP(sport=80, dport=4444, flags="SA", seq=9000, ack=5001)
    script.send(0.6, "web", from_web / answer)


if __name__ == "__main__":
    make(__file__, build)
