"""The switch is pinged at its gateway address and at its external one, from both sides."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, fragment
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    here = ARP(op=2, hwsrc=APP, psrc="10.0.0.2", hwdst=GATEWAY, pdst="10.0.0.1")
    script.send(seconds, "app", Ether(src=APP, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    inside = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst="10.0.0.1", ttl=1)
    through = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst=EXTERNAL)
    outside = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst=EXTERNAL)
    ping = ICMP(type=8, id=7, seq=1)
    damaged = ICMP(type=8, id=7, seq=1, chksum=0x1234)

    introduce(script, 0.0)
    script.send(0.1, "app", inside / ping / b"gateway")
    script.send(0.2, "app", through / ping / b"external")
    script.send(0.3, "uplink", outside / ping / b"from outside")
    script.send(0.4, "uplink", outside / ping / bytes(1400))
    script.send(0.5, "app", inside / damaged / b"damaged")
    script.send(0.6, "uplink", outside / damaged / b"damaged")
    script.send(0.7, "app", inside / ICMP(type=0, id=7, seq=1) / b"an answer to nothing")
    script.send(0.8, "app", inside / ICMP(type=13, id=7, seq=1, ts_ori=0, ts_rx=0, ts_tx=0))
    script.send(0.9, "uplink", outside / ICMP(type=17, id=7, seq=1))
    for at, piece in enumerate(fragment((inside / ping / bytes(5000))[IP], 1480), start=10):
        script.send(at / 10, "app", Ether(src=APP, dst=GATEWAY) / piece)


if __name__ == "__main__":
    make(__file__, build)
