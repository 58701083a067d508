"""Addresses that no router may believe or serve, from inside and from outside."""

from __future__ import annotations

from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, OURSELVES = "198.51.100.1", "203.0.113.1"

NOT_FROM_INSIDE = (
    "0.0.0.0",
    "127.0.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "10.0.0.1",
    OURSELVES,
    "10.1.0.2",
    "198.51.100.2",
)
NOT_TO_FROM_INSIDE = (
    "0.0.0.0",
    "127.0.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "10.0.255.255",
    "203.0.113.255",
)
NOT_FROM_OUTSIDE = ("127.0.0.1", "10.0.0.2", "10.0.0.1", "255.255.255.255")
NOT_TO_FROM_OUTSIDE = ("10.0.0.2", "10.0.0.1", "203.0.113.255", "224.0.0.251")


def build(script: Script) -> None:
    router_is_here = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst=OURSELVES)
    udp = UDP(sport=5000, dport=7000) / b"martian"
    inside, outside = Ether(src=APP, dst=GATEWAY), Ether(src=ROUTER, dst=SWITCH)
    frames = [("uplink", outside / router_is_here)]
    frames += [("app", inside / IP(src=source, dst=SERVER) / udp) for source in NOT_FROM_INSIDE]
    frames += [("app", inside / IP(src="10.0.0.2", dst=to) / udp) for to in NOT_TO_FROM_INSIDE]
    frames += [("uplink", outside / IP(src=by, dst=OURSELVES) / udp) for by in NOT_FROM_OUTSIDE]
    frames += [("uplink", outside / IP(src=SERVER, dst=to) / udp) for to in NOT_TO_FROM_OUTSIDE]
    frames += [("app", inside / IP(src="10.0.0.2", dst=SERVER) / udp)]
    for at, (port, frame) in enumerate(frames):
        script.send(at / 10, port, frame)


if __name__ == "__main__":
    make(__file__, build)
