"""Who has the gateway? Asked by an endpoint, by nobody's address, and claimed by another."""

from __future__ import annotations

from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, DB = "02:00:00:00:01:02", "02:00:00:00:01:03"
EVERYBODY = "ff:ff:ff:ff:ff:ff"


def build(script: Script) -> None:
    question = ARP(op=1, hwsrc=APP, psrc="10.0.0.2", pdst="10.0.0.1")
    probe = ARP(op=1, hwsrc=APP, psrc="0.0.0.0", pdst="10.0.0.1")
    neighbour = ARP(op=1, hwsrc=APP, psrc="10.0.0.2", pdst="10.0.0.3")
    claim = ARP(op=1, hwsrc=DB, psrc="10.0.0.1", pdst="10.0.0.1")

    script.send(0.0, "app", Ether(src=APP, dst=EVERYBODY) / question)
    script.send(0.1, "app", Ether(src=APP, dst=EVERYBODY) / probe)
    script.send(0.2, "app", Ether(src=APP, dst=EVERYBODY) / neighbour)
    script.send(0.3, "db", Ether(src=DB, dst=EVERYBODY) / claim)


if __name__ == "__main__":
    make(__file__, build)
