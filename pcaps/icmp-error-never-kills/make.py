"""Every kind of error about a datagram flow and a connection, each followed by an answer."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL, HOP = "198.51.100.1", "203.0.113.1", "198.51.100.99"


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    here = ARP(op=2, hwsrc=APP, psrc="10.0.0.2", hwdst=GATEWAY, pdst="10.0.0.1")
    script.send(seconds, "app", Ether(src=APP, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    out = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst=SERVER)
    back = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst=EXTERNAL)
    error = Ether(src=ROUTER, dst=SWITCH) / IP(src=HOP, dst=EXTERNAL)
    question, syn = UDP(sport=5000, dport=7000), TCP(sport=5000, dport=80, flags="S", seq=1000)

    introduce(script, 0.0)
    script.send(0.1, "app", out / question / b"question")
    script.send(0.2, "app", out / syn)

    seen = IP(src=EXTERNAL, dst=SERVER)
    datagram, segment = bytes(seen / question / b"question"), bytes(seen / syn)
    kinds = ((3, 1), (3, 3), (3, 4), (3, 13), (4, 0), (11, 0), (11, 1), (12, 0))
    for at, (kind, code) in enumerate(kinds, start=1):
        script.send(at, "uplink", error / ICMP(type=kind, code=code) / datagram)
        script.send(at + 0.1, "uplink", back / UDP(sport=7000, dport=5000) / bytes([at]))
    for at, (kind, code) in enumerate(((3, 1), (3, 3)), start=10):
        script.send(at, "uplink", error / ICMP(type=kind, code=code) / segment)
    answer = TCP(sport=80, dport=5000, flags="SA", seq=5000, ack=1001)
    script.send(12.0, "uplink", back / answer)

    introduce(script, 290.0)
    script.send(300.0, "uplink", error / ICMP(type=3, code=1) / datagram)
    script.send(308.2, "uplink", back / UDP(sport=7000, dport=5000) / b"after 300.1 s")


if __name__ == "__main__":
    make(__file__, build)
