"""A host that wants an address asks whether anybody has it: a free one, a taken one, ours."""

from __future__ import annotations

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, DB, SWITCH = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:00:fe"
GATEWAY, ROUTER = "02:00:00:00:01:01", "02:00:00:00:00:01"
EVERYBODY = "ff:ff:ff:ff:ff:ff"


def build(script: Script) -> None:
    def probe(station: str, address: str) -> Ether:
        question = ARP(op=1, hwsrc=station, psrc="0.0.0.0", pdst=address)
        return Ether(src=station, dst=EVERYBODY) / question

    taken = ARP(op=2, hwsrc=DB, psrc="10.0.0.3", hwdst=APP, pdst="0.0.0.0")
    out = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst="203.0.113.7")

    script.send(0.0, "app", probe(APP, "10.0.0.9"))
    script.send(0.1, "app", probe(APP, "10.0.0.3"))
    script.send(0.2, "db", Ether(src=DB, dst=APP) / taken)
    script.send(0.3, "app", probe(APP, "10.0.0.1"))
    script.send(0.4, "uplink", probe(ROUTER, "203.0.113.7"))
    script.send(0.5, "uplink", probe(ROUTER, "203.0.113.1"))
    script.send(0.6, "app", out / UDP(sport=5000, dport=7000) / b"who probes has no address yet")


if __name__ == "__main__":
    make(__file__, build)
