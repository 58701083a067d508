"""Segments that no receiver would use, and odd ones that it would, in a connection each."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"
FAR = 0x8000_0000


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    here = ARP(op=2, hwsrc=APP, psrc="10.0.0.2", hwdst=GATEWAY, pdst="10.0.0.1")
    script.send(seconds, "app", Ether(src=APP, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    out = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst=SERVER)
    back = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst=EXTERNAL)

    def app(seconds: float, segment: TCP, data: bytes = b"") -> None:
        script.send(seconds, "app", out / segment / data)

    def server(seconds: float, segment: TCP, data: bytes = b"") -> None:
        script.send(seconds, "uplink", back / segment / data)

    def client(port: int, flags: str, seq: int, ack: int = 5001) -> TCP:
        return TCP(sport=port, dport=80, flags=flags, seq=seq, ack=ack, window=1000)

    def answer(port: int, flags: str, seq: int, ack: int = 1001) -> TCP:
        return TCP(sport=80, dport=port, flags=flags, seq=seq, ack=ack, window=1000)

    def opened(seconds: float, port: int) -> None:
        syn, syn_ack = client(port, "S", 1000, 0), answer(port, "SA", 5000)
        syn.options, syn_ack.options = [("WScale", 7)], [("WScale", 7)]
        app(seconds, syn)
        server(seconds + 0.01, syn_ack)
        app(seconds + 0.02, client(port, "A", 1001))

    introduce(script, 0.0)
    for at, port in enumerate(range(40001, 40008)):
        opened(0.1 + at / 10, port)

    # forged ends: would they count, the connections were over four minutes later
    app(1.0, client(40001, "FA", FAR))
    server(1.05, answer(40001, "FA", FAR))
    app(1.1, client(40002, "FA", 1001, FAR))  # acknowledges what was never sent
    server(1.2, answer(40002, "FA", 5001, FAR))

    # true ends behind a hole, as everything before them is lost: less than a scaled window away
    server(1.29, answer(40003, "A", 5001))
    app(1.3, client(40003, "FA", 1001 + 100_000))
    server(1.4, answer(40003, "FA", 5001 + 100_000))

    # a SYN in the middle, and a keepalive, which sends the octet before the window once more
    app(1.5, client(40004, "S", 71000, 0))
    server(1.6, answer(40004, "PA", 5001), b"nothing has happened")
    app(1.7, client(40005, "A", 1000), b"\0")
    server(1.8, answer(40005, "A", 5001))

    # a SYN,ACK for a SYN that nobody has sent does not make a connection established
    app(1.9, client(41000, "S", 1000, 0))
    server(2.0, answer(41000, "SA", 5000, 77))

    introduce(script, 235.0)
    for at, port in enumerate((40001, 40002, 40003, 40004, 40005), start=1):
        server(250 + at / 10, answer(port, "PA", 5021), b"still here?")
    server(251.0, answer(41000, "SA", 5000))

    # what is outside the window does not keep a connection either
    for seconds in range(290, 7440, 290):
        introduce(script, float(seconds))
    server(7440.0, answer(40006, "PA", FAR, 1001), b"forged")
    server(7440.1, answer(40007, "PA", 5001, 1001), b"in the window")
    server(7441.0, answer(40006, "PA", 5001, 1001), b"too late")
    server(7441.1, answer(40007, "PA", 5014, 1001), b"in time")


if __name__ == "__main__":
    make(__file__, build)
