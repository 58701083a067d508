"""Transport headers that end too early or lie, to a server outside and to the switch itself."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

from vswitch.debug.cases.making import Script, make

APP, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER = "198.51.100.1"


def build(script: Script) -> None:
    router_is_here = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    from_router, to_gateway = Ether(src=ROUTER, dst=SWITCH), Ether(src=APP, dst=GATEWAY)
    numbers = {"tcp": 6, "udp": 17, "icmp": 1}

    def out(protocol: str, transport: bytes, to: str = SERVER) -> Packet:
        return to_gateway / IP(src="10.0.0.2", dst=to, proto=numbers[protocol]) / transport

    def tcp(flags: str = "S", port: int = 80, words: int | None = None) -> bytes:
        return bytes(TCP(sport=5000, dport=port, seq=1, flags=flags, dataofs=words, chksum=0))

    def udp(port: int = 7000, length: int | None = None) -> bytes:
        return bytes(UDP(sport=5000, dport=port, len=length, chksum=0) / b"data")

    echo = bytes(ICMP(type=8, id=1, seq=1) / b"data")
    wrong_sum = bytes(ICMP(type=8, id=1, seq=1, chksum=1) / b"data")
    quote = IP(src=SERVER, dst="10.0.0.2") / UDP(sport=7000, dport=5000)
    quote_cut_off = bytes(ICMP(type=3, code=3) / bytes(quote)[:19])
    error_wrong_sum = bytes(ICMP(type=3, code=3, chksum=1) / quote)

    frames = [
        out("tcp", b""),
        out("tcp", tcp()[:19]),
        out("tcp", tcp(words=4)),
        out("tcp", tcp(words=6)),
        out("tcp", tcp(flags="")),
        out("tcp", tcp(flags="SF")),
        out("tcp", tcp(flags="SR")),
        out("tcp", tcp(flags="FPU")),
        out("tcp", tcp(port=0)),
        out("udp", udp()[:7]),
        out("udp", udp(length=7)),
        out("udp", udp(length=13)),
        out("udp", udp(port=0)),
        out("icmp", echo[:7]),
        out("icmp", wrong_sum, to="10.0.0.1"),
        out("icmp", quote_cut_off),
        out("icmp", error_wrong_sum),
        out("icmp", bytes(ICMP(type=8, code=1, id=1, seq=1))),
        out("icmp", bytes(ICMP(type=10))),
        out("udp", udp()),
    ]
    script.send(0.0, "uplink", from_router / router_is_here)
    for at, frame in enumerate(frames, start=1):
        script.send(at / 10, "app", frame)


if __name__ == "__main__":
    make(__file__, build)
