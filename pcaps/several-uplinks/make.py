"""Two uplinks: out by the one that a network has, in by both, and from one to the other."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

SERVER, EXTERNAL, BACKUP = "198.51.100.1", "203.0.113.1", "192.0.2.1"
ROUTERS = {
    "uplink": ("02:00:00:00:00:01", "02:00:00:00:00:fe", "203.0.113.254", EXTERNAL),
    "backup": ("02:00:00:00:00:02", "02:00:00:00:00:fd", "192.0.2.254", BACKUP),
}
ENDPOINTS = {
    "app": ("02:00:00:00:01:02", "02:00:00:00:01:01", "10.0.0.2", "10.0.0.1"),
    "db": ("02:00:00:00:02:02", "02:00:00:00:02:01", "10.1.0.2", "10.1.0.1"),
}


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for name, (mac, switch, address, our) in (ENDPOINTS | ROUTERS).items():
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=switch, pdst=our)
        script.send(seconds, name, Ether(src=mac, dst=switch) / here)


def build(script: Script) -> None:
    def out(name: str, to: str) -> Ether:
        mac, gateway, address, _ = ENDPOINTS[name]
        return Ether(src=mac, dst=gateway) / IP(src=address, dst=to)

    def into(name: str, to: str | None = None, source: str = SERVER) -> Ether:
        mac, switch, _, our = ROUTERS[name]
        return Ether(src=mac, dst=switch) / IP(src=source, dst=to or our)

    udp, answer = UDP(sport=5000, dport=7000) / b"out", UDP(sport=7000, dport=5000) / b"answer"
    syn = TCP(sport=33000, dport=8080, flags="S", seq=1000)

    introduce(script, 0.0)
    # out and back: port 5000 is free on either address
    script.send(1.0, "app", out("app", SERVER) / udp)
    script.send(1.1, "db", out("db", SERVER) / udp)
    script.send(1.2, "uplink", into("uplink") / answer)
    script.send(1.3, "backup", into("backup") / answer)
    # by the wrong one
    script.send(1.4, "backup", into("backup", EXTERNAL) / answer)
    script.send(1.5, "uplink", into("uplink", BACKUP) / answer)
    # to a host on the other one's link, which is as far away as any
    script.send(1.6, "app", out("app", "192.0.2.77") / udp)
    script.send(1.7, "uplink", into("uplink", source="192.0.2.77") / answer)

    # published on one address, on all, and of a network on the other uplink's
    script.send(2.0, "uplink", into("uplink") / syn)
    script.send(2.1, "backup", into("backup") / syn)
    script.send(2.2, "uplink", into("uplink") / UDP(sport=4444, dport=53) / b"question")
    script.send(2.3, "backup", into("backup") / UDP(sport=4445, dport=53) / b"question")
    for at, port in enumerate((4444, 4445), start=4):
        reply = UDP(sport=53, dport=port) / b"answer"
        script.send(2 + at / 10, "app", out("app", SERVER) / reply)
    script.send(2.6, "uplink", into("uplink") / TCP(sport=33000, dport=5432, flags="S", seq=1000))
    accepted = TCP(sport=5432, dport=33000, flags="SA", seq=5000, ack=1001)
    script.send(2.7, "db", out("db", SERVER) / accepted)

    # from one network to the other by its external address
    script.send(3.0, "app", out("app", BACKUP) / TCP(sport=40000, dport=8080, flags="S", seq=1000))
    accepted = TCP(sport=80, dport=40000, flags="SA", seq=5000, ack=1001)
    script.send(3.1, "db", out("db", EXTERNAL) / accepted)
    for name in ROUTERS:
        script.send(3.2, name, into(name) / ICMP(type=8, id=7, seq=1) / b"ping")


if __name__ == "__main__":
    make(__file__, build)
