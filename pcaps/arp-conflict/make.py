"""An endpoint claims the gateway's address, and a stranger outside the switch's own."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, DB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"
STRANGER = "02:00:00:00:00:66"
EVERYBODY = "ff:ff:ff:ff:ff:ff"


def build(script: Script) -> None:
    announcement = ARP(op=1, hwsrc=DB, psrc="10.0.0.1", pdst="10.0.0.1")
    answer = ARP(op=2, hwsrc=DB, psrc="10.0.0.1", hwdst=APP, pdst="10.0.0.2")
    question = ARP(op=1, hwsrc=DB, psrc="10.0.0.1", pdst="10.0.0.2")
    to_gateway = ARP(op=2, hwsrc=DB, psrc="10.0.0.1", hwdst=GATEWAY, pdst="10.0.0.1")
    outside = ARP(op=1, hwsrc=STRANGER, psrc="203.0.113.1", pdst="203.0.113.1")
    echo = IP(src="10.0.0.2", dst="10.0.0.1") / ICMP(type=8, id=1, seq=1) / b"who are you?"

    script.send(0.0, "db", Ether(src=DB, dst=EVERYBODY) / announcement)
    script.send(0.1, "db", Ether(src=DB, dst=APP) / answer)
    script.send(0.2, "db", Ether(src=DB, dst=EVERYBODY) / question)
    script.send(0.3, "db", Ether(src=DB, dst=GATEWAY) / to_gateway)
    script.send(0.4, "uplink", Ether(src=STRANGER, dst=EVERYBODY) / outside)
    script.send(0.5, "app", Ether(src=APP, dst=GATEWAY) / echo)


if __name__ == "__main__":
    make(__file__, build)
