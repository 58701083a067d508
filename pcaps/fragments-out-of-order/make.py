"""Datagrams in three pieces, in every order: UDP, TCP and ICMP, out, in, and from app to web."""

from __future__ import annotations

from itertools import cycle, permutations

from scapy.layers.inet import ICMP, IP, TCP, UDP, fragment
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, WEB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:04", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL, ALONE = "198.51.100.1", "203.0.113.1", "203.0.113.5"
PIECE = 32
LETTERS = b"abcdefghijklmnopqrstuvwxyz" * 3


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for port, mac, address in (("app", APP, "10.0.0.2"), ("web", WEB, "10.0.0.4")):
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=GATEWAY, pdst="10.0.0.1")
        script.send(seconds, port, Ether(src=mac, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    orders = cycle(permutations(range(3)))
    from_app, into = Ether(src=APP, dst=GATEWAY), Ether(src=ROUTER, dst=SWITCH)
    out = IP(src="10.0.0.2", dst=SERVER, id=77)
    back = IP(src=SERVER, dst=EXTERNAL, id=77)
    across = IP(src="10.0.0.2", dst=ALONE, id=77)

    def in_pieces(seconds: float, port: str, link: Ether, packet: IP) -> None:
        pieces = fragment(packet / LETTERS[: 96 - len(packet) + 20], PIECE)
        first, second, third = next(orders)
        for at, index in enumerate((first, second, second, third)):
            script.send(seconds + at / 100, port, link / pieces[index])

    def opened(seconds: float, port: int, to: str) -> None:
        syn = TCP(sport=port, dport=80, flags="S", seq=1000)
        script.send(seconds, "app", from_app / IP(src="10.0.0.2", dst=to) / syn)
        answer = TCP(sport=80, dport=port, flags="SA", seq=5000, ack=1001)
        if to == SERVER:
            script.send(seconds + 0.1, "uplink", into / IP(src=SERVER, dst=EXTERNAL) / answer)
        else:
            near = Ether(src=WEB, dst=GATEWAY) / IP(src="10.0.0.4", dst=EXTERNAL)
            script.send(seconds + 0.1, "web", near / answer)

    introduce(script, 0.0)
    in_pieces(1.0, "app", from_app, out / UDP(sport=5000, dport=7000))
    in_pieces(1.1, "uplink", into, back / UDP(sport=7000, dport=5000))
    in_pieces(1.2, "app", from_app, across / UDP(sport=5000, dport=7000))

    opened(2.0, 40000, SERVER)
    opened(2.2, 40001, ALONE)
    segment = TCP(flags="PA", seq=1001, ack=5001, sport=40000, dport=80)
    in_pieces(2.4, "app", from_app, out / segment)
    answer = TCP(flags="PA", seq=5001, ack=1001, sport=80, dport=40000)
    in_pieces(2.5, "uplink", into, back / answer)
    segment.sport = 40001
    in_pieces(2.6, "app", from_app, across / segment)

    in_pieces(3.0, "app", from_app, out / ICMP(type=8, id=7, seq=1))
    in_pieces(3.1, "uplink", into, back / ICMP(type=0, id=7, seq=1))
    in_pieces(3.2, "app", from_app, across / ICMP(type=8, id=8, seq=1))


if __name__ == "__main__":
    make(__file__, build)
