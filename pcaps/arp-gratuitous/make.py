"""Stations announce themselves: one that is new, one that the switch knows and that has moved."""

from __future__ import annotations

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, DB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"
ROUTER, SPARE, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:fe"
EVERYBODY = "ff:ff:ff:ff:ff:ff"


def build(script: Script) -> None:
    router_is_here = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    spare_takes_over = ARP(op=1, hwsrc=SPARE, psrc="203.0.113.254", pdst="203.0.113.254")
    out = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst="198.51.100.1")
    out /= UDP(sport=5000, dport=7000)
    db_is_here = ARP(op=1, hwsrc=DB, psrc="10.0.0.3", pdst="10.0.0.3")
    db_answers_nobody = ARP(op=2, hwsrc=DB, psrc="10.0.0.3", hwdst=EVERYBODY, pdst="10.0.0.3")

    script.send(0.0, "uplink", Ether(src=ROUTER, dst=SWITCH) / router_is_here)
    for seconds in (0.1, 0.2, 0.3):
        script.send(seconds, "app", out / b"by the router")
    script.send(0.4, "uplink", Ether(src=SPARE, dst=EVERYBODY) / spare_takes_over)
    for seconds in (0.5, 0.6):
        script.send(seconds, "app", out / b"by the spare one")
    script.send(0.7, "db", Ether(src=DB, dst=EVERYBODY) / db_is_here)
    script.send(0.8, "db", Ether(src=DB, dst=EVERYBODY) / db_answers_nobody)


if __name__ == "__main__":
    make(__file__, build)
