"""An endpoint sends to the external port that another one has by a mapping."""

from __future__ import annotations

from scapy.layers.inet import ICMP, IP, UDP
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
    from_app = Ether(src=APP, dst=GATEWAY) / IP(src="10.0.0.2", dst=EXTERNAL)
    from_db = Ether(src=DB, dst=GATEWAY) / IP(src="10.0.0.3", dst=EXTERNAL)

    introduce(script, 0.0)
    nobody = UDP(sport=5000, dport=6000) / b"nobody is there yet"
    script.send(0.1, "app", from_app / nobody)
    out = IP(src="10.0.0.3", dst=SERVER) / UDP(sport=6000, dport=7000)
    script.send(0.2, "db", Ether(src=DB, dst=GATEWAY) / out / b"opens a mapping")
    script.send(0.3, "app", from_app / UDP(sport=5000, dport=6000) / b"hello")
    script.send(0.4, "db", from_db / UDP(sport=6000, dport=5000) / b"and hello to you")
    script.send(0.5, "app", from_app / UDP(sport=5000, dport=6000) / b"once more")

    seen = IP(src=EXTERNAL, dst="10.0.0.3", ttl=63) / UDP(sport=5000, dport=6000) / b"once more"
    script.send(0.6, "db", from_db / ICMP(type=3, code=3) / bytes(seen))
    script.send(0.7, "db", from_db / ICMP(type=8, id=7, seq=1) / b"ping")


if __name__ == "__main__":
    make(__file__, build)
