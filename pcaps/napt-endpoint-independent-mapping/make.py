"""One external port for all that an endpoint sends from one port, whoever it is to."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, DB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
EXTERNAL = "203.0.113.1"
SERVERS = (("198.51.100.1", 7000), ("198.51.100.1", 7001), ("198.51.100.2", 7000))
OTHER = 6000  # what is left for the port 5000 of `db`


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for port, mac, address in (("app", APP, "10.0.0.2"), ("db", DB, "10.0.0.3")):
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=GATEWAY, pdst="10.0.0.1")
        script.send(seconds, port, Ether(src=mac, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    from_app = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2")
    from_db = Ether(src=DB, dst=GATEWAY) / IP(src="10.0.0.3")
    outside = Ether(src=ROUTER, dst=SWITCH)
    early = IP(src="198.51.100.2", dst=EXTERNAL) / UDP(sport=7000, dport=5000)

    introduce(script, 0.0)
    script.send(0.1, "uplink", outside / early / b"before anybody has asked")
    for at, (server, port) in enumerate(SERVERS, start=2):
        for offset, (name, packet) in enumerate((("app", from_app), ("db", from_db))):
            packet = packet.copy()
            packet[IP].dst = server
            script.send(
                at / 10 + offset / 50, name, packet / UDP(sport=5000, dport=port) / b"hello"
            )
            segment = TCP(sport=5000, dport=port, flags="S", seq=1000)
            script.send(at / 10 + offset / 50 + 0.01, name, packet / segment)
    strangers = (("198.51.100.1", 7002), ("198.51.100.3", 7000))
    for at, (server, port) in enumerate((*SERVERS, *strangers), start=6):
        for offset, external in enumerate((5000, OTHER)):
            answer = IP(src=server, dst=EXTERNAL) / UDP(sport=port, dport=external)
            script.send(at / 10 + offset / 50, "uplink", outside / answer / b"answer")


if __name__ == "__main__":
    make(__file__, build)
