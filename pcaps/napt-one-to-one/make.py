"""One external address stands for one endpoint, for every port and protocol, both ways."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, GRE, Ether

from vswitch.debug.cases.making import Script, make

APP, MAIL, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:05", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL, ALONE = "198.51.100.1", "203.0.113.1", "203.0.113.5"


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for port, mac, address in (("app", APP, "10.0.0.2"), ("mail", MAIL, "10.0.0.5")):
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=GATEWAY, pdst="10.0.0.1")
        script.send(seconds, port, Ether(src=mac, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst=EXTERNAL)
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    outside = Ether(src=ROUTER, dst=SWITCH)
    into = outside / IP(src=SERVER, dst=ALONE)
    from_app = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst=SERVER)
    from_mail = Ether(src=MAIL, dst=GATEWAY) / IP(src="10.0.0.5", dst=SERVER)

    introduce(script, 0.0)
    # in, without having been asked
    script.send(1.0, "uplink", into / TCP(sport=33000, dport=25, flags="S", seq=1000))
    answer = TCP(sport=25, dport=33000, flags="SA", seq=5000, ack=1001)
    script.send(1.1, "mail", from_mail / answer)
    script.send(1.2, "uplink", into / UDP(sport=33000, dport=4500) / b"hello")
    script.send(1.3, "uplink", into / ICMP(type=8, id=7, seq=1) / b"ping")
    script.send(1.4, "mail", from_mail / ICMP(type=0, id=7, seq=1) / b"ping")
    script.send(1.5, "uplink", into / GRE(proto=0x0800) / IP(src="10.9.0.1", dst="10.9.0.2"))
    seen = IP(src=SERVER, dst="10.0.0.5", ttl=63) / UDP(sport=33000, dport=4500) / b"hello"
    script.send(1.6, "mail", from_mail / ICMP(type=3, code=3) / bytes(seen))

    # out: the same port is free on either address
    for at, (port, packet) in enumerate((("app", from_app), ("mail", from_mail))):
        script.send(2.0 + at / 10, port, packet / UDP(sport=5000, dport=7000) / b"out")
        back = outside / IP(src=SERVER, dst=(EXTERNAL, ALONE)[at])
        script.send(2.05 + at / 10, "uplink", back / UDP(sport=7000, dport=5000) / b"answer")

    # by the external address, from inside
    hairpin = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst=ALONE)
    script.send(3.0, "app", hairpin / TCP(sport=40000, dport=25, flags="S", seq=1000))
    back = Ether(src=MAIL, dst=GATEWAY) / IP(src="10.0.0.5", dst=EXTERNAL)
    answer = TCP(sport=25, dport=40000, flags="SA", seq=5000, ack=1001)
    script.send(3.1, "mail", back / answer)
    script.send(3.2, "uplink", outside / IP(src=SERVER, dst=EXTERNAL) / UDP(sport=1, dport=4500))


if __name__ == "__main__":
    make(__file__, build)
