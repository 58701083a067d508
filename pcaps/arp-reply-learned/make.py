"""Who the switch believes when stations say where they are: an answer to it, and what passes by."""

from __future__ import annotations

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, DB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"
ROUTER, OTHER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:fe"
EVERYBODY = "ff:ff:ff:ff:ff:ff"


def build(script: Script) -> None:
    ask_gateway = ARP(op=1, hwsrc=APP, psrc="10.0.0.2", pdst="10.0.0.1")
    router_is_here = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    to_other = ARP(op=1, hwsrc=OTHER, psrc="203.0.113.7", pdst="203.0.113.254")
    out = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst="198.51.100.1")
    to_neighbour = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst="203.0.113.7")
    back = Ether(src=ROUTER, dst=SWITCH) / IP(src="198.51.100.1", dst="203.0.113.1")
    between = ARP(op=2, hwsrc=DB, psrc="10.0.0.3", hwdst=APP, pdst="10.0.0.2")

    script.send(0.0, "uplink", Ether(src=ROUTER, dst=SWITCH) / router_is_here)
    script.send(0.1, "app", Ether(src=APP, dst=EVERYBODY) / ask_gateway)
    script.send(0.2, "app", out / UDP(sport=5000, dport=7000) / b"nobody has to be asked")
    script.send(0.3, "uplink", back / UDP(sport=7000, dport=5000) / b"nor for the way back")
    script.send(0.4, "uplink", Ether(src=OTHER, dst=EVERYBODY) / to_other)
    script.send(0.5, "app", to_neighbour / UDP(sport=5001, dport=7000) / b"this one waits")
    script.send(0.6, "db", Ether(src=DB, dst=APP) / between)


if __name__ == "__main__":
    make(__file__, build)
