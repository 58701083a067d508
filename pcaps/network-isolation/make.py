"""An endpoint tries to reach another network: by its addresses, by its gateway, by its stations."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, FRONT = "02:00:00:00:01:02", "02:00:00:00:01:01"
VAULT, BACK = "02:00:00:00:02:02", "02:00:00:00:02:01"
EVERYBODY = "ff:ff:ff:ff:ff:ff"


def build(script: Script) -> None:
    hello = ARP(op=1, hwsrc=VAULT, psrc="10.1.0.2", pdst="10.1.0.1")
    question = ARP(op=1, hwsrc=APP, psrc="10.0.0.2", pdst="10.1.0.2")
    into = IP(src="10.0.0.2", dst="10.1.0.2")
    syn = TCP(sport=5000, dport=80, seq=1, flags="S")
    datagram = UDP(sport=5000, dport=7000) / b"let me in"
    as_a_neighbour = IP(src="10.1.0.3", dst="10.1.0.2") / datagram
    other_gateway = IP(src="10.0.0.2", dst="10.1.0.1") / ICMP(type=8, id=1, seq=1)
    to_nobody = IP(src="10.0.0.2", dst="10.1.0.9") / datagram

    script.send(0.0, "vault", Ether(src=VAULT, dst=EVERYBODY) / hello)
    script.send(0.1, "app", Ether(src=APP, dst=EVERYBODY) / question)
    script.send(0.2, "app", Ether(src=APP, dst=VAULT) / into / datagram)
    script.send(0.3, "app", Ether(src=APP, dst=BACK) / into / datagram)
    script.send(0.4, "app", Ether(src=APP, dst=FRONT) / into / syn)
    script.send(0.5, "app", Ether(src=APP, dst=FRONT) / into / datagram)
    script.send(0.6, "app", Ether(src=APP, dst=FRONT) / into / ICMP(type=8, id=1, seq=1))
    script.send(0.7, "app", Ether(src=APP, dst=FRONT) / as_a_neighbour)
    script.send(0.8, "app", Ether(src=APP, dst=FRONT) / other_gateway)
    script.send(0.9, "app", Ether(src=APP, dst=FRONT) / to_nobody)


if __name__ == "__main__":
    make(__file__, build)
