"""A super-frame out and one back, between devices that take all offloads."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make, unfinished

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
    out = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst=SERVER)
    back = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst=EXTERNAL)

    introduce(script, 0.0)
    script.send(0.1, "app", *unfinished(out / TCP(sport=40000, dport=80, flags="S", seq=1000)))
    syn_ack = TCP(sport=80, dport=40000, flags="SA", seq=5000, ack=1001)
    script.send(0.2, "uplink", *unfinished(back / syn_ack))
    for at, seq in enumerate((1001, 6001), start=3):  # by the pipeline, and by the fast path
        burst = TCP(sport=40000, dport=80, flags="PA", seq=seq, ack=5001) / bytes(5000)
        script.send(at / 10, "app", *unfinished(out / burst, gso_size=1448))
    for at, seq in enumerate((5001, 10001), start=5):
        burst = TCP(sport=80, dport=40000, flags="PA", seq=seq, ack=11001) / bytes(5000)
        script.send(at / 10, "uplink", *unfinished(back / burst, gso_size=1448))
    datagrams = UDP(sport=5000, dport=443) / bytes(3000)
    script.send(0.7, "app", *unfinished(out / datagrams, gso_size=1200))


if __name__ == "__main__":
    make(__file__, build)
