"""From inside to ports of the switch, where nothing listens."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
EXTERNAL = "203.0.113.1"


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    here = ARP(op=2, hwsrc=APP, psrc="10.0.0.2", hwdst=GATEWAY, pdst="10.0.0.1")
    script.send(seconds, "app", Ether(src=APP, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    introduce(script, 0.0)
    for at, address in enumerate(("10.0.0.1", EXTERNAL)):
        packet = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst=address)
        syn = TCP(sport=40000, dport=22, flags="S", seq=1000)
        script.send(at + 0.1, "app", packet / syn)
        script.send(at + 0.2, "app", packet / syn / b"early")
        others = (("A", 1001, 77), ("S", 0xFFFF_FFFF, 0), ("FA", 1001, 77), ("R", 1001, 0))
        for offset, (flags, seq, ack) in enumerate(others, start=3):
            segment = TCP(sport=40000, dport=22, flags=flags, seq=seq, ack=ack)
            script.send(at + offset / 10, "app", packet / segment)
        script.send(at + 0.7, "app", packet / UDP(sport=40000, dport=123) / b"what time is it?")
        script.send(at + 0.8, "app", packet / UDP(sport=40000, dport=123) / bytes(1400))


if __name__ == "__main__":
    make(__file__, build)
