"""Attacks by addresses: land, smurf, fraggle, our own addresses from outside, loopback."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL, ALSO = "198.51.100.1", "203.0.113.1", "203.0.113.2"


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    here = ARP(op=2, hwsrc=APP, psrc="10.0.0.2", hwdst=GATEWAY, pdst="10.0.0.1")
    script.send(seconds, "app", Ether(src=APP, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    inside, outside = Ether(src=APP, dst=GATEWAY), Ether(src=ROUTER, dst=SWITCH)
    syn = TCP(sport=80, dport=80, flags="S", seq=1000)
    echo, ping = UDP(sport=7, dport=7) / b"echo", ICMP(type=8, id=7, seq=1)

    from_inside = (
        ("10.0.0.2", "10.0.0.2", syn),  # land
        ("10.0.0.1", "10.0.0.1", ping),
        (EXTERNAL, EXTERNAL, syn),
        ("10.0.0.1", "10.0.0.2", echo),  # in the gateway's name, to oneself
        (EXTERNAL, SERVER, syn),
        ("10.0.0.2", "10.0.255.255", ping),  # smurf, fraggle
        ("10.0.0.2", "203.0.113.255", echo),
        ("10.0.0.2", "255.255.255.255", echo),
        ("10.0.0.2", "224.0.0.1", ping),
        ("10.0.255.255", SERVER, ping),  # so that the answers are for all
        ("255.255.255.255", SERVER, ping),
        ("127.0.0.1", "10.0.0.1", echo),  # loopback on the wire
        ("10.0.0.2", "127.0.0.1", syn),
        ("0.0.0.0", SERVER, echo),
        ("10.1.0.2", SERVER, syn),  # another network's
    )
    from_outside = (
        (EXTERNAL, EXTERNAL, syn),  # land, to a published port
        (EXTERNAL, EXTERNAL, echo),  # which would send to itself for good
        (ALSO, EXTERNAL, syn),
        ("10.0.0.2", EXTERNAL, syn),  # in the name of the inside
        ("10.0.0.1", EXTERNAL, ping),
        ("10.0.255.255", EXTERNAL, ping),
        ("127.0.0.1", EXTERNAL, syn),
        ("0.0.0.0", EXTERNAL, syn),
        ("224.0.0.1", EXTERNAL, echo),
        ("255.255.255.255", EXTERNAL, echo),
        ("203.0.113.255", EXTERNAL, echo),
        (SERVER, "203.0.113.255", ping),
        (SERVER, "127.0.0.1", syn),
        (SERVER, "10.0.255.255", ping),
    )
    introduce(script, 0.0)
    for at, (source, destination, payload) in enumerate(from_inside):
        packet = IP(src=source, dst=destination) / payload
        script.send(1 + at / 100, "app", inside / packet)
    for at, (source, destination, payload) in enumerate(from_outside):
        packet = IP(src=source, dst=destination) / payload
        script.send(2 + at / 100, "uplink", outside / packet)
    script.send(3.0, "uplink", outside / IP(src=SERVER, dst=EXTERNAL) / syn)

    # by the external address to oneself is no land attack: the source is translated
    to_itself = TCP(sport=40000, dport=80, flags="S", seq=1000)
    script.send(3.1, "app", inside / IP(src="10.0.0.2", dst=EXTERNAL) / to_itself)


if __name__ == "__main__":
    make(__file__, build)
