"""To destinations that see inside addresses, and what comes from there."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
NEIGHBOUR = "02:00:00:00:00:02"
BRANCH, NEAR, SERVER, EXTERNAL = "192.0.2.7", "203.0.113.70", "198.51.100.1", "203.0.113.1"


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    here = ARP(op=2, hwsrc=APP, psrc="10.0.0.2", hwdst=GATEWAY, pdst="10.0.0.1")
    script.send(seconds, "app", Ether(src=APP, dst=GATEWAY) / here)
    for mac, address in ((ROUTER, "203.0.113.254"), (NEIGHBOUR, NEAR)):
        outside = ARP(op=2, hwsrc=mac, psrc=address, hwdst=SWITCH, pdst=EXTERNAL)
        script.send(seconds, "uplink", Ether(src=mac, dst=SWITCH) / outside)


def build(script: Script) -> None:
    out = Ether(src=APP, dst=GATEWAY)
    into = Ether(src=ROUTER, dst=SWITCH)
    udp, answer = UDP(sport=5000, dport=7000) / b"question", UDP(sport=7000, dport=5000) / b"answer"

    introduce(script, 0.0)
    for at, server in enumerate((BRANCH, NEAR, SERVER), start=1):
        script.send(at / 10, "app", out / IP(src="10.0.0.2", dst=server) / udp)
    script.send(0.4, "uplink", into / IP(src=BRANCH, dst="10.0.0.2") / answer)
    script.send(0.5, "uplink", into / IP(src=NEAR, dst="10.0.0.2") / answer)
    script.send(0.6, "uplink", into / IP(src=SERVER, dst=EXTERNAL) / answer)
    script.send(0.7, "uplink", into / IP(src=BRANCH, dst=EXTERNAL) / answer)
    script.send(0.8, "uplink", into / IP(src=SERVER, dst="10.0.0.2") / answer)
    script.send(0.9, "uplink", into / IP(src="192.0.2.8", dst="10.0.0.2") / answer)

    to_branch = out / IP(src="10.0.0.2", dst=BRANCH)
    from_branch = into / IP(src=BRANCH, dst="10.0.0.2")
    script.send(1.0, "app", to_branch / TCP(sport=40000, dport=22, flags="S", seq=1000))
    syn_ack = TCP(sport=22, dport=40000, flags="SA", seq=5000, ack=1001)
    script.send(1.1, "uplink", from_branch / syn_ack)
    script.send(1.2, "app", to_branch / ICMP(type=8, id=7, seq=1) / b"ping")
    script.send(1.3, "uplink", from_branch / ICMP(type=0, id=7, seq=1) / b"ping")
    seen = IP(src="10.0.0.2", dst=BRANCH, ttl=62) / udp
    hop = into / IP(src="192.0.2.254", dst="10.0.0.2")
    script.send(1.4, "uplink", hop / ICMP(type=3, code=3) / bytes(seen))
    script.send(1.5, "uplink", from_branch / TCP(sport=33000, dport=22, flags="S", seq=1000))


if __name__ == "__main__":
    make(__file__, build)
