"""Broadcasts and multicasts, and a sender that claims to be a group."""

from __future__ import annotations

from scapy.layers.l2 import Ether

from vswitch.debug.cases.making import Script, make

LEFT, RIGHT = "02:00:00:00:0a:01", "02:00:00:00:0a:03"
EVERYBODY, MDNS_GROUP, IPV6_GROUP = "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:fb", "33:33:00:00:00:01"
ALL_LANS_MANAGEMENT = "01:80:c2:00:00:10"
NOBODY = "00:00:00:00:00:00"


def build(script: Script) -> None:
    groups = (EVERYBODY, MDNS_GROUP, IPV6_GROUP, ALL_LANS_MANAGEMENT)
    for at, group in enumerate(groups):
        frame = Ether(src=LEFT, dst=group, type=0x88B5)
        script.send(at / 10, "left", frame / b"to all of you")

    pretender = Ether(src=MDNS_GROUP, dst=LEFT, type=0x88B5) / b"I am a group"
    script.send(0.4, "right", pretender)
    zero = Ether(src=NOBODY, dst=LEFT, type=0x88B5) / b"I am nobody"
    script.send(0.5, "right", zero)
    to_group = Ether(src=LEFT, dst=MDNS_GROUP, type=0x88B5) / b"still to all of you"
    script.send(0.6, "left", to_group)
    to_nobody = Ether(src=RIGHT, dst=NOBODY, type=0x88B5) / b"to a station that can not be"
    script.send(0.7, "right", to_nobody)


if __name__ == "__main__":
    make(__file__, build)
