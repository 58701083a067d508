"""Frames with 802.1Q tags: each VLAN has stations of its own, and the tag stays on the frame."""

from __future__ import annotations

from scapy.layers.l2 import ARP, Dot1Q, Ether

from vswitch.debug.cases.making import Script, make

APP, DB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"
TWIN = "02:00:00:00:0a:01"
EVERYBODY = "ff:ff:ff:ff:ff:ff"


def build(script: Script) -> None:
    def hello(vlan: int, words: bytes) -> Ether:
        return Ether(src=TWIN, dst=EVERYBODY) / Dot1Q(vlan=vlan, type=0x88B5) / words

    def call(vlan: int, priority: int = 0) -> Ether:
        tag = Dot1Q(vlan=vlan, prio=priority, type=0x88B5)
        return Ether(src="02:00:00:00:0a:02", dst=TWIN) / tag / b"twin?"

    untagged = Ether(src="02:00:00:00:0a:02", dst=TWIN, type=0x88B5) / b"twin?"
    question = ARP(op=1, hwsrc=APP, psrc="10.0.0.2", pdst="10.0.0.1")
    to_gateway = Ether(src=APP, dst=GATEWAY) / Dot1Q(vlan=10, type=0x88B5) / b"not routed"
    two_tags = Dot1Q(vlan=10) / Dot1Q(vlan=20, type=0x88B5) / b"a tag within a tag"

    script.send(0.0, "app", hello(10, b"one twin, in VLAN 10"))
    script.send(0.1, "db", hello(20, b"the other, in VLAN 20"))
    script.send(0.2, "trunk", call(10))
    script.send(0.3, "trunk", call(20))
    script.send(0.4, "trunk", call(10, priority=5))
    script.send(0.5, "trunk", call(30))
    script.send(0.6, "trunk", untagged)
    script.send(0.7, "trunk", Ether(src="02:00:00:00:0a:02", dst=TWIN) / two_tags)
    script.send(0.8, "app", Ether(src=APP, dst=EVERYBODY) / Dot1Q(vlan=10) / question)
    script.send(0.9, "app", to_gateway)


if __name__ == "__main__":
    make(__file__, build)
