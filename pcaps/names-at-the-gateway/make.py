"""Whoever is on a network asks its gateway for names, and for what is no name."""

from __future__ import annotations

from scapy.layers.dns import DNS, DNSQR, DNSRROPT
from scapy.layers.inet import IP, TCP, UDP, fragment
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw

from vswitch.debug.cases.making import Script, make

APP, VAULT, STRANGER = "02:00:00:00:01:02", "02:00:00:00:02:02", "02:00:00:00:01:77"
FRONT, BACK = "02:00:00:00:01:01", "02:00:00:00:02:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
EXTERNAL = "203.0.113.1"


def question(name: str, kind: str = "A", number: int = 1, **header: object) -> DNS:
    return DNS(id=number, rd=1, qd=DNSQR(qname=name, qtype=kind), **header)


def build(script: Script) -> None:
    app = Ether(src=APP, dst=FRONT) / IP(src="10.0.0.2", dst="10.0.0.1")
    stranger = Ether(src=STRANGER, dst=FRONT) / IP(src="10.0.0.77", dst="10.0.0.1")
    vault = Ether(src=VAULT, dst=BACK) / IP(src="10.1.0.2", dst="10.1.0.1")
    outside = Ether(src=ROUTER, dst=SWITCH) / IP(src="198.51.100.1", dst=EXTERNAL)
    udp = UDP(sport=40000, dport=53)

    def ask(seconds: float, message: Packet, port: str = "app", packet: Packet = app) -> None:
        script.send(seconds, port, packet / udp / message)

    ask(0.1, question("web"))
    ask(0.2, question("WwW.fRoNt"))
    ask(0.3, question("web", "AAAA"))
    ask(0.4, question("3.0.0.10.in-addr.arpa", "PTR"))
    ask(0.5, question("web", ar=DNSRROPT(rclass=1232)))
    ask(0.6, question("web"), packet=stranger)
    ask(0.7, question("vault"), "vault", vault)

    ask(1.1, question("vault"))
    ask(1.2, question("debian.org"))
    ask(1.3, question("web", opcode=2))
    ask(1.4, question("web", qr=1))
    ask(1.5, Raw(b"\x00\x01\x01"))
    script.send(1.6, "app", app / UDP(sport=40000, dport=53, chksum=0x1234) / question("web"))
    script.send(1.7, "app", app / UDP(sport=0, dport=53) / question("web"))

    elsewhere = Ether(src=APP, dst=FRONT) / IP(src="10.0.0.2", dst="10.1.0.1")
    ask(2.1, question("vault"), packet=elsewhere)
    ask(2.2, question("web"), "uplink", outside)
    script.send(2.3, "app", app / TCP(sport=40000, dport=53, flags="S", seq=1000))

    long = (app / udp / question("web") / Raw(bytes(2000)))[IP]
    for at, piece in enumerate(fragment(long, 1480)):
        script.send(3.0 + at / 10, "app", Ether(src=APP, dst=FRONT) / piece)


if __name__ == "__main__":
    make(__file__, build)
