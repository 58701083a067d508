"""The first and the last port of a published run, and those beside it."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

WEB, DB, GATEWAY = "02:00:00:00:01:04", "02:00:00:00:01:03", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
CLIENT, EXTERNAL = "198.51.100.1", "203.0.113.1"


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for port, mac, address in (("web", WEB, "10.0.0.4"), ("db", DB, "10.0.0.3")):
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=GATEWAY, pdst="10.0.0.1")
        script.send(seconds, port, Ether(src=mac, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    into = Ether(src=ROUTER, dst=SWITCH) / IP(src=CLIENT, dst=EXTERNAL)
    answers = Ether(src=WEB, dst=GATEWAY) / IP(src="10.0.0.4", dst=CLIENT)

    introduce(script, 0.0)
    for at, port in enumerate(range(8999, 9006), start=1):
        script.send(at / 10, "uplink", into / UDP(sport=33000, dport=port) / b"question")
    script.send(0.8, "uplink", into / TCP(sport=33000, dport=9000, flags="S", seq=1000))
    for at, port in enumerate((7000, 7003), start=9):
        script.send(at / 10, "web", answers / UDP(sport=port, dport=33000) / b"answer")
    script.send(1.1, "web", answers / UDP(sport=7001, dport=33001) / b"to another port of his")


if __name__ == "__main__":
    make(__file__, build)
