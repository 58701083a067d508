"""The same ports again while an end still remembers: TIME_WAIT, a rebooted client, a client in."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, WEB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:04", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for port, mac, address in (("app", APP, "10.0.0.2"), ("web", WEB, "10.0.0.4")):
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=GATEWAY, pdst="10.0.0.1")
        script.send(seconds, port, Ether(src=mac, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    out = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst=SERVER)
    back = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst=EXTERNAL)
    from_web = Ether(src=WEB, dst=GATEWAY) / IP(src="10.0.0.4", dst=SERVER)

    def app(seconds: float, port: int, flags: str, seq: int, ack: int = 0) -> None:
        segment = TCP(sport=port, dport=80, flags=flags, seq=seq, ack=ack)
        script.send(seconds, "app", out / segment)

    def server(
        seconds: float, port: int, flags: str, seq: int, ack: int, data: bytes = b""
    ) -> None:
        segment = TCP(sport=80, dport=port, flags=flags, seq=seq, ack=ack)
        script.send(seconds, "uplink", back / segment / data)

    def client(seconds: float, flags: str, seq: int, ack: int = 0) -> None:
        segment = TCP(sport=33000, dport=8080, flags=flags, seq=seq, ack=ack)
        script.send(seconds, "uplink", back / segment)

    def web(seconds: float, flags: str, seq: int, ack: int, data: bytes = b"") -> None:
        segment = TCP(sport=80, dport=33000, flags=flags, seq=seq, ack=ack)
        script.send(seconds, "web", from_web / segment / data)

    introduce(script, 0.0)

    # the server has closed first and waits
    app(1.0, 40000, "S", 1000)
    server(1.1, 40000, "SA", 5000, 1001)
    app(1.2, 40000, "A", 1001, 5001)
    server(1.3, 40000, "FA", 5001, 1001)
    app(1.4, 40000, "FA", 1001, 5002)
    server(1.5, 40000, "A", 5002, 1002)
    app(2.0, 40000, "S", 500)  # an initial number that the server has seen already
    server(2.1, 40000, "A", 5002, 1002)  # so it repeats its last word
    app(2.2, 40000, "R", 1002)
    app(3.0, 40000, "S", 500)
    server(3.1, 40000, "SA", 9000, 501)
    app(3.2, 40000, "A", 501, 9001)
    server(3.3, 40000, "PA", 9001, 501, b"again")

    # the client has forgotten a connection that the server still has
    app(4.0, 40001, "S", 1000)
    server(4.1, 40001, "SA", 5000, 1001)
    app(4.2, 40001, "A", 1001, 5001)
    app(5.0, 40001, "S", 71000)
    server(5.1, 40001, "A", 5001, 1001)  # what RFC 9293, 3.5.1, calls half-open discovery
    app(5.2, 40001, "R", 1001)
    app(6.0, 40001, "S", 71000)
    server(6.1, 40001, "SA", 85000, 71001)
    app(6.2, 40001, "A", 71001, 85001)
    server(6.3, 40001, "PA", 85001, 71001, b"again")

    # a client outside has closed first and comes again
    client(7.0, "S", 1000)
    web(7.1, "SA", 5000, 1001)
    client(7.2, "A", 1001, 5001)
    client(7.3, "FA", 1001, 5001)
    web(7.4, "FA", 5001, 1002)
    client(7.5, "A", 1002, 5002)
    client(8.0, "S", 71000)
    web(8.1, "SA", 85000, 71001)
    client(8.2, "A", 71001, 85001)
    web(8.3, "PA", 85001, 71001, b"again")

    introduce(script, 250.0)
    server(260.0, 40000, "PA", 9006, 501, b"still here")
    server(260.1, 40001, "PA", 85006, 71001, b"still here")
    web(260.2, "PA", 85006, 71001, b"still here")


if __name__ == "__main__":
    make(__file__, build)
