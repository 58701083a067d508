"""From outside to all that is not published."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
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
    direct = Ether(src=ROUTER, dst=SWITCH) / IP(src=CLIENT)

    introduce(script, 0.0)
    for at, port in enumerate((22, 80, 8079, 8081), start=1):
        script.send(at / 10, "uplink", into / TCP(sport=33000, dport=port, flags="S", seq=1000))
        script.send(at / 10 + 0.03, "uplink", into / TCP(sport=33000, dport=port, flags="A", seq=1))
        script.send(at / 10 + 0.06, "uplink", into / UDP(sport=33000, dport=port) / b"hello")
    script.send(
        0.5, "uplink", into / UDP(sport=33000, dport=8080) / b"TCP is published, UDP is not"
    )
    inside = ("10.0.0.1", "10.0.0.4", "10.0.0.77")
    for at, address in enumerate(inside, start=6):
        packet = direct.copy()
        packet[IP].dst = address
        script.send(at / 10, "uplink", packet / TCP(sport=33000, dport=80, flags="S", seq=1000))
        script.send(at / 10 + 0.05, "uplink", packet / ICMP(type=8, id=7, seq=1))
    script.send(9.0, "uplink", into / TCP(sport=33000, dport=8080, flags="S", seq=1000))


if __name__ == "__main__":
    make(__file__, build)
