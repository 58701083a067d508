"""Errors about what went from one endpoint to another by the external address, either way."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

GATEWAY = "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"
STATIONS = {
    "app": ("02:00:00:00:01:02", "10.0.0.2"),
    "db": ("02:00:00:00:01:03", "10.0.0.3"),
    "web": ("02:00:00:00:01:04", "10.0.0.4"),
}


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for port, (mac, address) in STATIONS.items():
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=GATEWAY, pdst="10.0.0.1")
        script.send(seconds, port, Ether(src=mac, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    def out(name: str, to: str = EXTERNAL, ttl: int = 64) -> Ether:
        mac, address = STATIONS[name]
        return Ether(src=mac, dst=GATEWAY) / IP(src=address, dst=to, ttl=ttl)

    def seen(name: str) -> IP:
        """A packet by the external address, as it came to an endpoint."""
        _, address = STATIONS[name]
        return IP(src=EXTERNAL, dst=address, ttl=63)

    closed, unreachable = ICMP(type=3, code=3), ICMP(type=3, code=1)
    needed = ICMP(type=3, code=4, nexthopmtu=1280)

    introduce(script, 0.0)
    script.send(0.5, "db", out("db", SERVER) / UDP(sport=6000, dport=7000) / b"opens a port")

    # about a datagram to a mapping, and about the answer to it
    request, answer = UDP(sport=5000, dport=6000) / b"request", UDP(sport=6000, dport=5000)
    script.send(1.0, "app", out("app") / request)
    script.send(1.1, "db", out("db") / closed / bytes(seen("db") / request))
    script.send(1.2, "db", out("db") / closed / bytes(seen("db") / request)[:28])
    script.send(1.3, "db", out("db") / answer / b"answer")
    script.send(1.4, "app", out("app") / closed / bytes(seen("app") / answer / b"answer"))

    # about a segment to a published port, and about the answer to it
    syn = TCP(sport=40000, dport=8080, flags="S", seq=1000)
    at_web = TCP(sport=40000, dport=80, flags="S", seq=1000)
    syn_ack = TCP(sport=80, dport=40000, flags="SA", seq=5000, ack=1001)
    at_app = TCP(sport=8080, dport=40000, flags="SA", seq=5000, ack=1001)
    script.send(2.0, "app", out("app") / syn)
    script.send(2.1, "web", out("web") / unreachable / bytes(seen("web") / at_web))
    script.send(2.2, "web", out("web") / needed / bytes(seen("web") / at_web)[:28])
    script.send(2.3, "web", out("web") / syn_ack)
    script.send(2.4, "app", out("app") / needed / bytes(seen("app") / at_app))

    # of a router behind web, of the switch itself, and about nothing that there is
    mac, _ = STATIONS["web"]
    behind = Ether(src=mac, dst=GATEWAY) / IP(src="10.0.0.77", dst=EXTERNAL)
    script.send(3.0, "web", behind / unreachable / bytes(seen("web") / at_web))
    script.send(3.1, "app", out("app", ttl=1) / request)
    other = UDP(sport=5001, dport=6000) / b"request"
    script.send(3.2, "db", out("db") / closed / bytes(seen("db") / other))
    script.send(3.3, "app", out("app") / request)  # nothing has ended


if __name__ == "__main__":
    make(__file__, build)
