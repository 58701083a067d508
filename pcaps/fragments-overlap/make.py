"""Pieces that overlap, contradict each other or lie, and sound ones between them."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    here = ARP(op=2, hwsrc=APP, psrc="10.0.0.2", hwdst=GATEWAY, pdst="10.0.0.1")
    script.send(seconds, "app", Ether(src=APP, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    whole = IP(src="10.0.0.2", dst=SERVER) / UDP(sport=5000, dport=7000) / bytes(range(56))
    payload = bytes(whole)[20:]  # 64 bytes

    def piece(number: int, start: int, end: int, *, last: bool = False) -> Ether:
        flags, data = "" if last else "MF", payload[start:end]
        header = IP(src="10.0.0.2", dst=SERVER, id=number, proto=17, flags=flags, frag=start // 8)
        return Ether(src=APP, dst=GATEWAY) / header / data

    def lie(number: int, start: int, data: bytes, flags: str) -> Ether:
        header = IP(src="10.0.0.2", dst=SERVER, id=number, proto=17, flags=flags, frag=start // 8)
        return Ether(src=APP, dst=GATEWAY) / header / data

    pieces = [
        # overlaps: from behind, from before, and one within another (teardrop)
        (piece(1, 0, 32), piece(1, 24, 64, last=True)),
        (piece(2, 32, 64, last=True), piece(2, 0, 40)),
        (piece(3, 0, 32), piece(3, 8, 16), piece(3, 32, 64, last=True)),
        # the same bytes again are no overlap, other bytes at the same place are
        (piece(4, 0, 32), piece(4, 0, 32), piece(4, 32, 64, last=True)),
        (piece(5, 0, 32), lie(5, 0, bytes(32), "MF"), piece(5, 32, 64, last=True)),
        # two ends
        (piece(6, 32, 64, last=True), piece(6, 40, 56, last=True), piece(6, 0, 32)),
        (piece(7, 32, 56, last=True), lie(7, 56, bytes(8), "MF")),
        # longer than a packet can be, empty, and no multiple of 8
        (lie(8, 65528, bytes(8), ""),),
        (lie(9, 8, b"", ""), lie(9, 0, b"", "MF")),
        (lie(10, 0, payload[:31], "MF"),),
        # a refused datagram is done with, and says nothing about the next one of its source
        (piece(1, 0, 24), piece(1, 24, 64, last=True)),
        (piece(11, 0, 32), piece(11, 32, 64, last=True)),
    ]
    introduce(script, 0.0)
    for second, some in enumerate(pieces, start=1):
        for at, frame in enumerate(some):
            script.send(second + at / 10, "app", frame)

    # the head of a segment is split, so that a filter would not see its flags (RFC 1858)
    segment = TCP(sport=40000, dport=80, flags="S", seq=1000)
    header = bytes(IP(src="10.0.0.2", dst=SERVER) / segment)[20:]
    for at, (start, end) in enumerate(((0, 8), (8, 20))):
        flags = "MF" if start == 0 else ""
        tiny = IP(src="10.0.0.2", dst=SERVER, id=12, proto=6, flags=flags, frag=start // 8)
        script.send(20 + at / 10, "app", Ether(src=APP, dst=GATEWAY) / tiny / header[start:end])


if __name__ == "__main__":
    make(__file__, build)
