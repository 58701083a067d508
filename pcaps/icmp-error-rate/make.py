"""More packets that deserve an error than the switch makes in a second, of every kind."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether

from vswitch.debug.cases.making import Script, make

APP, DB, GATEWAY = "02:00:00:00:01:02", "02:00:00:00:01:03", "02:00:00:00:01:01"
ROUTER, SWITCH = "02:00:00:00:00:01", "02:00:00:00:00:fe"
SERVER, EXTERNAL = "198.51.100.1", "203.0.113.1"


def introduce(script: Script, seconds: float) -> None:
    """Say where the stations are, so that no frame has to wait."""
    for port, mac, address in (("app", APP, "10.0.0.2"), ("db", DB, "10.0.0.3")):
        here = ARP(op=2, hwsrc=mac, psrc=address, hwdst=GATEWAY, pdst="10.0.0.1")
        script.send(seconds, port, Ether(src=mac, dst=GATEWAY) / here)
    router = ARP(op=2, hwsrc=ROUTER, psrc="203.0.113.254", hwdst=SWITCH, pdst="203.0.113.1")
    script.send(seconds, "uplink", Ether(src=ROUTER, dst=SWITCH) / router)


def build(script: Script) -> None:
    from_app = Ether(src=APP, dst=GATEWAY)
    from_db = Ether(src=DB, dst=GATEWAY)
    last_hop = IP(src="10.0.0.2", dst=SERVER, ttl=1)
    probe = UDP(sport=5000, dport=33434)

    introduce(script, 0.0)
    for at in range(6):  # three are answered, and one more as a third of a second has passed
        script.send(1.0 + at / 10, "app", from_app / last_hop / probe)
    script.send(1.6, "db", from_db / IP(src="10.0.0.3", dst=SERVER, ttl=1) / probe)
    script.send(1.61, "app", from_app / IP(src="10.0.0.2", dst="10.0.0.1") / ICMP(id=7, seq=1))

    # all kinds of errors, and refusals by TCP, count together
    script.send(3.0, "app", from_app / last_hop / probe)
    closed = IP(src="10.0.0.2", dst="10.0.0.1")
    script.send(3.01, "app", from_app / closed / UDP(sport=5000, dport=123))
    script.send(3.02, "app", from_app / closed / TCP(sport=40000, dport=22, flags="S", seq=1))
    script.send(3.03, "app", from_app / IP(src="10.0.0.2", dst=SERVER, proto=89) / bytes(20))

    # refusals of SYNs, when their six seconds are over
    into = Ether(src=ROUTER, dst=SWITCH) / IP(src=SERVER, dst=EXTERNAL)
    for at in range(5):
        script.send(4.0 + at / 100, "uplink", into / TCP(sport=33000, dport=22 + at, flags="S"))


if __name__ == "__main__":
    make(__file__, build)
